"""Pruning steered by the PQ Index, in any training loop (needs the ``torch`` extra).

Each name is imported when it is first used: amounts, reports and stop advice need no torch and work without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pqi.prune.advice import Advice, StopAt, Turn, advise
    from pqi.prune.amount import SAP, Amount, Fraction, Quota
    from pqi.prune.callbacks import HuggingFaceCallback, LightningCallback, OptimizerCallback
    from pqi.prune.floor import Floor
    from pqi.prune.loop import Evaluate, Train, run_loop
    from pqi.prune.methods import METHODS, Method
    from pqi.prune.pruner import Pruner
    from pqi.prune.records import (
        GroupReport,
        GroupStats,
        IndexAt,
        IndexGrid,
        IterationRecord,
        Metrics,
        ModelResult,
        StepReport,
    )
    from pqi.prune.rewind import Snapshot
    from pqi.prune.saving import load_pruner, save_pruner
    from pqi.prune.scope import SCOPES, Batch
    from pqi.prune.select import Prunable
    from pqi.prune.storage import LoopState, Memory, Storage
    from pqi.prune.target import Target

__all__ = [
    "METHODS",
    "SAP",
    "SCOPES",
    "Advice",
    "Amount",
    "Batch",
    "Evaluate",
    "Floor",
    "Fraction",
    "GroupReport",
    "GroupStats",
    "HuggingFaceCallback",
    "IndexAt",
    "IndexGrid",
    "IterationRecord",
    "LightningCallback",
    "LoopState",
    "Memory",
    "Method",
    "Metrics",
    "ModelResult",
    "OptimizerCallback",
    "Prunable",
    "Pruner",
    "Quota",
    "Snapshot",
    "StepReport",
    "StopAt",
    "Storage",
    "Target",
    "Train",
    "Turn",
    "advise",
    "load_pruner",
    "run_loop",
    "save_pruner",
]

_HOMES = {
    "advice": ("Advice", "StopAt", "Turn", "advise"),
    "amount": ("SAP", "Amount", "Fraction", "Quota"),
    "callbacks": ("HuggingFaceCallback", "LightningCallback", "OptimizerCallback"),
    "floor": ("Floor",),
    "loop": ("Evaluate", "Train", "run_loop"),
    "methods": ("METHODS", "Method"),
    "pruner": ("Pruner",),
    "records": (
        "GroupReport",
        "GroupStats",
        "IndexAt",
        "IndexGrid",
        "IterationRecord",
        "Metrics",
        "ModelResult",
        "StepReport",
    ),
    "rewind": ("Snapshot",),
    "saving": ("load_pruner", "save_pruner"),
    "scope": ("SCOPES", "Batch"),
    "select": ("Prunable",),
    "storage": ("LoopState", "Memory", "Storage"),
    "target": ("Target",),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"{__name__}.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
