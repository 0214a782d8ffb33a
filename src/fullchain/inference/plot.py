"""Draw distributions before and after the fit, pulls, correlations and templates."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from fullchain import drawing, plotting
from fullchain.inference.template_file import read_json
from fullchain.plotting import FigureSet
from fullchain.step import Given, Input, Output

NAMES = {"msoftdrop": "soft-drop mass", "mass": "jet mass", "pt": "jet $p_T$", "score": "score"}
"""How axis titles call a column of the jets."""

CORRELATED = 0.1
"""Parameters without a correlation above this are left out of the matrix."""

MOST_CORRELATED = 20
"""Number of parameters in the matrix at most, so that it stays readable."""


def main(
    *,
    fit: Annotated[Path, Input("parameters, correlations and yields")],
    workspace: Annotated[Path, Input("pyhf workspace")],
    index: Annotated[Path, Output("index of the figures, written beside it")],
    settings: Given,
) -> None:
    """Draw all figures of the stage from the numbers of the fit."""
    numbers = read_json(fit)
    channels = read_json(workspace)["channels"]
    figures = plotting.figure_set(index, stage="inference")
    for when in ("prefit", "postfit"):
        for region in numbers["regions"]:
            draw_region(figures, numbers, region, when)
    for channel in channels:
        draw_templates(figures, numbers, channel)
    draw_pulls(figures, numbers)
    draw_correlations(figures, numbers)
    figures.write()


def axis_title(numbers: Mapping[str, Any]) -> str:
    """Name and unit of the observable."""
    name, unit = numbers["observable"]["name"], numbers["observable"]["unit"]
    title = NAMES.get(name, name)
    return f"{title} [{unit}]" if unit and unit != "1" else title


def data_label(numbers: Mapping[str, Any]) -> str:
    """What was fitted."""
    kind = numbers["data"]["kind"]
    return {"asimov": "Asimov data", "pseudo": "pseudo-data"}.get(kind, "data")


def draw_region(figures: FigureSet, numbers: Mapping[str, Any], region: str, when: str) -> None:
    """Data and expectation of a region, and their ratio."""
    content, unit = numbers["regions"][region], numbers["observable"]["unit"]
    edges, observed = np.array(content["edges"]), np.array(content["observed"])
    per_width = 1.0 / np.diff(edges)
    samples = dict(content[when]["samples"])
    total = samples.pop("total")
    expected, widths = np.array(total["values"]), np.array(total["uncertainties"])
    # The largest at the bottom, so that the small ones on top remain visible.
    names = sorted(samples, key=lambda name: -sum(samples[name]["values"]))
    fig, ax, ratio = plotting.ratio_figure()
    drawing.stack(
        ax,
        [np.array(samples[name]["values"]) * per_width for name in names],
        edges,
        labels=[plotting.process_label(name) for name in names],
        colors=[plotting.process_colour(name) for name in names],
        errors=widths * per_width,
    )
    drawing.points(
        ax,
        observed * per_width,
        edges,
        errors=np.sqrt(observed) * per_width,
        label=data_label(numbers),
    )
    drawing.ratio_points(ratio, observed, np.sqrt(observed), expected, edges)
    drawing.ratio_band(ratio, expected, widths, edges)
    ratio.set_ylabel("data / fit" if when == "postfit" else "data / exp.", loc="center")
    ratio.set_ylim(*ratio_range(observed, expected, widths))
    ax.set_xlim(edges[0], edges[-1])
    right = f"{numbers['luminosity']:g} fb$^{{-1}}$ (13.6 TeV)"
    plotting.finish(
        ax,
        xlabel=axis_title(numbers),
        ylabel=f"events / {unit}" if unit and unit != "1" else "events / unit",
        ratio=ratio,
        right=right,
        legend_above=True,
    )
    words = {"prefit": "before the fit", "postfit": "after the fit"}[when]
    band = (
        "constraints of the systematic uncertainties (the free signal strength is set to one)"
        if when == "prefit"
        else "full postfit covariance"
    )
    figures.save(
        fig,
        f"{when}_{region}",
        title=f"Region {region}, {words}",
        caption=f"{data_label(numbers).capitalize()} and expected events in the region {region} "
        f"{words}. The band is the uncertainty of the sum from the {band}; the bars are the square "
        "root of the number of events. Below, the ratio to the sum.",
    )


def ratio_range(observed: Any, expected: Any, widths: Any) -> tuple[float, float]:
    """Symmetric limits around one that show nearly all points and the band."""
    reach = np.abs(observed - expected) + np.sqrt(observed)
    largest = max(float(np.max(reach / expected)), float(np.max(widths / expected)))
    half = float(np.clip(1.15 * largest, 0.1, 1.0))
    return 1.0 - half, 1.0 + half


def variations(sample: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Yields of a sample one standard deviation up and down, by nuisance parameter."""
    nominal = np.array(sample["data"])
    found: dict[str, tuple[Any, Any]] = {}
    for kind in ("histosys", "normsys"):
        for modifier in sample["modifiers"]:
            if modifier["type"] != kind:
                continue
            name, data = modifier["name"], modifier["data"]
            up, down = found.get(name, (nominal, nominal))
            if kind == "histosys":
                found[name] = (np.array(data["hi_data"]), np.array(data["lo_data"]))
            else:
                found[name] = (up * data["hi"], down * data["lo"])
    return found


