"""What a model maximises: each objective reads one table of terms and returns named per-example parts."""

from keras_vae.objectives.beta import BetaELBO
from keras_vae.objectives.elbo import ELBO
from keras_vae.objectives.objective import Objective
from keras_vae.objectives.terms import Terms

__all__ = ["ELBO", "BetaELBO", "Objective", "Terms"]
