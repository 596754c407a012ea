"""`pqindex mask`: exact counts, the masks of the array layer, and every other byte as it was."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pqi
from checkpoint.files import GOOD, put
from checkpoint.test_scanning import weights
from pqi.checkpoint import apply, block_file, elements, masking, quotas
from pqi.checkpoint.masking import mask_checkpoint
from pqi.checkpoint.reading import open_checkpoint
from pqi.checkpoint.selection import Selection

torch: Any = pytest.importorskip("torch")
library: Any = pytest.importorskip("safetensors.torch")

from pqi.prune import SAP, Fraction  # noqa: E402 (needs torch)

AMOUNTS = {
    "sap": SAP(),
    "sap(1,2)": SAP(1, 2),
    "third": Fraction("1/3"),
    "none": Fraction(0),
    "all": Fraction(1),
}
FLOATS = ["float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2"]


def model() -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    tensors = {name: torch.randn(23, 110, generator=generator).to(getattr(torch, name)) for name in FLOATS}
    tensors["int8"] = torch.randint(-128, 128, (9, 4, 3), generator=generator, dtype=torch.int8)
    tensors["uint8"] = torch.randint(0, 4, (9, 4, 3), generator=generator, dtype=torch.uint8)
    return {**tensors, "bias": torch.ones(7), "positions": torch.arange(6).reshape(2, 3)}


def bits(x: Any) -> Any:
    return x.contiguous().view({1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[x.element_size()])


def expected(tensors: dict[str, Any], names: list[str], scope: str, kept: dict[str, Any]) -> dict[str, Any]:
    """Return the masks that the array functions make in memory."""
    if scope == "global":
        whole = pqi.pooled([tensors[name] for name in names])
        return dict(zip(names, pqi.topk_mask(whole, sum(kept.values())), strict=True))
    return {name: pqi.topk_mask(tensors[name], kept[name]) for name in names}


def counts(x: Any, amount: Any, axis: Any = None) -> Any:
    """Return how many entries of each vector stay, straight from the published rule."""
    from pqi.prune.records import GroupStats

    bounds = np.atleast_1d(np.asarray(pqi.retained_bound(x, amount.p, amount.q, axis=axis)))
    d = sum(part.numel() for part in x.arrays) if axis is None and hasattr(x, "arrays") else x.numel() // bounds.size
    stats = [GroupStats(name="", total=d, live=d, zeros=0, index=0, gini=0, bound=r) for r in bounds]
    return [d - amount.quota(group).count for group in stats]


@pytest.mark.parametrize("block", [1 << 20, 100])
@pytest.mark.parametrize("amount", AMOUNTS.values(), ids=AMOUNTS.keys())
@pytest.mark.parametrize("scope", ["global", "layer", "neuron"])
@pytest.mark.parametrize("form", ["safetensors", "torch"])
def test_masks_are_those_made_in_memory(
    form: str, scope: str, amount: Any, block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if elements are cut by the edges of blocks, and output units too wide to be ranked again and again."""
    monkeypatch.setattr(elements, "CHUNK", block)
    monkeypatch.setattr(block_file, "BLOCK", block)
    monkeypatch.setattr(apply, "MOST_RANKED", block)
    tensors, source, out = model(), tmp_path / "m", tmp_path / "out"
    if form == "safetensors":
        library.save_file(tensors, source, metadata={"a": "b"})
    else:
        tensors["transposed"] = torch.randn(31, 17).t()
        torch.save(tensors, source)
    checkpoint = open_checkpoint(source)
    report = mask_checkpoint(checkpoint, out, amount, scope=scope, selection=Selection(include=("*",)))
    written = library.load_file(out) if form == "safetensors" else torch.load(out, weights_only=True)
    names = [tensor.name for tensor in checkpoint.tensors if tensor.prunable]
    kept = {found.tensor.name: found.kept for found in report.tensors}
    if scope == "global":
        assert [report.kept] == counts(pqi.pooled([tensors[name] for name in names]), amount)
    if scope == "layer":
        assert [kept[name] for name in names] == [counts(tensors[name], amount)[0] for name in names]
    if scope == "neuron":
        axes = {name: tuple(range(1, tensors[name].ndim)) for name in names}
        masks = {
            name: pqi.topk_mask(tensors[name], torch.tensor(counts(tensors[name], amount, axes[name])), axis=axes[name])
            for name in names
        }
    else:
        masks = expected(tensors, names, scope, kept)
    assert written.keys() == tensors.keys()
    assert set(kept) == set(names)
    for name, values in tensors.items():
        mask = masks[name] if name in names else torch.ones_like(values, dtype=torch.bool)
        assert written[name].dtype == values.dtype
        assert torch.equal(bits(written[name]), bits(values) * mask), name
    for found in report.tensors:
        assert found.kept == int(masks[found.tensor.name].sum())
        assert found.nonzero == int((written[found.tensor.name].double() != 0).sum())


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("amount", [SAP(), Fraction("1/3"), Fraction("0.999"), Fraction(0)], ids=str)
@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_large_tensors_of_narrow_types(dtype: str, amount: Any, scope: str, tmp_path: Path) -> None:
    """Their counts and thresholds come from histograms; ties are cut within one of them."""
    generator = torch.Generator().manual_seed(1)
    values = [torch.randn(shape, generator=generator) * 9 for shape in ((1100, 1000), (40, 30), (1024, 1030))]
    tensors = {f"w{i}": x.to(getattr(torch, dtype)) for i, x in enumerate(values)}
    library.save_file(tensors, tmp_path / "m")
    report = mask_checkpoint(open_checkpoint(tmp_path / "m"), tmp_path / "out", amount, scope=scope, compress=False)
    kept = {found.tensor.name: found.kept for found in report.tensors}
    for names in [list(kept)] if scope == "global" else [[name] for name in kept]:
        whole = pqi.pooled([tensors[name] for name in names])
        assert [sum(kept[name] for name in names)] == counts(whole, amount)
    written, masks = library.load_file(tmp_path / "out"), expected(tensors, list(kept), scope, kept)
    for found in report.tensors:
        name = found.tensor.name
        assert torch.equal(bits(written[name]), bits(tensors[name]) * masks[name])
        assert found.nonzero == int((written[name] != 0).sum())


