"""What a search may choose from: ranges of numbers and lists of values, by the name of an argument."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import keras_tuner

from keras_vae.errors import invalid, lookup


@dataclass(frozen=True)
class Range:
    """What one argument may be. Use `Int`, `Float` or `Choice`."""

    def declare(self, hp: keras_tuner.HyperParameters, name: str) -> Any:
        """Registers the range with KerasTuner under a name, and returns the present value."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The range as JSON has it; `parse` reads it."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    def __contains__(self, value: Any) -> bool:
        raise NotImplementedError


@dataclass(frozen=True)
class _Numbers(Range):
    low: Any
    high: Any
    log: bool = False
    step: Any = None

    _noun: ClassVar[str]
    _kinds: ClassVar[Any]

    @classmethod
    def _is_number(cls, value: Any) -> bool:
        return isinstance(value, cls._kinds) and not isinstance(value, bool) and math.isfinite(value)

    def __post_init__(self) -> None:
        name, noun = type(self).__name__, self._noun
        for bound in (self.low, self.high):
            if not self._is_number(bound):
                raise invalid("space", f"{noun} as bounds of {name}", (self.low, self.high))
        if not self.low < self.high:
            hint = "A single value belongs into the config, not into the space."
            raise invalid("space", "a low bound below the high one", (self.low, self.high), hint)
        if self.log and self.low <= 0:
            raise invalid("space", "bounds > 0 for log=True", (self.low, self.high))
        if self.step is not None and not (self._is_number(self.step) and self.step > (1 if self.log else 0)):
            least = "a factor > 1 as step of a logarithmic range" if self.log else "a step > 0"
            raise invalid("space", least, self.step)

    def declare(self, hp: keras_tuner.HyperParameters, name: str) -> Any:
        method = getattr(hp, type(self).__name__)
        return method(name, self.low, self.high, step=self.step, sampling="log" if self.log else "linear")

    def __contains__(self, value: Any) -> bool:
        return self._is_number(value) and self.low <= value <= self.high


@dataclass(frozen=True)
class Int(_Numbers):
    """A whole number from `low` to `high`, both included.

    Args:
        low, high: integers, low < high.
        log: whether each doubling is as likely as the next, for sizes.
        step: the values are low, low + step, ...; with `log`, low, low * step, .... None for every integer.

    Raises:
        ValueError: for bounds that are no integers, empty or inverted, or not positive with `log`.

    Example:

    >>> Int(2, 64, log=True)
    Int(low=2, high=64, log=True, step=None)
    >>> Int(64, 2)
    Traceback (most recent call last):
    ...
    ValueError: Invalid value received for argument `space`. Expected: a low bound below the high one. \
Received: (64, 2). A single value belongs into the config, not into the space.
    """

    _noun = "integers"
    _kinds = (int,)


@dataclass(frozen=True)
class Float(_Numbers):
    """A number from `low` to `high`.

    Args:
        low, high: finite numbers, low < high.
        log: whether each doubling is as likely as the next, for weights and rates.
        step: as of `Int`; None for any number. A grid takes ten values then.

    Raises:
        ValueError: for bounds that are not finite, empty or inverted, or not positive with `log`.
    """

    _noun = "finite numbers"
    _kinds = (int, float)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("low", "high"):
            object.__setattr__(self, name, float(getattr(self, name)))


