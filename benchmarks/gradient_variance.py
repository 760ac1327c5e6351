"""Prints how much each estimator of the encoder's gradient varies: `python benchmarks/gradient_variance.py`.

Two small models of the built-in digits, one with normal latents and one with bits, are trained for a moment
and held still. For each estimator, the gradient of one batch by the encoder's weights is then drawn many
times. Of all weights together are printed: the variance (summed), the squared length of the mean gradient
(without the noise of that mean), and the signal-to-noise ratio, the root of the second over the first.
Estimators of one bound agree in the second column as far as the noise allows, apart from `stl`, which is
biased for K > 1; where noise is all there is, the column may be negative.

Compare Tucker et al., Doubly Reparameterized Gradient Estimators, 2019; Rainforth et al., Tighter Variational
Bounds are Not Necessarily Better, 2018; Mnih & Rezende, Variational Inference for Monte Carlo Objectives,
2016.
"""

import argparse
import os
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf

import keras_vae
from keras_vae import layers, objectives, priors


def normal_estimators(draws: int) -> dict[str, objectives.Objective]:
    """Estimators for posteriors that can be reparameterised."""
    iwae = {
        f"IWAE({draws}) {name}": objectives.IWAEBound(draws, name)
        for name in ("reparameterized", "stl", "dreg", "vimco", "score")
    }
    groups = draws // 4
    return {
        "ELBO pathwise, K=1": objectives.ELBO(),
        "ELBO pathwise, sampled KL, K=1": objectives.ELBO("sampled"),
        "ELBO stl, K=1": objectives.IWAEBound(1, "stl"),
        "ELBO score, K=1": objectives.ELBO(gradient="score"),
        **iwae,
        f"MIWAE({groups}, 4)": objectives.MIWAEBound(groups, 4),
        f"PIWAE({groups}, 4)": objectives.PIWAEBound(groups, 4),
        f"CIWAE(0.5, {draws})": objectives.CIWAEBound(0.5, draws),
    }


def binary_estimators(draws: int) -> dict[str, objectives.Objective]:
    """Estimators for posteriors that cannot."""
    return {
        "ELBO score, no baseline, K=1": objectives.ELBO(baseline="none"),
        "ELBO score, batch, K=1": objectives.ELBO(baseline="batch"),
        "ELBO score, running, K=1": objectives.ELBO(gradient="score", baseline="running"),
        f"ELBO score, no baseline, K={draws}": objectives.ELBO(num_samples=draws, baseline="none"),
        f"ELBO score, leave-one-out, K={draws}": objectives.ELBO(num_samples=draws),
        f"IWAE({draws}) score, no baseline": objectives.IWAEBound(draws, "score", "none"),
        f"IWAE({draws}) score, batch": objectives.IWAEBound(draws, "score"),
        f"IWAE({draws}) vimco": objectives.IWAEBound(draws, "vimco"),
    }


def measure(model: keras_vae.VAE, objective: objectives.Objective, x: tf.Tensor, repeats: int) -> dict:
    """Variance, squared mean and signal-to-noise ratio of the gradient by the encoder's weights."""
    weights = model.encoder.trainable_variables

    @tf.function
    def gradient(seed: tf.Tensor, training: bool) -> tf.Tensor:
        with tf.GradientTape() as tape:
            terms = model.terms(x, num_samples=objective.num_samples, seed=seed, training=training)
            loss = tf.reduce_mean(tf.add_n(list(objective.parts(terms).values())))
        return tf.concat([tf.reshape(g, [-1]) for g in tape.gradient(loss, weights)], axis=0)

    if getattr(objective, "baseline", None) == "running":  # which has to settle
        for number in range(60):
            gradient(tf.constant([number, 1]), training=True)
    gradient(tf.constant([0, 1]), training=False)
    start = time.perf_counter()
    total = squares = 0.0
    for number in range(repeats):
        drawn = np.float64(gradient(tf.constant([number, 2]), training=False))
        total, squares = total + drawn, squares + np.square(drawn)
    seconds = time.perf_counter() - start
    mean = total / repeats
    variance = np.sum(squares / repeats - np.square(mean)) * repeats / (repeats - 1)
    signal = np.sum(np.square(mean)) - variance / repeats
    return {
        "variance": variance,
        "squared mean": signal,
        "SNR": np.sqrt(max(signal, 0.0) / variance),
        "ms": 1e3 * seconds / repeats,
    }


def print_table(title: str, rows: dict[str, dict]) -> None:
    print(f"\n{title}\n{'estimator':38}{'variance':>12}{'squared mean':>14}{'SNR':>8}{'ms':>7}")
    for name, row in rows.items():
        print(f"{name:38}{row['variance']:12.4g}{row['squared mean']:14.4g}{row['SNR']:8.2f}{row['ms']:7.1f}")


def build(bits: bool) -> keras_vae.VAE:
    posterior = layers.IndependentBernoulli(8) if bits else layers.IndependentNormal(8)
    prior = priors.Bernoulli(8) if bits else None
    return keras_vae.VAE.create(
        (8, 8, 1), 8, hidden=(32,), posterior=posterior, prior=prior, num_samples=2, seed=0
    )


def run(title: str, bits: bool, estimators: Callable[[int], dict], args: argparse.Namespace) -> dict:
    """Trains the model, measures every estimator on it and prints the table."""
    keras.utils.set_random_seed(0)
    x = tf.reshape(tf.constant(digits()), [-1, 8, 8, 1])
    model = build(bits)
    # So short a training is over before XLA has compiled it.
    model.compile(optimizer=keras.optimizers.Adam(3e-3), jit_compile=False)
    model.fit(x.numpy(), batch_size=100, epochs=args.epochs, verbose=0)
    batch = x[: args.batch_size]
    rows = {
        name: measure(model, objective, batch, args.repeats)
        for name, objective in estimators(args.draws).items()
    }
    print_table(title, rows)
    return rows


def digits() -> np.ndarray:
    """1797 digits of 8x8 pixels, black or white."""
    from sklearn.datasets import load_digits

    return (load_digits().data > 7.5).astype("float32")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--draws", type=int, default=16, help="K of the importance-weighted bounds")
    parser.add_argument("--repeats", type=int, default=100, help="gradients drawn per estimator")
    parser.add_argument("--epochs", type=int, default=5, help="epochs of training before")
    parser.add_argument("--batch-size", type=int, default=32)
    args = parser.parse_args()
    run("Normal latents", False, normal_estimators, args)
    run("Binary latents", True, binary_estimators, args)


if __name__ == "__main__":
    main()
