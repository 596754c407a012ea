"""Sections of the report: for each model on each data set the methods by scope, the scopes, ablations and findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from pqi.experiment import figures, finding_tables, tables
from pqi.experiment.ablations import Ablation, ablations, compared
from pqi.experiment.figures import Drawing
from pqi.experiment.series import Series, Study
from pqi.experiment.tables import Table


@dataclass(frozen=True)
class Section:
    """One heading of the report and what stands under it."""

    name: str
    """Prefix of its figures' file names, and its address within the page."""
    title: str
    lead: str = ""
    tables: tuple[Table, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    series: tuple[Series, ...] = ()
    """Series that are told iteration by iteration."""
    compared: Study | None = None
    """The methods that it compares, where it does."""


TURNING_POINTS = (
    "The paper’s hypothesis: the index of the retrained weights falls, rises when under-fitting starts, and falls "
    "again when the network collapses; its remark: accuracy has its inflection point where the index peaks. Turns are "
    "those of the stop advice; the inflection is where test accuracy falls steepest, where it falls far enough."
)
LOWERED = (
    "The paper’s sanity check: pruning alone, before any retraining, lowers the index. It is not a theorem, since the "
    "smallest of many equal weights can go while a large one stays."
)
RETRAININGS = "A mean over the seeds where all of them got there; otherwise how many did. Fewer retrainings are better."


def sections(found: Sequence[Study], *, running_mean: bool = False) -> list[Section]:
    """Return the sections about these studies, which are in the order of `pqi.experiment.series.studies`."""
    shown: list[Section] = []
    for _, members in groupby(found, key=lambda study: (study.dataset, study.model)):
        studies = list(members)
        varied = [ablations(study) for study in studies]
        methods = [compared(study, without) for study, without in zip(studies, varied, strict=True)]
        shown += [_methods(study, running_mean=running_mean) for study in methods if study.series]
        if len(methods) > 1:
            shown.append(_scopes(methods))
        shown += [_ablation(study, one) for study, ones in zip(studies, varied, strict=True) for one in ones]
        shown += _findings(studies)
    return shown


def _methods(study: Study, *, running_mean: bool) -> Section:
    return Section(
        name=study.name,
        title=f"{study.model} on {study.dataset}, {study.scope} scope",
        tables=(tables.milestones(study),),
        drawings=tuple(figures.of_methods(study, running_mean=running_mean)),
        series=study.series,
        compared=study,
    )


def _scopes(studies: Sequence[Study]) -> Section:
    first = studies[0]
    return Section(
        name=f"{first.dataset}-{first.model}-scopes",
        title=f"{first.model} on {first.dataset}, scopes",
        drawings=tuple(figures.of_scopes(studies)),
    )


def _ablation(study: Study, one: Ablation) -> Section:
    return Section(
        name=one.name,
        title=f"{study.model} on {study.dataset}, {study.scope} scope: {one.title}",
        tables=(tables.milestones(replace(study, series=one.series)),),
        drawings=tuple(figures.of_ablation(one)),
        series=tuple(series for series in one.series if series.config not in _configs(compared(study, [one]))),
    )


def _findings(studies: Sequence[Study]) -> list[Section]:
    where, name = f"{studies[0].model} on {studies[0].dataset}", f"{studies[0].dataset}-{studies[0].model}"
    return [
        Section(f"{name}-retrainings", f"{where}: retrainings", RETRAININGS, (finding_tables.retrainings(studies),)),
        Section(
            f"{name}-turning-points",
            f"{where}: the hypothesis",
            TURNING_POINTS,
            (finding_tables.turning_points(studies),),
        ),
        Section(
            f"{name}-lowered", f"{where}: does pruning lower the index?", LOWERED, (finding_tables.lowered(studies),)
        ),
    ]


def _configs(study: Study) -> set[object]:
    return {series.config for series in study.series}
