"""What a run is: frozen settings, checked on construction, and the hash that names the run's directory.

Nothing here imports torch, so that the command's help and its errors are instant.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pqi.experiment.method_spec import MethodSpec

SCOPES = ("neuron", "layer", "global")
STOPS = ("collapse", "underfit", "never")
COMPATS = ("paper", "published")
DEVICES = ("cpu", "cuda")
AMPS = ("off", "bf16", "fp16")


def _setting(default: Any, text: str) -> Any:
    """Field that carries its own help text: the command line is built from these."""
    return field(default=default, metadata={"help": text})


def _later(default: Any, text: str = "", choices: tuple[str, ...] = ()) -> Any:
    """Setting that came after the first runs: not described at its default, so that no earlier run changes its name."""
    return field(default=default, metadata={"later": True, "help": text, "choices": choices})


@dataclass(frozen=True)
class Training:
    """SGD on a clipped, masked gradient, with a learning rate that falls to 0 along a cosine within each training.

    The defaults are the paper's.
    """

    epochs: int = _setting(200, "epochs of each training")
    batch: int = _setting(250, "images per step")
    lr: float = _setting(0.1, "learning rate at the start of each training")
    momentum: float = _setting(0.9, "momentum of SGD")
    nesterov: bool = _setting(True, "Nesterov's form of the momentum")
    weight_decay: float = _setting(5e-4, "weight decay of SGD")
    clip: float = _setting(1.0, "largest norm of the masked gradient")
    augment: bool = _later(False, "flip images left to right, and crop them after padding by 4 reflected pixels")
    amp: str = _later("off", "type of mixed precision in training; fp16 scales the gradients", AMPS)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch"):
            _require(name, getattr(self, name) >= 1, ">= 1", getattr(self, name))
        for name in ("lr", "momentum", "weight_decay"):
            _require(name, 0 <= getattr(self, name) < math.inf, ">= 0 and finite", getattr(self, name))
        _require("clip", self.clip > 0, "> 0", self.clip)
        _require("amp", self.amp in AMPS, f"one of {', '.join(AMPS)}", repr(self.amp))
        _require("momentum", self.momentum > 0 or not self.nesterov, "> 0 with nesterov", self.momentum)


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides the results of one run, to the last bit on one kind of machine."""

    dataset: str
    model: str
    scope: str
    method: MethodSpec
    seed: int
    iterations: int
    training: Training
    threads: int = 1
    """Threads of torch, whose sums may depend on them."""
    stop_at: str = _later("never")
    """Phase at which the run ends early, see `pqi.prune.advise`."""
    compat: str = _later("paper")
    """Whose rule decides what is pruned: the paper's, exactly, or that of the code published with it."""
    device: str = _later("cpu")
    """Kind of device that trains the network."""
    processes: int = _later(1)
    """Processes that share each batch, whose sums and normalisation depend on their number."""

    def __post_init__(self) -> None:
        _require("scope", self.scope in SCOPES, f"one of {', '.join(SCOPES)}", repr(self.scope))
        _require("seed", 0 <= self.seed < 2**32, ">= 0 and < 2**32", self.seed)
        _require("iterations", self.iterations >= 0, ">= 0", self.iterations)
        _require("threads", self.threads >= 1, ">= 1", self.threads)
        _require("stop_at", self.stop_at in STOPS, f"one of {', '.join(STOPS)}", repr(self.stop_at))
        _require("compat", self.compat in COMPATS, f"one of {', '.join(COMPATS)}", repr(self.compat))
        _require("device", self.device in DEVICES, f"one of {', '.join(DEVICES)}", repr(self.device))
        _require("processes", 1 <= self.processes <= self.training.batch, ">= 1 and <= batch", self.processes)
        _require("amp", self.training.amp != "fp16" or self.device == "cuda", "off or bf16 on a CPU", self.training.amp)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunConfig:
        """Return the configuration that `to_dict` described.

        Raises
        ------
        ValueError
            If a setting is missing, unknown or outside its range.
        """
        _require_fields("configuration", cls, values)
        _require_fields("training", Training, values["training"])
        nested = {
            "method": MethodSpec.from_dict(values["method"]),
            "training": Training(**values["training"]),
        }
        return cls(**{**values, **nested})

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values for JSON; a whole number in a float setting is written as a float."""
        return {**_plain(self), "method": self.method.to_dict(), "training": _plain(self.training)}

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits that change with any setting."""
        canonical = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:8]

    @property
    def name(self) -> str:
        """Name of the run's directory."""
        return f"{self.dataset}-{self.model}-{self.scope}-{self.method.slug}-seed{self.seed}-{self.digest}"


def setting_type(setting: dataclasses.Field[Any]) -> type:
    """Return the type of a setting: int, float, bool or str."""
    return {"int": int, "float": float, "bool": bool, "str": str}[str(setting.type)]


def _plain(settings: Any) -> dict[str, Any]:
    simple = [item for item in dataclasses.fields(settings) if item.type in ("int", "float", "bool", "str")]
    described = [
        item for item in simple if "later" not in item.metadata or getattr(settings, item.name) != item.default
    ]
    return {item.name: setting_type(item)(getattr(settings, item.name)) for item in described}


def _require(name: str, holds: bool, rule: str, value: object) -> None:
    if not holds:
        raise ValueError(f"{name} must be {rule}, got {value}")


def _require_fields(what: str, cls: type, values: Mapping[str, Any]) -> None:
    expected = {item.name for item in dataclasses.fields(cls)}
    needed = {item.name for item in dataclasses.fields(cls) if "later" not in item.metadata}
    missing, unknown = sorted(needed - values.keys()), sorted(values.keys() - expected)
    if missing or unknown:
        raise ValueError(f"{what} must have exactly the known settings, got missing {missing}, unknown {unknown}")
