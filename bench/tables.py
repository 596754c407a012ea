"""A run as Markdown: the README's table of bars, and the page of everything that was timed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from bars import BARS, Bar, Case, Unit
from measured import LARGE, LIBRARIES, Key, Run, Timing

PEERS = LIBRARIES[1:]


def short(value: float) -> str:
    """Return a number with two or three digits."""
    return f"{value:.0f}" if value >= 99.5 else f"{value:.1f}" if value >= 9.95 else f"{value:.2f}"


def line(cells: Iterable[str]) -> str:
    """Return a line of a table."""
    return "| " + " | ".join(cells) + " |"


def head(first: str, *rest: str) -> list[str]:
    """Return a table's first two lines; figures stand right."""
    return [line([first, *rest]), "|---|" + "---:|" * len(rest)]


def kept(figure: float, bar: Bar) -> bool:
    """Return whether a figure keeps its bar."""
    if bar.bar is None:
        return True
    return figure >= bar.bar if bar.unit.at_least else figure <= bar.bar


def limit(value: float | None, unit: Unit) -> str:
    """Return a bar's or a goal's cell."""
    return "" if value is None else f"{'≥' if unit.at_least else '≤'} {value:g}"


def figures(run: Run, bar: Bar) -> str:
    """Return a bar's figures, bold where they keep it."""
    cells = []
    for case in bar.cases:
        figure = run.figure(case, bar.unit)
        text = "–" if figure is None else short(figure)
        cells.append(f"**{text}**" if figure is not None and kept(figure, bar) else text)
    return " / ".join(cells)


def peer_figures(run: Run, bar: Bar, library: str) -> str:
    """Return a peer's figures in the same unit, where they are times."""
    read: dict[Unit, Callable[[Timing], float]] = {
        Unit.PASSES: lambda timing: timing.passes,
        Unit.MICROSECONDS: lambda timing: timing.seconds * 1e6,
    }
    timings = [run.at(case, library) for case in bar.cases]
    if bar.unit not in read or not any(timings):
        return ""
    return " / ".join("–" if timing is None else short(read[bar.unit](timing)) for timing in timings)


def bars_table(run: Run) -> list[str]:
    """Return every bar next to what was measured."""
    centre = run.centre
    title = f"{centre.n:,} {centre.dtype}, {centre.threads} threads"
    lines = head(title, "measured", "unit", "bar", "goal", *PEERS)
    for bar in BARS:
        if any(run.at(case, "pqi") for case in bar.cases):
            peers = [peer_figures(run, bar, library) for library in PEERS]
            limits = [limit(bar.bar, bar.unit), limit(bar.goal, bar.unit)]
            lines.append(line([bar.label, figures(run, bar), bar.unit.value, *limits, *peers]))
    return lines


def cell(timing: Timing | None, n: int) -> str:
    """Return a timing in the unit of its size."""
    if timing is None:
        return ""
    return short(timing.passes if n >= LARGE else timing.seconds * 1e6)


def size_table(run: Run, n: int) -> list[str]:
    """Return all libraries at one size of the centre's type and distribution."""
    centre = run.centre
    unit = Unit.PASSES if n >= LARGE else Unit.MICROSECONDS
    lines = head(f"{n:,} {centre.dtype}, {centre.threads} threads, {unit.value}", *LIBRARIES)
    for job in dict.fromkeys(key.job for key in run.timings):
        keys = [centre._replace(job=job, n=n, library=library) for library in LIBRARIES]
        if keys[0] in run.timings:
            lines.append(line([job, *(cell(run.timings.get(key), n) for key in keys)]))
    return lines


def axis_table(run: Run, axis: str) -> list[str]:
    """Return this library along one axis through the centre."""
    centre = run.centre
    ours = [key for key in run.timings if key.library == "pqi" and key.n == centre.n]
    values = list(dict.fromkeys(getattr(key, axis) for key in ours))

    def row(job: str) -> list[Key]:
        return [centre._replace(job=job, library="pqi", **{axis: value}) for value in values]

    jobs = [job for job in dict.fromkeys(key.job for key in ours) if sum(key in run.timings for key in row(job)) > 1]
    title = f"{centre.n:,} elements by {axis}, {Unit.PASSES.value}"
    lines = head(title, *map(str, values))
    return (
        lines + [line([job, *(cell(run.timings.get(key), LARGE) for key in row(job))]) for job in jobs] if jobs else []
    )


def about(run: Run) -> str:
    """Return what the figures are."""
    return (
        "Medians. A read pass is one streaming read of the same bytes on the same threads, timed before every round\n"
        "in the same process. Rounds wait for a quiet machine, where work within the caches takes at most a fifth\n"
        f"longer than at its best; {run.disturbed:.0%} lost patience and began without. {run.hardware}"
    )


def readme_section(run: Run) -> str:
    """Return what stands in the README."""
    text = f"Written by `make bench`, with [every timing](docs/bench.md). {about(run)} Bold: within its bar."
    figure = "![Time of every job in read passes, by library, with its bar](docs/bench.svg)"
    return "\n".join([text, "", *bars_table(run), "", figure, ""])


def page(run: Run) -> str:
    """Return the page of everything that was timed."""
    tables = [size_table(run, n) for n in sorted({key.n for key in run.timings}, reverse=True)]
    tables += [axis_table(run, axis) for axis in ("dtype", "distribution", "threads")]
    body = "\n\n".join("\n".join(table) for table in tables if table)
    return f"# Every timing\n\nWritten by `make bench`. {about(run)}\n\n{body}\n"


def misses(run: Run) -> list[str]:
    """Return a sentence for every figure that does not keep its bar."""

    def sentence(bar: Bar, case: Case) -> str | None:
        figure = run.figure(case, bar.unit)
        if figure is None or kept(figure, bar):
            return None
        where = f"{case.job}, {case.dtype}, {case.distribution}"
        return f"not kept: {where}: {short(figure)} {bar.unit.value}, bar {limit(bar.bar, bar.unit)}"

    return [text for bar in BARS for case in bar.cases if (text := sentence(bar, case))]