def draw_templates(figures: FigureSet, numbers: Mapping[str, Any], channel: Any) -> None:
    """Relative change of each process in a region by each systematic uncertainty."""
    region = channel["name"]
    edges = np.array(numbers["regions"][region]["edges"])
    samples = channel["samples"]
    names = list(dict.fromkeys(name for one in samples for name in variations(one)))
    colours = {
        name: plotting.COLOURS[index % len(plotting.COLOURS)] for index, name in enumerate(names)
    }
    styles = {
        name: plotting.LINESTYLES[index // len(plotting.COLOURS) % len(plotting.LINESTYLES)]
        for index, name in enumerate(names)
    }
    fig, axes = plotting.panels(columns=len(samples), rows=1)
    for ax, sample in zip(axes[0], samples, strict=True):
        nominal = np.array(sample["data"])
        ones = np.ones_like(nominal)
        for modifier in sample["modifiers"]:
            if modifier["type"] == "staterror":
                relative = relative_to(np.array(modifier["data"]), nominal)
                drawing.band(ax, ones, relative, edges, label="simulation")
        for name, (up, down) in variations(sample).items():
            for side, style in ((up, styles[name]), (down, ":")):
                drawing.histogram(
                    ax,
                    relative_to(side, nominal, empty=1.0),
                    edges,
                    color=colours[name],
                    linestyle=style,
                    label=name.replace("_", " ") if side is up else None,
                )
        ax.axhline(1.0, color="black", linewidth=0.8)
        ax.set_xlim(edges[0], edges[-1])
        ax.set_title(plotting.process_label(sample["name"]), fontsize=13)
        ax.set_xlabel(axis_title(numbers))
        ax.set_ylim(*template_range(sample))
    axes[0][0].set_ylabel("relative to nominal")
    handles, labels = collect_legend(axes[0])
    fig.legend(handles, labels, loc="outside lower center", ncols=5, fontsize=10)
    figures.save(
        fig,
        f"templates_{region}",
        title=f"Systematic variations in the region {region}",
        caption=f"Yields of each process in the region {region} relative to the nominal ones, one "
        "standard deviation up (solid) and down (dotted), as they stand in the statistical model "
        "after mirroring and pruning. The grey band is the uncertainty from the limited "
        "simulation.",
    )


def relative_to(values: Any, nominal: Any, empty: float = 0.0) -> Any:
    """Bin contents divided by the nominal ones; `empty` where there are none."""
    return np.divide(values, nominal, out=np.full_like(nominal, empty), where=nominal > 0)


def template_range(sample: Mapping[str, Any]) -> tuple[float, float]:
    """Symmetric limits around one that hold all variations, at most 0 to 2."""
    nominal = np.array(sample["data"])
    changes = [
        np.abs(relative_to(side, nominal, empty=1.0) - 1.0).max()
        for pair in variations(sample).values()
        for side in pair
    ]
    half = float(np.clip(1.1 * max(changes, default=0.0), 0.05, 1.0))
    return 1.0 - half, 1.0 + half


def collect_legend(axes: Any) -> tuple[list[Any], list[str]]:
    """One handle for each label that occurs on any of the axes."""
    found: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)


