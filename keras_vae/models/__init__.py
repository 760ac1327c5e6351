"""The Keras models: one base with the training loop, and a named model per objective."""

from keras_vae.models.adversarial_autoencoder import AdversarialAutoencoder
from keras_vae.models.adversarial_vae import AdversarialVAE
from keras_vae.models.adversarial_wae import AdversarialWAE
from keras_vae.models.autoencoder import Autoencoder
from keras_vae.models.beta_tc_vae import BetaTCVAE
from keras_vae.models.beta_vae import BetaVAE
from keras_vae.models.ciwae import CIWAE
from keras_vae.models.conditional_vae import ConditionalVAE
from keras_vae.models.contractive_autoencoder import ContractiveAutoencoder
from keras_vae.models.denoising_autoencoder import DenoisingAutoencoder
from keras_vae.models.dip_vae import DIPVAE
from keras_vae.models.factor_vae import FactorVAE
from keras_vae.models.info_vae import InfoVAE
from keras_vae.models.iwae import IWAE
from keras_vae.models.latent_variable_model import LatentVariableModel
from keras_vae.models.miwae import MIWAE
from keras_vae.models.piwae import PIWAE
from keras_vae.models.regularized_autoencoder import RegularizedAutoencoder
from keras_vae.models.semi_supervised_adversarial_autoencoder import SemiSupervisedAdversarialAutoencoder
from keras_vae.models.semi_supervised_vae import SemiSupervisedVAE
from keras_vae.models.sparse_autoencoder import SparseAutoencoder
from keras_vae.models.structured_vae import StructuredVAE
from keras_vae.models.vae import VAE
from keras_vae.models.wae import WAE

__all__ = [
    "CIWAE",
    "DIPVAE",
    "IWAE",
    "MIWAE",
    "PIWAE",
    "VAE",
    "WAE",
    "AdversarialAutoencoder",
    "AdversarialVAE",
    "AdversarialWAE",
    "Autoencoder",
    "BetaTCVAE",
    "BetaVAE",
    "ConditionalVAE",
    "ContractiveAutoencoder",
    "DenoisingAutoencoder",
    "FactorVAE",
    "InfoVAE",
    "LatentVariableModel",
    "RegularizedAutoencoder",
    "SemiSupervisedAdversarialAutoencoder",
    "SemiSupervisedVAE",
    "SparseAutoencoder",
    "StructuredVAE",
]
