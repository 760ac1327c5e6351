"""The posterior of models that part the class of an example from its style."""

from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.checks import check_count
from keras_vae.distributions import SideBySide
from keras_vae.errors import invalid
from keras_vae.layers.distribution_layer import DistributionLayer, check_last_dimension
from keras_vae.layers.tensor_coercible import ConvertToTensorFn

tfd = tfp.distributions


@keras.saving.register_keras_serializable(package="keras_vae")
class SoftmaxAndStyle(DistributionLayer):
    """Class probabilities y and a style z side by side: the latent `[y, z]`, y = softmax(logits).

    y has no noise; z is whatever another distribution layer makes it. The posterior of
    `SemiSupervisedAdversarialAutoencoder`. The distribution that a call returns also has `class_logits`,
    `batch_shape + [num_classes]`.

    Args:
        num_classes: K, at least 2.
        style: a distribution layer over vectors, such as `IndependentDeterministic(8)`,
            `IndependentNormal(8)` or `ImplicitPosterior(8)`.
        convert_to_tensor_fn, validate_args, seed, activity_regularizer: see `DistributionLayer`.

    Call arguments:
        inputs: `batch_shape + [K + style.num_params]`: the logits of the classes, then the parameters of the
            style.

    Raises:
        ValueError: for fewer than 2 classes, and for a style that is no distribution layer over vectors.

    Example:

    >>> import numpy as np
    >>> from keras_vae.layers import IndependentNormal
    >>> layer = SoftmaxAndStyle(4, IndependentNormal(2))
    >>> q = layer(np.zeros([3, layer.num_params], "float32"))
    >>> layer.num_params, q.event_shape, q.mean()[0].numpy().tolist()
    (8, TensorShape([6]), [0.25, 0.25, 0.25, 0.25, 0.0, 0.0])

    Reference: Makhzani et al., Adversarial Autoencoders, 2015, section 5.
    """

    _arguments = ("num_classes",)

    def __init__(
        self,
        num_classes: int,
        style: DistributionLayer,
        convert_to_tensor_fn: str | ConvertToTensorFn = tfd.Distribution.sample,
        validate_args: bool = False,
        **kwargs: Any,
    ):
        super().__init__(convert_to_tensor_fn, validate_args, **kwargs)
        self.num_classes = check_count("num_classes", num_classes, 2)
        if not isinstance(style, DistributionLayer):
            raise invalid("style", "a distribution layer, such as IndependentNormal(8)", style)
        self.style = style
        self.built = True  # The style's weights are its own to make.

    @property
    def num_params(self) -> int:
        return self.params_size(self.num_classes, self.style.num_params)

    def distribution(self, params: Any) -> tfd.Distribution:
        return self.new(params, self.num_classes, self.style, self.validate_args)

    @staticmethod
    def new(
        params: tf.Tensor,
        num_classes: int,
        style: DistributionLayer,
        validate_args: bool = False,
        name: str | None = None,
    ) -> tfd.Distribution:
        """The distribution with parameters `params`, `batch_shape + [params_size]`."""
        params = tf.convert_to_tensor(params)
        size = SoftmaxAndStyle.params_size(num_classes, style.num_params)
        check_last_dimension(params, size, f"num_classes {num_classes} and the style")
        style_z = style.distribution(params[..., num_classes:])
        if style_z.event_shape.rank != 1:
            raise invalid("style", "a distribution of vectors", f"event shape {style_z.event_shape}")
        return _SoftmaxAndStyle(params[..., :num_classes], style_z, validate_args, name or "SoftmaxAndStyle")

    @staticmethod
    def params_size(num_classes: int, style_params_size: int, name: str | None = None) -> int:
        """The number of parameters of one distribution: a logit a class, and those of the style."""
        return check_count("num_classes", num_classes, 2) + style_params_size

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "style": keras.saving.serialize_keras_object(self.style)}

    @classmethod
    def from_config(cls, config: dict[str, Any]):
        config = dict(config)
        if isinstance(config["style"], dict):
            config["style"] = keras.saving.deserialize_keras_object(config["style"])
        return super().from_config(config)


class _SoftmaxAndStyle(SideBySide):
    """All mass of y at softmax(class_logits), beside the style."""

    def __init__(self, class_logits: tf.Tensor, style: tfd.Distribution, validate_args: bool, name: str):
        self.class_logits = class_logits
        y = tfd.VectorDeterministic(tf.nn.softmax(class_logits), validate_args=validate_args)
        super().__init__([y, style], validate_args=validate_args, name=name)
