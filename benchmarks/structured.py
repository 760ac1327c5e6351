"""Prints what structured latents recover, and draws it: `python benchmarks/structured.py`.

Two experiments of Johnson et al., Composing graphical models with neural networks for structured
representations and fast inference, 2016, section 6.

Pinwheel: five curved arms in the plane, whose labels are held back. A `StructuredVAE` with a mixture in the
latent names a cluster for each point; a `VAE` with the same networks and k-means on its codes does so too.
Both are told that there are five arms. Printed is the adjusted Rand index with the arms, 1 for the same
clusters and 0 for none in common, and the ELBO in nats. Training sees no labels.

The mixture begins at the centres that k-means finds in the codes before training (`--start random` for means
drawn from a normal, from which some components share an arm and others split one, for good). Batches are
large, for the noise of small ones keeps components wide and the arms bent. That start finds the clusters;
training keeps them, and makes a normal of each arm.

Dots: a dot bounces back and forth on a line of pixels. A `StructuredVAE` with a linear dynamical system sees
frames one by one, and goes on alone after a prefix. Printed is how far from the true dot the brightest pixel
of the predicted frames is, beside the dot that stays where it was last (persistence), in pixels.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

import keras_vae
from keras_vae import layers, priors
from keras_vae.plots._style import PALETTE, bare, chart, new_figure

tfd = tfp.distributions

ARMS, PIXELS, STEPS, PREFIX = 5, 20, 40, 20
STEP_KINDS = ["natural", "ordinary"]


def pinwheel(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Points `[count, 2]` of five arms, a fifth of the paper's in size, and the number of each one's arm."""
    rng = np.random.default_rng(seed)
    radial, tangential, rate = 0.3, 0.05, 0.25
    arms = rng.integers(ARMS, size=count)
    points = rng.normal(size=(count, 2)) * [radial, tangential] + [1.0, 0.0]
    angles = 2.0 * np.pi * arms / ARMS + rate * np.exp(points[:, 0])
    turns = np.stack([np.cos(angles), -np.sin(angles), np.sin(angles), np.cos(angles)], axis=-1)
    return 2.0 * np.einsum("ni,nij->nj", points, turns.reshape(-1, 2, 2)).astype("float32"), arms


