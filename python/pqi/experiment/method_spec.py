"""Pruning methods as written on the command line and in a run's configuration: ``sap:0.5,1,gamma=3``.

Nothing here imports torch, so that the command's help and its errors are instant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pqi.prune.methods import Method


@dataclass(frozen=True)
class Kind:
    """A family of methods: its name in figures and its numbers, in the order in which they are written."""

    label: str
    defaults: Mapping[str, float]
    shown: int
    """How many of the numbers are always part of the label; the others only where they differ from the default."""
    ranks_dense: bool = False


KINDS: Mapping[str, Kind] = {
    "sap": Kind("SAP", {"p": 0.5, "q": 1.0, "eta": 0.0, "gamma": 1.0, "beta": 0.9}, shown=2),
    "lottery-ticket": Kind("Lottery Ticket", {"share": 0.2}, shown=0),
    "one-shot": Kind("One Shot", {"share": 0.2}, shown=0, ranks_dense=True),
}

SYMBOLS = {"eta": "η", "gamma": "γ", "beta": "β", "share": "P"}
HALF = "½"


@dataclass(frozen=True)
class MethodSpec:
    """A kind of method and all its numbers.

    Examples
    --------
    >>> spec = MethodSpec.parse("sap:0.5,1,gamma=3")
    >>> spec.label
    'SAP(½, 1), γ=3'
    >>> spec.slug
    'sap-0.5-1-gamma3'
    """

    kind: str
    values: tuple[tuple[str, float], ...]

    @classmethod
    def create(cls, kind: str, **values: float) -> MethodSpec:
        """Return the method of this kind, with `values` in place of its defaults.

        Raises
        ------
        ValueError
            For an unknown kind or name, or a number that is not finite. Ranges are checked by `method`.
        """
        if kind not in KINDS:
            raise ValueError(f"method must be one of {', '.join(KINDS)}, got {kind!r}")
        defaults = KINDS[kind].defaults
        for name, value in values.items():
            if name not in defaults:
                raise ValueError(f"method {kind} takes {', '.join(defaults)}, got {name!r}")
            if not math.isfinite(value):
                raise ValueError(f"{name} must be finite, got {value}")
        return cls(kind, tuple((name, float(values.get(name, default))) for name, default in defaults.items()))

    @classmethod
    def parse(cls, text: str) -> MethodSpec:
        """Return the method written as ``kind[:number,…][,name=number,…]``; a unique beginning of the kind will do.

        Raises
        ------
        ValueError
            If `text` is not of that form, or as `create`.
        """
        written, _, rest = text.partition(":")
        kind = _kind(written)
        names = list(KINDS[kind].defaults)
        values: dict[str, float] = {}
        for position, item in enumerate(rest.split(",") if rest else []):
            name, equals, number = item.rpartition("=")
            if not equals:
                if position >= len(names):
                    raise ValueError(f"method {kind} takes {len(names)} numbers, got {text!r}")
                name = names[position]
            if name in values:
                raise ValueError(f"{name} must be given once, got {text!r}")
            values[name] = _number(number, text)
        return cls.create(kind, **values)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> MethodSpec:
        """Return the method that `to_dict` described."""
        return cls.create(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return kind and numbers as plain values for JSON."""
        return {"kind": self.kind, **dict(self.values)}

    def method(self) -> Method:
        """Return what `pqi.prune.run_loop` takes.

        Raises
        ------
        ValueError
            If a number is outside its range.
        """
        from pqi.prune.amount import SAP, Fraction
        from pqi.prune.methods import Method

        amount = SAP(**dict(self.values)) if self.kind == "sap" else Fraction(**dict(self.values))
        return Method(self.slug, self.label, amount, "dense" if self.ranks_dense else "current")

    @property
    def ranks_dense(self) -> bool:
        """Whether weights are ranked by their magnitudes in the dense network, once and for all."""
        return KINDS[self.kind].ranks_dense

    @property
    def label(self) -> str:
        """Name in tables and figures: the family, its exponents, and every number that is not the default."""
        kind = KINDS[self.kind]
        shown = ", ".join(HALF if value == 0.5 else f"{value:g}" for _, value in self.values[: kind.shown])
        others = [f"{SYMBOLS[name]}={value:g}" for name, value in self._changed()]
        return ", ".join([f"{kind.label}({shown})" if shown else kind.label, *others])

    @property
    def slug(self) -> str:
        """Name in file names."""
        shown = [f"{value:g}" for _, value in self.values[: KINDS[self.kind].shown]]
        return "-".join([self.kind, *shown, *(f"{name}{value:g}" for name, value in self._changed())])

    def _changed(self) -> list[tuple[str, float]]:
        kind = KINDS[self.kind]
        return [(name, value) for name, value in self.values[kind.shown :] if value != kind.defaults[name]]


def _kind(written: str) -> str:
    meant = [kind for kind in KINDS if written and kind.startswith(written)]
    if len(meant) != 1:
        raise ValueError(f"method must be one of {', '.join(KINDS)}, got {written!r}")
    return meant[0]


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"method must hold numbers after the colon, as in sap:0.5,1, got {whole!r}") from None
