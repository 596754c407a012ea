"""Who may use whom, how long a file may be, and what every public name owes its reader."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import pqi

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "python" / "pqi"
CORE = ROOT / "csrc" / "pqi"
ARRAY_MODULES = sorted(PACKAGE.glob("_[a-z]*.py"))
TORCH_MODULES = sorted(PACKAGE.glob("_torch_*.py"))
DEFINITIONS = sorted(CORE.glob("*.hpp"))
CPU = sorted((CORE / "cpu").rglob("*.?pp"))
CUDA = sorted([*(CORE / "cuda").rglob("*.cu"), *(CORE / "cuda").rglob("*.?pp")])
BINDINGS = sorted((ROOT / "csrc" / "bindings").glob("*.?pp"))
SOURCES = [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]


def name_of(path: Path) -> str:
    """Return a file's name in the repository, as a test's id."""
    return str(path.relative_to(ROOT))


def imports(path: Path, *, at_load_time: bool) -> set[str]:
    """Return what a file imports, at load time or ever; `a.b` for `from a import b`."""

    def walk(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if for_types or (at_load_time and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))):
            return
        for child in ast.iter_child_nodes(node):
            yield from walk(child)

    return set(walk(ast.parse(path.read_text())))


def includes(path: Path) -> set[str]:
    """Return what a C++ file includes, brackets and quotes taken off."""
    return set(re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE))


def code(path: Path) -> str:
    """Return a C++ file without its comments."""
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("path", [*ARRAY_MODULES, PACKAGE / "__init__.py"], ids=name_of)
def test_array_modules_import_numpy_and_the_core_alone(path: Path) -> None:
    """But for the registration of torch operators, which nobody imports before a torch tensor comes in."""
    found = {name for name in imports(path, at_load_time=True) if name.split(".")[0] not in sys.stdlib_module_names}
    assert {name.split(".")[0] for name in found} <= {"numpy", "pqi"} | ({"torch"} if path in TORCH_MODULES else set())
    assert not [name for name in found if re.match(r"pqi\.(prune|experiment|cli)\b", name)]
    assert path in TORCH_MODULES or not [name for name in found if re.match(r"pqi\._torch_", name)]


@pytest.mark.parametrize("path", ARRAY_MODULES, ids=name_of)
def test_array_modules_leave_libraries_and_errors_to_one_file_each(path: Path) -> None:
    if path not in TORCH_MODULES:
        assert not [name for name in imports(path, at_load_time=False) if name.split(".")[0] == "torch"]
    if not path.stem.startswith("_check"):
        assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Raise)]


@pytest.mark.parametrize("path", sorted((PACKAGE / "prune").rglob("*.py")), ids=name_of)
def test_prune_uses_the_public_array_functions(path: Path) -> None:
    for name in imports(path, at_load_time=False):
        assert not re.match(r"pqi\._|pqi\.(experiment|cli)\b", name), name
        assert name.split(".")[0] not in {"rich", "matplotlib", "jinja2", "sklearn", "PIL"}
    assert not re.search(r"\bpqi\._[a-z]", path.read_text())


@pytest.mark.parametrize("path", sorted((PACKAGE / "experiment").rglob("*.py")), ids=name_of)
def test_experiment_uses_prune_and_the_public_array_functions(path: Path) -> None:
    assert not [name for name in imports(path, at_load_time=False) if re.match(r"pqi\._|pqi\.cli\b", name)]


@pytest.mark.parametrize("path", DEFINITIONS, ids=name_of)
def test_definitions_stand_alone(path: Path) -> None:
    """No threads, no allocation, no standard containers: the same text serves every device."""
    assert includes(path) <= {"cmath", "cstddef", "cstdint", "cstring"} | {other.name for other in DEFINITIONS}
    assert not re.search(r"\bomp\b|\bnew\b|\bdelete\b|\b(m|c|re)alloc\b|\bthrow\b", code(path))
    assert not re.search(r"std::(?!memcpy\b|size_t\b|u?int\d+_t\b)", code(path))


@pytest.mark.parametrize("path", CPU, ids=name_of)
def test_cpu_knows_no_other_layer(path: Path) -> None:
    assert not [
        name for name in includes(path) if re.search(r"pybind11|Python\.h|torch|ATen|cuda|bindings|dlpack", name)
    ]


def test_threads_start_in_one_file() -> None:
    for path in [*CPU, *BINDINGS]:
        if path.name != "parallel.cpp":
            assert "omp.h" not in includes(path), path
            assert not re.search(r"#\s*pragma\s+omp\s+(?!simd\b)", code(path)), path
            assert not re.search(r"\bomp_[a-z]+\s*\(|std::thread\b|std::async\b", code(path)), path


@pytest.mark.parametrize("path", BINDINGS, ids=name_of)
def test_bindings_compute_nothing(path: Path) -> None:
    assert not includes(path) & {"cmath", "algorithm", "numeric"}
    assert not re.search(r"\bstd::(pow|sqrt|sort|accumulate)\b", code(path))


@pytest.mark.parametrize("path", CUDA, ids=name_of)
def test_cuda_knows_no_other_layer(path: Path) -> None:
    """A schedule of its own over the same definitions; the runtime's own header is wanted in one file."""
    assert not [
        name for name in includes(path) if re.search(r"\bcpu/|pybind11|Python\.h|torch|ATen|bindings|dlpack", name)
    ]
    assert not [name for name in includes(path) if name.startswith(("cub/", "thrust/", "cuda/"))]
    assert ("cuda_runtime.h" in includes(path)) == (path.name == "launch.cu")


