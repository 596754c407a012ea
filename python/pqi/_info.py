"""What is compiled in, and forcing it."""

from __future__ import annotations

from typing import Any

from pqi import _check, _core


def info() -> dict[str, Any]:
    """What this installation can do and what it uses now.

    Returns
    -------
    dict
        version; isa, the instruction set in use; isas, those usable on this processor, best first; isas_compiled;
        num_threads; workspace_bytes, the memory kept between calls, and workspace_limit, the most it may be; cuda:
        whether the CUDA module is compiled, the devices it can reach, the architectures it has code for, and the memory
        that it keeps there.

    Examples
    --------
    >>> import pqi
    >>> "baseline" in pqi.info()["isas"]
    True
    """
    from pqi import _device

    return {
        "version": _core.__version__,
        "isa": _core.isa(),
        "isas": _core.isas_usable(),
        "isas_compiled": _core.isas_compiled(),
        "num_threads": _core.num_threads(),
        "workspace_bytes": _core.workspace_bytes(),
        "workspace_limit": _core.workspace_limit(),
        "cuda": _device.state(),
    }


def use_isa(name: str) -> None:
    """Force an instruction set, for tests and comparisons; results have the same bits on all of them.

    Parameters
    ----------
    name : str
        One of ``info()["isas"]``, or "auto" for the best. The environment variable PQI_ISA sets it at the start.

    Raises
    ------
    ValueError
        If it is not compiled in or this processor lacks it.

    Examples
    --------
    >>> import pqi
    >>> pqi.use_isa("baseline")
    >>> pqi.info()["isa"]
    'baseline'
    >>> pqi.use_isa("auto")
    """
    _core.use_isa(_check.name_of_isa(name))


def set_num_threads(threads: int) -> None:
    """Set how many threads a call may use; results have the same bits for every number.

    Parameters
    ----------
    threads : int
        1 to 1,024; 0 goes back to OpenMP's own choice (OMP_NUM_THREADS, else the processors).

    Raises
    ------
    TypeError, ValueError
        If it is no such number.

    Notes
    -----
    After a fork the child computes on one thread: OpenMP's threads do not survive it.

    Examples
    --------
    >>> import pqi
    >>> pqi.set_num_threads(2)
    >>> pqi.info()["num_threads"]
    2
    >>> pqi.set_num_threads(0)
    """
    _core.set_num_threads(_check.threads(threads))
