"""Maximum, containment and resolution of generated showers beside those of the full simulation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from fullchain import plotting
from fullchain.calorimetry.energy_groups import TRAINED
from fullchain.calorimetry.evaluation_looks import (
    SIMULATION,
    Content,
    Drawn,
    energy_axis,
    looks,
    single,
)
from fullchain.calorimetry.shower_physics_numbers import near

Styles = Sequence[Mapping[str, Any]]
Panel = Callable[[Axes, Sequence[Content], Styles], None]

APART = 0.06
"""Distance of the points of two models at one energy, relative."""


def development(contents: Sequence[Content]) -> Drawn:
    """Maximum and containment where they are known, radial profile, resolution and its terms."""
    known = contents[0]["physics"]["test"]
    panels = _panels(known)
    columns = min(3, len(panels))
    fig, axes = plotting.panels(columns=columns, rows=-(-len(panels) // columns), size=4.6)
    styles = looks(contents)
    for ax, draw in zip(single(axes), panels, strict=False):
        draw(ax, contents, styles)
    for ax in single(axes)[len(panels) :]:
        ax.set_axis_off()
    single(axes)[0].legend(fontsize=9)
    plotting.label(single(axes)[0], right="")
    return fig, (
        f"Development of showers, {contents[0]['set']}: generated ones (points) beside the full "
        "simulation (grey, with its error). Where depths of layers and the Moliere radius are "
        "known, depth of the maximum of the mean profile, and parts of the measured energy within "
        "radii; part of the energy within a radius less that of the simulation, at the energy "
        "nearest to 100 GeV; relative width of the response with the fit of its square by "
        "a^2/E + b^2, and both terms. Errors by bootstrap, of the maximum from the covariance of "
        "layers. Open points: energies that were not trained."
    )


def _panels(known: Content) -> list[Panel]:
    """What can be drawn of a set."""
    groups = known["groups"]
    if not groups:
        return [_nothing]
    found: list[Panel] = []
    if any(group.get("maximum") for group in groups):
        found.append(
            _against_energy(lambda group: group["maximum"], "depth of the maximum [$X_0$]")
        )
    for radius in groups[0].get("contained", {}):
        words = f"part of the energy within {radius} $R_M$"
        found.append(_against_energy(lambda group, r=radius: group["contained"][r], words))  # type: ignore[misc]
    found += [_radial, _resolution]
    if known["resolution"] is not None:
        found.append(_terms)
    return found


def _nothing(ax: Axes, contents: Sequence[Content], styles: Styles) -> None:
    ax.text(0.5, 0.5, "too few showers of an energy", transform=ax.transAxes, ha="center")
    ax.plot([], [], label=SIMULATION)


def _against_energy(pick: Callable[[Content], Any], words: str, scale: float = 1.0) -> Panel:
    def draw(ax: Axes, contents: Sequence[Content], styles: Styles) -> None:
        x, value, error = _values(contents[0]["physics"]["test"]["groups"], pick, scale)
        ax.fill_between(x, value - error, value + error, color="0.8", label=SIMULATION)
        ax.plot(x, value, color="0.5", linewidth=1.0)
        for number, (content, style) in enumerate(zip(contents, styles, strict=True)):
            groups = content["physics"]["generated"]["groups"]
            x, value, error = _values(groups, pick, scale)
            x = x * (1.0 + APART * (number - 0.5 * (len(contents) - 1)))
            trained = np.array([_trained(content, group["energy"]) for group in groups])
            look = {"color": style["color"], "linestyle": "", "marker": style["marker"]}
            ax.errorbar(
                x[trained], value[trained], yerr=error[trained], label=style["label"], **look
            )
            if not trained.all():
                ax.errorbar(
                    x[~trained], value[~trained], yerr=error[~trained], markerfacecolor="white",
                    markersize=7, **look,
                )  # fmt: skip
        energy_axis(ax)
        ax.set_ylabel(words, fontsize=11)

    return draw


def _values(
    groups: Sequence[Content], pick: Callable[[Content], Any], scale: float
) -> tuple[Any, Any, Any]:
    """Energies [GeV], values and errors; not a number where a fit did not converge."""
    pairs = [pick(group) or (np.nan, np.nan) for group in groups]
    value, error = scale * np.array(pairs, dtype=float).reshape(-1, 2).T
    return np.array([group["energy"] for group in groups]) / 1000.0, value, error


def _trained(content: Content, energy: float) -> bool:
    """Whether an energy belongs to no group that was left out or lies beyond the training."""
    return not any(
        one["kind"] != TRAINED and one["range"][0] <= energy <= one["range"][1]
        for one in content["energies"]["groups"]
    )


def _radial(ax: Axes, contents: Sequence[Content], styles: Styles) -> None:
    """Draw how the part of the energy within a radius differs from that of the simulation."""
    known = contents[0]["physics"]["test"]
    unit = known["moliere_radius"]
    radii = np.array(known["radii"]) / (unit or 1.0)
    group = near(known)
    expected, error = 100.0 * np.array(group["within"]).T
    ax.fill_between(radii, -error, error, color="0.8", label=SIMULATION)
    ax.axhline(0.0, color="0.5", linewidth=1.0)
    for content, style in zip(contents, styles, strict=True):
        own = content["physics"]["generated"]
        if not own["groups"]:
            continue
        value, error = 100.0 * np.array(near(own)["within"]).T
        ax.errorbar(
            radii, value - expected, yerr=error, color=style["color"], marker=style["marker"],
            markersize=4, linestyle="", label=style["label"],
        )  # fmt: skip
    ax.set_xscale("log")
    ax.set_xlabel("radius [mm]" if unit is None else r"radius [$R_M$]")
    ax.set_ylabel("energy within radius, less simulated [%]", fontsize=11)
    ax.set_title(f"{group['energy'] / 1000.0:.3g} GeV", fontsize=11, loc="right")


def _resolution(ax: Axes, contents: Sequence[Content], styles: Styles) -> None:
    words = r"$\sigma/\mu$ of $E_{tot}/E_{inc}$ [%]"
    _against_energy(lambda group: group["resolution"], words, 100.0)(ax, contents, styles)
    energies = [group["energy"] for group in contents[0]["physics"]["test"]["groups"]]
    grid = np.geomspace(min(energies), max(energies), 100) / 1000.0
    for content, style in zip(contents, styles, strict=True):
        fit = content["physics"]["generated"]["resolution"]
        if fit is not None:
            (a, _), (b, _) = fit["stochastic"], fit["constant"]
            ax.plot(
                grid, 100.0 * np.sqrt(a**2 / grid + b**2), color=style["color"], linewidth=1.0,
                linestyle=style["linestyle"],
            )  # fmt: skip
    ax.set_yscale("log")


def _terms(ax: Axes, contents: Sequence[Content], styles: Styles) -> None:
    looked = [
        (contents[0]["physics"]["test"], {"color": "0.6", "marker": "*", "label": SIMULATION})
    ] + [
        (content["physics"]["generated"], style)
        for content, style in zip(contents, styles, strict=True)
    ]
    for physics, style in looked:
        fit = physics["resolution"]
        if fit is None:
            continue
        (a, da), (b, db) = fit["stochastic"], fit["constant"]
        ax.errorbar(
            100.0 * a, 100.0 * b, xerr=100.0 * da, yerr=100.0 * db, color=style["color"],
            marker=style["marker"], linestyle="", label=style["label"],
            markersize=14 if style["marker"] == "*" else 6,
        )  # fmt: skip
    ax.margins(0.15)
    ax.set_xlabel(r"stochastic term [% GeV$^{1/2}$]")
    ax.set_ylabel("constant term [%]", fontsize=11)