@pytest.mark.parametrize("path", CUDA, ids=name_of)
def test_cuda_waits_for_nothing(path: Path) -> None:
    """No synchronisation, no memory but in the order of the stream."""
    assert not re.search(r"cuda\w*Synchronize|cudaMalloc\b|cudaFree\b|cudaMemcpy\b|cudaStreamWait", code(path))


@pytest.mark.parametrize("path", [path for path in CUDA if path.stem not in {"block", "executor"}], ids=name_of)
def test_block_programs_use_the_thin_layer(path: Path) -> None:
    """What CUDA alone has stays in one file, so that the executor runs all else."""
    own = r"threadIdx|blockIdx|__shfl|__sync|__shared__|__ballot|\batomic[A-Z]|__popc"
    assert not re.search(own, code(path))


def test_the_build_keeps_to_ieee_and_off_the_network() -> None:
    flags = r"-f(fast|unsafe|associative|finite)[a-z-]*-?math|-Ofast|GCC optimize|FetchContent|ExternalProject|DOWNLOAD"
    for path in (ROOT / "CMakeLists.txt", ROOT / "pyproject.toml", ROOT / "Makefile"):
        assert not re.search(flags, re.sub(r"#[^\n]*", "", path.read_text())), path
    for path in [*DEFINITIONS, *CPU, *CUDA, *BINDINGS]:
        assert not re.search(flags, path.read_text()), path


@pytest.mark.parametrize("path", [*SOURCES, *DEFINITIONS, *CPU, *CUDA, *BINDINGS], ids=name_of)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 350


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=name_of)
def test_functions_are_short(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            assert (node.body[-1].end_lineno or 0) - first.lineno < 60, node.name


def bodies(text: str) -> Iterator[tuple[str, int]]:
    """Yield the head of every function of C++ code, and how many lines its body has."""
    head, line, inside = "", 1, 0
    opened: list[tuple[str, int, bool]] = []  # head, line, and whether it is an outermost function, of every open brace
    for character in re.sub(r'"(\\.|[^"\\])*"', '""', re.sub(r"'(\\.|[^'\\])'", "0", text)):
        line += character == "\n"
        if character == "{":
            is_function = ")" in head and not re.match(r"\s*(namespace|struct|class|enum|union|extern)\b", head)
            opened.append((head, line, is_function and not inside))
            inside += is_function and not inside
        elif character == "}":
            head, start, is_function = opened.pop()
            if is_function:
                inside -= 1
                yield " ".join(head.split())[-80:], line - start - 1
        head = "" if character in "{};" else head + character


@pytest.mark.parametrize("path", [*DEFINITIONS, *CPU, *BINDINGS], ids=name_of)
def test_core_functions_are_short(path: Path) -> None:
    assert [(head, lines) for head, lines in bodies(code(path)) if lines >= 60] == []


def test_core_functions_are_found() -> None:
    text = "namespace a {\nint f(int x,\n      int y) {\n  if (x) {\n    y += '{';\n  }\n  return y;\n}\n}"
    assert list(bodies(text)) == [("int f(int x, int y)", 4)]


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_sources_parse_with_the_oldest_python(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 10))


