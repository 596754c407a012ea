"""Run directories: all-or-nothing files, damage that is noticed, and what a killed process leaves behind."""

import multiprocessing
import os
import stat
from pathlib import Path

import pytest
import torch

from experiment.tiny import configuration
from pqi.experiment.runs import RunDirectory, find_runs, write_atomically
from pqi.experiment.study import execute


@pytest.fixture
def run(tmp_path):
    execute(configuration(), tmp_path, lambda advance: None)
    return RunDirectory(tmp_path / configuration().name)


def test_a_run_holds_these_files(run):
    names = {path.name for path in run.path.iterdir()}
    assert names == {
        "config.json",
        "environment.json",
        "records.jsonl",
        "state.pt",
        "initial.pt",
        "final.pt",
        "lock",
    }
    assert run.config() == configuration()
    assert run.environment()["torch"] == torch.__version__
    assert [record.iteration for record in run.records()] == [0, 1, 2]


def test_a_replaced_file_is_all_old_or_all_new(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(descriptor):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_leftover_of_a_killed_writer_is_overwritten(tmp_path):
    (tmp_path / ".file.tmp").write_bytes(b"half a fi")
    write_atomically(tmp_path / "file", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_written_files_have_ordinary_permissions(tmp_path):
    write_atomically(tmp_path / "file", b"new")
    (tmp_path / "other").touch()
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_records_past_the_state_are_cut_off(run):
    path = run.path / "records.jsonl"
    kept = path.read_bytes()
    path.write_bytes(kept + kept.splitlines(keepends=True)[0] + b'{"iteration": 3, "trai')
    assert len(run.records()) == 3
    assert path.read_bytes() != kept, "reading must not change the file"
    state = run.load_last()
    assert state is not None
    assert state["iteration"] == 3
    assert path.read_bytes() == kept


@pytest.mark.parametrize("damage", [lambda lines: lines[1:], lambda lines: [*lines[:2], lines[0]], lambda lines: []])
def test_missing_or_misplaced_records_are_noticed(run, damage):
    path = run.path / "records.jsonl"
    path.write_text("".join(damage(path.read_text().splitlines(keepends=True))))
    with pytest.raises(ValueError, match="must hold one record for each of the 3 finished iterations"):
        run.records()


@pytest.mark.parametrize("content", ["", "[]", "{", '{"dataset": "digits"}', '{"training": 3, "method": {}}'])
def test_a_damaged_configuration_is_noticed(run, content):
    (run.path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=r"config.json must hold the configuration of a run"):
        run.config()
    with pytest.raises(ValueError, match=r"config.json must hold the configuration of a run"):
        RunDirectory.create(run.path.parent, configuration())


def test_a_directory_with_another_configuration_is_refused(tmp_path):
    run = RunDirectory.create(tmp_path, configuration())
    run.path.rename(tmp_path / configuration(seed=1).name)
    with pytest.raises(ValueError, match="must hold the configuration of its name"):
        RunDirectory.create(tmp_path, configuration(seed=1))


def hold(path: Path, ready, done):
    with RunDirectory(path).locked():
        ready.set()
        done.wait(60)


def test_a_run_is_advanced_by_one_process_at_a_time(run):
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=hold, args=(run.path, ready, done))
    other.start()
    assert ready.wait(60)
    with pytest.raises(BlockingIOError, match="another process is running"), run.locked():
        pass
    other.kill()
    other.join()
    with run.locked():
        pass


def test_runs_are_found_in_their_root_or_by_themselves(run):
    assert find_runs(run.path) == find_runs(run.path.parent) == [run]
    with pytest.raises(FileNotFoundError, match="no run in"):
        find_runs(run.path / "nothing")
