"""The examples in the docstrings run and say what they print."""

import doctest
import importlib
import pkgutil

import pytest

import pqi.prune

MODULES = ["pqi.prune", *(f"pqi.prune.{module.name}" for module in pkgutil.iter_modules(pqi.prune.__path__))]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_names_offered_exist_and_are_sorted():
    assert all(hasattr(pqi.prune, name) for name in pqi.prune.__all__)
    constants = [name for name in pqi.prune.__all__ if name.isupper()]
    assert pqi.prune.__all__[: len(constants)] == sorted(constants)