def bouncing_dots(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images `[count, STEPS, PIXELS]` of a dot of some width, and where it is, `[count, STEPS]`."""
    rng = np.random.default_rng(seed)
    phase = rng.uniform(0.0, 2.0, size=(count, 1)) + 0.12 * np.arange(STEPS)
    position = (PIXELS - 1) * np.abs((phase % 2.0) - 1.0)
    images = np.exp(-0.5 * np.square(np.arange(PIXELS) - position[..., None]))
    return (images + 0.05 * rng.normal(size=images.shape)).astype("float32"), position


# --- the pinwheel ------------------------------------------------------------------------------------


def plane_networks() -> tuple[keras.Model, keras.Model]:
    """Of points in the plane, to codes in the plane: the identity, and what a hidden layer adds to it.

    As in the paper's code. From random networks the arms are soon mixed up, and stay so.
    """
    x, z = keras.Input((2,)), keras.Input((2,))
    scales = keras.layers.Dense(2, bias_initializer=keras.initializers.Constant(-1.5))(hidden(x))
    potentials = layers.IndependentNormal(2)(keras.layers.Concatenate()([beside_identity(x), scales]))
    likelihood = layers.HomoscedasticNormal(2, scale=0.2, trainable_scale=True)(beside_identity(z))
    return keras.Model(x, potentials, name="encoder"), keras.Model(z, likelihood, name="decoder")


def hidden(x: keras.KerasTensor) -> keras.KerasTensor:
    for _ in range(2):
        x = keras.layers.Dense(40, activation="tanh")(x)
    return x


def beside_identity(x: keras.KerasTensor) -> keras.KerasTensor:
    small = keras.initializers.RandomNormal(stddev=0.01)
    return keras.layers.Add()([x, keras.layers.Dense(2, kernel_initializer=small)(hidden(x))])


def run_pinwheel(args: argparse.Namespace) -> None:
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    x, arms = pinwheel(args.points, 0)
    found = {}
    models = {}
    for name, prior in {
        "natural": priors.BayesianGaussianMixtureGraph(
            2,
            args.components,
            dataset_size=len(x),
            rate=args.rate,
            concentration=1.0 / args.components,
            inference=args.inference,
            spread=2.0,
            scale=0.5,
            seed=args.seed,
        ),
        "ordinary": priors.GaussianMixtureGraph(
            2, args.components, args.inference, spread=2.0, scale=0.5, seed=args.seed
        ),
    }.items():
        if name not in args.steps:
            continue
        name = f"{name} steps"
        keras.utils.set_random_seed(args.seed)
        vae = keras_vae.StructuredVAE(*plane_networks(), prior, seed=args.seed)
        if args.start == "k-means":
            prior.start_at(vae.encoder(x).mean(), seed=args.seed)
        fit_points(vae, x, args, name)
        clusters = np.argmax(vae.prior.responsibilities(vae.encode(x)), axis=1)
        models[name], found[name] = vae, clusters
    keras.utils.set_random_seed(args.seed)
    plain = keras_vae.VAE(*plane_networks(), seed=args.seed)
    fit_points(plain, x, args, "VAE")
    codes = plain.encode(x).mean().numpy()
    models["VAE and k-means"] = plain
    found["VAE and k-means"] = KMeans(ARMS, n_init=10, random_state=0).fit_predict(codes)
    found["k-means of x"] = KMeans(ARMS, n_init=10, random_state=0).fit_predict(x)
    print(f"\n{'pinwheel':20}{'adjusted Rand':>15}{'clusters':>10}{'ELBO':>9}")
    for name, clusters in found.items():
        large = np.sum(np.bincount(clusters) > len(x) / 100)
        elbo = f"{np.mean(models[name].elbo(x, seed=0)):9.3f}" if name in models else ""
        print(f"{name:20}{adjusted_rand_score(arms, clusters):15.3f}{large:10d}{elbo}")
    draw_pinwheel(x, arms, models, found, args.folder / "pinwheel.png")


def fit_points(model: keras.Model, x: np.ndarray, args: argparse.Namespace, name: str) -> None:
    """With steps that shrink to nothing, so that in the end noise moves no component."""
    steps = args.epochs * -(-len(x) // args.point_batch_size)
    rate = keras.optimizers.schedules.CosineDecay(args.point_learning_rate, steps)
    fit(model, x, args.epochs, args.point_batch_size, rate, name)


def draw_pinwheel(x: np.ndarray, arms: np.ndarray, models: dict, found: dict, path: Path) -> None:
    """Data by the clusters found, codes by the true arms with the prior's components, and new data."""
    figure = new_figure(11.0, 3.6 * len(models))
    axes = figure.subplots(len(models), 3)
    for row, (name, model) in zip(axes, models.items(), strict=True):
        clusters = np.unique(found[name], return_inverse=True)[1]
        chart(row[0], "", "", f"{name}: clusters found")
        row[0].scatter(*x.T, s=5, c=np.array(PALETTE)[clusters % len(PALETTE)], linewidths=0)
        chart(row[1], "", "", "codes, by the true arm")
        row[1].scatter(*model.encode(x).mean().numpy().T, s=5, c=np.array(PALETTE)[arms], linewidths=0)
        if isinstance(model.prior, priors.GaussianMixtureGraph):
            draw_components(row[1], model.prior)
        chart(row[2], "", "", "samples")
        row[2].scatter(*model.sample(len(x), seed=0).numpy().T, s=5, color=PALETTE[0], linewidths=0)
        for column in (0, 2):
            row[column].set_xlim(-5, 5)
            row[column].set_ylim(-5, 5)
            row[column].set_aspect("equal")
    figure.savefig(path)
    print("drawn:", path)


def draw_components(axes, prior: priors.GaussianMixtureGraph) -> None:
    """Every component that has some weight as an ellipse of two standard deviations."""
    mixture = prior()
    weights = mixture.mixture_distribution.probs_parameter().numpy()
    circle = np.linspace(0.0, 2.0 * np.pi, 100)
    circle = np.stack([np.cos(circle), np.sin(circle)])
    components = mixture.components_distribution
    for weight, loc, scale in zip(
        weights, components.loc.numpy(), components.scale.to_dense().numpy(), strict=True
    ):
        if weight > 0.01:
            axes.plot(*(loc[:, None] + 2.0 * scale @ circle), color="black", linewidth=1.0)


# --- dots --------------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable(package="keras_vae.benchmarks")
class KindsFirst(keras.layers.Layer):
    """`[B, T, 2 D]` of means and scales of every time to `[B, 2 T D]`, all means first."""

    def call(self, inputs):
        batch, steps, size = tf.shape(inputs)[0], inputs.shape[1], inputs.shape[2] // 2
        kinds = tf.transpose(tf.reshape(inputs, [batch, steps, 2, size]), [0, 2, 1, 3])
        return tf.reshape(kinds, [batch, 2 * steps * size])

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[1] * input_shape[2])


def frame_networks(latent_size: int) -> tuple[keras.Model, keras.Model]:
    """Of sequences, frame by frame: all that links the frames is the prior."""
    networks = []
    for name, inputs, outputs in (("encoder", PIXELS, latent_size), ("decoder", latent_size, PIXELS)):
        hidden = [keras.layers.Dense(50, activation="tanh") for _ in range(2)]
        if name == "encoder":
            head = [
                keras.layers.Dense(2 * outputs),
                KindsFirst(),
                layers.IndependentNormal((STEPS, outputs)),
            ]
        else:
            head = [
                keras.layers.Dense(outputs),
                keras.layers.Flatten(),
                layers.HomoscedasticNormal((STEPS, outputs), scale=0.3, trainable_scale=True),
            ]
        networks.append(keras.Sequential([keras.Input((STEPS, inputs)), *hidden, *head], name=name))
    return networks[0], networks[1]


