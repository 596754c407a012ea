"""What went wrong in published code and in other tools, one test each."""

from __future__ import annotations

import math

import numpy as np
import pytest

import pqi
from cases import draw, to_torch

N = 11_000_000
HALF_NORMAL = 1 - (2**0.25 * math.gamma(0.75) / math.pi**0.5) ** 2 / math.sqrt(2 / math.pi)


def test_float32_sums_drift() -> None:
    """Summed in float32, (½, 1) is 1.3 % off at 1.1e7 weights."""
    x = draw("normal", 1_000_000)
    tiled = np.broadcast_to(x, (11, x.size))
    assert pqi.index(tiled) == pytest.approx(pqi.index(x), abs=1e-14)
    assert pqi.index(tiled) == pytest.approx(HALF_NORMAL, abs=1e-3)


def test_small_exponents_overflow() -> None:
    """||w||_.1 of 1e5 float32 is beyond float32's range; the index was -inf and then silently 0."""
    x = draw("normal", 100_000)
    index = pqi.index(x, 0.1, 1)
    assert 0.29 < index < 0.30
    assert pqi.retained_bound(x, 0.1, 1) < x.size


@pytest.mark.parametrize("kind", ["int4", "constant"])
def test_strict_thresholds_miss_the_count(kind: str) -> None:
    """Asked for 30 %, a strict threshold took 21 to 34 % of int4-like weights, and 0 or 100 % of a constant tensor."""
    x = draw(kind, 100_000)
    assert int(pqi.topk_mask(x, 30_000).sum()) == 30_000
    assert int((np.abs(x) > pqi.topk_threshold(x, 30_000)).sum()) < 30_000


def test_selection_beyond_2_to_the_24() -> None:
    """`torch.quantile` refuses more than 2^24 elements."""
    x = np.arange(2**24 + 3, dtype=np.uint32)
    assert pqi.topk_threshold(x, 5) == 2**24 - 2
    mask = pqi.topk_mask(x, 5)
    assert np.flatnonzero(mask).tolist() == list(range(2**24 - 2, 2**24 + 3))
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError, match="too large"):
        torch.quantile(torch.zeros(2**24 + 3), 0.5)


def test_gini_of_a_matrix_and_of_negative_values() -> None:
    """One library returns 1405.7 for a 2-D array, another -11.4 for negative input."""
    x = draw("normal", 6000).reshape(3, 2000)
    assert 0.40 < pqi.gini(x) < 0.43
    rows = pqi.gini(x, axis=1)
    assert rows.shape == (3,)
    assert np.all((rows > 0.38) & (rows < 0.45))


def test_constant_vectors_have_no_negative_index() -> None:
    """With numpy the index of 30 % of constant vectors is slightly negative, and then -1 weights are pruned."""
    rng = np.random.default_rng(0)
    for n in rng.integers(1, 3000, 300):
        w = np.full(n, rng.random() + 0.01)
        assert pqi.index(w) >= 0
        assert pqi.index(w, 0.7, 1.3) >= 0


def test_float16_norms_overflow() -> None:
    """torch's float16 norms are inf and its Gini index nan."""
    x = np.full(100_000, 60_000, dtype=np.float16)
    assert pqi.norms(x, 1, 2)[0] == pytest.approx(6e9, rel=1e-14)
    assert pqi.index(x, 1, 2) == pytest.approx(0, abs=1e-15)
    assert pqi.gini(x) == pytest.approx(0, abs=1e-15)


def test_tiny_and_huge_scales() -> None:
    """numpy and torch give 0 or inf for the 2-norm of float32 at 1e±30."""
    x = draw("normal", 10_000)
    for exponent in (-100, 90):
        scaled = np.ldexp(x, exponent)
        assert pqi.index(scaled, 1, 2) == pqi.index(x, 1, 2)
        assert pqi.norms(scaled, 1, 2)[1] == pytest.approx(float(pqi.norms(x, 1, 2)[1]) * 2.0**exponent, rel=1e-14)


def test_ties_are_decided_the_same_way_each_time() -> None:
    """Vendors' selection on GPUs refuses deterministic ties; here the lowest flat index is kept."""
    x = np.tile(np.array([1, -1], dtype=np.float32), 50_000)
    expected = np.arange(x.size) < 33_333
    for _ in range(5):
        np.testing.assert_array_equal(pqi.topk_mask(x, 33_333), expected)


def test_bfloat16_through_dlpack() -> None:
    """numpy can't import bfloat16 through DLPack; the core reads it in place."""
    torch = pytest.importorskip("torch")
    t = to_torch(draw("normal", 5000)).to(torch.bfloat16)
    assert float(pqi.index(t)) == float(pqi.index(t.float()))
    assert float(pqi.gini(t)) == float(pqi.gini(t.float()))


def test_int8_minus_128() -> None:
    """The magnitude of int8's -128 is 128, not -128."""
    x = np.array([-128, 127, 0, 1], dtype=np.int8)
    assert pqi.topk_threshold(x, 1) == 128
    assert pqi.norms(x, 1, 2)[0] == pytest.approx(256)
    assert pqi.summary(x).max == 128


def test_masked_out_weights_do_not_count_in_d() -> None:
    """A mask takes entries out of d; zeros that are live stay in it."""
    w = np.array([3.0, 0.0, 1.0, 0.0, 0.0, 0.0])
    live = np.array([True, True, True, False, False, False])
    assert pqi.index(w, where=live) == pytest.approx(float(pqi.index([3.0, 0.0, 1.0])), abs=1e-15)
    assert pqi.index(w, where=live) < pqi.index(w)
