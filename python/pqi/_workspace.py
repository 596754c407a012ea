"""The memory that calls keep for the next one."""

from __future__ import annotations

from typing import Any

from pqi import _check, _core


def set_workspace_limit(limit: Any) -> None:
    """Set how much memory for intermediate results and masks may be kept between calls.

    Parameters
    ----------
    limit : int
        Bytes, at least 0, which keeps nothing. At the start it is 1 GiB, or a sixteenth of the machine's memory where
        that is less. What is kept beyond it now is given back to the system, the longest unused first.

    Raises
    ------
    TypeError, ValueError
        If it is no such number.

    Notes
    -----
    Fresh memory costs 3 to 6 ns an element in page faults, so the workspace of exact Gini indices, top-k and histograms
    is kept, and so is the memory of masks of 1 MiB and more once nothing refers to them. The limit bounds what lies
    idle, not what a call takes while it runs: that is documented with each measure. On a CUDA device up to a 64th of
    its memory is kept, whatever the limit. Threads that call at the same time never share a block, and results do not
    depend on the limit.

    Examples
    --------
    >>> import pqi
    >>> before = pqi.info()["workspace_limit"]
    >>> pqi.set_workspace_limit(1 << 20)
    >>> pqi.info()["workspace_limit"]
    1048576
    >>> pqi.set_workspace_limit(before)
    """
    _core.set_workspace_limit(_check.memory("limit", limit))


def release_workspace() -> None:
    """Give the memory kept between calls back to the system, on CUDA devices too.

    Examples
    --------
    >>> import pqi
    >>> pqi.release_workspace()
    >>> pqi.info()["workspace_bytes"]
    0
    """
    from pqi import _device

    _core.release_workspace()
    _device.release_workspace()
