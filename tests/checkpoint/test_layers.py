"""What the package may use: the public array functions, and no library that could run what a file says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import pqi

MODULES = sorted((Path(next(iter(pqi.__path__))) / "checkpoint").glob("*.py"))
FORBIDDEN = {"torch", "pickle", "shelve", "marshal", "safetensors", "ml_dtypes", "subprocess", "importlib"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_nothing_can_be_run(path: Path) -> None:
    tree = ast.parse(path.read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    allowed = {"importlib.util"}  # find_spec, for the message about what to install
    assert not {name for name in imported - allowed if name.partition(".")[0] in FORBIDDEN}
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & {"eval", "exec", "compile", "__import__"}
    private = {name for name in imported if name.startswith("pqi._")}
    assert private <= {"pqi._histogram"}  # a type for annotations
