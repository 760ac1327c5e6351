"""Linear-Gaussian chains: the prior, and the posterior, of a linear dynamical system."""

import math

import tensorflow as tf
import tensorflow_probability as tfp

from keras_vae.distributions import draws
from keras_vae.distributions.small_matrices import (
    apply,
    factor_with_evidence,
    inverse_tril,
    product,
    square,
    transpose,
)

tfd = tfp.distributions


class NormalChain(tfd.Distribution):
    """A Gauss-Markov chain of T steps of D dimensions, with an affine step of its own at every time:

        z_t = A_t z_{t-1} + b_t + L_t e_t,    e_t ~ N(0, I),    z_0 = 0

    Any joint normal of z_1, ..., z_T in which the past matters to the future through the present alone can be
    written so, with T D^2 numbers in place of the (T D)^2 of a covariance. Draws are reparameterised; the KL
    of two chains is exact (`tfd.kl_divergence`). Work is linear in T.

    Args:
        transition: A, `batch_shape + [T, D, D]`; the first has no effect.
        offset: b, `batch_shape + [T, D]`.
        scale_tril: L, lower triangular with a diagonal above 0, `batch_shape + [T, D, D]`.
        validate_args, allow_nan_stats, name: see `tfd.Distribution`.

    Example: a random walk, whose variance grows by 1 a step.

    >>> ones = tf.ones([3, 1, 1])
    >>> NormalChain(ones, tf.zeros([3, 1]), ones).variance().numpy().ravel().tolist()
    [1.0, 2.0, 3.0]
    """

    def __init__(
        self,
        transition: tf.Tensor,
        offset: tf.Tensor,
        scale_tril: tf.Tensor,
        validate_args: bool = False,
        allow_nan_stats: bool = True,
        name: str = "NormalChain",
    ):
        parameters = dict(locals())
        self.offset = tf.convert_to_tensor(offset)
        self.transition = tf.convert_to_tensor(transition, self.offset.dtype)
        self.scale_tril = tf.convert_to_tensor(scale_tril, self.offset.dtype)
        super().__init__(
            dtype=self.offset.dtype,
            reparameterization_type=tfd.FULLY_REPARAMETERIZED,
            validate_args=validate_args,
            allow_nan_stats=allow_nan_stats,
            parameters=parameters,
            name=name,
        )

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        properties = tfp.util.ParameterProperties
        return {
            "transition": properties(event_ndims=3),
            "offset": properties(event_ndims=2),
            "scale_tril": properties(event_ndims=3),
        }

    def _event_shape(self):
        return self.offset.shape[-2:]

    def _event_shape_tensor(self):
        return tf.shape(self.offset)[-2:]

    def _default_event_space_bijector(self):
        return tfp.bijectors.Identity(validate_args=self.validate_args)

    # --- draws, densities and moments ----------------------------------------------------------

    def _sample_n(self, n, seed=None):
        shape = tf.concat([[n], self.batch_shape_tensor(), self.event_shape_tensor()], axis=0)
        return self.from_noise(draws.normal(shape, tfp.random.sanitize_seed(seed), self.dtype))

    def from_noise(self, noise: tf.Tensor) -> tf.Tensor:
        """z for the given e, both `sample_shape + batch_shape + [T, D]`."""
        return _follow(self.transition, self.offset + apply(self.scale_tril, noise))

    def _log_prob(self, z):
        residual = z - apply(self.transition, _before(z)) - self.offset
        noise = apply(inverse_tril(self.scale_tril), residual)
        constant = 0.5 * math.log(2.0 * math.pi) * math.prod(self.event_shape)
        return -0.5 * tf.reduce_sum(tf.square(noise), axis=[-2, -1]) - _log_det(self.scale_tril) - constant

    def _entropy(self):
        constant = 0.5 * (1.0 + math.log(2.0 * math.pi)) * math.prod(self.event_shape)
        return tf.broadcast_to(constant + _log_det(self.scale_tril), self.batch_shape_tensor())

    def _mean(self):
        shape = tf.concat([self.batch_shape_tensor(), self.event_shape_tensor()], axis=0)
        return _follow(self.transition, tf.broadcast_to(self.offset, shape))

    def _mode(self):
        return self._mean()

    def marginal_covariance(self) -> tf.Tensor:
        """Cov(z_t) of every time, `batch_shape + [T, D, D]`; Cov(z_t, z_{t-1}) is A_t Cov(z_{t-1})."""
        shape = tf.concat(
            [self.batch_shape_tensor(), self.event_shape_tensor(), self.event_shape[-1:]], axis=0
        )
        noise = tf.broadcast_to(square(self.scale_tril), shape)

        def step(covariance, now):
            transition, noise = now
            return product(product(transition, covariance), transpose(transition)) + noise

        transition, noise = _time_first(self.transition, 2), _time_first(noise, 2)
        return _time_back(tf.scan(step, (transition, noise), tf.zeros_like(noise[0])), 2)

    def _variance(self):
        return tf.linalg.diag_part(self.marginal_covariance())

    def _stddev(self):
        return tf.sqrt(self._variance())

    # --- conditioning --------------------------------------------------------------------------

    def times(self, precision: tf.Tensor, information: tf.Tensor) -> "NormalChain":
        """The chain q(z) proportional to p(z) prod_t exp(-z_t' R_t z_t / 2 + h_t' z_t), again a chain.

        Exact: messages pass backwards in time, each the likelihood of all that is still to come. Only sums
        and products of positive definite matrices are taken, so that near-certain and absent observations
        alike keep their digits in float32.

        Args:
            precision: R, symmetric and positive semi-definite, `batch_shape + [T, D, D]`; zeros where nothing
                is known.
            information: h, `batch_shape + [T, D]`; R_t times what was observed.
        """
        precision = tf.convert_to_tensor(precision, self.dtype)
        information = tf.convert_to_tensor(information, self.dtype)
        shape = tf.broadcast_dynamic_shape(self.batch_shape_tensor(), tf.shape(information)[:-2])
        information = tf.broadcast_to(information, tf.concat([shape, self.event_shape], axis=0))
        given = [
            _time_first(self.transition, 2),
            _time_first(self.offset, 1),
            _time_first(self.scale_tril, 2),
            _time_first(inverse_tril(self.scale_tril), 2),
            _time_first(precision, 2),
            _time_first(information, 1),
        ]
        nothing = tf.zeros_like(given[-1][0])
        matrix = tf.zeros(tf.concat([tf.shape(nothing), self.event_shape[-1:]], axis=0), self.dtype)
        matrix = tf.ensure_shape(matrix, [*nothing.shape, self.event_shape[-1]])
        start = (matrix, nothing, matrix, nothing, matrix)
        _, _, transition, offset, scale_tril = tf.scan(_message, tuple(given), start, reverse=True)
        return NormalChain(_time_back(transition, 2), _time_back(offset, 1), _time_back(scale_tril, 2))


