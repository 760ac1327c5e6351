"""Checks of the options of distances."""

from collections.abc import Iterable

from keras_vae.checks import check_number
from keras_vae.errors import invalid


def check_scales(scales: Iterable[float]) -> tuple[float, ...]:
    """The scales as a tuple; raises `ValueError` unless there is one and all are > 0."""
    if isinstance(scales, str) or not isinstance(scales, Iterable) or not list(scales):
        raise invalid("scales", "one or more numbers > 0", scales)
    return tuple(check_number("scales", scale, above=0.0) for scale in scales)
