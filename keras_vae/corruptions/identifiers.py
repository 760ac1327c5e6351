"""From what a user writes to a corruption."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras

from keras_vae.corruptions.corruption import Corruption
from keras_vae.corruptions.gaussian import Gaussian
from keras_vae.corruptions.masking import Masking
from keras_vae.corruptions.salt_and_pepper import SaltAndPepper
from keras_vae.errors import invalid, lookup

NAMES: dict[str, type[Corruption]] = {
    "gaussian": Gaussian,
    "masking": Masking,
    "salt-and-pepper": SaltAndPepper,
}
EXPECTED = "a Corruption, a string such as 'masking:0.3', or the config of a registered Corruption"


def get(identifier: Corruption | str | Mapping, argument: str = "corruption") -> Corruption:
    """Returns the corruption that `identifier` means.

    The short strings are a name and the constructor's arguments in order, with colons between them:

        gaussian:stddev
        masking:rate
        salt-and-pepper:rate[:low[:high]]

    Args:
        identifier: a `Corruption`, returned as it is; a short string; or a dict of
            `keras.saving.serialize_keras_object`.
        argument: the name that an error shall show.

    Raises:
        ValueError: if `identifier` is none of these, or its arguments are wrong.

    Example:

    >>> get("salt-and-pepper:0.3:-1")
    SaltAndPepper(rate=0.3, low=-1.0, high=1.0)
    >>> get("masking")
    Traceback (most recent call last):
    ...
    ValueError: Invalid value received for argument `corruption`. Expected: 'masking:rate'. Received: masking.
    """
    if isinstance(identifier, Corruption):
        return identifier
    if isinstance(identifier, str):
        return _from_string(identifier, argument)
    if isinstance(identifier, Mapping):
        return _from_config(dict(identifier), argument)
    raise invalid(argument, EXPECTED, identifier)


def _from_string(text: str, argument: str) -> Corruption:
    name, *words = (word.strip() for word in text.split(":"))
    kind = lookup(argument, name.lower(), NAMES)
    try:
        numbers = [float(word) for word in words]
        inspect.signature(kind).bind(*numbers)
    except (TypeError, ValueError) as error:
        raise invalid(argument, repr(_grammar(name.lower(), kind)), text) from error
    return kind(*numbers)


def _from_config(config: dict[str, Any], argument: str) -> Corruption:
    try:
        corruption = keras.saving.deserialize_keras_object(config)
    except (TypeError, KeyError) as error:
        raise invalid(argument, EXPECTED, config) from error
    if not isinstance(corruption, Corruption):
        raise invalid(argument, EXPECTED, config)
    return corruption


def _grammar(name: str, kind: type[Corruption]) -> str:
    words, brackets = name, 0
    for parameter in inspect.signature(kind).parameters.values():
        optional = parameter.default is not parameter.empty
        words += f"[:{parameter.name}" if optional else f":{parameter.name}"
        brackets += optional
    return words + "]" * brackets
