"""How the figures of the stage name and mark things."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fullchain import plotting
from fullchain.inference import wording
from fullchain.inference.collected import Collected

POINTS: dict[str, Any] = {"color": "black", "markersize": 4.5}
GREEN, YELLOW = "#607641", "#f5bb54"
"""Bands of one and of two standard deviations: those that CMS recommends for limits."""
UP, DOWN = plotting.COLOURS[0], plotting.COLOURS[2]
"""A nuisance parameter one standard deviation up and down."""


def strength(poi: str) -> str:
    r"""Symbol of the parameter of interest, for an axis."""
    return r"$\mu$" if poi == "mu" else wording.spoken(poi)


def axis_title(one: Collected, region: str) -> str:
    """Title of the x axis of a region."""
    name, unit = wording.observable(one, region)
    return f"{name} [{unit}]" if unit else name


def luminosity(one: Collected) -> str:
    """What stands at the right of the figures of an analysis."""
    found = one.fit.get("luminosity")
    return "" if found is None else f"{found:g} fb$^{{-1}}${wording.energy(one, ' ({})')}"


def status(one: Collected) -> str:
    """What stands beside the name: simulation, unless data were recorded."""
    return "" if one.fit.get("data_kind") == "sample" and not one.blind else "simulation"


def heading(ax: Axes, one: Collected) -> None:
    """Write the name of the program and the luminosity above an axis."""
    plotting.label(ax, right=luminosity(one), what=status(one))


def heading_above(ax: Axes, one: Collected) -> None:
    """Write the same above an axis whose ticks stand at the top."""
    name = ax.set_title("fullchain", loc="left", fontweight="bold", fontsize=14, pad=8)
    ax.annotate(
        f" {status(one)}",
        (1.0, 0.0),
        xycoords=name,
        fontstyle="italic",
        va="bottom",
        ha="left",
        fontsize=12,
    )
    ax.set_title(luminosity(one), loc="right", fontsize=12, pad=8)


def figure(width: float, height: float) -> tuple[Figure, Axes]:
    """One panel without minor ticks, which most axes of names have no use for."""
    fig, ax = plotting.figure(width, height)
    ax.minorticks_off()
    return fig, ax
