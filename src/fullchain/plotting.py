"""The look of all figures, and how a set of figures reaches the disk.

A plotting step draws from saved numbers and ends with an index of what it drew::

    figures = figure_set(index, stage="jets")
    fig, ax, ratio = ratio_figure()
    histogram(ax, counts, edges, errors=errors, label="QCD", color=process_colour("qcd"))
    points(ax, data, edges, errors=data_errors, label="data")
    ratio_points(ratio, data, data_errors, counts, edges)
    ratio_band(ratio, counts, errors, edges)
    finish(ax, xlabel="jet mass [GeV]", ylabel="jets", ratio=ratio)
    figures.save(fig, "mass", title="Jet mass", caption="Mass of the leading AK8 jet ...")
    figures.write()

Equal numbers give equal bytes: no dates, software versions or random identifiers are written.
The style is that of CMS in `mplhep`, at a size made for the page; the colours are those of
M. Petroff, arXiv:2107.02270, which stay apart for colour-blind readers and in greyscale.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import mplhep
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from numpy.typing import ArrayLike, NDArray

from fullchain.atomic import atomic

COLOURS = (
    "#3f90da",
    "#ffa90e",
    "#bd1f01",
    "#832db6",
    "#94a4a2",
    "#a96b59",
    "#e76300",
    "#717581",
    "#92dadd",
    "#b9ac70",
)
"""Petroff's ten colours, with the greys and the pale ones last."""

MARKERS = ("o", "s", "^", "v", "D", "P", "X", "*")
LINESTYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))

PROCESS_COLOURS = {
    "qcd": COLOURS[0],
    "wjet": COLOURS[1],
    "tt": COLOURS[2],
    "zmumu": COLOURS[3],
    "zprime": COLOURS[6],
    "minbias": COLOURS[4],
    "data": "black",
}

