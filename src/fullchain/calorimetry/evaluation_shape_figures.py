"""Mean showers, correlations and the physics of showers against energy, generated and simulated."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from fullchain import plotting
from fullchain.calorimetry.energy_groups import TRAINED
from fullchain.calorimetry.evaluation_looks import (
    SIMULATION,
    Content,
    Drawn,
    chosen_layers,
    energy_axis,
    looks,
    single,
)
from fullchain.calorimetry.evaluation_numbers import geometry_of
from fullchain.calorimetry.geometry import Geometry

FAINTEST = 1e-5
"""Least density that is told from zero, over the highest."""

DEMAND = 0.3
"""Bias of the response that a model may have [%]."""


def mean_showers(contents: Sequence[Content]) -> Drawn:
    """Mean energy density around the axis: full simulation, and ratios of models to it."""
    geometry = geometry_of(contents[0])
    shown = chosen_layers(contents[0], [one.identifier for one in geometry.layers], 5)
    columns = [place for place, one in enumerate(geometry.layers) if one.identifier in shown]
    models = [one for one in contents if one["role"] != "reference"][:4] or list(contents[:1])
    test = np.array(contents[0]["mean_shower"]["test"])
    fig, axes = plotting.panels(columns=len(columns), rows=1 + len(models), size=2.9)
    for column, place in enumerate(columns):
        layer, own = geometry.layers[place], geometry.slices[place]
        density = test[own] / _areas(geometry, place)
        ax = axes[0][column]
        density = np.maximum(density / max(float(density.max()), 1e-300), FAINTEST)
        mesh = _map(ax, density, geometry, place, norm=LogNorm(FAINTEST, 1.0), cmap="viridis")
        ax.set_title(f"layer {layer.identifier}", fontsize=11, loc="right")
        for row, content in enumerate(models, start=1):
            generated = np.array(content["mean_shower"]["generated"])[own]
            ratio = np.divide(
                generated, test[own], out=np.full_like(generated, np.nan), where=test[own] > 0
            )
            below = axes[row][column]
            ratios = _map(below, ratio, geometry, place, vmin=0.8, vmax=1.2, cmap="RdBu_r")
            if column == 0:
                below.set_ylabel(content["name"], fontsize=11)
    axes[0][0].set_ylabel(SIMULATION, fontsize=11)
    fig.colorbar(mesh, ax=axes[0].tolist(), label="density / highest")
    fig.colorbar(ratios, ax=np.ravel(axes[1:]).tolist(), label="ratio")
    axes[0][0].text(
        0.0, 1.04, "fullchain", transform=axes[0][0].transAxes, fontweight="bold", fontsize=11
    )
    return fig, (
        f"Mean showers, {contents[0]['set']}: energy over that of the particle and over the area "
        "of the voxel, mean over all showers, in the plane of each layer (above, relative to the "
        "highest voxel of the layer), and generated over simulated energy "
        "of each voxel (below). The radius is drawn as its square root."
    )


def _areas(geometry: Geometry, place: int) -> Any:
    layer = geometry.layers[place]
    rings = np.pi * np.diff(np.array(layer.edges) ** 2) / layer.angles
    return np.tile(rings, layer.angles)


def _map(ax: Axes, values: Any, geometry: Geometry, place: int, **style: Any) -> Any:
    """Draw the voxels of a layer around the axis."""
    layer = geometry.layers[place]
    parts = max(1, 60 // layer.angles)
    angle = np.linspace(-np.pi, np.pi, layer.angles * parts + 1)
    radius = np.sqrt(np.array(layer.edges))
    grid = np.repeat(values.reshape(layer.angles, layer.rings), parts, axis=0)
    x, y = radius[None, :] * np.cos(angle)[:, None], radius[None, :] * np.sin(angle)[:, None]
    mesh = ax.pcolormesh(x, y, grid, rasterized=True, **style)
    ax.set_aspect("equal")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.minorticks_off()
    return mesh


def physics(contents: Sequence[Content]) -> Drawn:
    """Layer profile, and against energy linearity, resolution, centre and radius."""
    fig, axes = plotting.panels(columns=3, rows=2, size=4.6)
    panels = single(axes)
    styles = looks(contents)
    _profile(panels[0], contents, styles)
    unit = "layers" if contents[0]["depths"] is None else "$X_0$"
    quantities: list[tuple[str, Callable[[Mapping[str, Any], str], Any]]] = [
        (r"mean of $E_{tot}/E_{inc}$", lambda one, of: one["response"]["mean"][of]),
        (r"$\sigma/\mu$ of $E_{tot}/E_{inc}$", lambda one, of: one["response"]["resolution"][of]),
        (f"centre along the shower [{unit}]", lambda one, of: one["shapes"][of]["centre"]),
        ("radius of 90 % of the energy [mm]", lambda one, of: one["shapes"][of]["radius"]),
    ]
    for ax, (label, pick) in zip(panels[1:5], quantities, strict=True):
        groups = contents[0]["energies"]["groups"]
        x = _gev(groups)
        value, error = np.array([pick(one, "test") for one in groups]).reshape(-1, 2).T
        ax.fill_between(x, value - error, value + error, color="0.8", label=SIMULATION)
        _points(ax, contents, styles, lambda one, p=pick: p(one, "generated"))  # type: ignore[misc]
        ax.set_ylabel(label, fontsize=11)
    panels[2].set_yscale("log")
    _points(
        panels[5],
        contents,
        styles,
        lambda one: [100 * number for number in one["response"]["bias"]],
    )
    panels[5].axhspan(-DEMAND, DEMAND, color="0.9", zorder=0)
    panels[5].set_ylim(-5 * DEMAND, 5 * DEMAND)
    panels[5].set_ylabel(r"bias of the mean of $E_{tot}/E_{inc}$ [%]", fontsize=11)
    for ax in panels[1:]:
        energy_axis(ax)
    panels[0].legend(fontsize=9)
    plotting.label(panels[0], right="")
    return fig, (
        f"Physics of showers, {contents[0]['set']}: mean energy in each layer, and for each "
        "energy the mean and relative width of the response, the mean position along the shower, "
        "the radius that holds 90 % of the energy of the mean shower, and "
        f"the bias of the response (band: {DEMAND} %; points outside the frame have little "
        "energy). Errors by bootstrap and jackknife. Open points: energies that were not trained."
    )


def _gev(groups: Sequence[Mapping[str, Any]]) -> Any:
    return np.array([one["energy"] for one in groups]) / 1e3


def _profile(ax: Axes, contents: Sequence[Content], styles: Sequence[Mapping[str, Any]]) -> None:
    geometry = geometry_of(contents[0])
    layers = [one.identifier for one in geometry.layers]
    place = np.arange(len(layers))
    test = _layers(geometry, contents[0]["mean_shower"]["test"])
    ax.stairs(test, np.arange(len(layers) + 1) - 0.5, fill=True, color="0.8", label=SIMULATION)
    for number, (content, style) in enumerate(zip(contents, styles, strict=True)):
        shift = 0.5 * (number - 0.5 * (len(contents) - 1)) / max(1, len(contents))
        ax.plot(
            place + shift, _layers(geometry, content["mean_shower"]["generated"]),
            marker=style["marker"], color=style["color"], linestyle="", label=style["label"],
        )  # fmt: skip
    step = max(1, len(layers) // 8)
    ax.set_xticks(place[::step], [str(one) for one in layers[::step]])
    ax.tick_params(axis="x", which="minor", bottom=False, top=False)
    ax.set_yscale("log")
    low, high = float(test[test > 0].min()), float(test.max())
    ax.set_ylim(0.3 * low, 60 * high)
    ax.set_xlabel("layer")
    ax.set_ylabel(r"mean of $E_{layer}/E_{inc}$", fontsize=11)


def _layers(geometry: Geometry, voxels: Sequence[float]) -> Any:
    return geometry.layer_energies(np.array(voxels)[None, :])[0]


def _points(
    ax: Axes,
    contents: Sequence[Content],
    styles: Sequence[Mapping[str, Any]],
    pick: Callable[[Mapping[str, Any]], Any],
) -> None:
    """Points of each content against energy; open where the energy was not trained."""
    for number, (content, style) in enumerate(zip(contents, styles, strict=True)):
        groups = content["energies"]["groups"]
        # Side by side within two per cent.
        x = _gev(groups) * (1.0 + 0.06 * (number - 0.5 * (len(contents) - 1)))
        value, error = np.array([pick(one) for one in groups]).reshape(-1, 2).T
        trained = np.array([one["kind"] == TRAINED for one in groups])
        look = {"color": style["color"], "linestyle": "", "marker": style["marker"]}
        ax.errorbar(x[trained], value[trained], yerr=error[trained], label=style["label"], **look)
        if not trained.all():
            ax.errorbar(
                x[~trained], value[~trained], yerr=error[~trained], markerfacecolor="white",
                markersize=7, **look,
            )  # fmt: skip


def interpolation(contents: Sequence[Content]) -> Drawn:
    """Separations against energy."""
    fig, axes = plotting.panels(columns=3, rows=1, size=4.8)
    styles = looks(contents)
    words = {
        "E_tot": r"separation of $E_{tot}/E_{inc}$",
        "E_layer": "mean separation of layer energies",
        "EC_r": "mean separation of mean radii",
    }
    for ax, (kind, label) in zip(single(axes), words.items(), strict=True):

        def pick(one: Mapping[str, Any], kind: str = kind) -> Any:
            entry = one["separations"][kind]
            return [entry["value"], entry["error"]]

        _points(ax, contents, styles, pick)
        groups = contents[-1]["energies"]["groups"]
        expected = [one["separations"][kind]["expected"] for one in groups]
        ax.plot(_gev(groups), expected, color="0.3", linewidth=1.2, linestyle="--")
        energy_axis(ax)
        ax.set_yscale("log")
        low, high = ax.get_ylim()
        ax.set_ylim(low, high * (high / low) ** 0.45)
        ax.set_ylabel(label, fontsize=11)
    single(axes)[0].legend(fontsize=9)
    plotting.label(single(axes)[0], right="")
    return fig, (
        f"Separations at each energy, {contents[0]['set']}: in bins made for that energy; of "
        "layers the mean. Open points: energies left out of training or beyond it. Dashed: what "
        "equal distributions give with so many showers. Errors by bootstrap."
    )


def correlations(contents: Sequence[Content]) -> Drawn:
    """Correlations between layers: full simulation, and differences of models."""
    models = [one for one in contents if one["role"] != "reference"][:4] or list(contents[:1])
    fig, axes = plotting.panels(columns=1 + len(models), rows=1, size=4.4)
    panels = single(axes)
    test = np.array(contents[0]["correlations"]["test"])
    names = [name.rpartition("_")[2] for name in contents[0]["correlations"]["layers"]]
    image = panels[0].imshow(test, vmin=-1.0, vmax=1.0, cmap="RdBu_r")
    fig.colorbar(image, ax=panels[0], shrink=0.8)
    panels[0].set_title(SIMULATION, fontsize=11, loc="right")
    for ax, content in zip(panels[1:], models, strict=True):
        difference = np.array(content["correlations"]["generated"]) - test
        image = ax.imshow(difference, vmin=-0.2, vmax=0.2, cmap="RdBu_r")
        ax.set_title(f"{content['name']} - simulation", fontsize=11, loc="right")
    fig.colorbar(image, ax=panels[1:], shrink=0.8)
    step = max(1, len(names) // 8)
    for ax in panels:
        ax.set_xticks(range(0, len(names), step), names[::step])
        ax.set_yticks(range(0, len(names), step), names[::step])
        ax.minorticks_off()
        ax.set_xlabel("layer")
    panels[0].set_ylabel("layer")
    return fig, (
        f"Correlations between layers, {contents[0]['set']}: of their energies over that of the "
        "particle, over all showers, in the full simulation, and how those of generated showers "
        "differ."
    )
