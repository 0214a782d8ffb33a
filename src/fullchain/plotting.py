"""The look of all figures, and how a set of figures reaches the disk.

A plotting step draws from saved numbers and ends with an index of what it drew::

    figures = figure_set(index, stage="jets")
    fig, ax, ratio = ratio_figure()
    drawing.histogram(ax, counts, edges, errors=errors, label="QCD", color=process_colour("qcd"))
    drawing.points(ax, data, edges, errors=data_errors, label="data")
    drawing.ratio_points(ratio, data, data_errors, counts, edges)
    drawing.ratio_band(ratio, counts, errors, edges)
    finish(ax, xlabel="jet mass [GeV]", ylabel="jets", ratio=ratio)
    figures.save(fig, "mass", title="Jet mass", caption="Mass of the leading AK8 jet ...")
    figures.write()

Equal numbers give equal bytes: no dates, software versions or random identifiers are written.
What draws bins and curves is in `fullchain.drawing`. The style is that of CMS in `mplhep`, at a
size made for the page; the colours are those of M. Petroff, arXiv:2107.02270, which stay apart for
colour-blind readers and in greyscale.
"""

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import mplhep
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from fullchain import further_outputs
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
    legend_above: bool = False,
    headroom: float = 1.35,
) -> None:
    """Axis titles, the fullchain label, a legend, and room for it above the highest point.

    With `legend_above` no part of the legend lies lower than the highest point, whatever
    `headroom`: what is filled may stand anywhere below.
    """
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
        ax.legend(loc="upper left", ncols=2) if legend_above else ax.legend()
    label(ax, right=right, what=what)
    if legend_above:
        _raise_above(ax, high)


def _raise_above(ax: Axes, highest: float) -> None:
    """Raise the upper end of a linear y axis until `highest` lies below the legend."""
    figure, legend = ax.get_figure(), ax.get_legend()
    if legend is None or figure is None:
        return
    # The size of the legend is known only once the layout is.
    figure.draw_without_rendering()  # type: ignore[union-attr]
    frame = legend.get_window_extent().transformed(ax.transAxes.inverted())
    bottom, top = ax.get_ylim()
    needed = bottom + (highest - bottom) / (frame.y0 - 0.02)
    ax.set_ylim(bottom, max(top, needed))


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
        for suffix in ("pdf", "png"):
            further_outputs.tell(folder / f"{name}.{suffix}")
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
