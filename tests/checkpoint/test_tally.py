"""Tallies: a tensor's histogram, kept small, tells what lies above a threshold."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import pqi
from checkpoint.files import put
from checkpoint.test_scanning import weights
from pqi.checkpoint.magnitude import cut
from pqi.checkpoint.reading import open_checkpoint
from pqi.checkpoint.tally import count


def test_counts_each_tensor_and_all_together(tmp_path: Path) -> None:
    import ml_dtypes

    a, b = (np.random.default_rng(i).normal(size=(50, 40)).astype(ml_dtypes.bfloat16) for i in range(2))
    tensors = open_checkpoint(put(tmp_path, "m.safetensors", weights(a=a, b=b))).tensors
    total, tallies = count(tensors)
    assert total == pqi.histogram(pqi.pooled([a, b]))
    for threshold in (0.0, 1.0, 0.7071, 100.0):
        where = cut(tensors[0].element, threshold)
        for array, tally in zip((a, b), tallies, strict=True):
            magnitudes = np.abs(array.astype(np.float64))
            above, equal = np.count_nonzero(magnitudes > threshold), np.count_nonzero(magnitudes == threshold)
            assert tally.above(where) == (int(above), int(equal))
