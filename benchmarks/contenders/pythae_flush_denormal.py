"""pythae's models with the one line that makes PyTorch flush denormal numbers, as TensorFlow does."""

import torch

from benchmarks.contenders import pythae_pipeline

# Before PyTorch starts its threads, which inherit the mode.
torch.set_flush_denormal(True)

MODELS, NETWORKS = pythae_pipeline.MODELS, pythae_pipeline.NETWORKS
