"""Runs: a folder for each training, with what it takes to repeat it and what came of it.

`train`, `evaluate` and `draw_pictures` are what the command line calls; `Run` reads and writes the folder.
"""

from keras_vae.runs.building import build_model, load_data, model_names
from keras_vae.runs.config import DatasetConfig, ModelConfig, RunConfig, TrainingConfig
from keras_vae.runs.evaluating import evaluate
from keras_vae.runs.pictures import draw_pictures
from keras_vae.runs.run import Run
from keras_vae.runs.sampling import save_samples
from keras_vae.runs.training import train

__all__ = [
    "DatasetConfig",
    "ModelConfig",
    "Run",
    "RunConfig",
    "TrainingConfig",
    "build_model",
    "draw_pictures",
    "evaluate",
    "load_data",
    "model_names",
    "save_samples",
    "train",
]
