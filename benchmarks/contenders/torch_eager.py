"""A VAE written by hand in PyTorch, with a fast loop: no DataLoader, no metrics, one `.item()`."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks.contenders.torch_networks import Decoder, linear, stack
from benchmarks.protocol import EpochClock, Job

# TensorFlow flushes denormal numbers to zero. PyTorch does so only on request, and is much slower without:
# Adam's moments of pixels that are always 0 are denormal. Threads inherit the mode, so it is set before
# PyTorch starts any.
torch.set_flush_denormal(True)

Loss = Callable[[torch.Tensor], torch.Tensor]


class VAE(nn.Module):
    """`forward` is the negative ELBO in nats, summed over the pixels, averaged over the batch."""

    def __init__(self, event_size: int, hidden: tuple[int, ...], latent_size: int) -> None:
        super().__init__()
        # One matrix for mean and log variance: one product instead of two.
        self.encoder = nn.Sequential(stack([event_size, *hidden]), linear(hidden[-1], 2 * latent_size))
        self.decoder = Decoder(event_size, hidden, latent_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean, log_var = self.encoder(x).chunk(2, dim=1)
        z = mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)
        logits = self.decoder(z)
        reconstruction = functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        kl = -0.5 * torch.sum(1 + log_var - mean.square() - log_var.exp())
        return (reconstruction + kl) / x.shape[0]


class LoopTrainer:
    """The training loop.

    Args:
        model: gives the loss of a batch.
        job: what to train.
        images: float32 [N, H, W, C].
        wrap: turns the model into what is called for a loss, for example `torch.compile`.
    """

    def __init__(
        self, model: nn.Module, job: Job, images: np.ndarray, wrap: Callable[[nn.Module], Loss]
    ) -> None:
        self.device = "gpu" if torch.cuda.is_available() else "cpu"
        place = {"gpu": "cuda", "cpu": "cpu"}[self.device]
        self.job = job
        self.images = torch.from_numpy(images).flatten(1).to(place)
        self.model = model.to(place).train()
        self.loss = wrap(self.model)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=job.learning_rate, fused=True)
        self.parameters = sum(p.numel() for p in model.parameters())

    def train(self, epochs: int, clock: EpochClock) -> int:
        """Runs the epochs."""
        return sum(self._epoch(clock) for _ in range(epochs))

    def _epoch(self, clock: EpochClock) -> int:
        clock.begin()
        total = torch.zeros((), device=self.images.device)
        order = torch.randperm(len(self.images), device=self.images.device)
        batches = order.split(self.job.batch_size)
        for index in batches:
            loss = self.loss(self.images[index])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
        clock.end(total.item() / len(batches))
        return len(batches)


def build_vae(
    job: Job, images: np.ndarray, wrap: Callable[[nn.Module], Loss] = lambda model: model
) -> LoopTrainer:
    """Returns the VAE in a training loop."""
    torch.manual_seed(job.seed)
    vae = VAE(int(np.prod(images.shape[1:])), job.hidden, job.latent_size)
    return LoopTrainer(vae, job, images, wrap)


MODELS = {"vae": build_vae}
NETWORKS = ("mlp",)
