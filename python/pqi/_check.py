"""The one file that judges arguments: every error names the argument, its value and the rule it breaks."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import numpy as np

WIDEST_EXPONENT = 500.0  # as in csrc/pqi/reduction.hpp
MOST_THREADS = 1024


def real(name: str, value: Any) -> float:
    """A real number."""
    if type(value) is float:
        return value
    if isinstance(value, (bool, np.bool_, str, bytes, bytearray, complex, np.complexfloating)):
        raise TypeError(f"{name} must be a real number, got {value!r}")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a real number, got {value!r}") from None
    except OverflowError:
        raise ValueError(f"{name} must be within the range of float64, got a larger {type(value).__name__}") from None


def exponent(name: str, value: Any) -> float:
    """A norm's exponent: a positive finite number."""
    number = real(name, value)
    if not 0.0 < number < math.inf:
        raise ValueError(f"{name} must be finite and > 0, got {number}")
    return _within_reach(name, number)


def _within_reach(name: str, number: float) -> float:
    """Sums of higher powers leave float64's range whatever their scale."""
    if number > WIDEST_EXPONENT:
        raise ValueError(f"{name} must be at most {WIDEST_EXPONENT:g}, got {number}")
    return number


def exponent_pair(p: Any, q: Any) -> tuple[float, float]:
    """The exponents of a PQ Index."""
    low, high = real("p", p), real("q", q)
    if not 0.0 < low < high < math.inf:
        raise ValueError(f"p must satisfy 0 < p < q, got p={low}, q={high}")
    return low, high if high <= WIDEST_EXPONENT else _within_reach("q", high)


def exponents(name: str, values: Any) -> list[float]:
    """A non-empty sequence of exponents."""
    if (
        isinstance(values, (str, bytes, bytearray))
        or not isinstance(values, Iterable)
        or getattr(values, "ndim", 1) < 1
    ):
        raise TypeError(f"{name} must be a sequence of exponents, got {values!r}")
    checked = [exponent(name, value) for value in values]
    if not checked:
        raise ValueError(f"{name} must hold at least one exponent, got {values!r}")
    return checked


def eta(value: Any) -> float:
    """The tail ratio of Theorem 2."""
    number = real("eta", value)
    if not 0.0 <= number < math.inf:
        raise ValueError(f"eta must be >= 0 and finite, got {number}")
    return number


def whole(name: str, value: Any) -> int:
    """An integer, which True and False are not."""
    if not isinstance(value, bool):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise TypeError(f"{name} must be an integer, got {value!r}")


def flag(name: str, value: Any) -> bool:
    """A true-or-false argument."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def axes(axis: Any, ndim: int) -> tuple[int, ...] | None:
    """The reduced axes as non-negative numbers; None for all of them."""
    if axis is None:
        return None
    given = axis if isinstance(axis, (tuple, list)) else (axis,)
    found = []
    for item in given:
        try:
            number = whole("axis", item)
        except TypeError:
            raise TypeError(f"axis must be an int, a tuple of ints or None, got {axis!r}") from None
        if not -ndim <= number < ndim:
            raise ValueError(f"axis must be within [-{ndim}, {ndim}) for {ndim} dimensions, got axis={axis!r}")
        found.append(number % ndim)
    if len(set(found)) != len(found):
        raise ValueError(f"axis must not name a dimension twice, got axis={axis!r}")
    return tuple(found)


def torch_names(axis: Any, keepdims: Any, names: dict[str, Any], *, is_torch: bool) -> tuple[Any, Any]:
    """Resolve torch's `dim` and `keepdim` into `axis` and `keepdims`."""
    for name, value in names.items():
        if name not in ("dim", "keepdim"):
            raise TypeError(f"unexpected keyword argument {name!r}")
        if not is_torch:
            raise TypeError(f"{name} is torch's name and goes with torch tensors, got {name}={value!r}")
    if "dim" in names:
        if axis is not None:
            raise TypeError(f"dim and axis must not both be given, got dim={names['dim']!r}, axis={axis!r}")
        axis = names["dim"]
    if "keepdim" in names:
        if keepdims is not False:
            raise TypeError(
                f"keepdim and keepdims must not both be given, got keepdim={names['keepdim']!r}, {keepdims=}"
            )
        keepdims = names["keepdim"]
    return axis, keepdims


