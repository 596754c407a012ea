"""Sparsity measures on arrays at memory speed, and pruning steered by them (`pqi.prune`).

`scan` measures checkpoint files; it is imported when it is first used.
"""

from typing import TYPE_CHECKING

from pqi._bound import retained_bound, retained_bound_from_index
from pqi._core import __version__
from pqi._gini import gini
from pqi._gini_sketch import GiniInterval, GiniSketch, gini_sketch
from pqi._histogram import Histogram, histogram
from pqi._index import index, index_grid
from pqi._info import info, set_num_threads, use_isa
from pqi._norms import norms, power_means
from pqi._pooled import pooled
from pqi._power_sums import PowerSums
from pqi._segments import segments
from pqi._summary import summary
from pqi._topk import topk_mask, topk_threshold
from pqi._workspace import release_workspace, set_workspace_limit

if TYPE_CHECKING:
    from pqi.checkpoint.scanning import scan

__all__ = [
    "GiniInterval",
    "GiniSketch",
    "Histogram",
    "PowerSums",
    "__version__",
    "gini",
    "gini_sketch",
    "histogram",
    "index",
    "index_grid",
    "info",
    "norms",
    "pooled",
    "power_means",
    "release_workspace",
    "retained_bound",
    "retained_bound_from_index",
    "scan",
    "segments",
    "set_num_threads",
    "set_workspace_limit",
    "summary",
    "topk_mask",
    "topk_threshold",
    "use_isa",
]


def __getattr__(name: str) -> object:
    if name == "scan":
        from pqi.checkpoint.scanning import scan

        return scan
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
