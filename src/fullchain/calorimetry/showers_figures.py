"""Figures of sets of showers, from showers.json."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from fullchain import drawing, plotting
from fullchain.calorimetry import showers_figure_names
from fullchain.plotting import COLOURS, LINESTYLES

Content = Mapping[str, Any]
Drawn = dict[str, tuple[Figure, str]]

SHOWN = 4
"""Energies of which profiles are drawn."""

WORDS = {
    "parameterised": "the parameterisation of hep-ex/0001020",
    "geant4": "Geant4",
    "files": "files",
}


def figures(contents: Sequence[Content]) -> Drawn:
    """Give figures with captions, by name."""
    found: Drawn = {}
    for one in contents:
        found[showers_figure_names.response(one["set"])] = _response(one)
        found[showers_figure_names.profiles(one["set"])] = _profiles(one)
    return found


def energy_label(energy: float) -> str:
    """Energy [MeV] in words."""
    for size, unit in ((1e6, "TeV"), (1e3, "GeV")):
        if energy >= 0.9995 * size:
            return f"{energy / size:.3g} {unit}"
    return f"{energy:.3g} MeV"


def _about(one: Content) -> str:
    return f"{one['measured']} {one['particle']} showers of {WORDS[one['kind']]}, set {one['set']}"


def _finish(ax: Axes, one: Content, xlabel: str, ylabel: str, headroom: float = 1.35) -> None:
    plotting.finish(ax, xlabel=xlabel, ylabel=ylabel, right=one["set"], headroom=headroom)


def _plain(axis: Axis) -> None:
    """Plain numbers on a logarithmic axis of about a decade."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _response(one: Content) -> tuple[Figure, str]:
    groups, fit = one["physics"]["groups"], one["physics"]["resolution"]
    energies = np.array([group["energy"] for group in groups]) / 1000.0
    fig, axes = plotting.panels(columns=2)
    left, right = axes[0]
    for ax, key, scale in ((left, "response", 1.0), (right, "resolution", 100.0)):
        values = scale * np.array([group[key] for group in groups]).reshape(-1, 2)
        ax.errorbar(energies, values[:, 0], values[:, 1], fmt="o", color="black", zorder=3)
        ax.set_xscale("log")
        ax.set_xlim(energies[0] / 1.5, energies[-1] * 1.5)
    left.axhline(1.0, color="0.6", linewidth=0.8)
    low, high = left.get_ylim()
    left.set_ylim(low - 0.05 * (high - low), high + 0.1 * (high - low))
    left.set(xlabel="E [GeV]", ylabel=r"mean $E_{tot}/E$")
    text = ""
    if fit is not None:
        (a, da), (b, db) = fit["stochastic"], fit["constant"]
        grid = np.geomspace(energies[0], energies[-1], 200)
        drawing.curve(
            right, grid, 100.0 * np.sqrt(a**2 / grid + b**2), color=COLOURS[2], label="fit"
        )
        text = (
            f" The fit of the square gives ({100 * a:.2f} $\\pm$ {100 * da:.2f}) % / sqrt(E/GeV) "
            f"and a constant of ({100 * b:.2f} $\\pm$ {100 * db:.2f}) %, added in quadrature."
        )
    right.set_yscale("log")
    _plain(right.yaxis)
    right.set(xlabel="E [GeV]", ylabel=r"$\sigma(E_{tot})/E_{tot}$ [%]")
    if fit is not None:
        right.legend()
    for ax in (left, right):
        plotting.label(ax, right=one["set"])
    caption = (
        "Linearity and resolution of showers: mean and relative standard deviation of the measured "
        f"energy, against the incident one; {_about(one)}.{text} Errors are of bootstrap replicas."
    )
    return fig, caption


def _profiles(one: Content) -> tuple[Figure, str]:
    physics = one["physics"]
    groups = physics["groups"]
    places = np.unique(np.linspace(0, len(groups) - 1, min(SHOWN, len(groups))).round().astype(int))
    fig, axes = plotting.panels(columns=2)
    left, right = axes[0]
    depths = physics["depths"]
    if depths is None:
        edges = np.arange(len(one["layers"]) + 1) - 0.5
        names = ("position of the layer", "mean part of E in the layer")
    else:
        edges = np.array([begin for begin, _ in depths] + [depths[-1][1]])
        names = (r"depth [$X_0$]", r"mean part of E per $X_0$")
    widths = np.diff(edges)
    unit = physics["moliere_radius"]
    radii = np.array(physics["radii"]) / (unit or 1.0)
    for number, place in enumerate(places):
        group = groups[place]
        colour, line = COLOURS[number], LINESTYLES[number]
        layers = np.array(group["layers"]) / widths[:, None]
        label = energy_label(group["energy"])
        drawing.histogram(
            left, layers[:, 0], edges, errors=layers[:, 1], color=colour, label=label,
            linestyle=line,
        )  # fmt: skip
        within = np.array(group["within"])
        drawing.curve(
            right, radii, within[:, 0], low=within[:, 0] - within[:, 1],
            high=within[:, 0] + within[:, 1], color=colour, label=label, linestyle=line,
        )  # fmt: skip
    right.set_xscale("log")
    if radii[-1] < 100.0 * radii[0]:
        _plain(right.xaxis)
    right.set_ylim(0.0, 1.05)
    radius = "radius [mm]" if unit is None else r"radius [$R_M$]"
    _finish(left, one, *names)
    right.set(xlabel=radius, ylabel=r"part of $E_{tot}$ within radius")
    right.legend(loc="lower right")
    plotting.label(right, right=one["set"])
    caption = (
        "Mean profiles of showers along and across their axis: energy of layers over the incident "
        "energy, and part of the measured energy within a radius, summed over layers and evenly "
        f"spread within voxels; {_about(one)}. Bands, often thinner than the lines, are errors of "
        "bootstrap replicas."
    )
    return fig, caption
