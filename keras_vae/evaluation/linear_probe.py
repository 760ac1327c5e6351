"""How much of the classes a linear classifier finds in the codes."""

from typing import Any

import numpy as np

from keras_vae.checks import check_count
from keras_vae.errors import invalid
from keras_vae.evaluation.posterior_statistics import posterior_means
from keras_vae.evaluation.statistic import Statistic
from keras_vae.layers.support import REAL
from keras_vae.models import LatentVariableModel, checks
from keras_vae.models.conditions import takes_condition
from keras_vae.objectives.labels import Condition

# Enough for standardised codes, for which it takes some tens.
_MOST_ITERATIONS = 1000


def linear_probe(
    model: LatentVariableModel,
    x: Any,
    y: Any,
    x_test: Any,
    y_test: Any,
    *,
    batch_size: int = 512,
) -> Statistic:
    """Accuracy of a linear classifier of the codes: how openly they tell the classes.

    The classifier is scikit-learn's multinomial logistic regression, with its usual penalty (C = 1), of the
    means of q(z|x), each dimension standardised over x. It is fitted to (x, y) and scored on
    (x_test, y_test); the encoder is not trained further. Deterministic.

    Standardising gives a dimension that has all but collapsed the same say as the others, so a high accuracy
    is no proof that the latent is in use: read it beside `active_units`.

    Args:
        model: any model whose encoder takes x alone, deterministic codes included. A semi-supervised model
            encodes with the class that it finds likeliest itself.
        x: training data, `[N] + event`.
        y: class numbers, `[N]`, of two classes or more.
        x_test: data to score, `[M] + event`.
        y_test: class numbers, `[M]`, none of which is missing in `y`.
        batch_size: examples encoded at once.

    Returns:
        The accuracy, in [0, 1], and its standard error over the test examples. It does not hold how the
        accuracy would vary with other training data or another encoder.

    Raises:
        ValueError: for data that do not fit the model, labels that are no class numbers or not as many as the
            examples, fewer than two classes in `y`, a class in `y_test` that `y` lacks, or a model whose
            encoder takes a condition, or whose codes have no known mean or are not finite.
        ImportError: if scikit-learn is missing.

    Reference: Alain & Bengio, Understanding intermediate layers using linear classifier probes, 2016.

    Example: the codes are the data, and the first number tells the class.

    >>> import keras, keras_vae
    >>> from keras_vae import layers
    >>> encoder = keras.Sequential([keras.Input((2,)), layers.IndependentDeterministic(2)])
    >>> decoder = keras.Sequential([
    ...     keras.Input((2,)), keras.layers.Dense(4), layers.IndependentNormal(2)])
    >>> model = keras_vae.Autoencoder(encoder, decoder)
    >>> x = np.array([[-2.0, 1.0], [-1.0, 0.0], [1.0, 0.0], [2.0, 1.0]])
    >>> linear_probe(model, x, [0, 0, 1, 1], x, [0, 0, 1, 0])
    Statistic(mean=0.75, standard_error=0.25)
    """
    check_count("batch_size", batch_size)
    if model.condition is not None and model.condition.required and takes_condition(model.encoder):
        raise invalid(
            "model",
            "a model that encodes x alone",
            f"{type(model).__name__} {model.name!r}, whose encoder takes a condition too",
            "What its codes tell of the classes, the condition may have told them.",
        )
    x, y = _examples(model, "x", x, "y", y)
    x_test, y_test = _examples(model, "x_test", x_test, "y_test", y_test)
    check_classes("y", y, "y_test", y_test)
    codes, codes_test = (_codes(model, data, batch_size) for data in (x, x_test))

    # Here, since importing it takes a second.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=_MOST_ITERATIONS))
    probe.fit(codes, y)
    return Statistic.of(probe.predict(codes_test) == y_test)


def check_classes(name: str, y: np.ndarray, test_name: str, y_test: np.ndarray) -> None:
    """Raises the `ValueError` for labels that no probe can learn from, or be tested on."""
    classes = np.unique(y)
    if len(classes) < 2:
        raise invalid(name, "two classes or more", f"class {classes[0]} only")
    unseen = np.setdiff1d(y_test, classes)
    if len(unseen):
        raise invalid(test_name, f"classes that {name} has too", f"class {unseen[0]}, which {name} lacks")


def _examples(
    model: LatentVariableModel, x_name: str, x: Any, y_name: str, y: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Data and labels as arrays, checked. The decoder plays no part, so its support does not either."""
    x = np.asarray(x)
    checks.check_data(x_name, x, model.data_shape, REAL)
    Condition((), "int32").check(y, y_name)
    y = np.asarray(y).astype(np.int64)
    if len(y) != len(x):
        raise invalid(y_name, f"{len(x)} labels, as {x_name} has examples", f"{len(y)}")
    return x, y


def _codes(model: LatentVariableModel, x: np.ndarray, batch_size: int) -> np.ndarray:
    means = posterior_means(model, x, batch_size)
    if means is None:
        raise invalid("model", "a posterior with a known mean", f"{type(model).__name__} {model.name!r}")
    codes = means.reshape(len(means), -1).astype(np.float64)
    if not np.isfinite(codes).all():
        raise invalid("model", "finite codes", "codes with NaN or infinity")
    return codes
