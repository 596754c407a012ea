"""Tables show every quantity, seeds' spreads, absent values as such, and how often beta decided."""

from experiment import made
from pqi.experiment import tables
from pqi.experiment.method_spec import MethodSpec
from pqi.experiment.series import studies


def table_of(build, *runs):
    (study,) = studies(runs)
    table = build(study) if build in (tables.milestones, tables.brief) else build(study.series[0])
    return [f"{heading.group}: {heading.name}" for heading in table.headings], [
        list(map(str, row)) for row in table.rows
    ]


def test_iterations_have_one_row_each_and_all_columns():
    headings, rows = table_of(tables.iterations, made.run())
    assert len(headings) == 1 + len(tables.COLUMNS) + 1
    assert [row[0] for row in rows] == ["0", "1", "2"]
    shown = dict(zip(headings, rows[0], strict=True))
    assert shown["Retrained: left (%)"] == "100.00"
    assert shown["Retrained: test accuracy (%)"] == "98.00"
    assert shown["Retrained: PQI(0.5, 1)"] == "0.2000"
    assert shown["Pruning step: pruned (count)"] == "500"
    assert shown["Pruned, not yet retrained: change (points)"] == "-10.00"
    last = dict(zip(headings, rows[-1], strict=True))
    assert last["Pruning step: pruned (count)"] == tables.ABSENT
    assert last["Pruned, not yet retrained: Gini"] == tables.ABSENT


def test_several_seeds_have_a_spread():
    runs = made.run(accuracies=(0.98, 0.98, 0.97)), made.run(accuracies=(0.96, 0.98, 0.97), seed=1)
    _, rows = table_of(tables.iterations, *runs)
    assert rows[0][2] == "97.00 ± 1.41"
    assert rows[1][2] == "98.00 ± 0.00"


def test_layers_have_three_columns_each():
    headings, rows = table_of(tables.layers, made.run())
    assert headings == [": t", "classifier.weight: left (%)", "classifier.weight: PQI", "classifier.weight: Gini"]
    assert rows[2] == ["2", "8.00", "0.2000", "0.4000"]


def test_milestones_say_when_where_and_how_often_beta_decided():
    lottery = made.run((1000, 800, 640), (0.98, 0.9, 0.9), method=MethodSpec.parse("lottery"))
    _, rows = table_of(tables.milestones, made.run(clamped=True), lottery)
    assert rows == [
        ["SAP(1, 2)", "98.00", "2", "8.00", "97.00", "2", "8.00", "97.00", "2", "8.00", "97.00", "2 of 2", "–", "–"],
        ["Lottery Ticket", "98.00", "–", "–", "–", "0", "100.00", "98.00", "2", "64.00", "90.00", "0 of 2", "–", "–"],
    ]


def test_the_stop_advice_is_told_for_every_seed_and_iteration():
    turning = {"lives": (1000, 500, 200, 100), "accuracies": (0.9,) * 4}
    runs = (
        made.run(**turning, indices=(0.2, 0.1, 0.3, 0.1)),
        made.run(**turning, indices=(0.2, 0.1, 0.1, 0.1), seed=1),
    )
    _, rows = table_of(tables.iterations, *runs)
    assert [row[-1] for row in rows] == ["r", "r", "1r 1u", "1r 1c"]
    _, (row,) = table_of(tables.milestones, *runs)
    assert row[-2:] == ["1, –", "2, –"]


def test_brief_milestones():
    headings, rows = table_of(tables.brief, made.run())
    assert headings[2] == "< 10 %: at t"
    assert rows == [["SAP(1, 2)", "98.0", "2", "8.0", "97.0", "8.0", "97.0"]]


def test_groups_span_their_columns():
    (study,) = studies([made.run()])
    table = tables.iterations(study.series[0])
    assert [name for name, _ in table.groups] == [
        "",
        "Retrained",
        "Pruning step",
        "Pruned, not yet retrained",
        "Advice",
    ]
    assert sum(span for _, span in table.groups) == len(table.headings)
