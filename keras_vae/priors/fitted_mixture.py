"""A mixture of normals fitted to the codes of a trained model."""

from math import prod
from typing import Any

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.checks import check_count
from keras_vae.distributions import GumbelCategorical, MultivariateNormalTriL
from keras_vae.errors import invalid
from keras_vae.layers.independent import Shape
from keras_vae.priors.prior import Prior

tfd, tfb = tfp.distributions, tfp.bijectors


@keras.saving.register_keras_serializable(package="keras_vae")
class FittedMixture(Prior):
    """A mixture of normals with full covariances, fitted to codes once and fixed: sum_k w_k N(z; m_k, C_k).

    Made by `FittedMixture.fit`, which `LatentVariableModel.fit_prior` calls. Until then, or until its weights
    are loaded from a file, it is the standard normal. For a mixture that is learned together with the model,
    see `NormalMixture`.

    Args:
        event_shape: shape of one latent.
        num_components: how many normals, at least 1.

    Reference: Ghosh et al., From Variational to Deterministic Autoencoders, 2020, section 4.
    """

    def __init__(self, event_shape: Shape, num_components: int = 10, **kwargs: Any):
        super().__init__(event_shape, **kwargs)
        self.num_components = count = check_count("num_components", num_components)
        size = prod(self.event_shape)
        self.logits = self._fixed("logits", np.zeros([count]))
        self.loc = self._fixed("loc", np.zeros([count, size]))
        self.scale_tril = self._fixed("scale_tril", np.tile(np.eye(size), [count, 1, 1]))

    def _fixed(self, name: str, value: np.ndarray) -> keras.Variable:
        variable = self.add_weight(name=name, shape=value.shape, initializer="zeros", trainable=False)
        variable.assign(value)
        return variable

    @classmethod
    def fit(cls, codes: Any, num_components: int = 10, seed: int = 0, **kwargs: Any) -> "FittedMixture":
        """The mixture of highest likelihood that EM finds for codes.

        Done by scikit-learn's `GaussianMixture`, on codes scaled to a deviation of 1 in every dimension, so
        that the small number it adds to variances is small in any units.

        Args:
            codes: `[N] + event_shape`, N at least 2 and at least `num_components`.
            num_components: how many normals; 1 gives the codes' mean and covariance.
            seed: of the initial assignment of codes to components, an integer >= 0.

        Raises:
            ValueError: for too few codes, codes that are not finite, or a wrong number.
            ImportError: if scikit-learn is missing.
        """
        codes = np.asarray(codes, np.float64)
        check_count("num_components", num_components)
        check_count("seed", seed, 0)
        if codes.ndim < 2 or len(codes) < max(2, num_components):
            raise invalid("x", f"at least {max(2, num_components)} codes", f"shape {codes.shape}")
        if not np.isfinite(codes).all():
            raise invalid("x", "examples with finite codes", "codes with NaN or infinity")
        # Here, since importing it takes a second.
        from sklearn.mixture import GaussianMixture

        flat = codes.reshape([len(codes), -1])
        mean, deviation = flat.mean(axis=0), flat.std(axis=0)
        deviation[deviation == 0.0] = 1.0  # a dimension that never moves
        found = GaussianMixture(num_components, covariance_type="full", max_iter=500, random_state=seed)
        found.fit((flat - mean) / deviation)
        prior = cls(codes.shape[1:], num_components, **kwargs)
        # A component may have lost all of its codes; in float32 the log of its weight must stay finite.
        prior.logits.assign(np.log(np.maximum(found.weights_, 1e-30)))
        prior.loc.assign(mean + deviation * found.means_)
        prior.scale_tril.assign(deviation[:, None] * np.linalg.cholesky(found.covariances_))
        return prior

    def distribution(self) -> tfd.Distribution:
        mixture = tfd.MixtureSameFamily(
            GumbelCategorical(logits=tf.convert_to_tensor(self.logits)),
            MultivariateNormalTriL(
                tf.convert_to_tensor(self.loc), scale_tril=tf.convert_to_tensor(self.scale_tril)
            ),
        )
        if len(self.event_shape) == 1:
            return mixture
        reshape = tfb.Reshape(self.event_shape, event_shape_in=[prod(self.event_shape)])
        return tfd.TransformedDistribution(mixture, reshape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "num_components": self.num_components}
