"""The command: what it runs, what it says when it is misused, and that it can be stopped and resumed."""

import dataclasses
import os
import signal
import subprocess
import sys
import time

import pytest

import pqi
from experiment import original
from pqi import cli
from pqi.experiment.config import Training
from pqi.experiment.options import configurations
from pqi.experiment.presets import METHODS, PRESETS
from pqi.experiment.runs import find_runs
from pqi.experiment.study import execute_all

TINY = ["--model", "linear", "--epochs", "1", "--batch", "600", "--iterations", "1", "--jobs", "1"]


def options(*arguments):
    return cli.build_parser().parse_args(arguments)


def refused(capsys, *arguments):
    """Run a command that must be refused; return its one line."""
    try:
        status = cli.main(arguments)
    except SystemExit as stop:
        status = int(stop.code or 0)
    output, errors = capsys.readouterr()
    assert status == 2
    assert output == ""
    assert errors.endswith("\n")
    assert errors.count("\n") == 1, "one line"
    return errors


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_version_is_the_packages(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"pqindex {pqi.__version__}\n"


@pytest.mark.parametrize("command", ["prune", "demo", "report"])
def test_help_says_what_there_is(capsys, command):
    with pytest.raises(SystemExit, match="0"):
        cli.main([command, "--help"])
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: pqindex {command}")
    if command != "report":
        assert all(f"--{field.name.replace('_', '-')}" in shown for field in dataclasses.fields(Training))
        assert "digits: 0.005" in shown


def test_help_and_version_need_neither_torch_nor_matplotlib():
    code = (
        "import sys, pqi.cli\n"
        "try: pqi.cli.main(['prune', '--help'])\n"
        "except SystemExit: pass\n"
        "print('heavy:', sorted({'torch', 'matplotlib', 'rich', 'sklearn', 'jinja2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("heavy: []\n")


def test_the_module_runs_as_the_command():
    done = subprocess.run([sys.executable, "-m", "pqi", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"pqindex {pqi.__version__}\n"


def test_the_demo_compares_the_papers_methods_on_three_seeds():
    configs = configurations(options("demo"))
    preset = PRESETS["digits"]
    assert len(configs) == 12
    assert {config.method for config in configs} == set(METHODS)
    assert {config.seed for config in configs} == {0, 1, 2}
    assert all(config.training == preset.training and config.iterations == 15 for config in configs)
    assert all((config.dataset, config.model, config.scope) == ("digits", "mlp", "global") for config in configs)


@pytest.mark.parametrize("field", dataclasses.fields(Training), ids=lambda field: field.name)
def test_every_hyper_parameter_can_be_overridden_and_the_others_stay(field):
    preset = PRESETS["digits"].training
    flag, value = field.name.replace("_", "-"), getattr(preset, field.name)
    if isinstance(value, bool):
        value = not value
        arguments = [f"--{flag}" if value else f"--no-{flag}"]
    else:
        value = {"amp": "bf16"}.get(field.name) or value * 2
        arguments = [f"--{flag}", str(value)]
    (config,) = configurations(options("prune", "--method", "sap", *arguments))
    assert config.training == dataclasses.replace(preset, **{field.name: value})


def test_the_papers_presets_bring_its_seeds_and_prunings():
    configs = configurations(options("prune", "--preset", "paper-tinyimagenet-resnet18", "--method", "sap"))
    assert [config.seed for config in configs] == [0, 1, 2, 3]
    assert {(config.dataset, config.model, config.iterations) for config in configs} == {
        ("tinyimagenet", "resnet18", 15)
    }
    (one,) = configurations(options("prune", "--preset", "paper-cifar100-cnn", "--method", "sap", "--seeds", "7"))
    assert (one.seed, one.iterations, one.training.augment, one.device) == (7, 30, True, "cpu")
    (other,) = configurations(options("prune", "--method", "sap", "--device", "cuda", "--amp", "fp16"))
    assert (other.device, other.training.amp) == ("cuda", "fp16")


def test_processes_of_torchrun_are_part_of_the_settings(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    (config,) = configurations(options("prune", "--method", "sap"))
    assert config.processes == 4


def test_runs_are_the_product_of_what_is_asked_for_each_once():
    command = "prune --method sap --method sap:0.5,1 --method one --seeds 0 3 0 --scope layer neuron"
    configs = configurations(options(*command.split(), "--iterations", "2", "--threads", "2", "--model", "linear"))
    assert len(configs) == 2 * 2 * 2
    assert {config.scope for config in configs} == {"layer", "neuron"}
    assert {(config.iterations, config.threads, config.model) for config in configs} == {(2, 2, "linear")}


def test_options_override_a_grid_and_choose_among_its_runs():
    command = "prune --grid digits-study --method sap --method one --scope layer global --seeds 5 --epochs 3"
    configs = configurations(options(*command.split(), "--model", "linear", "--stop-at", "underfit", "--threads", "2"))
    assert {(config.scope, config.method.label) for config in configs} == {
        (scope, label) for scope in ("layer", "global") for label in ("SAP(½, 1)", "One Shot")
    }
    assert len(configs) == 4
    assert {(config.seed, config.training.epochs, config.model) for config in configs} == {(5, 3, "linear")}
    assert {(config.stop_at, config.compat, config.threads) for config in configs} == {("underfit", "paper", 2)}
    assert {(config.iterations, config.training.weight_decay) for config in configs} == {(30, 5e-3)}


def test_a_grid_can_be_run_on_another_network_and_data_set():
    command = "prune --grid paper-fig5 --dataset cifar100 --model cnn --method sap:1,1.6 --seeds 0"
    (config,) = configurations(options(*command.split()))
    assert (config.dataset, config.model, config.iterations) == ("cifar100", "cnn", 30)
    assert config.training.augment
    (config,) = configurations(options(*command.replace("cifar100 --model cnn", "digits --model mlp").split()))
    assert (config.dataset, config.model, config.iterations) == ("digits", "mlp", 15)


def test_list_shows_the_runs_and_how_far_they_are(capsys, empty):
    arguments = ["prune", "--method", "sap:1,2", "--method", "one-shot", *TINY]
    assert cli.main([*arguments, "--list"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == ["0/2", "0/2"]
    assert list(empty.iterdir()) == [], "nothing is run"
    assert cli.main([*arguments[:3], *TINY]) == 0
    capsys.readouterr()
    assert cli.main([*arguments, "--list"]) == 0
    first, second = (line.split() for line in capsys.readouterr().out.splitlines())
    assert [first[0], second[0]] == ["2/2", "0/2"]
    assert (empty / first[1] / "config.json").exists()


def test_a_list_that_nobody_reads_to_its_end_is_no_error(empty):
    command = [sys.executable, "-m", "pqi", "prune", "--grid", "digits-study", "--list"]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, cwd=empty, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_list_shows_which_runs_ended_early(capsys, empty):
    """Lottery Ticket that prunes everything collapses at its second training."""
    arguments = ["prune", "--method", "lottery-ticket:1", *TINY, "--iterations", "4", "--stop-at", "collapse"]
    assert cli.main(arguments) == 0
    capsys.readouterr()
    assert cli.main([*arguments, "--list"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("2/5 ")
    assert line.endswith(" stopped at collapse")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "pqindex: error: the following arguments are required: COMMAND"),
        (["prune", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["prune", "--method", "magic"], "method must be one of sap, lottery-ticket, one-shot, got 'magic'"),
        (["prune", "--method", "sap:2,1"], "p must satisfy 0 < p < q < inf, got p=2.0, q=1.0"),
        (["prune", "--method", "lottery:1.5"], "share must satisfy 0 <= share <= 1, got 1.5"),
        (["prune", "--scope", "channel"], "argument --scope: invalid choice: 'channel'"),
        (["prune", "--epochs", "many"], "argument --epochs: invalid int value: 'many'"),
        (["prune", "--epochs", "0"], "epochs must be >= 1, got 0"),
        (["prune", "--seeds", "-1"], "seed must be >= 0 and < 2**32, got -1"),
        (["prune", "--jobs", "0"], "jobs must be >= 1, got 0"),
        (["prune", "--grid", "paper-fig0"], "grid must be a file ending in .json or one of digits-study"),
        (["prune", "--grid", "nowhere.json"], "nowhere.json"),
        (["prune", "--grid", "digits-study", "--method", "one:.3"], "grid must have runs with the methods and scopes"),
        (["prune", "--grid", "digits-study", "--iterations", "-1"], "iterations must be >= 0, got -1"),
        (["prune", "--stop-at", "soon"], "argument --stop-at: invalid choice: 'soon'"),
        (["prune", "--compat", "old"], "argument --compat: invalid choice: 'old'"),
        (["prune", "--preset", "paper-mnist-mlp"], "argument --preset: invalid choice: 'paper-mnist-mlp'"),
        (["prune", "--preset", "paper-cifar10-cnn"], "data must be the folder with the original files of cifar10, got"),
        (["prune", "--preset", "paper-cifar10-cnn", "--data", "none"], "data must be a folder, got none"),
        (["prune", "--preset", "paper-cifar10-cnn", "--model", "mlp"], "model must be one of cnn with preset paper-"),
        (["prune", "--workers", "-1"], "workers must be >= 0, got -1"),
        (["prune", "--amp", "fp8"], "argument --amp: invalid choice: 'fp8'"),
        (["prune", "--amp", "fp16"], "amp must be off or bf16 on a CPU, got fp16"),
        (["report"], "the following arguments are required: DIR"),
        (["report", "nowhere"], "no run in nowhere"),
    ],
)
def test_misuse_is_refused_in_one_line_before_any_work(capsys, empty, arguments, message):
    assert message in refused(capsys, *arguments)
    assert list(empty.iterdir()) == []


def test_the_running_mean_is_asked_for_on_the_command_line(monkeypatch):
    asked = []

    def report(directory, *, running_mean):
        asked.append(running_mean)
        return 0

    monkeypatch.setattr(cli, "report", report)
    assert cli.main(["report", "runs", "--running-mean"]) == cli.main(["report", "runs"]) == 0
    assert asked == [True, False]


@pytest.mark.parametrize("command", [["prune"], ["demo"], ["report", "runs"]])
def test_missing_extras_are_named_with_the_remedy(capsys, empty, monkeypatch, command):
    monkeypatch.setattr(cli, "find_spec", lambda name: None if name in ("torch", "sklearn") else object())
    line = refused(capsys, *command)
    assert line == f"pqindex {command[0]} needs torch, scikit-learn: pip install 'pqindex[all]'\n"


def test_a_damaged_data_set_is_named_once_for_all_runs(capsys, empty):
    original.fashion_mnist(empty / "files")
    path = empty / "files" / original.FASHION[0]
    path.write_bytes(path.read_bytes()[:-1])
    arguments = ["prune", "--preset", "paper-fashionmnist-linear", "--data", str(empty / "files"), *TINY[2:]]
    assert cli.main(arguments) == 1
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert line.startswith("pqindex prune: error: fashionmnist-linear-global-sap-0.5-1-seed0-")
    assert line.endswith(f"and 15 more: {path}: is truncated: its header says 31,360 bytes of content, got 31,359")
    assert list((empty / "runs").glob("*/*")) == [], "before any run begins"


def test_prune_reads_original_files_with_workers_and_mixed_precision(capsys, empty):
    original.fashion_mnist(empty / "files", compressed=True)
    arguments = ["prune", "--preset", "paper-fashionmnist-mlp", "--data", str(empty / "files"), "--method", "sap:1,2"]
    assert cli.main([*arguments, "--seeds", "1", "--workers", "1", "--amp", "bf16", "--augment", *TINY[2:]]) == 0
    (run,) = find_runs(empty / "runs" / "paper-fashionmnist-mlp")
    assert (run.config().training.amp, run.config().training.augment) == ("bf16", True)
    assert len(run.records()) == 2


def test_prune_runs_reports_and_says_where(capsys, empty):
    arguments = ["prune", "--method", "sap:1,2", "--method", "lottery", *TINY]
    assert cli.main(arguments) == 0
    output, errors = capsys.readouterr()
    assert "Lottery Ticket" in output
    assert output.splitlines()[-1] == "report: runs/digits/report.html   figures: runs/digits/figures"
    assert "✓ SAP(1, 2), global, seed 0" in errors
    root = empty / "runs" / "digits"
    page = (root / "report.html").read_text()
    assert len(list((root / "figures").glob("*.png"))) == 7
    lines = [(run.path / "records.jsonl").read_bytes() for run in find_runs(root)]
    assert [line.count(b"\n") for line in lines] == [2, 2]

    assert cli.main(["report", str(root)]) == 0
    assert (root / "report.html").read_text() == page


def test_a_finished_run_is_read_and_not_repeated(capsys, empty, monkeypatch):
    monkeypatch.setattr(cli, "report", lambda directory: 0)
    arguments = ["prune", "--method", "sap:1,2", *TINY]
    assert cli.main(arguments) == 0
    (run,) = find_runs(empty / "runs" / "digits")
    before = {path.name: path.stat().st_mtime_ns for path in run.path.iterdir() if path.name != "lock"}
    assert cli.main(arguments) == 0
    assert {path.name: path.stat().st_mtime_ns for path in run.path.iterdir() if path.name != "lock"} == before


def test_a_failed_run_is_named(capsys, empty, monkeypatch):
    monkeypatch.setattr(cli, "report", lambda directory: 0)
    assert cli.main(["prune", "--method", "sap:1,2", "--lr", "1e30", *TINY]) == 1
    _, errors = capsys.readouterr()
    (line,) = [line for line in errors.splitlines() if "error" in line]
    assert line.startswith("pqindex prune: error: digits-linear-global-sap-1-2-seed0-")
    assert "classifier.weight" in line


def test_ctrl_c_ends_the_command_and_the_same_command_resumes(tmp_path):
    arguments = ["prune", "--method", "sap:1,2", "--method", "one-shot", "--model", "linear"]
    arguments += ["--epochs", "40", "--iterations", "4", "--jobs", "2", "--out"]
    interrupted, whole = tmp_path / "interrupted", tmp_path / "whole"

    command = [sys.executable, "-m", "pqi", *arguments, str(interrupted)]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs inherit none
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 60
    while not list(interrupted.glob("*/state.pt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "interrupted: finished iterations are kept, the same command resumes"
    assert output == ""
    assert "Traceback" not in errors
    left = [path.read_bytes().count(b"\n") for path in interrupted.glob("*/records.jsonl")]
    assert 0 < sum(left) < 2 * 5

    for out in (interrupted, whole):
        configs = configurations(options(*arguments, str(out)))
        assert execute_all(configs, out, jobs=1, on_advance=lambda advance: None) == []
    resumed, expected = (
        {run.path.name: (run.path / "records.jsonl").read_bytes() for run in find_runs(out)}
        for out in (interrupted, whole)
    )
    assert resumed == expected
