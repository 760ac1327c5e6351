"""The encoder and decoder of the PyTorch contenders.

Their weights begin as Keras lets them begin, Glorot uniform and zero, so that all contenders start
from the same distribution and their losses can be compared.
"""

import itertools

import torch
from torch import nn


def linear(inputs: int, outputs: int) -> nn.Linear:
    """Returns a layer with Keras' initial weights."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


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

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        h = self.body(x)
        return self.mean(h), self.log_var(h)


class Decoder(nn.Module):
    """z [B, latent_size] -> logits [B, D]."""

    def __init__(self, event_size: int, hidden: tuple[int, ...], latent_size: int) -> None:
        super().__init__()
        self.body = stack([latent_size, *reversed(hidden)])
        self.logits = linear(hidden[0], event_size)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.logits(self.body(z))
