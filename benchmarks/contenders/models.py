"""What is trained: the models that this library and pythae have in common, and the numbers both take.

pythae's `number_samples` is K here, its `number_gradient_estimates` M. Likelihoods are Bernoulli where pythae
has that choice; its deterministic autoencoders have the squared error only.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Model:
    """One model.

    Args:
        what: one line for the reader of the report.
        comparable: whether the losses of all contenders mean the same, so that they can be held together.
        same_size: whether all contenders train the same number of parameters.
        learnt: share of its batch that pythae's autoencoder learns from. This library's gets batches of that
            size, and as many an epoch, so that a step is the same update for both.
    """

    what: str
    comparable: bool = False
    same_size: bool = True
    learnt: float = 1.0


KERNEL_SIZE = 3
NUM_SAMPLES, NUM_ESTIMATES = 5, 3
BETA, CAPACITY = 10.0, 25.0
GAMMA, FACTOR_UNITS = 2.0, (1000,) * 5
CRITIC_UNITS = (256,)

MODELS: dict[str, Model] = {
    "vae": Model("Gaussian posterior, standard normal prior, Bernoulli likelihood, analytic KL", True),
    "ae": Model("deterministic codes, squared error"),
    "beta_tc_vae": Model("minibatch-stratified total correlation"),
    "disentangled_beta_vae": Model(
        f"beta {BETA:g} on the distance of the KL from a capacity to {CAPACITY:g} nats"
    ),
    # pythae's critic has two logits, ours one. pythae's autoencoder learns from one half of the batch, and
    # the permutations are those of the other; ours takes the same images for both.
    "factor_vae": Model(
        f"gamma {GAMMA:g}, critic {'-'.join(map(str, FACTOR_UNITS))} on z, half of pythae's batch",
        same_size=False,
        learnt=0.5,
    ),
    "iwae": Model(f"K = {NUM_SAMPLES}"),
    "miwae": Model(f"M = {NUM_ESTIMATES}, K = {NUM_SAMPLES}"),
    "wae_mmd": Model("deterministic codes, squared error, inverse multiquadratic kernel of seven scales"),
    "info_vae": Model("inverse multiquadratic kernel of seven scales"),
    "adversarial_ae": Model(f"Gaussian codes, critic {CRITIC_UNITS[0]} on z"),
    "vae_gan": Model(f"critic {CRITIC_UNITS[0]} on x, reconstruction in its features"),
    "rae_l2": Model("deterministic codes, squared error, weight decay of the decoder"),
}
