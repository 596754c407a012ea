"""Bad input: a built-in exception whose message gives the argument's name, its value and the rule."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import pqi

X = np.arange(12.0).reshape(3, 4)
P: Any = pqi  # the calls below are wrong on purpose

EXPONENTS: dict[str, Callable[..., Any]] = {
    "index": P.index,
    "norms": P.norms,
    "retained_bound": P.retained_bound,
    "retained_bound_from_index": lambda x, p, q: P.retained_bound_from_index(0.5, 10, p, q),
    "summary": P.summary,
}
MEASURES: dict[str, Callable[..., Any]] = {
    "index": P.index,
    "gini": P.gini,
    "norms": P.norms,
    "power_means": lambda x, **rest: P.power_means(x, [1.0], **rest),
    "index_grid": lambda x, **rest: P.index_grid(x, [0.5], [1.0], **rest),
    "retained_bound": P.retained_bound,
    "topk_mask": lambda x, **rest: P.topk_mask(x, 1, **rest),
    "topk_threshold": lambda x, **rest: P.topk_threshold(x, 1, **rest),
    "summary": P.summary,
}


@pytest.mark.parametrize("name", EXPONENTS)
@pytest.mark.parametrize(
    ("p", "q"), [(1.0, 0.5), (1.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (math.nan, 1.0), (0.5, math.nan)]
)
def test_exponents(name: str, p: float, q: float) -> None:
    with pytest.raises(ValueError, match=rf"p must satisfy 0 < p < q.*, got p={p}, q={q}"):
        EXPONENTS[name](X, p, q)


@pytest.mark.parametrize("name", EXPONENTS)
@pytest.mark.parametrize(("p", "q"), [("half", 1.0), (0.5, None), (0.5 + 0j, 1.0)])
def test_exponents_are_numbers(name: str, p: Any, q: Any) -> None:
    with pytest.raises(TypeError, match=r"[pq] must be"):
        EXPONENTS[name](X, p, q)


def test_numbers_are_within_float64() -> None:
    calls: dict[str, Callable[[], Any]] = {
        "q": lambda: P.index(X, 1, 10**400),
        "exponents": lambda: P.power_means(X, [10**5000]),
        "eta": lambda: P.retained_bound(X, eta=Fraction(10**400, 3)),
        "tol": lambda: P.gini(X, tol=10**400),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=f"^{name} must be within the range of float64, got a larger"):
            call()


@pytest.mark.parametrize("exponents", [[0.0], [1.0, -2.0], [math.nan]])
def test_exponents_of_power_means(exponents: list[float]) -> None:
    with pytest.raises(ValueError, match=rf"exponents must .*> 0.*, got .*{exponents[-1]}"):
        P.power_means(X, exponents)


@pytest.mark.parametrize("eta", [-1.0, -1e-9, math.nan, math.inf])
def test_eta(eta: float) -> None:
    for call in (P.retained_bound, P.summary):
        with pytest.raises(ValueError, match=rf"eta must be >= 0 and finite, got {eta}"):
            call(X, eta=eta)
    with pytest.raises(ValueError, match=rf"eta must be >= 0 and finite, got {eta}"):
        P.retained_bound_from_index(0.5, 10, eta=eta)


@pytest.mark.parametrize("call", [P.topk_mask, P.topk_threshold])
class TestK:
    def test_out_of_range(self, call: Callable[..., Any]) -> None:
        for k in (-1, 13):
            with pytest.raises(ValueError, match=rf"k must .*, got (k=)?{k}\b"):
                call(X, k)
        for k in (-1, 5):
            with pytest.raises(ValueError, match=rf"k must .*, got (k=)?{k}\b"):
                call(X, k, axis=1)
            with pytest.raises(ValueError, match=rf"k must .*, got (k=)?{k}\b"):
                call(X, np.array([1, k, 0]), axis=1)

    def test_masked_entries_do_not_count(self, call: Callable[..., Any]) -> None:
        with pytest.raises(ValueError, match=r"k must .*, got (k=)?7\b"):
            call(X, 7, where=X < 6)
        with pytest.raises(ValueError, match=r"k must .*, got (k=)?3\b"):
            call(X, [2, 3, 0], axis=1, where=X < 6)

    @pytest.mark.parametrize("k", [2.5, "2", None, [1.0, 2.0, 3.0]])
    def test_not_an_integer(self, call: Callable[..., Any], k: Any) -> None:
        with pytest.raises(TypeError, match="k must "):
            call(X, k, axis=1)

    @pytest.mark.parametrize("k", [[1, 2], [1, 2, 3, 4], [[1, 2, 3]]])
    def test_wrong_shape(self, call: Callable[..., Any], k: Any) -> None:
        with pytest.raises(ValueError, match=r"k must .*shape"):
            call(X, k, axis=1)


@pytest.mark.parametrize("name", MEASURES)
class TestEveryMeasure:
    @pytest.mark.parametrize("axis", [2, -3, (0, 2)])
    def test_axis_out_of_range(self, name: str, axis: Any) -> None:
        with pytest.raises(ValueError, match=r"axis.*(2|-3)"):
            MEASURES[name](X, axis=axis)

    def test_axis_twice(self, name: str) -> None:
        with pytest.raises(ValueError, match="axis"):
            MEASURES[name](X, axis=(1, -1))

    @pytest.mark.parametrize("axis", [0.0, "0", (0, 1.0)])
    def test_axis_is_an_integer(self, name: str, axis: Any) -> None:
        with pytest.raises(TypeError, match="axis must"):
            MEASURES[name](X, axis=axis)

    @pytest.mark.parametrize("shape", [(4, 3), (2,), (1, 3, 4), (5, 3, 4)])
    def test_mask_of_another_shape(self, name: str, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r"where must .*shape"):
            MEASURES[name](X, where=np.ones(shape, dtype=bool))

    @pytest.mark.parametrize("dtype", [np.int64, np.float64, np.uint8])
    def test_mask_of_another_dtype(self, name: str, dtype: type[Any]) -> None:
        with pytest.raises(TypeError, match="where must .*bool"):
            MEASURES[name](X, where=np.ones(X.shape, dtype=dtype))

    @pytest.mark.parametrize("dtype", ["c8", "c16", "O", "U3", "S3", "M8[s]", "m8[s]", [("a", "f4")]])
    def test_dtype(self, name: str, dtype: Any) -> None:
        with pytest.raises(TypeError, match="x must .*dtype"):
            MEASURES[name](np.zeros(3, dtype=dtype))

    @pytest.mark.parametrize("x", [None, "abc", {"a": 1}, object(), ["a", "b"], [1, None]], ids=repr)
    def test_not_an_array(self, name: str, x: Any) -> None:
        with pytest.raises(TypeError, match="x must "):
            MEASURES[name](x)

    def test_ragged_sequence(self, name: str) -> None:
        with pytest.raises(ValueError, match="inhomogeneous|x must"):
            MEASURES[name]([[1.0], [1.0, 2.0]])

    def test_unknown_argument(self, name: str) -> None:
        with pytest.raises(TypeError, match="wehre"):
            MEASURES[name](X, wehre=X > 1)

    def test_dim_is_for_torch(self, name: str) -> None:
        with pytest.raises(TypeError, match="dim"):
            MEASURES[name](X, dim=0)

    def test_pools_have_no_axis(self, name: str) -> None:
        with pytest.raises((ValueError, TypeError), match="axis must be None"):
            MEASURES[name](P.pooled([X, X]), axis=0)

    def test_pools_have_a_mask_per_array(self, name: str) -> None:
        pool = P.pooled([X, X[0]])
        with pytest.raises(ValueError, match="where must"):
            MEASURES[name](pool, where=[X > 1])
        with pytest.raises(ValueError, match="where must"):
            MEASURES[name](pool, where=[X > 1, X > 1])
        with pytest.raises(TypeError, match="where must"):
            MEASURES[name](pool, where=X > 1)


def test_torch_input() -> None:
    torch = pytest.importorskip("torch")
    x = torch.ones(3, 4)
    with pytest.raises(TypeError, match="dim"):
        P.index(x, axis=0, dim=0)
    with pytest.raises(TypeError, match="x must .*dtype"):
        P.index(x.to(torch.complex64))
    with pytest.raises(TypeError, match="x must"):
        P.index(x.to_sparse())
    with pytest.raises(TypeError, match="where must .*bool"):
        P.index(x, where=torch.ones(3, 4))


@pytest.mark.parametrize("arrays", [None, 3, [None], ["abc"], [np.zeros(2, dtype=complex)]], ids=repr)
def test_pool_of_no_arrays(arrays: Any) -> None:
    with pytest.raises(TypeError, match="arrays must|arrays\\[0\\] must"):
        P.index(P.pooled(arrays))


def test_masked_arrays() -> None:
    """The mask of a numpy.ma array is not ours to drop in silence."""
    with pytest.raises(TypeError, match="x must not be a masked array"):
        P.index(np.ma.masked_greater(X, 5))


def test_d_of_retained_bound_from_index() -> None:
    with pytest.raises(ValueError, match="d must be >= 0, got -1"):
        P.retained_bound_from_index(0.5, -1)


def test_isa_and_threads() -> None:
    with pytest.raises(ValueError, match=r"(name|isa) must .*, got 'avx9'"):
        P.use_isa("avx9")
    with pytest.raises(TypeError, match="name must be a string, got 3"):
        P.use_isa(3)
    with pytest.raises(ValueError, match="threads must be >= 0.*, got -2"):
        P.set_num_threads(-2)
    with pytest.raises(ValueError, match="threads must be at most 1024, got 4294967296"):
        P.set_num_threads(1 << 32)
    with pytest.raises(TypeError, match="threads must be an integer, got 'many'"):
        P.set_num_threads("many")


def test_the_input_is_left_alone() -> None:
    x = np.random.default_rng(0).standard_normal((30, 40)).astype(np.float32)
    before = x.copy()
    for call in MEASURES.values():
        call(x)
        call(x, axis=0)
    np.testing.assert_array_equal(x, before)


def test_numbers_are_no_bytes_nor_complex() -> None:
    for value in (b"1", bytearray(b"1"), np.complex64(0.5)):
        with pytest.raises(TypeError, match=r"^p must be a real number, got"):
            P.index(X, value, 2)


def test_exponents_are_a_sequence() -> None:
    for values in (0.5, b"12", bytearray(b"12"), "12", np.array(0.5), None):
        with pytest.raises(TypeError, match=r"^p must be a sequence of exponents, got"):
            P.index_grid(X, values, [20])


def test_true_is_no_integer() -> None:
    with pytest.raises(TypeError, match=r"^axis must be an int, a tuple of ints or None, got \(True,\)$"):
        P.index(X, axis=(True,))
    with pytest.raises(TypeError, match=r"^threads must be an integer, got True$"):
        pqi.set_num_threads(True)
    with pytest.raises(TypeError, match=r"^limit must be an integer, got False$"):
        pqi.set_workspace_limit(False)


def test_masked_arrays_hide_nothing_in_other_arguments() -> None:
    """Their own masks would be lost in silence."""
    hidden = np.ma.masked_array([True, True, False], mask=[True, False, False])
    calls: dict[str, Callable[[], Any]] = {
        "where": lambda: P.index(np.ones(3), where=hidden),
        "k": lambda: P.topk_mask(np.ones((2, 3)), np.ma.masked_array([1, 2], mask=[False, True]), axis=1),
        "index": lambda: P.retained_bound_from_index(np.ma.masked_array([0.5], mask=[True]), 3),
        "d": lambda: P.retained_bound_from_index([0.5], np.ma.masked_array([3], mask=[True])),
        "offsets": lambda: P.segments(np.ones(3), np.ma.masked_array([0, 3], mask=[False, True])),
    }
    for name, call in calls.items():
        with pytest.raises(TypeError, match=f"^{name} must not be a masked array"):
            call()


def test_ragged_sequences_are_named() -> None:
    ragged = [[1], [2, 3]]
    calls: dict[str, Callable[[], Any]] = {
        "k": lambda: P.topk_mask(np.ones((2, 3)), ragged, axis=1),
        "index": lambda: P.retained_bound_from_index(ragged, 3),
        "d": lambda: P.retained_bound_from_index(0.5, ragged),
        "values": lambda: P.segments(ragged, [0, 1]),
        "offsets": lambda: P.segments(np.ones(3), ragged),
    }
    for name, call in calls.items():
        with pytest.raises(ValueError, match=f"^{name} must be an array or nested sequences of one shape"):
            call()


@pytest.mark.parametrize("k", [2**63, 2**70, -(2**70)])
def test_counts_beyond_every_array(k: int) -> None:
    for x in (X, pytest.importorskip("torch").tensor(X)):
        for call in (P.topk_mask, P.topk_threshold):
            with pytest.raises(ValueError, match=rf"^k must satisfy 0 <= k <= live entries, got {k}$"):
                call(x, k)


def test_what_was_given_is_shown() -> None:
    with pytest.raises(TypeError, match=r"^k must be an integer or an array of integers, got None$"):
        P.topk_mask(np.array(X), None)


def test_other_tensors() -> None:
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls them a prototype
        nested = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
    for call in (P.index, pqi.gini_sketch, lambda x: P.gini(x, tol=1e-6)):
        with pytest.raises(TypeError, match=r"^x must be one strided tensor, got a nested one; pass pqi\.pooled"):
            call(nested)
    with pytest.raises(TypeError, match=r"^d must hold real numbers, got dtype <U1$"):
        P.retained_bound_from_index(torch.tensor(0.5), "a")
    half = torch.tensor(0.5, dtype=torch.bfloat16)
    assert P.retained_bound_from_index(half, 3).item() == P.retained_bound_from_index(0.5, 3)
