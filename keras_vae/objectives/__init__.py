"""What a model maximises: each objective reads one table of terms and returns named per-example parts."""

from keras_vae.objectives.adversarial_autoencoder import AdversarialReconstruction
from keras_vae.objectives.adversarial_vae import AdversarialELBO
from keras_vae.objectives.adversarial_wae import AdversarialWasserstein
from keras_vae.objectives.beta import BetaELBO
from keras_vae.objectives.beta_tc import TotalCorrelationELBO
from keras_vae.objectives.ciwae import CIWAEBound
from keras_vae.objectives.conditional import ConditionalELBO
from keras_vae.objectives.contractive import ContractiveReconstruction
from keras_vae.objectives.denoising import DenoisingReconstruction
from keras_vae.objectives.dip import DisentangledELBO
from keras_vae.objectives.elbo import ELBO
from keras_vae.objectives.factor import FactorELBO
from keras_vae.objectives.info import InfoELBO
from keras_vae.objectives.iwae import IWAEBound
from keras_vae.objectives.latent_classification import LatentClassificationELBO
from keras_vae.objectives.miwae import MIWAEBound
from keras_vae.objectives.objective import Objective
from keras_vae.objectives.piwae import PIWAEBound
from keras_vae.objectives.reconstruction import Reconstruction
from keras_vae.objectives.regularized import RegularizedReconstruction
from keras_vae.objectives.semi_supervised import SemiSupervisedELBO
from keras_vae.objectives.semi_supervised_adversarial_autoencoder import (
    SemiSupervisedAdversarialReconstruction,
)
from keras_vae.objectives.sparse import SparseReconstruction
from keras_vae.objectives.structured import StructuredELBO
from keras_vae.objectives.terms import Terms
from keras_vae.objectives.wae import WassersteinReconstruction

__all__ = [
    "ELBO",
    "AdversarialELBO",
    "AdversarialReconstruction",
    "AdversarialWasserstein",
    "BetaELBO",
    "CIWAEBound",
    "ConditionalELBO",
    "ContractiveReconstruction",
    "DenoisingReconstruction",
    "DisentangledELBO",
    "FactorELBO",
    "IWAEBound",
    "InfoELBO",
    "LatentClassificationELBO",
    "MIWAEBound",
    "Objective",
    "PIWAEBound",
    "Reconstruction",
    "RegularizedReconstruction",
    "SemiSupervisedAdversarialReconstruction",
    "SemiSupervisedELBO",
    "SparseReconstruction",
    "StructuredELBO",
    "Terms",
    "TotalCorrelationELBO",
    "WassersteinReconstruction",
]