@pytest.mark.parametrize("amount", [SAP(), SAP(1, 2, gamma=3), SAP(eta=0.5, beta=0.4), Fraction("0.3")], ids=str)
def test_counts_of_many_units_are_those_of_each(amount: Any) -> None:
    bounds = np.random.default_rng(0).uniform(-1, 101, 3000).round(2)
    bounds[[5, 77]] = np.nan
    expected = [quotas._pruned(amount, bound, 100) for bound in bounds]
    assert quotas._pruned_of_each(amount, bounds, 100).tolist() == expected
    nothing = np.full(3, np.nan)
    assert quotas._pruned_of_each(amount, nothing, 100).tolist() == [quotas._pruned(amount, np.nan, 100)] * 3


@pytest.mark.parametrize("scope", ["global", "layer", "neuron"])
def test_integers_beside_floats_are_not_ranked_with_them(scope: str, tmp_path: Path) -> None:
    tensors = model()
    floats = {name: x for name, x in tensors.items() if "int" not in name}
    for name, content in (("m", tensors), ("floats", floats)):
        library.save_file(content, tmp_path / name)
        report = mask_checkpoint(open_checkpoint(tmp_path / name), tmp_path / f"{name}-out", SAP(), scope=scope)
        assert report.left_out == (2 if (name, scope) == ("m", "global") else 0)
    written, alone = library.load_file(tmp_path / "m-out"), library.load_file(tmp_path / "floats-out")
    for name, x in alone.items():
        assert torch.equal(bits(written[name]), bits(x))
    assert torch.equal(written["int8"], tensors["int8"]) == (scope == "global")


