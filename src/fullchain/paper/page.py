"""The page of the report: from numbers, figures and history to HTML."""

import base64
import html
import importlib.resources
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from fullchain.metrics import Metric
from fullchain.paper import tables
from fullchain.paper.footnotes import rows
from fullchain.paper.lineage import Job, Step, versions
from fullchain.paper.markup import to_html, to_plain
from fullchain.paper.rounding import Rounded
from fullchain.paper.samples import AccountRow, Cutflow, SampleRow
from fullchain.stage_tables import Cell, Number, Table

__data__ = ("report.html.j2", "report.css", "report.js")

DASH = "–"
WIDE = 1.8
"""Figures with a larger ratio of width to height stand alone in their row."""


@dataclass(frozen=True)
class Picture:
    """A figure as the page shows it: the PNG as bytes, and a link to the PDF."""

    title: str
    caption: str
    png: bytes
    pdf: str

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the PNG in pixels, from its header."""
        width, height = struct.unpack(">II", self.png[16:24])
        return width, height

    @property
    def wide(self) -> bool:
        """Whether it needs the whole width of the page."""
        width, height = self.size
        return width > WIDE * height

    @property
    def data(self) -> str:
        """The PNG as a URI that needs no file."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode()


@dataclass
class Section:
    """What one stage has to show."""

    stage: str
    introduction: str = ""
    metrics: list[Metric] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


@dataclass
class Report:
    """All that stands on the page.

    `headline` holds names of metrics; `metrics_by_name` has them with the stage as prefix.
    `configuration` is the effective configuration, `commit` the state of the source code.
    """

    title: str
    run: str
    authors: Sequence[str]
    summary: str
    written: str
    commit: str
    version: str
    sections: Sequence[Section]
    headline: Sequence[Metric]
    samples: Sequence[SampleRow]
    cutflows: Sequence[Cutflow]
    accounts: Sequence[AccountRow]
    configuration: Mapping[str, Any]
    steps: Sequence[Step]
    without_record: Sequence[str]
    graph: str
    tables: Sequence[str]
    jobs_listed: int

    @property
    def jobs(self) -> list[Job]:
        """All jobs of all steps."""
        return [job for step in self.steps for job in step.jobs]

    @property
    def compared(self) -> list[Metric]:
        """Metrics that have a reference value."""
        return [m for section in self.sections for m in section.metrics if m.published is not None]


def number(one: Rounded | None) -> Markup:
    """Give a rounded number as HTML, or a dash for None."""
    if one is None:
        return Markup(f'<span class="none" title="no reference value">{DASH}</span>')
    value = one.value.replace("-", "−")
    if one.uncertainty is None:
        text = value
    else:
        text = f'{value}<span class="pm"> ± </span>{one.uncertainty}'
        if one.exponent:
            text = f"({text})"
    if one.exponent:
        text += f" × 10<sup>{str(one.exponent).replace('-', '−')}</sup>"
    return Markup(f'<span class="number">{text}</span>')


def measured(metric: Metric) -> Markup:
    """Give value and uncertainty of a metric as HTML, or the limit that it is."""
    return Markup.escape(tables.sign(metric)) + number(tables.measured(metric))


def cell(content: Cell) -> Markup:
    """Give a cell of a stage's table as HTML; a dash for nothing."""
    if content is None:
        return Markup(f'<span class="none">{DASH}</span>')
    if isinstance(content, str):
        return Markup(to_html(content))
    return Markup.escape(tables.SIGNS[content.limit]) + number(tables.shown(content))


def count(value: int) -> str:
    """Give an integer with thin spaces between groups of three digits."""
    return f"{value:,}".replace(",", "\u202f")


def significant(value: float) -> Markup:
    """Give a number without uncertainty, with four digits."""
    text = f"{value:.4g}"
    mantissa, _, exponent = text.partition("e")
    mantissa = mantissa.replace("-", "−")
    if not exponent:
        return Markup(mantissa)
    return Markup(f"{mantissa} × 10<sup>{str(int(exponent)).replace('-', '−')}</sup>")


def duration(seconds: float) -> str:
    """Give a duration in the units that suit it.

    Examples
    --------
    >>> [duration(s) for s in (0.04, 4.31, 42, 61.4, 7322)]
    ['0.04 s', '4.3 s', '42 s', '1 min 01 s', '2 h 02 min']
    """
    if seconds < 0.995:
        return f"{seconds:.2f} s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def as_yaml(values: Any) -> str:
    """Give settings as YAML text in the order that the configuration file has."""
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)


def coloured_yaml(text: str) -> Markup:
    """Give YAML as escaped HTML with its keys marked."""
    lines = []
    for line in text.splitlines():
        key, colon, rest = line.partition(":")
        words = key.strip().removeprefix("- ")
        if colon and words and " " not in words and words[0] not in "'\"{[#":
            lines.append(f'<span class="key">{html.escape(key)}</span>:{html.escape(rest)}')
        else:
            lines.append(html.escape(line))
    return Markup("\n".join(lines) + "\n")


def render(report: Report) -> str:
    """Give the HTML text of the page; nothing in it is loaded from elsewhere."""
    here = importlib.resources.files("fullchain.paper")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (here / name).read_text(encoding="utf-8")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "maths": lambda text: Markup(to_html(text)),
        "plain": to_plain,
        "measured": measured,
        "cell": cell,
        "sortable": lambda content: content.value if isinstance(content, Number) else "",
        "published": lambda metric: number(tables.published(metric)),
        "count": count,
        "significant": significant,
        "duration": duration,
        "yaml": as_yaml,
        "coloured": coloured_yaml,
    }
    text = as_yaml(dict(report.configuration))
    return environment.get_template("report.html.j2").render(
        report=report,
        dag=Markup(report.graph),
        css=Markup((here / "report.css").read_text(encoding="utf-8")),
        js=Markup((here / "report.js").read_text(encoding="utf-8")),
        configuration=text,
        configuration_link="data:text/yaml;base64," + base64.b64encode(text.encode()).decode(),
        packages=versions(report.jobs, "packages"),
        modules=versions(report.jobs, "modules"),
        hosts=sorted({f"{job.host} ({job.platform})" for job in report.jobs}),
        cpu=sum(step.cpu for step in report.steps),
        rows=rows,
    )