def draw_pulls(figures: FigureSet, numbers: Mapping[str, Any]) -> None:
    """Pulls and constraints of the nuisance parameters."""
    rows = [one for one in numbers["parameters"] if one["pull"] is not None]
    fig, ax = plotting.figure(height=1.4 + 0.3 * max(len(rows), 4))
    place = np.arange(len(rows))[::-1]
    ax.axvspan(-2, 2, color="#ffe58a", linewidth=0, zorder=0)
    ax.axvspan(-1, 1, color="#a8d8a0", linewidth=0, zorder=0)
    ax.axvline(0, color="0.4", linewidth=0.8, zorder=1)
    ax.errorbar(
        [one["pull"] for one in rows],
        place,
        xerr=[one["constraint"] for one in rows],
        fmt="o",
        color="black",
        linewidth=1.2,
    )
    ax.set_yticks(place, [one["name"].replace("_", " ") for one in rows], fontsize=9)
    reach = max([2.5, *(abs(one["pull"]) + one["constraint"] + 0.3 for one in rows)])
    ax.set_xlim(-reach, reach)
    ax.tick_params(axis="y", which="minor", left=False, right=False)
    plotting.finish(
        ax,
        xlabel=r"$(\hat{\theta} - \theta_0) / \Delta\theta$",
        ylabel="",
        legend=False,
        headroom=1.0,
    )
    ax.set_ylim(-0.7, len(rows) - 0.3)
    figures.save(
        fig,
        "pulls",
        title="Pulls and constraints",
        caption="Nuisance parameters after the fit: shift from the prefit value and uncertainty, "
        "both in units of the prefit uncertainty. The green and yellow bands are one and two "
        "prefit standard deviations. A bar shorter than one means that the data constrain the "
        "parameter.",
    )


def chosen_for_matrix(names: list[str], matrix: Any, poi: str) -> list[int]:
    """Rows of the matrix to draw: the signal strength and the most correlated parameters."""
    strongest = np.max(np.abs(matrix - np.eye(len(names))), axis=1)
    strongest[names.index(poi)] = np.inf
    ranked = np.argsort(-strongest, kind="stable")[:MOST_CORRELATED]
    return sorted(int(one) for one in ranked if strongest[one] > CORRELATED)


def draw_correlations(figures: FigureSet, numbers: Mapping[str, Any]) -> None:
    """Correlation matrix of the fitted parameters."""
    names = [one["name"] for one in numbers["parameters"]]
    matrix = np.array(numbers["correlation"])
    rows = chosen_for_matrix(names, matrix, numbers["poi"])
    shown = matrix[np.ix_(rows, rows)]
    size = 3.6 + 0.32 * len(rows)
    fig, ax = plotting.figure(width=size, height=size * 0.92)
    image = ax.imshow(shown, cmap="RdBu_r", vmin=-1, vmax=1)
    labels = [names[one].replace("_", " ") for one in rows]
    ax.set_xticks(range(len(rows)), labels, rotation=90, fontsize=9)
    ax.set_yticks(range(len(rows)), labels, fontsize=9)
    ax.tick_params(which="both", length=0)
    ax.minorticks_off()
    for i, row in enumerate(shown):
        for j, value in enumerate(row):
            if i != j and abs(value) >= CORRELATED:
                colour = "white" if abs(value) > 0.6 else "black"
                text = f"{100 * value:.0f}"
                ax.text(j, i, text, ha="center", va="center", fontsize=7, color=colour)
    bar = fig.colorbar(image, ax=ax, shrink=0.85)
    bar.set_label("correlation")
    plotting.label(ax, right="")
    figures.save(
        fig,
        "correlations",
        title="Correlations of the fitted parameters",
        caption="Correlation coefficients after the fit, written in percent where they exceed "
        f"{100 * CORRELATED:.0f} %. Shown are the signal strength and at most {MOST_CORRELATED} "
        "parameters with such a correlation.",
    )
