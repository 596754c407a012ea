"""Write what a digits study gave: docs/study-*.png, and the README's section between its markers.

    pqindex prune --grid digits-study --out runs/study
    python docs/study_section.py runs/study

Every number and every comparison in the section is computed here from the runs, whichever way it comes out.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path

from pqi.experiment import figures, findings
from pqi.experiment.ablations import Ablation, ablations, compared
from pqi.experiment.findings import TARGETS
from pqi.experiment.quantities import PAIRS, accuracy, remaining, retrained, share_clamped
from pqi.experiment.report import read_studies
from pqi.experiment.series import Result, Series, Study
from pqi.experiment.summary import TOLERANCE, summarise
from pqi.experiment.turns import advice
from pqi.prune import StopAt

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- study:begin -->", "<!-- study:end -->"


def main() -> None:
    """Read the runs, draw the figures and rewrite the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, metavar="DIR", help="directory of the study's runs")
    studies = read_studies(parser.parse_args().runs)
    draw(studies, ROOT / "docs")
    readme = ROOT / "README.md"
    readme.write_text(with_section(readme.read_text(encoding="utf-8"), section(studies)), encoding="utf-8")


def with_section(text: str, written: str) -> str:
    """Return a page with the section between its markers."""
    if BEGIN not in text or END not in text:
        raise SystemExit(f"README.md must have the lines {BEGIN} and {END}")
    before, rest = text.split(BEGIN, 1)
    return f"{before}{BEGIN}\n{written}{END}{rest.split(END, 1)[1]}"


def draw(studies: Sequence[Study], folder: Path) -> None:
    """Draw the figures that the section shows."""
    methods = [compared(study, ablations(study)) for study in studies]
    chosen = {f"scopes-{one.name}": one for one in figures.of_scopes(methods)}
    chosen |= {one.name: one for one in figures.of_methods(_global(methods)) if one.name in ("pqi", "heatmap")}
    for varied in ablations(_global(studies)):
        (chosen[varied.parameter],) = figures.of_ablation(varied)
    for name, one in chosen.items():
        one.save_png(folder / f"study-{name}.png")


def section(studies: Sequence[Study]) -> str:
    """Return the section: what was run, retrainings, the hypothesis, ablations, and the sanity check."""
    methods = [compared(study, ablations(study)) for study in studies]
    paragraphs = [
        _introduction(studies),
        "![Test accuracy against weights remaining, by scope](docs/study-scopes-tradeoff.png)",
        "**What does SAP gain in retrainings at equal accuracy?** " + _gains(methods),
        _retrainings(methods),
        "**Does the hypothesis show?** " + _hypothesis(methods, studies),
        _turning_points(methods),
        "![PQ Index per pruning iteration, global scope, with the turns of the stop advice](docs/study-pqi.png)",
        "**What do p and q, η and γ do?** " + _effects(ablations(_global(studies))),
        _ablations(ablations(_global(studies))),
        "**Does pruning lower the index of the pruned weights?** " + _lowered(studies),
        _more(ablations(_global(studies))),
    ]
    return "\n\n".join(map(_wrapped, paragraphs)) + "\n"


def _wrapped(paragraph: str) -> str:
    """Return prose in lines of at most 120 characters; tables, pictures and blocks as they are."""
    if "\n" in paragraph or paragraph.startswith("!"):
        return paragraph
    return textwrap.fill(paragraph, 120, break_long_words=False, break_on_hyphens=False)


def _introduction(studies: Sequence[Study]) -> str:
    series = [one for study in studies for one in study.series]
    runs, first = sum(len(one.results) for one in series), series[0]
    return (
        f"Written by `make study`: {runs} runs of {first.config.iterations} prunings of an MLP on scikit-learn's "
        f"digits, {len(first.results)} seeds of each configuration, means over seeds. Test accuracy is equal where it "
        f"is within {TOLERANCE:g} points of the seed's own dense network ({_accuracy_at(first, 0):.1f} % on average); "
        "the test split has 347 images, so one image is 0.3 points."
    )