def test_array_modules_have_tests_of_their_name() -> None:
    elsewhere = {
        "arrays": "inputs",
        "check": "errors",
        "check_accumulator": "accumulator",
        "check_device": "device_groups",
        "check_out": "topk_out",
        "tensors": "torch",
        "device_libraries": "device",
    }
    for path in ARRAY_MODULES:
        stem = path.stem.strip("_")
        if stem not in {"init", "main"}:
            assert (ROOT / "tests" / f"test_{elsewhere.get(stem, stem)}.py").exists(), stem


def test_stems_are_the_same_in_every_layer() -> None:
    for stem in ("norms", "gini", "topk"):
        for path in (PACKAGE / f"_{stem}.py", CORE / "cpu" / f"{stem}.cpp", ROOT / "bench" / f"bench_{stem}.py"):
            assert path.exists(), path


def public_functions(module: ModuleType) -> list[str]:
    """Return the names of the functions and classes that a module shows without an underscore."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__.startswith("pqi")
    ]


def reading_order(name: str) -> tuple[int, str]:
    """Return the key by which `__all__` is sorted: constants, then classes, then functions."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("module", ["pqi", "pqi.prune"])
def test_all_is_sorted_and_complete(module: str) -> None:
    package = importlib.import_module(module)
    assert list(package.__all__) == sorted(package.__all__, key=reading_order)
    assert set(public_functions(package)) <= set(package.__all__)
    assert [name for name in package.__all__ if not hasattr(package, name)] == []


@pytest.mark.parametrize("name", public_functions(pqi))
def test_public_functions_explain_themselves(name: str) -> None:
    function = getattr(pqi, name)
    sections = set(re.findall(r"^(\w+)\n-{3,}$", inspect.getdoc(function) or "", re.MULTILINE))
    signature = inspect.signature(function)
    assert "Examples" in sections
    assert "Parameters" in sections or not signature.parameters
    assert "Raises" in sections or not signature.parameters
    assert "Returns" in sections or signature.return_annotation in ("None", None)


def test_every_public_argument_is_documented() -> None:
    for name in public_functions(pqi):
        text = inspect.getdoc(getattr(pqi, name)) or ""
        documented = set(re.findall(r"[\w*]+", " ".join(re.findall(r"^([\w*, ]+?)(?: :.*)?$", text, re.MULTILINE))))
        for argument in inspect.signature(getattr(pqi, name)).parameters:
            assert argument in documented or f"**{argument}" in text, (name, argument)


MODULES = sorted(
    info.name for info in pkgutil.walk_packages(pqi.__path__, "pqi.") if not info.name.endswith("__main__")
)


@pytest.mark.parametrize("name", ["pqi", *MODULES])
def test_examples_in_docstrings_run(name: str) -> None:
    module = importlib.import_module(name)
    before = pqi.info()
    try:
        failed, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    finally:
        pqi.use_isa(before["isa"])
        pqi.set_num_threads(before["num_threads"])
    assert failed == 0


def test_examples_are_there_to_run() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    examples = [
        test for name in public_functions(pqi) for test in finder.find(getattr(pqi, name), name) if test.examples
    ]
    assert {test.name.split(".")[0] for test in examples} == set(public_functions(pqi))
