"""Progress in the terminal: bars move, and a finished run leaves one line, once."""

import io

from rich.console import Console

from experiment.tiny import configuration
from pqi.experiment.progress import progress_bars
from pqi.experiment.study import Advance

FIRST, SECOND = configuration(), configuration(seed=1)


def shown(advances, *, terminal):
    output = io.StringIO()
    with progress_bars([FIRST, SECOND], Console(file=output, force_terminal=terminal, width=100)) as on_advance:
        for advance in advances:
            on_advance(advance)
    return output.getvalue()


def test_a_finished_run_leaves_one_line():
    output = shown([Advance(FIRST.name, 2, 1), Advance(FIRST.name, 3), Advance(FIRST.name, 3)], terminal=False)
    assert output.split("\n")[0] == "✓ SAP(1, 2), global, seed 0"
    assert output.count("✓") == 1


def test_bars_show_the_iteration_and_how_many_are_finished():
    output = shown([Advance(FIRST.name, 3), Advance(SECOND.name, 1, 1)], terminal=True)
    assert "iteration 1/2" in output
    assert "1/2 finished" in output
