"""LaTeX tables (booktabs) and macros of numbers."""

from collections.abc import Sequence

from fullchain.metrics import Metric
from fullchain.paper.footnotes import Row, rows
from fullchain.paper.markup import to_latex
from fullchain.paper.rounding import Rounded, alone, limit, quoted, rounded
from fullchain.stage_tables import Cell, Number, Table

DASH = "--"
SIGNS = {"lower": "> ", "upper": "< ", None: ""}
LONGEST_ON_A_PAGE = 40
"""Rows of a table that still fit on one page."""


def number(one: Rounded) -> str:
    r"""Give a rounded number as LaTeX maths.

    Examples
    --------
    >>> number(Rounded("0.9819", "0.0005"))
    '$0.9819 \\pm 0.0005$'
    """
    return f"${_bare(one)}$"


def _bare(one: Rounded) -> str:
    if one.uncertainty is None:
        text = one.value
        return text if one.exponent == 0 else rf"{text} \times 10^{{{one.exponent}}}"
    text = rf"{one.value} \pm {one.uncertainty}"
    return text if one.exponent == 0 else rf"({text}) \times 10^{{{one.exponent}}}"


def measured(metric: Metric) -> Rounded:
    """Give the value of a metric as it is shown: a limit has no uncertainty."""
    if metric.limit is not None:
        return limit(metric.value)
    return rounded(metric.value, metric.uncertainty)


def sign(metric: Metric) -> str:
    """Give what stands before the number: > or < for a limit, else nothing."""
    return SIGNS[metric.limit]


def published(metric: Metric) -> Rounded | None:
    """Give the reference value of a metric, or None where there is none.

    It stands as quoted, and is not rounded further than its publication did.
    """
    if metric.published is None:
        return None
    if not metric.published_uncertainty:
        return alone(metric.published)
    return quoted(metric.published, metric.published_uncertainty)


def shown(content: Number) -> Rounded:
    """Round the number of a cell of a stage's table."""
    if content.limit is not None:
        return limit(content.value)
    if content.decimals is not None:
        numbers = (content.value, content.uncertainty)
        texts = [None if one is None else f"{one:.{content.decimals}f}" for one in numbers]
        return Rounded(texts[0] or "", texts[1])
    if content.uncertainty is None:
        return alone(content.value)
    return rounded(content.value, content.uncertainty)


def stage_table(table: Table) -> str:
    """Give a table of a stage as a LaTeX float, which needs the package booktabs."""
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        rf"  \caption{{{to_latex(table.title)}. {to_latex(table.caption)}}}",
        rf"  \begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
        r"  \toprule",
        "  " + " & ".join(to_latex(column) for column in table.columns) + r" \\",
        r"  \midrule",
        *("  " + " & ".join(_cell(one) for one in row) + r" \\" for row in table.rows),
        r"  \bottomrule",
        r"  \end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _cell(content: Cell) -> str:
    if content is None:
        return DASH
    if isinstance(content, str):
        return to_latex(content)
    return f"${SIGNS[content.limit]}{_bare(shown(content))}$"


def metrics_table(metrics: Sequence[Metric]) -> str:
    """Give a table of quantity, value with uncertainty, and reference value.

    Notes and sources stand below the last rule, marked with letters. It needs the package booktabs,
    and longtable where it is too long for a page.
    """
    found, notes = rows(metrics)
    long = len(found) > LONGEST_ON_A_PAGE
    environment = "longtable" if long else "tabular"
    lines = [
        r"% needs \usepackage{booktabs,longtable}" if long else r"% needs \usepackage{booktabs}",
        rf"\begin{{{environment}}}{{p{{0.52\linewidth}}rr}}",
        r"  \toprule",
        r"  Quantity & Value & Reference \\",
        r"  \midrule",
        *([r"  \endhead"] if long else []),
        *(_line(row) for row in found),
        r"  \bottomrule",
    ]
    for mark, note in notes:
        text = rf"\footnotesize{_superscript(mark)} {to_latex(note)}"
        lines.append(rf"  \multicolumn{{3}}{{p{{0.85\linewidth}}}}{{{text}}} \\")
    lines.append(rf"\end{{{environment}}}")
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    metric = row.metric
    label = to_latex(metric.label)
    if metric.unit:
        label += f" [{to_latex(metric.unit)}]"
    reference = published(metric)
    cells = [
        label + _superscript(row.note),
        f"${_signed(metric)}$",
        DASH if reference is None else number(reference) + _superscript(row.source),
    ]
    return "  " + " & ".join(cells) + r" \\"


def _signed(metric: Metric) -> str:
    return sign(metric) + _bare(measured(metric))


def _superscript(mark: str) -> str:
    return rf"\textsuperscript{{{mark}}}" if mark else ""


def number_macros(metrics: Sequence[Metric]) -> str:
    r"""Give the command ``\fullchain{name}``, which writes a number of this run by its name.

    In the text of a paper, ``\fullchain{tagging.pfn.auc}`` then follows the results by itself; a
    name that does not exist is an error of LaTeX and no empty space.
    """
    lines = [
        "% Numbers by name: \\input this file, then write \\fullchain{name}.",
        r"\newcommand{\fullchain}[1]{\ifcsname fullchain@#1\endcsname",
        r"  \csname fullchain@#1\endcsname",
        r"  \else\PackageError{fullchain}{no number is called #1}{}\fi}",
    ]
    for metric in metrics:
        text = rf"\ensuremath{{{_signed(metric)}}}"
        if metric.unit:
            text += rf"\,{to_latex(metric.unit)}"
        lines.append(rf"\expandafter\def\csname fullchain@{metric.name}\endcsname{{{text}}}")
    return "\n".join(lines) + "\n"