def test_everything_but_the_weights_stays(tmp_path: Path) -> None:
    source = put(tmp_path, "m.safetensors", weights(w=np.arange(1, 7, dtype=np.float32).reshape(2, 3)))
    report = mask_checkpoint(open_checkpoint(source), tmp_path / "out", Fraction(0.5))
    before, after = source.read_bytes(), (tmp_path / "out").read_bytes()
    assert after[:-24] == before[:-24]
    assert np.frombuffer(after[-24:], np.float32).tolist() == [0, 0, 0, 4, 5, 6]
    assert (report.sizes.dense, report.sizes.packed) == (len(after), len(after) - 24 + 1 + 12)
    assert report.sizes.compressed is not None


@pytest.mark.parametrize("name", ["good.npy", "good.npz", "good.pt"])
def test_other_formats(name: str, tmp_path: Path) -> None:
    source, out = put(tmp_path, name, GOOD[name]), tmp_path / f"out-{name}"
    mask_checkpoint(open_checkpoint(source), out, Fraction(0.5))
    loaded = torch.load(out, weights_only=True) if name.endswith("pt") else np.load(out)
    loaded = loaded["a"] if name.endswith("npz") else loaded["w"] if name.endswith("pt") else loaded
    assert np.asarray(loaded).tolist() == [[0.5, -2, 0], [1, 0, 0]]


def test_big_endian_and_column_major_arrays(tmp_path: Path) -> None:
    values = np.asfortranarray(np.random.default_rng(0).normal(size=(6, 5)).astype(">f4"))
    np.save(tmp_path / "w.npy", values)
    mask_checkpoint(open_checkpoint(tmp_path / "w.npy"), tmp_path / "out.npy", Fraction(0.4))
    written = np.load(tmp_path / "out.npy")
    assert (written == values * pqi.topk_mask(values, 18)).all()
    assert written.dtype == values.dtype


