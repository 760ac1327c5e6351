"""Hyperparameter search that compares what may be compared: `search`, its ranges and its results."""

from keras_vae.tuning.distributed import Distribution
from keras_vae.tuning.goals import GOALS, HeldOutELBO
from keras_vae.tuning.hypermodel import DEFAULT_SPACE, VAEHyperModel
from keras_vae.tuning.pareto import hypervolume, pareto_front
from keras_vae.tuning.pictures import draw_search
from keras_vae.tuning.results import Search, Trial
from keras_vae.tuning.search import search
from keras_vae.tuning.space import Choice, Float, Int, parse

__all__ = [
    "DEFAULT_SPACE",
    "GOALS",
    "Choice",
    "Distribution",
    "Float",
    "HeldOutELBO",
    "Int",
    "Search",
    "Trial",
    "VAEHyperModel",
    "draw_search",
    "hypervolume",
    "pareto_front",
    "parse",
    "search",
]
