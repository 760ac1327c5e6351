"""The encoders and decoders of the PyTorch contenders.

Their weights begin as Keras lets them begin, Glorot uniform and zero, so that all contenders start
from the same distribution and their losses can be compared.
"""

import itertools
import math

import torch
from torch import nn

from benchmarks.contenders.models import KERNEL_SIZE


def as_keras(layer: nn.Module) -> nn.Module:
    """Gives a layer Keras' initial weights and returns it."""
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def linear(inputs: int, outputs: int) -> nn.Module:
    """Returns a dense layer with Keras' initial weights."""
    return as_keras(nn.Linear(inputs, outputs))


def stack(sizes: list[int]) -> nn.Sequential:
    """Returns a linear layer and ReLU for each pair of neighbouring sizes."""
    pairs = itertools.pairwise(sizes)
    return nn.Sequential(*(layer for pair in pairs for layer in (linear(*pair), nn.ReLU())))


class Encoder(nn.Module):
    """x [B, D] -> mean and log variance [B, latent_size]."""

    def __init__(self, event_size: int, hidden: tuple[int, ...], latent_size: int) -> None:
        super().__init__()
        self.body = stack([event_size, *hidden])
        self.mean = linear(hidden[-1], latent_size)
        self.log_var = linear(hidden[-1], latent_size)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What mean and log variance are made of."""
        return self.body(x.flatten(1))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.features(x)
        return self.mean(h), self.log_var(h)


class Decoder(nn.Module):
    """z [B, latent_size] -> logits [B, D]."""

    def __init__(self, event_size: int, hidden: tuple[int, ...], latent_size: int) -> None:
        super().__init__()
        self.body = stack([latent_size, *reversed(hidden)])
        self.logits = linear(hidden[0], event_size)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.logits(self.body(z))


def feature_maps(shape: tuple[int, ...], filters: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Returns the channels, height and width of the image and after each convolution, which halves it."""
    maps = [shape]
    for channels in filters:
        maps.append((channels, *((side + 1) // 2 for side in maps[-1][1:])))
    return maps


class ConvEncoder(Encoder):
    """x [B, C, H, W] -> mean and log variance [B, latent_size]: `keras_vae.networks.conv_encoder`.

    PyTorch pads an even side before its first pixel and Keras behind its last: the same work, and the same
    function of mirrored images.
    """

    def __init__(
        self, shape: tuple[int, ...], filters: tuple[int, ...], hidden: tuple[int, ...], latent_size: int
    ) -> None:
        maps = feature_maps(shape, filters)
        super().__init__(math.prod(maps[-1]), hidden, latent_size)
        padding = KERNEL_SIZE // 2
        self.convolutions = nn.Sequential(
            *(
                layer
                for (before, *_), (after, *_) in itertools.pairwise(maps)
                for layer in (as_keras(nn.Conv2d(before, after, KERNEL_SIZE, 2, padding)), nn.ReLU())
            )
        )

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return super().features(self.convolutions(x))


class ConvDecoder(nn.Module):
    """z [B, latent_size] -> logits [B, C, H, W]: `keras_vae.networks.conv_decoder`."""

    def __init__(
        self, shape: tuple[int, ...], filters: tuple[int, ...], hidden: tuple[int, ...], latent_size: int
    ) -> None:
        super().__init__()
        maps = feature_maps(shape, filters)[::-1]
        self.dense = stack([latent_size, *reversed(hidden), math.prod(maps[0])])
        self.unflatten = nn.Unflatten(1, maps[0])
        # A stage has the channels of the map it starts from, twice at the smallest; the last convolution
        # makes the image's.
        widths = [filters[-1], *reversed(filters)]
        self.stages = nn.Sequential(
            *(
                layer
                for (before, after), (_, *size) in zip(itertools.pairwise(widths), maps[1:], strict=True)
                for layer in (as_keras(_enlarge(before, after, size)), nn.ReLU())
            )
        )
        self.logits = as_keras(nn.Conv2d(filters[0], shape[0], KERNEL_SIZE, padding=KERNEL_SIZE // 2))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.logits(self.stages(self.unflatten(self.dense(z))))


def _enlarge(before: int, after: int, size: list[int]) -> nn.ConvTranspose2d:
    """To a map of that height and width from the one half as large, rounded up."""
    more = tuple(1 - side % 2 for side in size)
    return nn.ConvTranspose2d(before, after, KERNEL_SIZE, 2, KERNEL_SIZE // 2, output_padding=more)
