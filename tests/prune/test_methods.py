"""The table of methods."""

import pytest

from pqi.prune import METHODS, SAP, Fraction, Method


def test_the_table():
    assert {name: (method.amount, method.ranking) for name, method in METHODS.items()} == {
        "sap-0.5-1": (SAP(0.5, 1.0, eta=0.0, gamma=1.0, beta=0.9), "current"),
        "sap-1-2": (SAP(1.0, 2.0, eta=0.0, gamma=1.0, beta=0.9), "current"),
        "lottery-ticket": (Fraction(0.2), "current"),
        "one-shot": (Fraction(0.2), "dense"),
    }


def test_labels_are_different():
    assert len({method.label for method in METHODS.values()}) == len(METHODS)


def test_unknown_ranking():
    with pytest.raises(ValueError, match="ranking must be 'current' or 'dense', got 'random'"):
        Method("m", "M", SAP(), ranking="random")  # type: ignore[arg-type] # the error is what is tested
