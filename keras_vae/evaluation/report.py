"""The figures of one evaluation, to read, to compare and to keep."""

import json
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from keras_vae.errors import invalid
from keras_vae.evaluation.aggregate_posterior import AggregatePosterior
from keras_vae.evaluation.statistic import Statistic

Row = tuple[str, str, str, str]


@dataclass(frozen=True)
class Report:
    """What `evaluate` found. `print(report)` shows it as a table, `save` keeps it as JSON.

    Of a model with deterministic codes there are `reconstruction` and `active_units` only: what takes a
    density of q(z|x) is None.

    Args:
        num_examples: N.
        event_size: D, scalars in one example, or in its code where the likelihood is of codes.
        latent_size: scalars in one latent.
        num_samples: K, draws per example of the log-likelihood.
        elbo_samples: draws per example of the ELBO.
        seed: of all draws.
        elbo: evidence lower bound on log p(x), in nats: -(reconstruction + kl).
        reconstruction: -E_q[log p(x|z)], in nats.
        kl: KL(q(z|x) || p(z)), in nats.
        kl_is_exact: whether the KL is in closed form; sampled if not.
        log_likelihood: log p(x) by importance sampling with K draws, in nats; a lower bound on average, whose
            gap shrinks with K. Its standard error is over the examples.
        monte_carlo_error: the part of the uncertainty of the mean log-likelihood that is due to the draws, in
            nats: sqrt(sum_n se_n^2) / N. NaN for K = 1.
        effective_samples: median over the examples of (sum w)^2 / sum w^2 of the importance weights, from 1
            to K. Near 1, few draws carry the estimate: then the log-likelihood and its Monte Carlo error are
            too low.
        pareto_k: median over the examples of the Pareto shape of the tail of the importance weights. Above
            0.7 the log-likelihood is too low by more than its Monte Carlo error shows (Vehtari et al.,
            2024). None for K < 25.
        bits_per_dim: -log_likelihood / (D ln 2). Of a density it may be negative, and compares only between
            models of data on the same scale.
        active_units: the latent dimensions, numbered in the order of the flattened latent, in which the
            posterior mean varies over the data by more than `active_threshold`; None where the posterior has
            no known mean or N is 1. See `active_units`.
        active_threshold: that variance.
        kl_per_dimension: mean KL of each latent dimension, in nats, exact; None unless posterior and prior
            factorise.
        aggregate: terms of the mean KL by the aggregate posterior; None where N is 1.
    """

    num_examples: int
    event_size: int
    latent_size: int
    num_samples: int
    elbo_samples: int
    seed: int
    reconstruction: Statistic
    active_units: tuple[int, ...] | None
    active_threshold: float
    kl_per_dimension: tuple[float, ...] | None
    elbo: Statistic | None = None
    kl: Statistic | None = None
    kl_is_exact: bool | None = None
    log_likelihood: Statistic | None = None
    monte_carlo_error: float | None = None
    effective_samples: float | None = None
    pareto_k: float | None = None
    bits_per_dim: Statistic | None = None
    aggregate: AggregatePosterior | None = None

    def to_dict(self) -> dict[str, Any]:
        """All figures by name, in plain types; a statistic is `{"mean": ..., "standard_error": ...}`."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Report":
        """The report that `to_dict` made the dictionary of."""
        arguments = {name: _statistics(value) for name, value in values.items()}
        for name in ("active_units", "kl_per_dimension"):
            arguments[name] = None if values[name] is None else tuple(values[name])
        if values["aggregate"] is not None:
            terms = {name: _statistics(value) for name, value in values["aggregate"].items()}
            arguments["aggregate"] = AggregatePosterior(**terms)
        return cls(**arguments)

    def save(self, path: str | os.PathLike) -> Path:
        """Writes the report as JSON, atomically: a reader sees the old file or the new one, whole.

        Figures that are no finite numbers are written as the strings "nan", "inf" and "-inf", since JSON has
        none.
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(_to_json(self.to_dict()), indent=2, allow_nan=False) + "\n"
        # Beside the target: a rename is atomic only within one file system.
        handle, draft = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(draft, 0o644)
            os.replace(draft, target)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
        return target

    @classmethod
    def load(cls, path: str | os.PathLike) -> "Report":
        """The report of a file that `save` wrote.

        Raises:
            ValueError: if the file is no report.
        """
        try:
            return cls.from_dict(_from_json(json.loads(Path(path).read_text(encoding="utf-8"))))
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise invalid(
                "path", "a file that Report.save wrote", str(path), f"It fails at: {error}."
            ) from error

    def __str__(self) -> str:
        rows = list(self._rows())
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [
            f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}".rstrip()
            for row in rows
        ]
        head = (
            f"{self.num_examples:,} examples of {self.event_size:,} dimensions, "
            f"{self.latent_size:,} latent dimensions, seed {self.seed}"
        )
        return "\n".join([head, "", *lines])

    def _rows(self) -> Iterator[Row]:
        yield "", "value", "std. error", "unit"
        if self.elbo is None:
            yield _row("reconstruction", self.reconstruction, "nats, -log p(x|z)")
            yield _row("active units", _count(self.active_units), f"of {self.latent_size}", digits=0)
            return
        exact = "exact" if self.kl_is_exact else "sampled"
        yield _row("ELBO", self.elbo, f"nats, {self.elbo_samples} draws")
        yield _row("  reconstruction", self.reconstruction, "nats, -E[log p(x|z)]")
        yield _row("  KL", self.kl, f"nats, {exact}")
        yield _row("log-likelihood", self.log_likelihood, f"nats, {self.num_samples} draws")
        yield _row("  Monte Carlo error", self.monte_carlo_error, "nats", digits=4)
        yield _row("  effective draws", self.effective_samples, f"of {self.num_samples}, median", digits=1)
        if self.pareto_k is not None:
            yield _row("  Pareto k", self.pareto_k, "median; above 0.7 too few draws", digits=2)
        yield _row("bits per dimension", self.bits_per_dim, "bits/dim", digits=4)
        yield _row("active units", _count(self.active_units), f"of {self.latent_size}", digits=0)
        if self.aggregate is not None:
            yield from _aggregate_rows(self.aggregate)


def _aggregate_rows(terms: AggregatePosterior) -> Iterator[Row]:
    bound = math.log(terms.num_examples)
    yield f"aggregate posterior of {terms.num_examples:,}", "", "", ""
    yield _row("  mutual information", terms.mutual_information, f"nats, at most {bound:.3f}")
    yield _row("  marginal KL", terms.marginal_kl, "nats")
    yield _row("    total correlation", terms.total_correlation, "nats")
    yield _row("    dimension-wise KL", terms.dimension_wise_kl, "nats")


def _row(label: str, value: Statistic | float | None, unit: str, digits: int = 3) -> Row:
    if value is None:
        return label, "-", "", "not known"
    if isinstance(value, Statistic):
        return label, f"{value.mean:,.{digits}f}", f"{value.standard_error:.{digits}f}", unit
    return label, f"{value:,.{digits}f}", "", unit


def _count(units: tuple[int, ...] | None) -> int | None:
    return None if units is None else len(units)


def _plain(value: Any) -> Any:
    if isinstance(value, Statistic):
        return value._asdict()
    if isinstance(value, AggregatePosterior):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    return list(value) if isinstance(value, tuple) else value


def _statistics(value: Any) -> Any:
    return Statistic(**value) if isinstance(value, dict) and set(value) == set(Statistic._fields) else value


def _to_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _to_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_to_json(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _from_json(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    return float(value) if isinstance(value, str) else value