PROCESS_LABELS = {
    "qcd": "QCD multijet",
    "wjet": r"W(qq) + jet",
    "tt": r"$t\bar{t}$",
    "zmumu": r"Z($\mu\mu$) + jet",
    "zprime": r"Z$^\prime \to t\bar{t}$",
    "minbias": "minimum bias",
    "data": "data",
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def _house_style() -> None:
    plt.style.use(mplhep.style.CMS)
    plt.rcParams.update(
        {
            "axes.linewidth": 1.0,
            "axes.xmargin": 0.0,
            "axes.prop_cycle": plt.cycler("color", COLOURS),
            "errorbar.capsize": 0.0,
            "figure.dpi": 100,
            "figure.figsize": (6.4, 5.2),
            "font.size": 14,
            "legend.fontsize": 12,
            "legend.frameon": False,
            "lines.linewidth": 1.6,
            "lines.markersize": 4.5,
            "pdf.fonttype": 42,
            "savefig.bbox": None,
            "savefig.dpi": 160,
            "svg.hashsalt": "fullchain",
            "xtick.labelsize": 12,
            "xtick.major.size": 7,
            "xtick.minor.size": 3.5,
            "ytick.labelsize": 12,
            "ytick.major.size": 7,
            "ytick.minor.size": 3.5,
        }
    )


# A plotting step that calls matplotlib directly gets the same look.
_house_style()


def process_colour(sample: str) -> str:
    """Colour of a sample: that of its process, so that `tt_pu50` looks like `tt`."""
    process = sample.split("_")[0]
    if process in PROCESS_COLOURS:
        return PROCESS_COLOURS[process]
    # A name nobody foresaw keeps one colour in all figures, whatever is drawn beside it.
    return COLOURS[sum(sample.encode()) % len(COLOURS)]


def process_label(sample: str) -> str:
    """Name of a sample for a legend; what follows the process name stands in brackets."""
    process, _, variant = sample.partition("_")
    label = PROCESS_LABELS.get(process)
    if label is None:
        return sample.replace("_", " ")
    return f"{label} ({variant.replace('_', ' ')})" if variant else label


def figure(width: float = 6.4, height: float = 5.2) -> tuple[Figure, Axes]:
    """One panel; sizes in inches."""
    fig, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return fig, ax


def panels(columns: int, rows: int = 1, size: float = 4.2) -> tuple[Figure, NDArray[Any]]:
    """A grid of equal panels, each `size` inches wide; the axes have shape (rows, columns)."""
    fig, axes = plt.subplots(
        rows,
        columns,
        figsize=(size * columns, size * 0.85 * rows),
        layout="constrained",
        squeeze=False,
    )
    return fig, axes


def ratio_figure(width: float = 6.4, height: float = 6.0) -> tuple[Figure, Axes, Axes]:
    """A panel and a ratio panel below that shares its x axis; sizes in inches."""
    fig, (ax, ratio) = plt.subplots(
        2,
        1,
        figsize=(width, height),
        sharex=True,
        height_ratios=(3, 1),
    )
    fig.set_layout_engine("constrained", h_pad=0.02, hspace=0.0)
    ratio.set_ylabel("ratio", loc="center")
    ratio.axhline(1.0, color="0.5", linewidth=1.0, zorder=0)
    ratio.set_ylim(0.5, 1.5)
    return fig, ax, ratio


def label(ax: Axes, right: str = "13.6 TeV", what: str = "simulation") -> None:
    """Write **fullchain** *what* above the upper left corner and `right` above the right one."""
    name = ax.text(
        0.0, 1.01, "fullchain", transform=ax.transAxes, fontweight="bold", va="bottom", ha="left"
    )
    ax.annotate(
        f" {what}",
        (1.0, 0.0),
        xycoords=name,
        fontstyle="italic",
        va="bottom",
        ha="left",
        fontsize=12,
    )
    ax.text(1.0, 1.01, right, transform=ax.transAxes, va="bottom", ha="right", fontsize=12)


def _steps(values: NDArray[Any]) -> NDArray[Any]:
    return np.append(values, values[-1:])


def histogram(
    ax: Axes,
    values: ArrayLike,
    edges: ArrayLike,
    *,
    errors: ArrayLike | None = None,
    label: str | None = None,
    color: Any = None,
    linestyle: Any = "-",
    filled: bool = False,
) -> Any:
    """Draw bin contents as steps, with a band of `errors` (standard deviations) around them.

    `values` and `errors` have one entry per bin, `edges` one more. Returns the colour drawn with.
    """
    values, edges = np.asarray(values, dtype=float), np.asarray(edges, dtype=float)
    if color is None:
        # `stairs` does not take colours from the cycle by itself.
        drawn_before = sum(isinstance(patch, StepPatch) for patch in ax.patches)
        color = COLOURS[drawn_before % len(COLOURS)]
    patch = ax.stairs(
        values,
        edges,
        label=label,
        color=color,
        fill=filled,
        alpha=0.75 if filled else None,
        linestyle=linestyle,
        linewidth=1.6,
    )
    drawn = patch.get_facecolor() if filled else patch.get_edgecolor()
    if errors is not None:
        band(ax, values, errors, edges, color="0.2" if filled else drawn, hatched=filled)
    return drawn


def band(
    ax: Axes,
    values: ArrayLike,
    errors: ArrayLike,
    edges: ArrayLike,
    *,
    color: Any = "0.4",
    label: str | None = None,
    hatched: bool = False,
) -> None:
    """Draw `values` -+ `errors` as a step band; `errors` is (bins,) or (2, bins): down, up."""
    values, edges = np.asarray(values, dtype=float), np.asarray(edges, dtype=float)
    errors = np.asarray(errors, dtype=float)
    down, up = errors if errors.ndim == 2 else (errors, errors)
    look: dict[str, Any] = (
        {"facecolor": "none", "edgecolor": color, "hatch": "////"}
        if hatched
        else {"facecolor": color, "alpha": 0.25}
    )
    ax.fill_between(
        edges,
        _steps(values - down),
        _steps(values + up),
        step="post",
        linewidth=0,
        label=label,
        **look,
    )


def stack(
    ax: Axes,
    values: Sequence[ArrayLike],
    edges: ArrayLike,
    *,
    labels: Sequence[str],
    colors: Sequence[Any] | None = None,
    errors: ArrayLike | None = None,
) -> NDArray[Any]:
    """Draw filled histograms on top of each other, first at the bottom, and return their sum.

    `errors`, if given, are those of the sum, drawn hatched.
    """
    edges = np.asarray(edges, dtype=float)
    bottom: NDArray[Any] = np.zeros(len(edges) - 1)
    for index, (one, name) in enumerate(zip(values, labels, strict=True)):
        top = bottom + np.asarray(one, dtype=float)
        color = colors[index] if colors is not None else COLOURS[index % len(COLOURS)]
        ax.stairs(top, edges, baseline=bottom, fill=True, color=color, label=name, linewidth=0)
        bottom = top
    if errors is not None:
        band(ax, bottom, errors, edges, color="0.2", hatched=True, label="uncertainty")
    return bottom


def points(
    ax: Axes,
    values: ArrayLike,
    edges: ArrayLike,
    *,
    errors: ArrayLike | None = None,
    label: str | None = None,
    color: Any = "black",
    marker: str = "o",
) -> None:
    """Draw one point per bin at its centre, with `errors`; NaN bins are left out."""
    edges = np.asarray(edges, dtype=float)
    ax.errorbar(
        0.5 * (edges[:-1] + edges[1:]),
        np.asarray(values, dtype=float),
        yerr=None if errors is None else np.asarray(errors, dtype=float),
        xerr=None,
        fmt=marker,
        color=color,
        label=label,
        linewidth=1.2,
    )


def curve(
    ax: Axes,
    x: ArrayLike,
    y: ArrayLike,
    *,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    label: str | None = None,
    color: Any = None,
    linestyle: Any = "-",
) -> Any:
    """Draw a smooth line with a band from `low` to `high`. Returns the colour drawn with."""
    (line,) = ax.plot(np.asarray(x), np.asarray(y), label=label, color=color, linestyle=linestyle)
    if low is not None and high is not None:
        ax.fill_between(
            np.asarray(x),
            np.asarray(low),
            np.asarray(high),
            color=line.get_color(),
            alpha=0.25,
            linewidth=0,
        )
    return line.get_color()


def _divide(numerator: ArrayLike, denominator: ArrayLike) -> NDArray[Any]:
    above, below = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0)