def test_shards_go_into_a_folder(tmp_path: Path) -> None:
    for name, fill in (("a", 1.0), ("b", 2.0)):
        put(tmp_path, f"{name}.safetensors", weights(**{name: np.full((2, 2), fill, np.float32)}))
    where = {"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}}
    index = put(tmp_path, "m.index.json", json.dumps(where).encode())
    mask_checkpoint(open_checkpoint(index), tmp_path / "out", Fraction(0.5))
    report = pqi.scan(tmp_path / "out" / "m.index.json")
    assert [(t.name, t.measures.zeros) for t in report.tensors if t.measures] == [("a", 4), ("b", 0)]


def refusal(source: Path, out: Path, **options: Any) -> str:
    with pytest.raises((ValueError, OSError)) as caught:
        mask_checkpoint(open_checkpoint(source), out, Fraction(0.5), **options)
    assert [path.name for path in out.parent.iterdir() if "partial" in path.name] == []
    return str(caught.value)


def test_what_cannot_be_pruned_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    bad = put(tmp_path, "nan", weights(w=np.array([[1, np.nan]], np.float32)))
    for scope in ("global", "layer", "neuron"):
        assert "tensor w must be finite" in refusal(bad, out, scope=scope)
    assert "at least one prunable" in refusal(put(tmp_path, "bias", weights(b=np.ones(3, np.float32))), out)
    assert "compressed" in refusal(put(tmp_path, "w.npz", GOOD["deflated.npz"]), out)
    good = put(tmp_path, "w.npy", GOOD["good.npy"])
    assert "must not be the input" in refusal(good, good)
    assert "scope" in refusal(good, out, scope="row")
    put(tmp_path, "out", b"mine")
    assert "file exists" in refusal(good, out)
    assert out.read_bytes() == b"mine"


def test_weights_that_share_storage_in_part_are_refused(tmp_path: Path) -> None:
    base = torch.randn(6, 4)
    torch.save({"all": base, "tied": base, "part": base[:3]}, tmp_path / "m.pt")
    assert "share storage" in refusal(tmp_path / "m.pt", tmp_path / "out.pt")
    torch.save({"all": base, "tied": base}, tmp_path / "m.pt")
    mask_checkpoint(open_checkpoint(tmp_path / "m.pt"), tmp_path / "out.pt", Fraction(0.5))
    written = torch.load(tmp_path / "out.pt", weights_only=True)
    assert torch.equal(written["all"], written["tied"])
    assert int((written["all"] == 0).sum()) == 12


def shards(folder: Path) -> Path:
    """Write two shards and their index, and return its path."""
    generator = np.random.default_rng(0)
    for name in "ab":
        put(folder, name, weights(**{name: generator.normal(size=(50, 61)).astype(np.float32)}))
    return put(folder, "m.index.json", json.dumps({"weight_map": {"a": "a", "b": "b"}}).encode())


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", fail)
    source = put(tmp_path, "w.npy", GOOD["good.npy"])
    assert "No space" in refusal(source, tmp_path / "out.npy")
    assert not (tmp_path / "out.npy").exists()
    assert "No space" in refusal(shards(tmp_path), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    put(tmp_path / "out", "m.index.json", b"mine")
    assert "file exists" in refusal(tmp_path / "m.index.json", tmp_path / "out")


KILLED = """
import os, sys, pathlib
from pqi.checkpoint import block_file
from pqi.checkpoint.masking import mask_checkpoint
from pqi.checkpoint.reading import open_checkpoint
from pqi.prune import Fraction
block_file.BLOCK, write, calls = 4096, os.pwrite, []
def pwrite(*arguments):
    calls.append(0)
    if len(calls) == 5:
        os.kill(os.getpid(), 9)
    return write(*arguments)
os.pwrite = pwrite
mask_checkpoint(open_checkpoint(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2]), Fraction(0.5), overwrite=True)
"""


def test_killed_in_the_middle_there_is_no_half_written_file(tmp_path: Path) -> None:
    source, out = shards(tmp_path), tmp_path / "out"
    out.mkdir()
    put(out, "a", b"before")
    done = subprocess.run([sys.executable, "-c", KILLED, source, out], check=False)
    assert done.returncode == -9
    assert (out / "a").read_bytes() == b"before"
    assert {path.name for path in out.iterdir()} == {"a", ".a.partial", ".b.partial"}
    mask_checkpoint(open_checkpoint(source), out, Fraction(0.5), overwrite=True)
    assert {path.name for path in out.iterdir()} == {"a", "b", "m.index.json"}
    assert pqi.scan(out / "m.index.json").total.measures.zeros == 50 * 61  # type: ignore[union-attr]


@pytest.mark.parametrize("scope", ["global", "neuron"])
def test_past_the_page_cache_the_bytes_are_the_same(
    scope: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.save_file(model(), tmp_path / "m")
    monkeypatch.setattr(block_file, "BLOCK", 8192)
    for name, absorbed in (("cached", float("inf")), ("direct", 0)):
        monkeypatch.setattr(masking, "absorbed", lambda absorbed=absorbed: absorbed)
        mask_checkpoint(open_checkpoint(tmp_path / "m"), tmp_path / name, SAP(), scope=scope)
    assert (tmp_path / "direct").read_bytes() == (tmp_path / "cached").read_bytes()


@pytest.mark.parametrize("scope", ["global", "layer", "neuron"])
@pytest.mark.parametrize("padding", [0, 1, 3])
def test_tensors_at_odd_places(padding: int, scope: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in the format aligns tensors; many ties, and edges of blocks within elements."""
    monkeypatch.setattr(block_file, "BLOCK", 1001)
    values = np.random.default_rng(padding).integers(-3, 4, (40, 57))
    arrays = {name: values.astype(name) * (name != "float64" or 0.25) for name in ("float32", "float64")}
    content = weights(**arrays)
    length = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + length].rstrip() + b" " * (8 + padding)
    source = put(tmp_path, "m", len(header).to_bytes(8, "little") + header + content[8 + length :])
    mask_checkpoint(open_checkpoint(source), tmp_path / "out", Fraction("0.45"), scope=scope)
    written = library.load_file(tmp_path / "out")
    if scope == "global":
        masks = pqi.topk_mask(pqi.pooled(list(arrays.values())), 2 * values.size - 2 * values.size * 45 // 100)
    else:
        axis, d = (1, 57) if scope == "neuron" else (None, values.size)
        masks = [pqi.topk_mask(x, d - d * 45 // 100, axis=axis) for x in arrays.values()]
    for (name, x), mask in zip(arrays.items(), masks, strict=True):
        assert (written[name].numpy() == x * mask).all()
