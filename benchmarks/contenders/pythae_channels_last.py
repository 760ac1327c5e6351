"""pythae's convolutional models at their best: channels last, and denormal numbers flushed to zero."""

import dataclasses

from benchmarks.contenders import pythae_flush_denormal

MODELS = {
    name: dataclasses.replace(recipe, channels_last=True)
    for name, recipe in pythae_flush_denormal.MODELS.items()
}
NETWORKS = ("conv",)
