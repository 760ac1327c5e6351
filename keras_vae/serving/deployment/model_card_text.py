"""What a model card says in words, made from its facts."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_vae.objectives.labels import Condition

_DATA = {
    "float32": "data as the model was trained on",
    "uint8": "images, values 0 to 255",
    "string": "image files, PNG or JPEG",
}
_INPUTS = {
    "z": "latents",
    "z_start": "latent at the beginning of the line",
    "z_end": "latent at the end of the line",
    "seed": "two integers; the same seed gives the same draws",
    "count": "number of draws",
    "steps": "number of points on the line, both ends among them, at least 2",
    "num_samples": "draws for each row; the estimate is the closer, the more there are",
}
_OUTPUTS = {
    "encoder": {
        "mean": "mean of q(z|x)",
        "stddev": "standard deviation of q(z|x)",
        "z": "a draw from q(z|x)",
    },
    "decoder": {
        "mean": "mean of p(x|z)",
        "mean_bytes": "mean of p(x|z), PNG files",
        "x": "draws of x",
        "x_bytes": "draws of x, PNG files",
    },
    "model": {
        "mean": "mean of p(x|z) at the mean of q(z|x)",
        "mean_bytes": "mean of p(x|z) at the mean of q(z|x), PNG files",
        "log_likelihood": "log p(x) in nats, by importance sampling",
        "anomaly_score": "in nats, higher for what is less like the training data",
        "probabilities": "of each class",
    },
}
_USES = {
    "encoder": "Representations of data like those that the model was trained on.",
    "decoder": "New data like those that the model was trained on, and data from given latents.",
    "model": "Reconstructions, likelihoods and anomaly scores of data like those of the training.",
}


def meaning(servable: str, name: str, dtype: str, given: bool, condition: "Condition | None") -> str:
    """What an argument (`given`) or a result of a servable's signatures is.

    Example:

    >>> meaning("encoder", "mean", "float32", given=False, condition=None)
    'mean of q(z|x)'
    """
    if not given:
        unnamed = "parameter of q(z|x)" if servable == "encoder" else "parameter of p(x|z)"
        return _OUTPUTS.get(servable, {}).get(name, unnamed)
    if name == "x":
        return _DATA.get(dtype, _DATA["float32"])
    if name == "y" and condition is not None:
        return f"condition: {_classes(condition)}" if condition.is_label else "condition of each row"
    return _INPUTS.get(name, "")


def _classes(condition: "Condition") -> str:
    most = "and up" if condition.num_classes is None else f"to {condition.num_classes - 1}"
    return f"class numbers 0 {most}" + (", -1 where unknown" if condition.unknown else "")


def use(card: Mapping[str, Any]) -> list[str]:
    """What the servable is for."""
    return [_USES[card["servable"]]]


def limits(card: Mapping[str, Any]) -> list[str]:
    """What is known to hold only so far."""
    return [*_limits_of_training(card["training"]), *_limits_of_evaluation(card), *_limits_of_estimates(card)]


def _limits_of_training(training: Mapping[str, Any] | None) -> list[str]:
    if training is None:
        return ["Nothing is recorded about the data that the model was trained on."]
    dataset, planned, done = training["dataset"], training["settings"]["epochs"], training["epochs"]
    said = [f"Trained on {dataset['name']}; what it gives for other data is not known."]
    if dataset["max_examples"] is not None:
        said.append(f"Trained on the first {dataset['max_examples']} examples at most.")
    if done < planned:
        said.append(f"Training ended after {done} of {planned} epochs.")
    return said


def _limits_of_evaluation(card: Mapping[str, Any]) -> list[str]:
    evaluation = card["evaluation"]
    if evaluation is None:
        return ["No evaluation is recorded."]
    return [f"The figures are of {evaluation['num_examples']} examples of the {evaluation['split']} split."]


def _limits_of_estimates(card: Mapping[str, Any]) -> list[str]:
    said = []
    if "log_likelihood" in card["signatures"]:
        said.append("`log_likelihood` is a lower bound on average, whose gap shrinks with `num_samples`.")
    if "anomaly_score" in card["signatures"]:
        said.append("`anomaly_score` ranks examples; no threshold comes with it.")
    return said


def markdown(card: Mapping[str, Any]) -> str:
    """The card as a page of Markdown."""
    return (
        "\n\n".join(
            [
                f"# {card['name']}",
                f"The {card['servable']} of a `{card['model']['class']}`, exported by keras_vae on "
                f"{card['created']}. `model_card.json` has the same, and the model's config.",
                "## Intended use\n\n" + _items(card["use"]),
                "## Limits\n\n" + _items(card["limits"]),
                "## Model\n\n" + _pairs(_but(card["model"], "config")),
                "## Signatures\n\n" + "\n\n".join(_signature(*item) for item in card["signatures"].items()),
                "## Training data and settings\n\n" + _training(card["training"]),
                "## Evaluation\n\n" + _evaluation(card["evaluation"]),
                "## Provenance\n\n"
                + _pairs(card["packages"])
                + "\n\nSHA-256 of the files:\n\n"
                + _sums(card["sha256"]),
            ]
        )
        + "\n"
    )


def _signature(name: str, sides: Mapping[str, Any]) -> str:
    rows = ["| | name | dtype | shape | meaning |", "|---|---|---|---|---|"]
    for side in ("inputs", "outputs"):
        for key, spec in sides[side].items():
            shape = "any" if spec["shape"] is None else _shape(spec["shape"])
            cells = (side[:-1], f"`{key}`", spec["dtype"], shape, _cell(spec["meaning"]))
            rows.append(f"| {' | '.join(cells)} |")
    return f"### {name}\n\n" + "\n".join(rows)


def _shape(sizes: Iterable[int | None]) -> str:
    """`[batch, 28, 28, 1]`: only the first axis of a batch, and the length of sequences, are of any size."""
    named = ["batch" if size is None and axis == 0 else size or "any" for axis, size in enumerate(sizes)]
    return f"[{', '.join(str(size) for size in named)}]"


def _training(training: Mapping[str, Any] | None) -> str:
    if training is None:
        return "Not recorded."
    sections = [
        _pairs({**training["dataset"], "seed": training["seed"]}),
        _pairs(
            {**training["settings"], "epochs": f"{training['epochs']} of {training['settings']['epochs']}"}
        ),
    ]
    if training["last_epoch"]:
        sections.append("Last epoch:\n\n" + _pairs(training["last_epoch"]))
    return "\n\n".join(sections)


def _evaluation(evaluation: Mapping[str, Any] | None) -> str:
    if evaluation is None:
        return "Not recorded."
    from keras_vae.evaluation import Report

    report = Report.from_dict(_but(evaluation, "split"))
    return f"On the {evaluation['split']} split:\n\n```\n{report}\n```"


def _but(values: Mapping[str, Any], left_out: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != left_out}


def _items(texts: Iterable[str]) -> str:
    return "\n".join(f"- {text}" for text in texts)


def _pairs(values: Mapping[str, Any]) -> str:
    """A table of what is known."""
    rows = [f"| {key} | {_plain(value)} |" for key, value in values.items() if value is not None]
    return "\n".join(["| | |", "|---|---|", *rows])


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_plain(item)}" for key, item in value.items() if item is not None)
    return f"{value:.6g}" if isinstance(value, float) else _cell(str(value))


def _cell(text: str) -> str:
    """Text in a table, whose cells end at a bar."""
    return text.replace("|", "\\|")


def _sums(sums: Mapping[str, str]) -> str:
    """As `sha256sum --check` reads it."""
    return "```\n" + "\n".join(f"{value}  {path}" for path, value in sums.items()) + "\n```"
