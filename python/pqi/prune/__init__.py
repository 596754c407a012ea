"""Pruning steered by the PQ Index, in any training loop (needs the ``torch`` extra)."""

from pqi.prune.amount import SAP, Amount, Fraction, Quota
from pqi.prune.loop import Evaluate, Train, run_loop
from pqi.prune.methods import METHODS, Method
from pqi.prune.pruner import Pruner
from pqi.prune.records import (
    GroupReport,
    GroupStats,
    IndexAt,
    IterationRecord,
    Metrics,
    ModelResult,
    StepReport,
)
from pqi.prune.rewind import Snapshot
from pqi.prune.scope import SCOPES
from pqi.prune.storage import LoopState, Memory, Storage

__all__ = [
    "METHODS",
    "SAP",
    "SCOPES",
    "Amount",
    "Evaluate",
    "Fraction",
    "GroupReport",
    "GroupStats",
    "IndexAt",
    "IterationRecord",
    "LoopState",
    "Memory",
    "Method",
    "Metrics",
    "ModelResult",
    "Pruner",
    "Quota",
    "Snapshot",
    "StepReport",
    "Storage",
    "Train",
    "run_loop",
]
