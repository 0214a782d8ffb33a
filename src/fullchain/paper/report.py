"""Write the report: one page with all figures, numbers, settings and their history."""

import difflib
import fnmatch
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from fullchain import __version__
from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.metrics import Metric, read_metrics
from fullchain.paper.graph import Node, draw
from fullchain.paper.indexes import IndexedFigure, read_index
from fullchain.paper.lineage import Step, ancestors, steps_of
from fullchain.paper.page import Picture, Report, Section, duration, render
from fullchain.paper.records import introduction, read_jobs
from fullchain.paper.samples import read_accounts, read_cutflows, read_sample
from fullchain.paper.settings import PaperSettings
from fullchain.provenance import commit
from fullchain.stage_tables import Table, read_tables
from fullchain.step import Given, Input, Output


def main(
    *,
    metrics: Annotated[Path, Input("numbers of all stages, from `paper collect`")],
    figures: Annotated[Path, Input("index of all figures, from `paper figures`")],
    tables: Annotated[list[Path], Input("LaTeX tables, to be linked")],
    manifests: Annotated[list[Path], Input("manifest of each sample")],
    cutflows: Annotated[list[Path], Input("summary of each part of each sample, with its cuts")],
    stage_tables: Annotated[list[Path], Input("tables.json of the stages that have one")] = [],  # noqa: B006
    accounts: Annotated[list[Path], Input("what steps read and wrote, from `paper account`")] = [],  # noqa: B006
    page: Annotated[Path, Output("the report; the folder above it is the folder of the run")],
    graph: Annotated[Path, Output("picture of the DAG (SVG)")],
    settings: Given,
) -> None:
    """Read what all stages left and write the page."""
    paper = settings.model("paper", PaperSettings)
    _, numbers = read_metrics(metrics)
    drawn = read_index(figures)
    run_folder = page.resolve().parent.parent
    read = [metrics, figures, *tables, *stage_tables, *manifests, *cutflows, *accounts]
    jobs, unknown = ancestors(read_jobs(run_folder), _relative(read, run_folder))
    steps = steps_of(jobs)
    report = Report(
        title=paper.title,
        run=settings["run"],
        authors=paper.authors,
        summary=paper.summary,
        written=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        commit=commit(),
        version=__version__,
        sections=_sections(numbers, drawn, dict(map(read_tables, stage_tables)), page.parent),
        headline=_headline(numbers, paper.headline, settings.values),
        samples=[read_sample(path) for path in manifests],
        cutflows=read_cutflows(cutflows),
        accounts=[row for path in accounts for row in read_accounts(path)],
        configuration=settings.values,
        steps=steps,
        without_record=unknown,
        graph=draw(_nodes(steps), standalone=False),
        tables=_relative(tables, page.resolve().parent),
        jobs_listed=paper.jobs_listed,
    )
    write_text(graph, draw(_nodes(steps), standalone=True))
    write_text(page, render(report))


def _relative(paths: Sequence[Path], folder: Path) -> list[str]:
    """Paths relative to the folder where they lie in it, else as they are."""
    found = []
    for path in paths:
        full = path.resolve()
        found.append(str(full.relative_to(folder) if full.is_relative_to(folder) else path))
    return found


def _sections(
    numbers: Sequence[Metric],
    drawn: Sequence[IndexedFigure],
    tables: Mapping[str, list[Table]],
    folder: Path,
) -> list[Section]:
    """One section for each stage, in the order in which numbers and figures bring them."""
    sections: dict[str, Section] = {}

    def section(stage: str) -> Section:
        return sections.setdefault(stage, Section(stage, introduction(stage)))

    for metric in numbers:
        section(metric.name.partition(".")[0]).metrics.append(metric)
    for figure in drawn:
        link = _relative([figure.pdf], folder.resolve())[0]
        picture = Picture(figure.title, figure.caption, figure.png.read_bytes(), link)
        section(figure.stage).pictures.append(picture)
    for stage, found in tables.items():
        section(stage).tables += found
    return list(sections.values())


def _headline(
    numbers: Sequence[Metric], patterns: Sequence[str], configuration: Mapping[str, Any]
) -> list[Metric]:
    """Find the numbers to show large; a pattern of a stage that is left out counts for nothing."""
    chosen: list[Metric] = []
    for pattern in patterns:
        found = [metric for metric in numbers if fnmatch.fnmatchcase(metric.name, pattern)]
        if not found and configuration.get(pattern.partition(".")[0], "unknown") is not None:
            names = [metric.name for metric in numbers]
            near = " or ".join(map(repr, difflib.get_close_matches(pattern, names)))
            raise InputError(
                f"paper.headline: no number is called {pattern!r}"
                f"{f', but {near}' if near else ''}; all names stand in paper/metrics.json"
            )
        chosen += [metric for metric in found if metric not in chosen]
    return chosen


def _nodes(steps: Sequence[Step]) -> list[Node]:
    """Boxes of the drawing; the report itself, which leaves its record later, comes last."""
    nodes = []
    for step in steps:
        jobs = len(step.jobs)
        detail = f"{jobs} job{'' if jobs == 1 else 's'}, {duration(step.duration)}"
        name = step.name.partition(".")[2]
        nodes.append(Node(step.stage, name, detail, tuple(step.after)))
    if nodes:
        own = [node.key for node in nodes if node.stage == "paper"]
        nodes.append(Node("paper", "report", "this page", tuple(own)))
    return nodes