@dataclass(frozen=True)
class Choice(Range):
    """One of several values: names, numbers, None, or lists such as the widths of layers.

    Args:
        values: two or more different values that JSON can hold.

    Raises:
        ValueError: for fewer than two, equal ones, or values that JSON cannot hold.

    Example:

    >>> Choice([[64], [256, 128]]).values
    ((64,), (256, 128))
    """

    values: Sequence[Any]

    def __post_init__(self) -> None:
        if isinstance(self.values, str) or not isinstance(self.values, Sequence):
            raise invalid("space", "a list of values for Choice", self.values)
        try:
            texts = [json.dumps(value, allow_nan=False) for value in self.values]
        except (TypeError, ValueError) as error:
            raise invalid("space", "values that JSON can hold for Choice", self.values) from error
        if len(texts) < 2 or len(set(texts)) < len(texts):
            hint = "A single value belongs into the config, not into the space."
            raise invalid("space", "two or more different values for Choice", list(self.values), hint)
        object.__setattr__(self, "values", tuple(_frozen(json.loads(text)) for text in texts))

    def declare(self, hp: keras_tuner.HyperParameters, name: str) -> Any:
        # KerasTuner's choices are of one scalar type each; all others travel as JSON.
        kinds = {type(value) for value in self.values}
        if len(kinds) == 1 and kinds <= {str, int, float, bool}:
            return hp.Choice(name, list(self.values))
        return json.loads(hp.Choice(name, [json.dumps(value) for value in self.values]))

    def to_dict(self) -> dict[str, Any]:
        return {"values": json.loads(json.dumps(self.values))}

    def __contains__(self, value: Any) -> bool:
        return _frozen(value) in self.values


def parse(space: Mapping[str, Any]) -> dict[str, Range]:
    """Ranges by name from what people write.

    Args:
        space: by the name of an argument an `Int`, `Float` or `Choice`; a pair `(low, high)` of numbers; a
            list of values; or what `Range.to_dict` gave.

    Raises:
        ValueError: for anything else, and for empty or inverted ranges, with the argument's name.

    Example:

    >>> parse({"latent_size": (2, 64), "network": ["mlp", "conv"]})
    {'latent_size': Int(low=2, high=64, log=False, step=None), 'network': Choice(values=('mlp', 'conv'))}
    """
    if not isinstance(space, Mapping) or not all(isinstance(name, str) for name in space):
        raise invalid("space", "an object of names and ranges", space)
    ranges = {}
    for name, value in space.items():
        try:
            ranges[name] = _range(value)
        except ValueError as error:
            raise ValueError(f"Range of {name!r}: {error}") from error
    return ranges


def read(text: str) -> Range:
    """A range from the command line: `2:64`, `0.25:16:log`, `1:9:linear:2` or `mlp,conv`.

    >>> read("0.25:16:log"), read("mlp,conv"), read("[64],[256, 128]")
    (Float(low=0.25, high=16.0, log=True, step=None), Choice(values=('mlp', 'conv')), Choice(values=((64,), \
(256, 128))))
    """
    low, *rest = (_value(word) for word in text.split(":"))
    if not rest or "," in text:
        try:
            return Choice(json.loads(f"[{text}]"))
        except json.JSONDecodeError:
            return Choice([_value(word) for word in text.split(",")])
    high, *rest = rest
    sampling = lookup("space", str(rest[0]), {"log": True, "linear": False}) if rest else False
    if len(rest) > 2:
        raise invalid("space", "LOW:HIGH, LOW:HIGH:log, LOW:HIGH:linear:STEP or VALUE,VALUE,...", text)
    return _numbers(low, high, log=sampling, step=rest[1] if len(rest) > 1 else None)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text.strip()


def _range(value: Any) -> Range:
    if isinstance(value, Range):
        return value
    if isinstance(value, Mapping):
        names = set(value)
        if names == {"values"}:
            return Choice(value["values"])
        if {"low", "high"} <= names <= {"low", "high", "log", "step"}:
            return _numbers(**value)
    if isinstance(value, tuple) and len(value) == 2:
        return _numbers(*value)
    if isinstance(value, list):
        return Choice(value)
    raise invalid("space", "Int, Float, Choice, a pair (low, high) or a list of values", value)


def _numbers(low: Any, high: Any, **options: Any) -> Range:
    whole = all(isinstance(v, int) for v in (low, high) if v is not None)
    return (Int if whole else Float)(low, high, **options)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(one) for one in value) if isinstance(value, (list, tuple)) else value