def predict(vae: keras_vae.StructuredVAE, x: np.ndarray) -> np.ndarray:
    """Mean images of all frames, given the first PREFIX of them, `[N, STEPS, PIXELS]`."""
    potentials = vae.encoder(x)
    unseen = np.where(np.arange(STEPS) < PREFIX, 0.0, np.inf).astype("float32")[:, None]
    given = tfd.Independent(tfd.Normal(potentials.mean(), potentials.stddev() + unseen), 2)
    return vae.decode(vae.prior.posterior(given).mean()).mean().numpy()


def run_dots(args: argparse.Namespace) -> None:
    x, _ = bouncing_dots(args.sequences, 0)
    held_out, position = bouncing_dots(200, 1)
    size = args.latent_size
    pictures = {"data": held_out}
    errors = {
        "persistence": np.abs(position - position[:, PREFIX - 1 : PREFIX]),
        "a random pixel": np.full_like(position, np.mean(np.abs(position[:, :, None] - np.arange(PIXELS)))),
    }
    for name, prior in {
        "natural": priors.BayesianLinearDynamicalSystem(
            (STEPS, size), dataset_size=len(x), rate=args.rate, noise=0.1
        ),
        "ordinary": priors.LinearDynamicalSystem((STEPS, size), noise=0.1),
    }.items():
        if name not in args.steps:
            continue
        name = f"{name} steps"
        keras.utils.set_random_seed(args.seed)
        vae = keras_vae.StructuredVAE(*frame_networks(size), prior, seed=args.seed)
        fit(vae, x, args.dot_epochs, args.batch_size, args.learning_rate, name)
        images = predict(vae, held_out)
        pictures[name] = images
        errors[name] = np.abs(images.argmax(axis=2) - position)
        turns = np.angle(np.linalg.eigvals(vae.prior.steps()[2].numpy()))
        print(f"{name}: eigenvalues of A turn by {np.round(np.sort(np.abs(turns)), 3)} a step")
    print("a bounce there and back turns by", round(np.pi * 0.12, 3))
    print(f"\n{'dots, error in pixels':24}{'prefix':>10}{'next 5':>10}{'all later':>11}")
    for name, error in errors.items():
        later = error[:, PREFIX:]
        print(f"{name:24}{error[:, :PREFIX].mean():10.2f}{later[:, :5].mean():10.2f}{later.mean():11.2f}")
    draw_dots(pictures, args.folder / "dots.png")


def draw_dots(pictures: dict[str, np.ndarray], path: Path) -> None:
    """Sequences as images, time to the right, with a line where prediction begins."""
    figure = new_figure(10.0, 2.0 * len(pictures))
    axes = figure.subplots(len(pictures), 4)
    for row, (name, images) in zip(axes, pictures.items(), strict=True):
        for index, cell in enumerate(row):
            bare(cell, name if index == 0 else None)
            cell.imshow(images[index].T, cmap="gray", vmin=0.0, vmax=1.0, aspect="auto")
            cell.axvline(PREFIX - 0.5, color=PALETTE[2], linewidth=1.5)
    figure.savefig(path)
    print("drawn:", path)


def fit(model: keras.Model, x: np.ndarray, epochs: int, batch_size: int, learning_rate, name: str) -> None:
    model.compile(optimizer=keras.optimizers.Adam(learning_rate))
    start = time.perf_counter()
    history = model.fit(x, batch_size=batch_size, epochs=epochs, verbose=0).history
    losses = ", ".join(f"{loss:.3f}" for loss in history["loss"][:: max(1, epochs // 5)])
    print(
        f"{name}: losses {losses}, {history['loss'][-1]:.3f}; {time.perf_counter() - start:.0f} s", flush=True
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/structured"), help="where to draw")
    parser.add_argument("--only", choices=["pinwheel", "dots"])
    parser.add_argument("--steps", nargs="+", choices=STEP_KINDS, default=STEP_KINDS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--points", type=int, default=5000)
    parser.add_argument("--components", type=int, default=5)
    parser.add_argument("--start", choices=["k-means", "random"], default="k-means")
    parser.add_argument("--inference", choices=["exact", "mean-field"], default="mean-field")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--point-batch-size", type=int, default=250)
    parser.add_argument("--point-learning-rate", type=float, default=0.01)
    parser.add_argument("--sequences", type=int, default=200)
    parser.add_argument("--latent-size", type=int, default=4)
    parser.add_argument("--dot-epochs", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=25)
    parser.add_argument("--rate", type=float, default=0.1, help="length of natural gradient steps")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.only != "dots":
        run_pinwheel(args)
    if args.only != "pinwheel":
        run_dots(args)


if __name__ == "__main__":
    main()
