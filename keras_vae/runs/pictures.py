"""`draw_pictures`: what a run learnt, as PNG files."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from keras_vae.runs.building import load_data
from keras_vae.runs.evaluating import examples, given, last_split
from keras_vae.runs.run import Run
from keras_vae.runs.sampling import every_class

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from keras_vae import LatentVariableModel
    from keras_vae.datasets import Splits

MOST_EXAMPLES = 2000
MOST_TRAVERSED = 10
REACH, COLUMNS = 3.0, 11  # traversals go from -3 to 3
SAMPLES = 64


class Scene(NamedTuple):
    """What pictures are drawn from.

    x: examples as the model sees them, `[N] + event`; y: labels `[N]` or None.
    given: the condition, `[N]`, of models that need one.
    z: means of q(z|x), `[N, latent]`, None where they are not known.
    kl: nats of each latent dimension, `[latent]`, None where they are not known.
    """

    run: Run
    model: "LatentVariableModel"
    splits: "Splits"
    x: "np.ndarray"
    y: "np.ndarray | None"
    z: "np.ndarray | None"
    kl: "np.ndarray | None"
    given: "np.ndarray | None"

    @property
    def of_images(self) -> bool:
        return self.x.ndim == 4 and self.x.shape[-1] in (1, 3)

    def shown(self, x: Any) -> "np.ndarray":
        """Values of the model's scale in [0, 1]."""
        return self.splits.transform.to_unit(x).numpy()


def draw_pictures(run: Run, *, data_dir: str | None = None, seed: int = 0) -> dict[str, Path]:
    """Draws what a run learnt into its folder `pictures`.

    Reconstructions beside their originals, samples from the prior, a map of the latents by class, what each
    latent dimension does, the course of training, and the KL of each dimension; pictures that make no sense
    for a run, such as those of images for a model of tables, are left out.

    Args:
        run: the `Run`.
        data_dir: folder of prepared data in place of the config's.
        seed: of the samples.

    Returns:
        The files by the name of the picture.

    Raises:
        ValueError: for a run without a model or history, or data that are missing.
    """
    from keras_vae import plots

    scene = _scene(run, data_dir)
    paths = {}
    for name, draw in _PICTURES.items():
        figure = draw(scene, seed)
        if figure is not None:
            paths[name] = plots.save(figure, run.pictures / f"{name}.png")
    return paths


def _scene(run: Run, data_dir: str | None) -> Scene:
    from keras_vae import evaluation

    model = run.load_model()
    splits = load_data(run.config, data_dir)
    split = last_split(splits)
    x, y = examples(splits, split, MOST_EXAMPLES)
    condition = given(model, y)
    if y is None and split != "train":
        # The order of the training examples is another one than that of their labels.
        y = splits.arrays(split)[1]
    statistics = evaluation.posterior_statistics(model, x, y=condition)
    means, kl = statistics.means, statistics.kl_per_dimension
    return Scene(
        run=run,
        model=model,
        splits=splits,
        x=x,
        y=None if y is None else y[: len(x)],
        z=None if means is None else means.reshape(len(means), -1),
        kl=None if kl is None else kl.reshape(-1),
        given=condition,
    )


def _reconstructions(scene: Scene, seed: int) -> "Figure | None":
    from keras_vae import plots

    del seed
    if not scene.of_images:
        return None
    x, condition = scene.x[:20], None if scene.given is None else scene.given[:20]
    return plots.reconstructions(scene.shown(x), scene.shown(scene.model.reconstruct(x, condition)), num=20)


def _samples(scene: Scene, seed: int) -> "Figure | None":
    from keras_vae import plots

    if not scene.of_images:
        return None
    y = every_class(scene.model, SAMPLES)
    return plots.image_grid(scene.shown(scene.model.sample(SAMPLES, seed=seed, mean=True, y=y)))


def _latent_map(scene: Scene, seed: int) -> "Figure | None":
    from keras_vae import plots

    del seed
    if scene.z is None or scene.z.shape[1] < 2:
        return None
    return plots.latent_map(scene.z, scene.y)


def _traversals(scene: Scene, seed: int) -> "Figure | None":
    """One row for each of the dimensions with the most nats, all others as the first example has them."""
    import numpy as np

    from keras_vae import plots

    del seed
    if not scene.of_images or scene.z is None:
        return None
    # Where the nats are not known, dimensions whose mean varies most come first.
    weight = scene.z.var(axis=0) if scene.kl is None else scene.kl
    dimensions = np.argsort(-weight)[:MOST_TRAVERSED]
    values = np.linspace(-REACH, REACH, COLUMNS, dtype=np.float32)
    z = np.tile(scene.z[0], (len(dimensions), COLUMNS, 1))
    for row, dimension in enumerate(dimensions):
        z[row, :, dimension] = values
    z = z.reshape(-1, *scene.model.latent_shape)
    first = _class_of_first(scene)
    images = scene.shown(scene.model.decode(z, first).mean())
    images = images.reshape(len(dimensions), COLUMNS, *images.shape[1:])
    labels = [int(dimension) for dimension in dimensions]
    kl = None if scene.kl is None else scene.kl[dimensions]
    return plots.traversals(images, labels, kl, column_values=values)


def _class_of_first(scene: Scene) -> "np.ndarray | None":
    """The condition of the first example, found by the model where it can."""
    from keras_vae import SemiSupervisedVAE

    if scene.given is not None:
        return scene.given[:1]
    if scene.model.condition is not None and isinstance(scene.model, SemiSupervisedVAE):
        return scene.model.classify(scene.x[:1]).numpy().argmax(axis=1)
    return None


def _training_curves(scene: Scene, seed: int) -> "Figure | None":
    from keras_vae import plots

    del seed
    history = scene.run.history()
    # The loss before its parts.
    names = sorted(history.keys() - {"epoch", "seconds"}, key=lambda name: (not name.endswith("loss"), name))
    lines = {name: history[name] for name in names}
    return plots.training_curves(lines, units={k: "nats" for k in lines if k in _IN_NATS})


def _kl_per_dimension(scene: Scene, seed: int) -> "Figure | None":
    from keras_vae import plots

    del seed
    return None if scene.kl is None else plots.kl_per_dimension(scene.kl)


_IN_NATS = ("loss", "reconstruction", "kl", "weighted_kl", "capacity")

_PICTURES: dict[str, Callable[[Scene, int], "Figure | None"]] = {
    "reconstructions": _reconstructions,
    "samples": _samples,
    "latent_map": _latent_map,
    "traversals": _traversals,
    "training_curves": _training_curves,
    "kl_per_dimension": _kl_per_dimension,
}
