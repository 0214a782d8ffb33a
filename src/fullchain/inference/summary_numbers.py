"""Numbers and tables of summaries, from what the step `summarise` wrote."""

from collections.abc import Iterator, Sequence

from fullchain.inference.summary_comparison import Compared, Numbers, compare
from fullchain.metrics import Metric
from fullchain.stage_tables import Cell, Number, Table


def metrics(contents: Sequence[Numbers]) -> list[Metric]:
    """Give the metrics of all summaries of one analysis, one content for each file."""
    return [metric for one in compare(contents) for metric in _metrics(contents[0], one)]


def _metrics(content: Numbers, one: Compared) -> Iterator[Metric]:
    key = f"summaries.{content['analysis']}.{one.name}"
    text = f"{content['analysis']}, {one.label}: "
    kind = f"spread of {len(one.members)} seeds, and bootstrap of the test events"
    note = (
        f"seeds {one.seeds:.2g}, test events {one.simulation:.2g}; on the training events "
        f"{one.training:.4g}; without MC statistics {_of(one, 'without MC statistics')}, "
        f"statistical only {_of(one, 'statistical')}"
    )
    yield Metric(
        f"{key}.uncertainty",
        one.value,
        one.error,
        kind if one.kind == "loss" else "bootstrap",
        f"{text}expected uncertainty on the signal strength",
        note=note,
    )
    if one.ratio is not None:
        yield Metric(
            f"{key}.relative",
            one.ratio,
            one.ratio_error,
            kind,
            f"{text}expected uncertainty, divided by that of cross entropy",
            note="replica by replica",
        )


def _of(one: Compared, what: str) -> str:
    return f"{one.groups[what]:.4g}" if what in one.groups else "not known"


def tables(contents: Sequence[Numbers]) -> list[Table]:
    """Give the table of all summaries: with all nuisance parameters, and without each group."""
    compared = compare(contents)
    groups = [what for what in compared[0].groups if what not in ("all", "statistical")]
    content = contents[0]
    rows: list[list[Cell]] = []
    for one in compared:
        row: list[Cell] = [
            one.label,
            Number(one.value, one.error),
            "" if one.ratio is None else Number(one.ratio, one.ratio_error),
            *(Number(one.groups[what]) if what in one.groups else None for what in groups),
            Number(one.groups["statistical"]),
            Number(one.training),
        ]
        rows.append(row)
    marked = [place for place, one in enumerate(compared) if one.kind == "loss"]
    return [
        Table(
            f"summaries_{content['analysis']}",
            f"Expected uncertainty on the signal strength, {content['analysis']}",
            "Summaries in bins, evaluated alike: a HistFactory model of independent events with "
            f"all nuisance parameters and limited simulation, at {content['luminosity']:g}/fb. "
            "Median over seeds; errors are those of the seeds and of a bootstrap of the test "
            "events, together. Ratios take both on the same replicas. Without a group: its "
            "parameters held fixed. On the training events, for comparison: with their own, larger "
            "simulation.",
            [
                "summary",
                "all",
                "relative to cross entropy",
                *groups,
                "statistical",
                "on training events",
            ],
            rows,
            marked,
        )
    ]
