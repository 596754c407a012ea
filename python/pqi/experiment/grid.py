"""Grids: studies of many runs as JSON files, those of the paper among them.

A grid is a preset, what differs from it, seeds, and parts: methods under scopes. Its runs are independent, each in the
directory that its configuration names, so that grids share runs, and a run is done once whichever asks for it.

Nothing here imports torch, so that the command's help and its errors are instant.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pqi.experiment.config import RunConfig, Training
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.presets import METHODS, PRESETS

FOLDER = Path(__file__).with_name("grids")


@dataclass(frozen=True)
class Part:
    """Methods, each under every one of the scopes."""

    methods: tuple[MethodSpec, ...] = METHODS
    scopes: tuple[str, ...] = ("global",)
    title: str = ""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Part:
        """Return the part that a file describes; what it leaves out is the paper's comparison in global scope."""
        _require_known("a part", values, cls)
        read = dict(values)
        if "methods" in read:
            read["methods"] = tuple(MethodSpec.parse(text) for text in _listed("methods", read["methods"], str))
        if "scopes" in read:
            read["scopes"] = _listed("scopes", read["scopes"], str)
        return cls(**read)


@dataclass(frozen=True)
class Grid:
    """What to run; None and what `training` leaves out are as in the preset.

    Examples
    --------
    >>> grid = Grid("digits", seeds=(0, 1), parts=(Part(scopes=("layer", "global")),))
    >>> len(grid.configurations())
    16
    """

    preset: str
    title: str = ""
    model: str | None = None
    iterations: int | None = None
    seeds: tuple[int, ...] = (0,)
    parts: tuple[Part, ...] = (Part(),)
    training: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)
    """Further settings of `RunConfig`, such as threads and stop_at."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Grid:
        """Return the grid that a file describes.

        Raises
        ------
        ValueError
            If something is missing, unknown or of another type than it has to be.
        """
        _require_known("a grid", values, cls, needed=("preset", "parts"))
        read = dict(values)
        read["parts"] = tuple(Part.from_dict(part) for part in _listed("parts", read["parts"], Mapping))
        if "seeds" in read:
            read["seeds"] = _listed("seeds", read["seeds"], int)
        return cls(**read)

    @classmethod
    def load(cls, name: str | Path) -> Grid:
        """Return the grid in a file, or the one that comes with the package under this name.

        Raises
        ------
        ValueError
            If there is no such grid, or the file does not hold one.
        """
        path = Path(name) if str(name).endswith(".json") else FOLDER / f"{name}.json"
        if path.parent == FOLDER and not path.exists():
            raise ValueError(f"grid must be a file ending in .json or one of {', '.join(grid_names())}, got {name}")
        try:
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} must hold a grid: {error}") from error

    def only(self, *, methods: Sequence[MethodSpec] = (), scopes: Sequence[str] = ()) -> Grid:
        """Return the part of the grid with these methods and scopes; without any, all of them.

        Raises
        ------
        ValueError
            If nothing is left.
        """
        parts = [
            dataclasses.replace(
                part,
                methods=tuple(method for method in part.methods if not methods or method in methods),
                scopes=tuple(scope for scope in part.scopes if not scopes or scope in scopes),
            )
            for part in self.parts
        ]
        left = tuple(part for part in parts if part.methods and part.scopes)
        if not left:
            asked = [*scopes, *(method.label for method in methods)]
            raise ValueError(f"grid must have runs with the methods and scopes asked for, got none with {asked}")
        return dataclasses.replace(self, parts=left)

    def configurations(self) -> list[RunConfig]:
        """Return the configurations of all runs, each once: all methods of the first seed, then those of the next.

        Raises
        ------
        ValueError
            For an unknown preset or model, and for a setting outside its range.
        """
        if self.preset not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {self.preset!r}")
        preset = PRESETS[self.preset]
        model = self.model or preset.model
        if model not in preset.models:
            raise ValueError(
                f"model must be one of {', '.join(preset.models)} with preset {self.preset}, got {model!r}"
            )
        _require_known("training", self.training, Training)
        found = (
            RunConfig(
                dataset=preset.dataset,
                model=model,
                scope=scope,
                method=method,
                seed=seed,
                iterations=preset.iterations if self.iterations is None else self.iterations,
                training=dataclasses.replace(preset.training, **self.training),
                **self.others,
            )
            for seed in self.seeds
            for part in self.parts
            for scope in part.scopes
            for method in part.methods
        )
        return list(dict.fromkeys(found))


def grid_names() -> list[str]:
    """Return the names of the grids that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def _require_known(what: str, values: Mapping[str, Any], cls: type, needed: Sequence[str] = ()) -> None:
    known = [item.name for item in dataclasses.fields(cls)]
    missing, unknown = [name for name in needed if name not in values], sorted(values.keys() - set(known))
    if missing or unknown:
        raise ValueError(f"{what} must have known settings, got missing {missing}, unknown {unknown}")


def _listed(name: str, values: Any, kind: type) -> tuple[Any, ...]:
    if not isinstance(values, list) or not all(isinstance(value, kind) for value in values):
        raise ValueError(f"{name} must be a list of {kind.__name__}, got {values!r}")
    return tuple(values)
