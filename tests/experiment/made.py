"""Records and results made by hand, so that what tables and figures show can be told beforehand."""

from experiment.tiny import configuration
from pqi.experiment.series import Result
from pqi.prune import GroupReport, GroupStats, IndexAt, IterationRecord, ModelResult, StepReport

TOTAL = 1000


def stats(live, *, name="global", index=0.2, gini=0.4, bound=None):
    return GroupStats(
        name=name, total=TOTAL, live=live, zeros=0, index=index, gini=gini, bound=live / 2 if bound is None else bound
    )


def result(live, accuracy, *, index=0.2):
    return ModelResult(
        metrics={split: {"accuracy": accuracy, "loss": 1 - accuracy} for split in ("validation", "test")},
        weights=stats(live, index=index),
        layers=(stats(live, name="classifier.weight", index=index),),
        indices=(IndexAt(p=0.5, q=1.0, index=index), IndexAt(p=1.0, q=2.0, index=2 * index)),
    )


def step(live, pruned, *, clamped=False, ratio=None):
    share = pruned / max(live, 1) if ratio is None else ratio
    group = GroupReport(**vars(stats(live)), ratio=share, clamped=clamped, pruned=pruned)
    return StepReport(groups=(group,), pruned=pruned, remaining=live - pruned, total=TOTAL)


def records(lives, accuracies, *, clamped=False, loss_of_pruning=0.1, indices=None):
    """Return one record per entry; the pruned network is worse by `loss_of_pruning`."""
    made = []
    indices = indices or [0.2] * len(lives)
    for t, (live, accuracy) in enumerate(zip(lives, accuracies, strict=True)):
        last = t == len(lives) - 1
        after = None if last else lives[t + 1]
        made.append(
            IterationRecord(
                iteration=t,
                training={"loss": 0.1},
                retrained=result(live, accuracy, index=indices[t]),
                step=None if after is None else step(live, live - after, clamped=clamped),
                pruned=None if after is None else result(after, accuracy - loss_of_pruning, index=0.1),
                reference=None,
            )
        )
    return tuple(made)


def run(lives=(1000, 500, 80), accuracies=(0.98, 0.98, 0.97), *, clamped=False, indices=None, **settings):
    """Return a run of a linear classifier that has finished these iterations."""
    config = configuration(iterations=len(lives) - 1, **settings)
    return Result(config, records(lives, accuracies, clamped=clamped, indices=indices), "python 3")
