"""Draw what is expected and seen in the regions of an analysis, and the variations of templates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fullchain import drawing, plotting
from fullchain.inference import looks, wording
from fullchain.inference.collected import Collected, Numbers
from fullchain.plotting import FigureSet

WORDS = {"prefit": "before the fit", "postfit": "after the fit"}

MOST_VARIATIONS = 10
"""Variations in one figure at most: those that change a bin most."""

MOST_REGIONS = 9
"""Regions of a workspace of a user that share one figure."""

STEEP = 50.0
"""Ratio of the fullest to the emptiest bin from which the scale is logarithmic."""


def draw(figures: FigureSet, one: Collected) -> None:
    """Draw each region before and after the fit, and its templates."""
    regions = one.result["regions"]
    for when in WORDS:
        for region in regions:
            fig, ax, ratio = plotting.ratio_figure()
            _region(ax, ratio, one, region, when)
            figures.save(
                fig,
                f"{when}_{one.name}_{region}",
                f"{wording.spoken(one.name)}, region {wording.spoken(region)}, {WORDS[when]}",
                f"{_seen(one)} in the region {wording.spoken(region)} {WORDS[when]}. "
                f"{_band_words(one, when)} {wording.sentence(one)}",
            )
    for channel in one.workspace["channels"]:
        _templates(figures, one, channel)


def draw_together(figures: FigureSet, one: Collected) -> None:
    """Draw all regions of an analysis whose regions only its workspace knows in one figure."""
    regions = list(one.result["regions"])
    shown = regions[:MOST_REGIONS]
    left = (
        f" {len(regions) - len(shown)} further regions are not shown."
        if len(regions) > len(shown)
        else ""
    )
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    for when in WORDS:
        fig = plotting.plt.figure(figsize=(6.4 * columns, 6.0 * rows), layout="constrained")
        grid = fig.add_gridspec(2 * rows, columns, height_ratios=(3, 1) * rows)
        for number, region in enumerate(shown):
            row, column = divmod(number, columns)
            ax = fig.add_subplot(grid[2 * row, column])
            ratio = fig.add_subplot(grid[2 * row + 1, column], sharex=ax)
            ax.tick_params(labelbottom=False)
            ratio.axhline(1.0, color="0.5", linewidth=1.0, zorder=0)
            _region(ax, ratio, one, region, when, name=wording.spoken(region))
        figures.save(
            fig,
            f"{when}_{one.name}",
            f"{wording.spoken(one.name)}, all regions, {WORDS[when]}",
            f"{_seen(one)} in each region {WORDS[when]}.{left} {_band_words(one, when)} "
            f"{wording.sentence(one)}",
        )


def _seen(one: Collected) -> str:
    return "Expected events" if one.blind else "Observed and expected events"


def _band_words(one: Collected, when: str) -> str:
    band = (
        "the constraints of all systematic uncertainties, free parameters at their initial values"
        if when == "prefit"
        else "the full covariance after the fit"
    )
    bars = (
        "The data are hidden." if one.blind else "Bars are the square root of the number of events."
    )
    below = "the relative uncertainty" if one.blind else "the ratio to the sum of all processes"
    return f"The band is the total uncertainty of the sum from {band}. {bars} Below: {below}."


def _region(
    ax: Axes, ratio: Axes, one: Collected, region: str, when: str, *, name: str = ""
) -> None:
    content = one.result["regions"][region]
    edges = np.array(content["edges"])
    per_width = 1.0 / np.diff(edges)
    samples = dict(content[when]["samples"])
    total = samples.pop("total")
    expected, widths = np.array(total["values"]), np.array(total["uncertainties"])
    logarithmic = _steep(expected * per_width)
    # The largest at the bottom, so that the small ones on top remain visible; on a logarithmic
    # scale the other way round, for there it is the one at the bottom that can be told.
    order = -1 if not logarithmic else 1
    names = sorted(samples, key=lambda sample: order * sum(samples[sample]["values"]))
    drawing.stack(
        ax,
        [np.array(samples[sample]["values"]) * per_width for sample in names],
        edges,
        labels=[plotting.process_label(sample) for sample in names],
        colors=[plotting.process_colour(sample) for sample in names],
        errors=widths * per_width,
    )
    observed = None if one.blind else np.array(content["observed"], dtype=float)
    if observed is not None:
        drawing.points(
            ax,
            observed * per_width,
            edges,
            errors=np.sqrt(observed) * per_width,
            label=wording.data_label(one),
        )
        drawing.ratio_points(ratio, observed, np.sqrt(observed), expected, edges)
    drawing.ratio_band(ratio, expected, widths, edges)
    sum_of = "fit" if when == "postfit" else "expected"
    ratio.set_ylabel("unc." if one.blind else f"data / {sum_of}", loc="center", fontsize=12)
    ratio.set_ylim(*ratio_range(observed, expected, widths))
    ax.set_xlim(edges[0], edges[-1])
    _, unit = wording.observable(one, region)
    if logarithmic:
        low = float(np.min(expected * per_width))
        ax.set_ylim(0.3 * low, 1.5 * float(np.max((expected + widths) * per_width)))
    plotting.finish(
        ax,
        xlabel=looks.axis_title(one, region),
        ylabel=f"events / {unit}" if unit else "events / unit",
        ratio=ratio,
        logy=logarithmic,
        right=name or looks.luminosity(one),
        what=looks.status(one),
        legend_above=not logarithmic,
        headroom=1.3 if logarithmic else 1.35,
    )
    if logarithmic:
        ax.legend(loc="upper right", ncols=2)


def _steep(values: Any) -> bool:
    return bool(np.min(values) > 0 and np.max(values) > STEEP * np.min(values))


def ratio_range(observed: Any, expected: Any, widths: Any) -> tuple[float, float]:
    """Symmetric limits around one that show nearly all points and the band."""
    relative = np.divide(widths, expected, out=np.zeros_like(expected), where=expected > 0)
    largest = float(np.max(relative))
    if observed is not None:
        reach = np.abs(observed - expected) + np.sqrt(observed)
        ratio = np.divide(reach, expected, out=np.zeros_like(expected), where=expected > 0)
        largest = max(largest, float(np.max(ratio)))
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


def leading(samples: Sequence[Numbers]) -> list[str]:
    """Names of the variations that change a bin of any sample most, in their order."""
    largest: dict[str, float] = {}
    for sample in samples:
        nominal = np.array(sample["data"])
        for name, pair in variations(sample).items():
            change = max(float(np.max(np.abs(relative_to(s, nominal) - 1.0))) for s in pair)
            largest[name] = max(change, largest.get(name, 0.0))
    chosen = set(sorted(largest, key=lambda name: -largest[name])[:MOST_VARIATIONS])
    return [name for name in largest if name in chosen]


def _templates(figures: FigureSet, one: Collected, channel: Numbers) -> None:
    """Relative change of each process in a region by the systematic uncertainties."""
    region = channel["name"]
    edges = np.array(one.result["regions"][region]["edges"])
    samples = channel["samples"]
    names = leading(samples)
    hidden = len({name for sample in samples for name in variations(sample)}) - len(names)
    looked: dict[str, dict[str, Any]] = {
        name: {"color": plotting.COLOURS[index % len(plotting.COLOURS)]}
        for index, name in enumerate(names)
    }
    columns = min(3, len(samples))
    rows = -(-len(samples) // columns)
    fig, axes = plotting.panels(columns, rows)
    for ax in axes.flat[len(samples) :]:
        ax.remove()
    for number, (ax, sample) in enumerate(zip(axes.flat, samples, strict=False)):
        nominal = np.array(sample["data"])
        _simulation_band(ax, sample, nominal, edges)
        shown = {name: pair for name, pair in variations(sample).items() if name in looked}
        for name, pair in shown.items():
            for side, style in zip(pair, ("-", ":"), strict=True):
                drawing.histogram(
                    ax, relative_to(side, nominal), edges, linestyle=style, **looked[name]
                )
        ax.axhline(1.0, color="black", linewidth=0.8)
        ax.minorticks_off()
        ax.set_xlim(edges[0], edges[-1])
        ax.text(
            0.04, 0.95, plotting.process_label(sample["name"]),
            transform=ax.transAxes, va="top", fontsize=13,
        )  # fmt: skip
        ax.set_ylim(*_template_range(shown, nominal))
        ax.set_xlabel(looks.axis_title(one, region))
        if number % columns == 0:
            ax.set_ylabel("relative to nominal")
    looks.heading(axes[0][0], one)
    handles: list[Any] = [
        Line2D([], [], label=wording.spoken(name), **look) for name, look in looked.items()
    ]
    handles.append(Patch(color="0.4", alpha=0.25, label="limited simulation"))
    fig.legend(handles=handles, loc="outside lower center", ncols=min(2 * columns, 6), fontsize=11)
    more = f" Of {len(names) + hidden} variations, the {len(names)} largest." if hidden else ""
    figures.save(
        fig,
        f"templates_{one.name}_{region}",
        f"{wording.spoken(one.name)}, systematic variations in the region {wording.spoken(region)}",
        f"Yields of each process in the region {wording.spoken(region)} relative to the nominal "
        "ones, one standard deviation up (solid) and down (dotted), as they stand in the "
        f"statistical model after smoothing, mirroring and pruning.{more} The grey band is the "
        f"uncertainty of limited simulation. {wording.sentence(one)}",
    )


def _simulation_band(ax: Axes, sample: Numbers, nominal: Any, edges: Any) -> None:
    for modifier in sample["modifiers"]:
        if modifier["type"] == "staterror":
            relative = relative_to(np.array(modifier["data"]), nominal, empty=0.0)
            drawing.band(ax, np.ones_like(nominal), relative, edges)


def relative_to(values: Any, nominal: Any, empty: float = 1.0) -> Any:
    """Bin contents divided by the nominal ones; `empty` where there are none."""
    return np.divide(values, nominal, out=np.full_like(nominal, empty), where=nominal > 0)


def _template_range(shown: Mapping[str, Any], nominal: Any) -> tuple[float, float]:
    """Symmetric limits around one that hold all variations, at most 0 to 2."""
    changes = [
        float(np.abs(relative_to(side, nominal) - 1.0).max())
        for pair in shown.values()
        for side in pair
    ]
    half = float(np.clip(1.4 * max(changes, default=0.0), 0.05, 1.0))
    return 1.0 - half, 1.0 + half
