"""Ablations among the runs: SAP with one of its numbers varied and everything else the same (Figures 5 and 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pqi.experiment.config import RunConfig
from pqi.experiment.method_spec import HALF, KINDS, SYMBOLS, MethodSpec
from pqi.experiment.presets import METHODS
from pqi.experiment.series import Series, Study

FEWEST = 3
"""Values that make an ablation; with fewer, the runs are compared like any others."""


@dataclass(frozen=True)
class Ablation:
    """Series that differ in one number of their method, in its order."""

    name: str
    """Name in file names."""
    parameter: str
    series: tuple[Series, ...]

    @property
    def symbol(self) -> str:
        """The number's name in formulas."""
        return SYMBOLS.get(self.parameter, self.parameter)

    @property
    def values(self) -> tuple[float, ...]:
        """The number in each series."""
        return tuple(_value(one, self.parameter) for one in self.series)

    @property
    def labels(self) -> tuple[str, ...]:
        """Name of each series within the ablation."""
        return tuple(f"{self.symbol} = {HALF if value == 0.5 else format(value, 'g')}" for value in self.values)

    @property
    def title(self) -> str:
        """What is varied, and of which method."""
        fixed = dict(self.series[0].config.method.values)
        other = {"p": "q", "q": "p"}.get(self.parameter)
        if other:
            return f"{self.symbol} of SAP at {other} = {fixed[other]:g}"
        plain = MethodSpec.create("sap", p=fixed["p"], q=fixed["q"])
        return f"{self.symbol} of {plain.label}"


def ablations(study: Study) -> list[Ablation]:
    """Return the ablations among the runs of a study, by number of the method."""
    found: list[Ablation] = []
    for parameter in ("p", "q", "eta", "gamma", "beta"):
        grouped: dict[RunConfig, list[Series]] = {}
        for one in study.series:
            if one.config.method.kind == "sap":
                grouped.setdefault(_without(one.config, parameter), []).append(one)
        for members in grouped.values():
            if len(members) >= FEWEST:
                ordered = sorted(members, key=lambda one: _value(one, parameter))
                name = f"{study.name}-{parameter}-at-{_fixed(members[0], parameter)}"
                again = sum(other.name.startswith(name) for other in found)
                found.append(Ablation(f"{name}-{again + 1}" if again else name, parameter, tuple(ordered)))
    return found


def compared(study: Study, without: Sequence[Ablation]) -> Study:
    """Return the study less the series that are shown in ablations, except for the paper's two."""
    shown = {one.config for ablation in without for one in ablation.series if one.config.method not in METHODS}
    return replace(study, series=tuple(one for one in study.series if one.config not in shown))


def _fixed(one: Series, parameter: str) -> str:
    """Return the exponents and what is not the default, but for the number that varies."""
    defaults = KINDS["sap"].defaults
    values = one.config.method.values
    shown = [(name, value) for name, value in values if name in ("p", "q") or value != defaults[name]]
    return "-".join(f"{name}{value:g}" for name, value in shown if name != parameter)


def _without(config: RunConfig, parameter: str) -> RunConfig:
    values = {name: value for name, value in config.method.values if name != parameter}
    return replace(config, seed=0, method=MethodSpec(config.method.kind, tuple(values.items())))


def _value(one: Series, parameter: str) -> float:
    return dict(one.config.method.values)[parameter]
