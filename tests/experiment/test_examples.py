"""The examples in the docstrings run and say what they print."""

import doctest
import importlib
import pkgutil

import pytest

import pqi.experiment

MODULES = [f"pqi.experiment.{module.name}" for module in pkgutil.iter_modules(pqi.experiment.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