def _gains(methods: Sequence[Study]) -> str:
    targets = " / ".join(f"{target:g}" for target in TARGETS)
    sentences = [f"Retrainings until fewer than {targets} % of the weights remain (a dash: not with every seed)."]
    for study in methods:
        sap, lottery = _means(_named(study, "SAP(1, 2)")), _means(_named(study, "Lottery Ticket"))
        ours, theirs = (
            " / ".join("–" if mean is None else f"{mean:.1f}" for mean in means) for means in (sap, lottery)
        )
        pairs = list(zip(TARGETS, sap, lottery, strict=True))
        fewer = [f"{target:g}" for target, one, other in pairs if one is not None and (other is None or one < other)]
        sentences.append(
            f"{study.scope.capitalize()} scope: SAP(1, 2) {ours}, Lottery Ticket {theirs}; SAP needs fewer at "
            f"{' and '.join(fewer) + ' %' if fewer else 'none of them'}."
        )
    half = [f"{_left_at(_named(study, 'SAP(½, 1)'), -1):.0f} % ({study.scope})" for study in methods]
    sentences.append(f"SAP(½, 1) still has {', '.join(half)} of the weights after all prunings.")
    return " ".join(sentences)


def _means(one: Series) -> list[float | None]:
    return [findings.reached(one, target).mean for target in TARGETS]


def _retrainings(methods: Sequence[Study]) -> str:
    headings = ["method, scope", *(f"< {target:g} %" for target in TARGETS), "fewest within tolerance", "last"]
    rows = []
    for study in methods:
        for one in study.series:
            found = [findings.reached(one, target) for target in TARGETS]
            cells = [_reached(each) for each in found]
            smallest, last = summarise(one).smallest, summarise(one).last
            ends = f"{last.remaining:.2f} % at {last.accuracy:.1f} ± {last.deviation:.1f} %"
            rows.append([f"{one.label}, {study.scope}", *cells, f"{smallest.remaining:.2f} %", ends])
    return _table(headings, rows)


def _hypothesis(methods: Sequence[Study], studies: Sequence[Study]) -> str:
    compared_runs, everything = findings.turns(_results(methods)), findings.turns(_results(studies))
    fallen = [one for one in _results(studies) if findings.inflection(one) is not None]
    others = [one for one in _results(studies) if findings.inflection(one) is None]
    shown = findings.turns(fallen)
    return (
        f"Of all {everything.runs} runs, ablations included, {everything.collapsed} lose {findings.FALL:g} points of "
        f"accuracy: among these the index falls and rises again in {shown.troughs}, and falls a second time in "
        f"{shown.peaks}. Among the other {len(others)} it rises again in {findings.turns(others).troughs}. The paper's "
        "remark that accuracy has its inflection where the index peaks: the steepest fall is at most one iteration "
        f"from the peak in {everything.within(1)} of the {len(everything.pairs)} runs that have both, at most two in "
        f"{everything.within(2)}; among the {compared_runs.runs} runs below in {compared_runs.within(1)} and "
        f"{compared_runs.within(2)} of {len(compared_runs.pairs)}. As advice: of the {len(fallen)} runs "
        f"{_stops('underfit', fallen)}, {_stops('collapse', fallen)}; of the {len(others)} others "
        f"{_stops('underfit', others)}."
    )


def _stops(at: StopAt, results: Sequence[Result]) -> str:
    """Return how many runs the advice would have ended, and their mean accuracy at that point."""
    found = [(result, advice(result)) for result in results]
    turns = [(result, one.peak if at == "collapse" else one.trough or one.peak) for result, one in found]
    ends = [accuracy(retrained)(result.records[turn.confirmed]) for result, turn in turns if turn is not None]
    return f"`--stop-at {at}` ends {len(ends)}" + (f", at {statistics.fmean(ends):.1f} % accuracy" if ends else "")


def _turning_points(methods: Sequence[Study]) -> str:
    headings = [
        "method, scope",
        "runs",
        "rises again",
        "rises and falls",
        f"lose {findings.FALL:g} points",
        "inflection/peak",
    ]
    rows = []
    for study in methods:
        for one in study.series:
            found = findings.turns(one.results)
            pairs = ", ".join(f"{at}/{peak}" for at, peak in found.pairs)
            counts = (found.runs, found.troughs, found.peaks, found.collapsed)
            rows.append([f"{one.label}, {study.scope}", *map(str, counts), pairs or "–"])
    return _table(headings, rows)