def ratio_points(
    ax: Axes,
    values: ArrayLike,
    errors: ArrayLike | None,
    reference: ArrayLike,
    edges: ArrayLike,
    *,
    color: Any = "black",
    marker: str = "o",
) -> None:
    """Draw `values` / `reference` with the errors of `values` alone; empty bins are left out.

    The errors of the reference belong into `ratio_band`, so that nothing is counted twice.
    """
    scaled = None if errors is None else _divide(errors, reference)
    points(ax, _divide(values, reference), edges, errors=scaled, color=color, marker=marker)


def ratio_histogram(
    ax: Axes,
    values: ArrayLike,
    errors: ArrayLike | None,
    reference: ArrayLike,
    edges: ArrayLike,
    *,
    color: Any = None,
    linestyle: Any = "-",
) -> None:
    """Draw `values` / `reference` as steps with the errors of `values` alone."""
    scaled = None if errors is None else _divide(errors, reference)
    histogram(
        ax, _divide(values, reference), edges, errors=scaled, color=color, linestyle=linestyle
    )


def ratio_band(
    ax: Axes, reference: ArrayLike, errors: ArrayLike, edges: ArrayLike, *, color: Any = "0.4"
) -> None:
    """Draw the relative errors of the reference around one."""
    relative = np.nan_to_num(_divide(errors, reference))
    band(ax, np.ones_like(relative), relative, edges, color=color)


def finish(
    ax: Axes,
    *,
    xlabel: str,
    ylabel: str,
    ratio: Axes | None = None,
    logy: bool = False,
    right: str = "13.6 TeV",
    what: str = "simulation",
    legend: bool = True,
    headroom: float = 1.35,
) -> None:
    """Axis titles, the fullchain label, a legend, and room for it above the highest point."""
    if logy:
        ax.set_yscale("log")
    low, high = ax.get_ylim()
    if logy and low > 0:
        ax.set_ylim(low, high * (high / low) ** (headroom - 1))
    elif not logy:
        bottom = 0.0 if low > -0.1 * high else low
        ax.set_ylim(bottom, bottom + (high - bottom) * headroom)
    ax.set_ylabel(ylabel)
    (ratio or ax).set_xlabel(xlabel)
    if legend and ax.get_legend_handles_labels()[0]:
        ax.legend()
    label(ax, right=right, what=what)


@dataclass
class FigureSet:
    """The figures of one plotting step, beside an index that is written last."""

    index: Path
    stage: str
    entries: list[dict[str, str]] = field(default_factory=list)
    """What the index will hold: the fields of `FigureEntry`."""

    def save(self, fig: Figure, name: str, title: str, caption: str) -> None:
        """Write `<name>.pdf` and `<name>.png` beside the index and close the figure.

        Title and caption are plain text in Unicode in which `$...$` may hold simple maths
        (Greek letters, sub- and superscripts). Raises ValueError for a name that is no file
        name or is taken, and for an empty title or caption.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"figure name {name!r}: use letters, digits, '_', '-' and '.'")
        if any(entry["name"] == name for entry in self.entries):
            raise ValueError(f"figure name {name!r} is used twice in {self.stage}")
        if not title.strip() or not caption.strip():
            raise ValueError(f"figure {name!r} of {self.stage} needs a title and a caption")
        folder = self.index.parent
        with atomic(folder / f"{name}.pdf") as temporary:
            fig.savefig(
                temporary,
                format="pdf",
                metadata={"CreationDate": None, "Creator": None, "Producer": None},
            )
        with atomic(folder / f"{name}.png") as temporary:
            fig.savefig(temporary, format="png", metadata={"Software": None})
        plt.close(fig)
        # With the checksum, a redrawn figure changes the index, and whoever reads it is rerun.
        drawn = hashlib.sha256((folder / f"{name}.png").read_bytes()).hexdigest()
        entry = FigureEntry(name, title.strip(), " ".join(caption.split()), self.stage, drawn)
        self.entries.append(asdict(entry))

    def write(self) -> None:
        """Write the index: the sign that all figures are there."""
        with atomic(self.index) as temporary:
            text = json.dumps(self.entries, indent=2, ensure_ascii=False)
            temporary.write_text(text + "\n", encoding="utf-8")


@dataclass(frozen=True)
class FigureEntry:
    """One line of a figure index."""

    name: str
    title: str
    caption: str
    stage: str
    sha256: str
    """Checksum of the PNG file."""


def figure_set(index_path: Path | str, stage: str) -> FigureSet:
    """Start a set of figures in the folder of `index_path`."""
    return FigureSet(Path(index_path), stage)
