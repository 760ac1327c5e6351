"""pythae's convolutional models with channels last, faster on a CPU, which its users would have to know of."""

import dataclasses

from benchmarks.contenders import pythae_pipeline

MODELS = {
    name: dataclasses.replace(recipe, channels_last=True) for name, recipe in pythae_pipeline.MODELS.items()
}
NETWORKS = ("conv",)