def _message(later: tuple[tf.Tensor, ...], now: tuple[tf.Tensor, ...]) -> tuple[tf.Tensor, ...]:
    """One step of `NormalChain.times`: the message to z_{t-1}, and the posterior's A_t, b_t and L_t.

    With R and h of all that z_t, ..., z_T see, and Q = L L': the posterior's covariance is
    C = (Q^-1 + R)^-1, its gain G = C Q^-1, and the message has the precision A' (Q + R^-1)^-1 A, taken as
    A' (G' R G + R C Q^-1 C R) A, which needs no inverse of R.
    """
    transition, offset, scale, inverse_scale, precision, information = now
    precision = precision + later[0]
    information = information + later[1]
    inner = factor_with_evidence(scale, precision)
    posterior_scale = product(scale, transpose(inner))
    gain = product(product(posterior_scale, inner), inverse_scale)
    # The transpose of L^-1 C R, whose square is the second summand.
    pull = product(product(precision, posterior_scale), inner)
    seen = product(transpose(gain), product(precision, gain)) + square(pull)
    back = apply(transpose(gain), information) - apply(seen, offset)
    moved = apply(posterior_scale, apply(transpose(posterior_scale), information))
    return (
        product(transpose(transition), product(seen, transition)),
        apply(transpose(transition), back),
        product(gain, transition),
        apply(gain, offset) + moved,
        posterior_scale,
    )


def _log_det(lower: tf.Tensor) -> tf.Tensor:
    """The sum over t of log |L_t|, `[...]`."""
    return tf.reduce_sum(tf.math.log(tf.linalg.diag_part(lower)), axis=[-2, -1])


def _before(z: tf.Tensor) -> tf.Tensor:
    """z_{t-1} at every t, `[..., T, D]`, with zeros at the first."""
    return tf.concat([tf.zeros_like(z[..., :1, :]), z[..., :-1, :]], axis=-2)


def _follow(transition: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """z_t = A_t z_{t-1} + c_t, of A `[..., T, D, D]` and c `[..., T, D]`."""
    steps = _time_first(steps, 1)

    def step(z, now):
        return apply(now[0], z) + now[1]

    return _time_back(tf.scan(step, (_time_first(transition, 2), steps), tf.zeros_like(steps[0])), 1)


def _time_first(value: tf.Tensor, ndims: int) -> tf.Tensor:
    """`[..., T] + event` to `[T, ...] + event`, where an event at one time has `ndims` dimensions."""
    rank = value.shape.rank
    time = rank - 1 - ndims
    return tf.transpose(value, [time, *(axis for axis in range(rank) if axis != time)])


def _time_back(value: tf.Tensor, ndims: int) -> tf.Tensor:
    rank = value.shape.rank
    time = rank - 1 - ndims
    return tf.transpose(value, [*range(1, time + 1), 0, *range(time + 1, rank)])


@tfd.RegisterKL(NormalChain, NormalChain)
def _kl_of_chains(q: NormalChain, p: NormalChain, name: str | None = None) -> tf.Tensor:
    """KL(q || p): the sum over t of the mean, over z_{t-1} from q, of the KL of the two steps."""
    with tf.name_scope(name or "kl_of_chains"):
        inverse = inverse_tril(p.scale_tril)
        mean, covariance = _before(q.mean()), q.marginal_covariance()
        covariance = tf.concat(
            [tf.zeros_like(covariance[..., :1, :, :]), covariance[..., :-1, :, :]], axis=-3
        )
        # Of the steps' means, how far apart they are, in p's standard deviations.
        slope = product(inverse, q.transition - p.transition)
        shift = apply(slope, mean) + apply(inverse, q.offset - p.offset)
        spread = tf.reduce_sum(product(slope, covariance) * slope, axis=[-3, -2, -1])
        ratio = tf.reduce_sum(tf.square(product(inverse, q.scale_tril)), axis=[-3, -2, -1])
        squares = ratio + spread + tf.reduce_sum(tf.square(shift), axis=[-2, -1])
        return 0.5 * (squares - math.prod(q.event_shape)) + _log_det(p.scale_tril) - _log_det(q.scale_tril)
