"""Runs as curves: runs that differ in nothing but the seed are one series, drawn as mean and spread.

Each iteration has its own value; nothing is averaged over iterations.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from pqi.experiment.config import RunConfig
from pqi.experiment.method_spec import KINDS
from pqi.experiment.quantities import Quantity
from pqi.experiment.runs import RunDirectory
from pqi.prune import IterationRecord


@dataclass(frozen=True)
class Result:
    """A run read from disk: its configuration, the records of its finished iterations, the versions it ran with."""

    config: RunConfig
    records: tuple[IterationRecord, ...]
    environment: str

    @classmethod
    def read(cls, run: RunDirectory) -> Result:
        """Read the run in this directory."""
        versions = ", ".join(f"{name} {version}" for name, version in run.environment().items())
        return cls(run.config(), tuple(run.records()), versions)


@dataclass(frozen=True)
class Curve:
    """Mean and sample standard deviation over seeds, one value per iteration, nan where undefined (one seed)."""

    mean: npt.NDArray[np.float64]
    deviation: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Series:
    """Runs of one configuration with different seeds, as far as all of them have come."""

    label: str
    results: tuple[Result, ...]
    running: bool = False
    """Whether curves are means over the iterations so far, as the figures published with the paper were."""

    def averaged(self) -> Series:
        """Return the series whose curves are running means over iterations."""
        return replace(self, running=True)

    @property
    def config(self) -> RunConfig:
        """Configuration of the first seed."""
        return self.results[0].config

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds of the runs, in order."""
        return tuple(result.config.seed for result in self.results)

    @property
    def exponents(self) -> tuple[float, float]:
        """Exponents (p, q) at which the method's own index, bound and layers are recorded."""
        amount = self.config.method.method().amount
        return amount.p, amount.q

    @property
    def finished(self) -> int:
        """How many iterations every seed has finished."""
        return min(len(result.records) for result in self.results)

    def curve(self, quantity: Quantity) -> Curve:
        """Return mean and spread of `quantity` at each finished iteration."""
        records = [result.records[: self.finished] for result in self.results]
        values = np.array([[quantity(record) for record in of_seed] for of_seed in records], dtype=np.float64)
        if self.running:
            values = values.cumsum(axis=1) / np.arange(1, values.shape[1] + 1)
        spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1], np.nan)
        return Curve(values.mean(axis=0), spread)


@dataclass(frozen=True)
class Study:
    """Series that are drawn together: one data set, one model, one scope."""

    dataset: str
    model: str
    scope: str
    series: tuple[Series, ...]

    @property
    def name(self) -> str:
        """Name in file names."""
        return f"{self.dataset}-{self.model}-{self.scope}"


def studies(results: Iterable[Result]) -> list[Study]:
    """Sort results into studies and series; runs without a finished iteration are left out.

    Series are in the order of the kinds of methods and their numbers. Settings in which the runs of a study differ are
    in the labels.
    """
    found: dict[tuple[str, str, str], list[Result]] = {}
    for result in sorted(results, key=_place):
        if result.records:
            config = result.config
            found.setdefault((config.dataset, config.model, config.scope), []).append(result)
    return [Study(*key, series=_series(of_study)) for key, of_study in found.items()]


def _place(result: Result) -> tuple[int, tuple[tuple[str, float], ...]]:
    method = result.config.method
    return list(KINDS).index(method.kind), method.values


def _series(results: Sequence[Result]) -> tuple[Series, ...]:
    grouped: dict[RunConfig, list[Result]] = {}
    for result in results:
        grouped.setdefault(replace(result.config, seed=0), []).append(result)
    settings = {config: _settings(config) for config in grouped}
    differing = [name for name in _settings(results[0].config) if len({s[name] for s in settings.values()}) > 1]
    return tuple(
        Series(
            ", ".join([config.method.label, *(f"{name}={settings[config][name]}" for name in differing)]),
            tuple(sorted(members, key=lambda result: result.config.seed)),
        )
        for config, members in grouped.items()
    )


def _settings(config: RunConfig) -> dict[str, Any]:
    """Return what may tell two series with the same method apart."""
    plain = config.to_dict()
    return {"iterations": plain["iterations"], "threads": plain["threads"], **plain["training"]}
