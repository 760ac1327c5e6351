"""From what a user writes to a schedule."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras

from keras_vae.checks import is_number
from keras_vae.errors import invalid, lookup
from keras_vae.schedules.capacity import Capacity
from keras_vae.schedules.constant import Constant
from keras_vae.schedules.cyclical import Cyclical
from keras_vae.schedules.linear import Linear
from keras_vae.schedules.schedule import Schedule
from keras_vae.schedules.sigmoid import Sigmoid

NAMES: dict[str, type[Schedule]] = {
    kind.__name__.lower(): kind for kind in (Capacity, Constant, Cyclical, Linear, Sigmoid)
}
EXPECTED = (
    "a Schedule, a number, a string such as 'linear:0:1:10000', or a dict with 'class_name' and 'config'"
)


def get(identifier: Schedule | float | str | Mapping, argument: str = "schedule") -> Schedule:
    """Returns the schedule that `identifier` means.

    The short strings, for the command line, are a name and the constructor's arguments in order,
    with colons between them; the last ones may be left out or named:

        constant:value                                   or just the number
        linear:start:end:num_steps[:delay]
        sigmoid:start:end:num_steps[:delay[:sharpness]]
        cyclical:start:end:period[:ratio[:num_cycles[:shape]]]
        capacity:max_capacity:num_steps[:delay]

    as in `linear:0:1:1e4`, `cyclical:0:1:1000:shape=cosine`, `cyclical:0:1:1000:0.5:none`.

    Args:
        identifier: a `Schedule`, returned as it is; a number, for `Constant`; a short string; or a
            dict, either of `keras.saving.serialize_keras_object` or written by hand as
            `{"class_name": "linear", "config": {"start": 0, "end": 1, "num_steps": 100}}`.
        argument: the name that an error shall show, for callers with a name of their own for it.

    Raises:
        ValueError: if `identifier` is none of these, or its arguments are wrong.

    Example:

    >>> get("linear:0:1:1e4")
    Linear(start=0.0, end=1.0, num_steps=10000, delay=0)
    >>> get(4)
    Constant(value=4.0)
    >>> get("liner:0:1:100", argument="beta")
    Traceback (most recent call last):
    ...
    ValueError: Invalid value received for argument `beta`. Expected: one of 'capacity', \
'constant', 'cyclical', 'linear', 'sigmoid'. Received: liner. Did you mean 'linear'?
    """
    if isinstance(identifier, Schedule):
        return identifier
    if is_number(identifier):
        return _build(Constant, (identifier,), {}, identifier, argument)
    if isinstance(identifier, str):
        return _from_string(identifier, argument)
    if isinstance(identifier, Mapping):
        return _from_dict(dict(identifier), argument)
    raise invalid(argument, EXPECTED, identifier)


def _from_string(text: str, argument: str) -> Schedule:
    name, *words = (word.strip() for word in text.split(":"))
    if not words and isinstance(_parsed(name), float):
        return _build(Constant, (_parsed(name),), {}, text, argument)
    kind = lookup(argument, name.lower(), NAMES)
    positional = [_parsed(word) for word in words if "=" not in word]
    named = [word.split("=", 1) for word in words if "=" in word]
    keywords = {key.strip(): _parsed(word.strip()) for key, word in named}
    if len(keywords) < len(named):
        raise invalid(argument, "each argument once", text)
    return _build(kind, positional, keywords, text, argument)


def _from_dict(config: dict[str, Any], argument: str) -> Schedule:
    name, arguments = config.get("class_name"), config.get("config")
    if not isinstance(name, str) or not isinstance(arguments, Mapping):
        raise invalid(argument, EXPECTED, config)
    if "registered_name" not in config and ">" not in name:
        kind = lookup(argument, name.lower(), NAMES)
        return _build(kind, (), dict(arguments), config, argument)
    try:
        schedule = keras.saving.deserialize_keras_object(config)
    except TypeError as error:
        raise invalid(argument, "the config of a registered Schedule", config) from error
    if not isinstance(schedule, Schedule):
        raise invalid(argument, "the config of a Schedule", config)
    return schedule


def _build(kind: type[Schedule], positional: Any, keywords: Any, written: Any, argument: str):
    """Calls the constructor, with an error that shows the grammar when the arguments do not fit."""
    signature = inspect.signature(kind)
    for key in keywords:
        lookup(argument, key, signature.parameters)
    try:
        signature.bind(*positional, **keywords)
    except TypeError as error:
        raise invalid(argument, repr(_grammar(kind)), written) from error
    return kind(*positional, **keywords)


def _grammar(kind: type[Schedule]) -> str:
    words = [kind.__name__.lower()]
    for name, parameter in inspect.signature(kind).parameters.items():
        optional = parameter.default is not parameter.empty
        words.append(f"[:{name}]" if optional else f":{name}")
    return "".join(words)


def _parsed(word: str) -> float | str | None:
    """A number where the word is one, None for 'none', else the word itself."""
    if word.lower() == "none":
        return None
    try:
        return float(word)
    except ValueError:
        return word
