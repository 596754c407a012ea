"""Checkpoint files: how compressible they are (`pqi.scan`), and pruned without a model or data."""

from pqi.checkpoint.measure import Measures, PairResult, Spread
from pqi.checkpoint.report import Report, TensorReport, Total
from pqi.checkpoint.scanning import scan

__all__ = ["Measures", "PairResult", "Report", "Spread", "TensorReport", "Total", "scan"]
