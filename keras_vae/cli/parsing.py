"""From what is typed to what a config holds."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from keras_vae.errors import invalid
from keras_vae.runs import RunConfig


def sizes(argument: str, text: str | None) -> list[int] | None:
    """`512,256` as a list of integers.

    >>> sizes("hidden", "512,256"), sizes("hidden", ""), sizes("hidden", None)
    ([512, 256], [], None)
    """
    if text is None:
        return None
    try:
        return [int(word) for word in text.split(",")] if text.strip() else []
    except ValueError:
        raise invalid(argument, "whole numbers with commas between, such as 512,256", text) from None


def number_or_text(text: str | None) -> float | str | None:
    """A number where the text is one, for weights that may be schedules.

    >>> number_or_text("4"), number_or_text("linear:0:1:10000")
    (4.0, 'linear:0:1:10000')
    """
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return text


def share(text: str | None) -> float | int | None:
    """A fraction, or with no point in it a number of examples.

    >>> share("0.1"), share("500")
    (0.1, 500)
    """
    if text is None:
        return None
    try:
        return int(text) if text.strip().isdecimal() else float(text)
    except ValueError:
        raise invalid("validation", "a fraction in [0, 1) or a number of examples", text) from None


def named_values(pairs: list[str] | None) -> dict[str, Any]:
    """`name=value` pairs, values as in JSON or plain text.

    >>> named_values(["num_samples=5", "kl=sampled", "filters=[8, 16]"])
    {'num_samples': 5, 'kl': 'sampled', 'filters': [8, 16]}
    """
    values: dict[str, Any] = {}
    for pair in pairs or []:
        name, sign, text = pair.partition("=")
        if not sign or not name.strip():
            raise invalid("option", "NAME=VALUE", pair)
        try:
            values[name.strip()] = json.loads(text)
        except ValueError:
            values[name.strip()] = text
    return values


def overlay(
    config: RunConfig,
    *,
    dataset: Mapping[str, Any],
    model: Mapping[str, Any],
    options: Mapping[str, Any],
    training: Mapping[str, Any],
    seed: int | None,
) -> RunConfig:
    """The config with every value that was typed, that is every one that is not None, in its place."""
    chosen = _given(model)
    chosen["options"] = {**config.model.options, **_given(options)}
    return replace(
        config,
        dataset=replace(config.dataset, **_given(dataset)),
        model=replace(config.model, **chosen),
        training=replace(config.training, **_given(training)),
        seed=config.seed if seed is None else seed,
    )


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
