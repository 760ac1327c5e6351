"""The hand-written PyTorch VAE with its loss, and so its gradient, compiled by `torch.compile`."""

import functools

import torch

from benchmarks.contenders import torch_eager

# Two shapes occur, the full batch and the last one of an epoch: a kernel of its own for each is
# faster than one for any size.
compile_loss = functools.partial(torch.compile, dynamic=False)

MODELS = {name: functools.partial(build, wrap=compile_loss) for name, build in torch_eager.MODELS.items()}
NETWORKS = torch_eager.NETWORKS
