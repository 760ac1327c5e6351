"""pythae's convolutional models with channels last, which its users would have to know of.

On a CPU their convolutions take about half the time so.
"""

import dataclasses

from benchmarks.contenders import pythae_pipeline

MODELS = {
    name: dataclasses.replace(recipe, channels_last=True) for name, recipe in pythae_pipeline.MODELS.items()
}
NETWORKS = ("conv",)
