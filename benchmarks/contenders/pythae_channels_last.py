"""pythae's convolutional models with channels last: faster on a CPU, for users who know of it."""

import dataclasses

from benchmarks.contenders import pythae_pipeline

MODELS = {
    name: dataclasses.replace(recipe, channels_last=True) for name, recipe in pythae_pipeline.MODELS.items()
}
NETWORKS = ("conv",)