def _effects(varied: Sequence[Ablation]) -> str:
    sentences = []
    for one in varied:
        left = [_left_at(series, -1) for series in one.series]
        order = (
            "fewer weights with every step" if all(a > b for a, b in itertools.pairwise(left)) else "not in its order"
        )
        ends = f"{left[0]:.3g} % at {one.labels[0]} to {left[-1]:.3g} % at {one.labels[-1]}"
        dense = _accuracy_at(one.series[0], 0)
        kept = [
            label
            for label, each in zip(one.labels, one.series, strict=True)
            if _accuracy_at(each, -1) >= dense - TOLERANCE
        ]
        text = f"{one.symbol}: {order}, from {ends} after all prunings; "
        text += "all" if len(kept) == len(one.series) else ", ".join(kept) or "none"
        sentences.append(f"{text} end within the tolerance.")
    cut = [
        (label, _cut(each))
        for one in varied
        if one.parameter == "gamma"
        for label, each in zip(one.labels, one.series, strict=True)
    ]
    first = [f"{label} ({steps} steps)" for label, (at_first, steps) in cut if at_first]
    sentences.append(
        f"The largest share β decides the very first step at {', '.join(first) or 'no γ'}: there γ says little."
    )
    return " ".join(sentences)


def _ablations(varied: Sequence[Ablation]) -> str:
    headings = ["SAP in global scope", "retrainings to < 10 %", "fewest within tolerance", "last", "steps cut at β"]
    rows = []
    for one in varied:
        for label, series in zip(one.labels, one.series, strict=True):
            last, reach = summarise(series).last, findings.reached(series, 10.0)
            rows.append(
                [
                    f"{one.title.split(' of ')[1]}, {label}".replace("SAP at ", ""),
                    _reached(reach),
                    f"{summarise(series).smallest.remaining:.2f} %",
                    f"{last.remaining:.3g} % at {last.accuracy:.1f} ± {last.deviation:.1f} %",
                    str(_cut(series)[1]),
                ]
            )
    return _table(headings, rows)


def _lowered(studies: Sequence[Study]) -> str:
    found = findings.lowered(_results(studies))
    parts = [f"{count:,} at ({p:g}, {q:g})" for (p, q), count in zip(PAIRS, found.lowered, strict=True)]
    text = f"In {' and '.join(parts)} of {found.steps:,} pruning steps. "
    exceptions = []
    for study in studies:
        of_study = findings.lowered(_results([study]))
        raised = [of_study.steps - count for count in of_study.lowered]
        exceptions.append(f"{' and '.join(map(str, raised))} of {of_study.steps:,} in {study.scope} scope")
    return f"{text}The exceptions: {', '.join(exceptions)}."


def _more(varied: Sequence[Ablation]) -> str:
    pictures = [f"![Ablation: {one.title}](docs/study-{one.parameter}.png)" for one in varied]
    pictures.append("![SAP(½, 1) layer by layer, by scope](docs/study-scopes-layers.png)")
    pictures.append("![PQ Index at every p and q, at several iterations](docs/study-heatmap.png)")
    inside = "\n\n".join(pictures)
    name = "Figures: ablations, layers, and the index at every p and q"
    return f"<details><summary>{name}</summary>\n\n{inside}\n\n</details>"


def _global(studies: Sequence[Study]) -> Study:
    return next(study for study in studies if study.scope == "global")


def _named(study: Study, label: str) -> Series:
    return next(one for one in study.series if one.label == label)


def _results(studies: Sequence[Study]) -> list[Result]:
    return [result for study in studies for one in study.series for result in one.results]


def _left_at(one: Series, t: int) -> float:
    return float(one.curve(remaining(retrained)).mean[t])


def _accuracy_at(one: Series, t: int) -> float:
    return float(one.curve(accuracy(retrained)).mean[t])


def _cut(one: Series) -> tuple[bool, int]:
    """Return whether the first step was cut at β, and how many steps were, over all seeds."""
    cut = [[share_clamped(record) > 0 for record in result.records] for result in one.results]
    return all(of_seed[0] for of_seed in cut), sum(map(sum, cut))


def _reached(found: findings.Reached) -> str:
    if found.mean is not None:
        return f"{found.mean:.1f}"
    return f"{len(found.retrainings)} of {found.runs} runs" if found.retrainings else "–"


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