def pooled_has_no_axes(axis: Any, keepdims: bool) -> None:
    """A pooled list is one vector."""
    if axis is not None or keepdims:
        raise ValueError(f"axis must be None and keepdims False for pooled arrays, got {axis=}, {keepdims=}")


def pooled_arrays(arrays: Any) -> list[Any]:
    """Any iterable of arrays but a string or a single array's rows by mistake."""
    if isinstance(arrays, (str, bytes)) or not isinstance(arrays, Iterable):
        raise TypeError(f"arrays must be an iterable of arrays, got {type(arrays).__name__}")
    return list(arrays)


def offsets(given: Any, values: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Where segments of `values` begin and end, as an array of its own."""
    found = array("offsets", given)
    if found.dtype.kind not in "iu":
        raise TypeError(f"offsets must be integers, got {given!r}")
    if found.ndim != 1 or found.size < 1:
        raise ValueError(f"offsets must be one-dimensional with at least one entry, got shape {found.shape}")
    shape = tuple(values.shape) if hasattr(values, "shape") else array("values", values).shape
    if len(shape) != 1:
        raise ValueError(f"values must be one-dimensional, got shape {shape}")
    falls = np.flatnonzero(found[1:] < found[:-1])
    if falls.size:
        first = int(falls[0])
        raise ValueError(
            f"offsets must not decrease, got {int(found[first])} before {int(found[first + 1])} at {first + 1}"
        )
    if int(found[0]) < 0 or int(found[-1]) > shape[0]:
        raise ValueError(f"offsets must lie within [0, {shape[0]}], got {int(found[0])} to {int(found[-1])}")
    return found.astype(np.int64)


def segments_have_no_axes(axis: Any, keepdims: bool) -> None:
    """The groups of segments are given by their offsets."""
    if axis is not None or keepdims:
        raise ValueError(f"axis must be None and keepdims False for segments, got {axis=}, {keepdims=}")


def masks_match(where: Any, count: int) -> list[Any]:
    """One mask for each pooled array."""
    if isinstance(where, (str, bytes)) or not isinstance(where, Sequence):
        raise TypeError(f"where must be a sequence of masks, one per pooled array, got {type(where).__name__}")
    if len(where) != count:
        raise ValueError(f"where must hold one mask per pooled array ({count}), got {len(where)}")
    return list(where)


def mask_shape(found: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    """A mask broadcasts to its array."""
    offset = len(wanted) - len(found)
    if offset < 0 or any(n not in (1, wanted[offset + i]) for i, n in enumerate(found)):
        raise ValueError(f"where must broadcast to x's shape {wanted}, got shape {found}")


def mask_dtype(is_bool: bool, dtype: Any) -> None:
    """Masks are bool."""
    if not is_bool:
        raise TypeError(f"where must be bool, got dtype {dtype}")


def counts(k: Any, live: Any, group_shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """Counts within [0, live entries]: integers, one for all groups or one for each, in a new flat array."""
    if not group_shape and type(k) is int and 0 <= k <= (live if type(live) is int else live[0]):
        return np.array([k], dtype=np.uint64)
    count_range(k)
    given = array("k", k)
    count_dtype(given.dtype.kind in "iu", k)
    count_shape(given.shape, group_shape)
    flat, groups = given.reshape(-1), math.prod(group_shape)
    most = np.asarray(live, dtype=np.uint64).reshape(-1)
    wrong = np.flatnonzero((flat < 0) | (flat.astype(np.uint64) > most)) if groups else most[:0]
    if wrong.size:
        first = int(wrong[0])
        limit, found = (int(numbers[first if numbers.size > 1 else 0]) for numbers in (most, flat))
        place = f" in group {first}" if groups > 1 else ""
        raise ValueError(f"k must satisfy 0 <= k <= {limit} (live entries), got {found}{place}")
    return flat.astype(np.uint64)


def count_range(k: Any) -> None:
    """A count that no array has so many entries for."""
    if type(k) is int and not -(1 << 63) <= k < 1 << 63:
        raise ValueError(f"k must satisfy 0 <= k <= live entries, got {k}")


def count_dtype(is_integer: bool, k: Any) -> None:
    """Counts are integers."""
    if not is_integer:
        raise TypeError(f"k must be an integer or an array of integers, got {k!r}")


def count_shape(found: tuple[int, ...], group_shape: tuple[int, ...]) -> None:
    """One count for all groups, or one for each."""
    if found not in ((), group_shape):
        raise ValueError(f"k must be an integer or have one entry per group, shape {group_shape}, got {found}")


def one_device(names: Sequence[str], rule: str = "all arrays must lie on one device") -> None:
    """Nothing is copied between devices in silence."""
    for name in names:
        if name != names[0]:
            raise ValueError(f"{rule}, got {names[0]} and {name}")


def no_cuda_module(error: ImportError) -> NoReturn:
    """Say what an installation without CUDA lacks."""
    raise RuntimeError(
        "arrays on CUDA devices need pqi's CUDA module, which this installation was built without: install a CUDA "
        f"toolkit and pqindex with -C cmake.define.PQI_CUDA=ON, or pass x.cpu(); got {error}"
    ) from error


def no_cuda_device(reason: str) -> NoReturn:
    """Say that nothing can run a CUDA array's work."""
    raise RuntimeError(f"arrays on CUDA devices need a CUDA driver and a device that pqi can reach, got {reason}")


def tolerance(value: Any) -> float:
    """How wide an interval may be."""
    number = real("tol", value)
    if not 0.0 <= number < math.inf:
        raise ValueError(f"tol must be finite and >= 0, got {number}")
    return number


def threads(value: Any) -> int:
    """A thread count; 0 asks for the default."""
    number = whole("threads", value)
    if number < 0:
        raise ValueError(f"threads must be >= 0 (0: OpenMP's default), got {number}")
    if number > MOST_THREADS:
        raise ValueError(f"threads must be at most {MOST_THREADS}, got {number}")
    return number


def memory(name: str, value: Any) -> int:
    """A number of bytes."""
    number = whole(name, value)
    if not 0 <= number < 1 << 63:
        raise ValueError(f"{name} must satisfy 0 <= {name} < 2**63, got {number}")
    return number


def name_of_isa(value: Any) -> str:
    """The name of an instruction set; whether it is usable here is the core's to know."""
    if not isinstance(value, str):
        raise TypeError(f"name must be a string, got {value!r}")
    return value


def refuse_array(name: str, rule: str) -> NoReturn:
    """Refuse an input that holds no real numbers the core can read."""
    raise TypeError(f"{name} must {rule}")


def not_masked(name: str, value: Any, advice: str = "") -> None:
    """Masked arrays hide entries that nobody else would."""
    if isinstance(value, np.ma.MaskedArray):
        refuse_array(name, f"not be a masked array{advice}")


def array(name: str, value: Any) -> np.ndarray[Any, Any]:
    """A numpy array of nested sequences of one shape; no masked one."""
    not_masked(name, value)
    try:
        return np.asarray(value)
    except ValueError as error:
        refuse_ragged(name, error)


def refuse_ragged(name: str, reason: object) -> NoReturn:
    """Refuse nested sequences that are no array."""
    raise ValueError(f"{name} must be an array or nested sequences of one shape, got one where {reason}")


def real_numbers(name: str, dtype: np.dtype[Any]) -> None:
    """Numbers that are not read by the core itself."""
    if dtype.kind not in "fiu":
        raise TypeError(f"{name} must hold real numbers, got dtype {dtype}")


def indices_and_lengths(index: np.ndarray[Any, Any], d: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    """Indices and vector lengths as float64 arrays of one shape."""
    real_numbers("index", index.dtype)
    real_numbers("d", d.dtype)
    if not (np.asarray(d) >= 0).all():
        raise ValueError(f"d must be >= 0, got {np.asarray(d)[~(np.asarray(d) >= 0)].flat[0]}")
    try:
        values, lengths = np.broadcast_arrays(index.astype(np.float64), d.astype(np.float64))
    except ValueError:
        raise ValueError(f"d must broadcast with index, got shapes {d.shape} and {index.shape}") from None
    return values, lengths
