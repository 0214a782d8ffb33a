"""Draw fitted parameters: pulls, correlations, and impacts on the parameter of interest."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from fullchain import plotting
from fullchain.inference import looks, wording
from fullchain.inference.collected import Collected, Numbers
from fullchain.inference.presentation_settings import FigureSettings
from fullchain.plotting import FigureSet

ROWS = 30
"""Parameters in one column of pulls."""

MOST_COLUMNS = 4

TOTAL = "total"


def draw(figures: FigureSet, one: Collected, chosen: FigureSettings) -> None:
    """Draw all figures of the parameters of an analysis."""
    _pulls(figures, one)
    _correlations(figures, one, chosen)
    if one.impacts is not None:
        _ranking(figures, one, one.impacts, chosen)
        if one.impacts.get("groups"):
            _groups(figures, one, one.impacts)


def _pulls(figures: FigureSet, one: Collected) -> None:
    rows = [row for row in one.result["parameters"] if row["pull"] is not None]
    free = [row for row in one.result["parameters"] if row["pull"] is None and not row["fixed"]]
    most = ROWS * MOST_COLUMNS
    left = max(0, len(rows) - most)
    if left:
        kept = sorted(rows, key=lambda row: -max(abs(row["pull"]), abs(1 - row["constraint"])))
        names = {row["name"] for row in kept[:most]}
        rows = [row for row in rows if row["name"] in names]
    columns = max(1, -(-len(rows) // ROWS))
    each = max(-(-len(rows) // columns), 1)
    fig, axes = plotting.plt.subplots(
        1,
        columns,
        figsize=(6.4 if columns == 1 else 4.2 * columns, 1.5 + 0.28 * max(each, 5)),
        layout="constrained",
        squeeze=False,
    )
    reach = max([2.5, *(abs(row["pull"]) + row["constraint"] + 0.3 for row in rows)])
    for number, ax in enumerate(axes[0]):
        _pull_column(ax, rows[number * each : (number + 1) * each], each, reach)
    if columns > 1:
        # One column is too narrow for name and luminosity above it.
        plotting.label(axes[0][0], right="", what=looks.status(one))
        place = axes[0][-1]
        place.text(
            1.0, 1.01, looks.luminosity(one),
            transform=place.transAxes, va="bottom", ha="right", fontsize=12,
        )  # fmt: skip
    else:
        looks.heading(axes[0][0], one)
    more = f" Of {len(rows) + left} parameters, the {len(rows)} that move most." if left else ""
    figures.save(
        fig,
        f"pulls_{one.name}",
        f"{wording.spoken(one.name)}, pulls and constraints",
        "Constrained nuisance parameters after the fit: shift from the value before the fit and "
        "uncertainty, both in units of the uncertainty before the fit, of which the green and "
        "yellow bands are one and two. A bar shorter than one means that the data constrain the "
        f"parameter.{more} {_free_words(free)}{wording.sentence(one)}",
    )


def _free_words(free: Sequence[Numbers]) -> str:
    if not free:
        return ""
    listed = ", ".join(
        f"{wording.spoken(row['name'])} = {row['value']:.3g} ± {row['uncertainty']:.2g}"
        for row in free[:8]
    )
    more = ", ..." if len(free) > 8 else ""
    return f"Without a constraint: {listed}{more}. "


def _pull_column(ax: Axes, rows: Sequence[Numbers], each: int, reach: float) -> None:
    places = np.arange(len(rows))[::-1] + (each - len(rows))
    _bands(ax)
    if rows:
        ax.errorbar(
            [row["pull"] for row in rows],
            places,
            xerr=[row["constraint"] for row in rows],
            fmt="o",
            linewidth=1.2,
            **looks.POINTS,
        )
    ax.set_yticks(places, [wording.spoken(row["name"]) for row in rows], fontsize=11)
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-0.7, each - 0.3)
    ax.minorticks_off()
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(r"$(\hat{\theta} - \theta_0) / \Delta\theta$")


def _bands(ax: Axes) -> None:
    for low, high, colour in (
        (-2, -1, looks.YELLOW),
        (-1, 1, looks.GREEN),
        (1, 2, looks.YELLOW),
    ):
        ax.axvspan(low, high, color=colour, alpha=0.4, linewidth=0, zorder=0)
    ax.axvline(0, color="0.35", linewidth=0.8, zorder=1)


def chosen_for_matrix(
    names: Sequence[str], matrix: Any, poi: str, chosen: FigureSettings
) -> list[int]:
    """Rows of the matrix to draw: the parameter of interest and the most correlated ones."""
    strongest = np.max(np.abs(matrix - np.diag(np.diag(matrix))), axis=1)
    strongest[list(names).index(poi)] = np.inf
    ranked = np.argsort(-strongest, kind="stable")[: chosen.most_parameters]
    return sorted(int(one) for one in ranked if strongest[one] > chosen.smallest_correlation)


def _correlations(figures: FigureSet, one: Collected, chosen: FigureSettings) -> None:
    names = [row["name"] for row in one.result["parameters"]]
    matrix = np.array(one.result["correlation"])
    rows = chosen_for_matrix(names, matrix, one.poi, chosen)
    shown = matrix[np.ix_(rows, rows)]
    size = 4.2 + 0.42 * len(rows)
    fig, ax = looks.figure(size, 0.88 * size)
    image = ax.imshow(shown, cmap="RdBu_r", vmin=-1, vmax=1)
    labels = [wording.spoken(names[row]) for row in rows]
    ax.set_xticks(range(len(rows)), labels, rotation=90, fontsize=11)
    ax.set_yticks(range(len(rows)), labels, fontsize=11)
    ax.tick_params(which="both", length=0)
    for i, row in enumerate(shown):
        for j, value in enumerate(row):
            if i != j and abs(value) >= chosen.smallest_correlation:
                colour = "white" if abs(value) > 0.6 else "black"
                text = f"{100 * value:.0f}"
                ax.text(j, i, text, ha="center", va="center", fontsize=10, color=colour)
    bar = fig.colorbar(image, ax=ax, shrink=0.85)
    bar.set_label("correlation")
    bar.ax.minorticks_off()
    looks.heading(ax, one)
    limit = 100 * chosen.smallest_correlation
    figures.save(
        fig,
        f"correlations_{one.name}",
        f"{wording.spoken(one.name)}, correlations of the fitted parameters",
        f"Correlation coefficients after the fit, in percent where they reach {limit:g} %. Shown "
        f"are the parameter of interest and, of {len(names)} parameters, those with a correlation "
        f"above {limit:g} %, at most {chosen.most_parameters} in all. {wording.sentence(one)}",
    )


def _ranking(figures: FigureSet, one: Collected, impacts: Numbers, chosen: FigureSettings) -> None:
    rows = wording.ranked(impacts, chosen.most_parameters)
    fig, ax = looks.figure(7.4, 2.6 + 0.36 * max(len(rows), 5))
    top = ax.twiny()
    top.minorticks_off()
    places = np.arange(len(rows))[::-1]
    for place, row in zip(places, rows, strict=True):
        _impact_bars(top, place, row)
    widest = max(
        [
            abs(shift)
            for row in rows
            for shift in [
                *wording.both(row.get("refit")),
                *wording.both(row.get("covariance")),
                *((row.get("refit") or {}).get(f"prefit_{side}") for side in ("up", "down")),
            ]
            if shift is not None
        ],
        default=1.0,
    )
    top.set_xlim(-1.15 * widest, 1.15 * widest)
    top.set_xlabel(r"$\Delta\hat{\mu}$" if one.poi == "mu" else f"shift of {one.poi}")
    known = [(place, row) for place, row in zip(places, rows, strict=True) if _pulled(row)]
    if known:
        ax.errorbar(
            [row["pull"] for _, row in known],
            [place for place, _ in known],
            xerr=[row["constraint"] for _, row in known],
            fmt="o",
            linewidth=1.2,
            **looks.POINTS,
        )
    _free_values(
        ax, one, [(p, row) for p, row in zip(places, rows, strict=True) if not _pulled(row)]
    )
    for line in (-1, 1):
        ax.axvline(line, color="0.5", linewidth=0.8, linestyle="--", zorder=0)
    ax.axvline(0, color="0.35", linewidth=0.8, zorder=0)
    reach = max([1.5, *(abs(row["pull"]) + row["constraint"] + 0.2 for _, row in known)])
    ax.set_xlim(-reach, reach)
    ax.set_ylim(-0.7, len(rows) - 0.3)
    ax.set_yticks(places, [wording.spoken(row["name"]) for row in rows], fontsize=11)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(r"$(\hat{\theta} - \theta_0) / \Delta\theta$")
    # Points of the pulls lie above the bars of the impacts.
    ax.set_zorder(top.get_zorder() + 1)
    ax.patch.set_visible(False)
    looks.heading_above(top, one)
    _ranking_legend(fig, rows)
    total = wording.size(impacts.get("total"))
    said = "" if total is None else f" The uncertainty of {one.poi} is {total:.2g}."
    named = "the expectation" if impacts.get("dataset") == "asimov" else "the data"
    figures.save(
        fig,
        f"ranking_{one.name}",
        f"{wording.spoken(one.name)}, ranking of the nuisance parameters",
        f"Impact on {one.poi} (upper axis): its shift when a parameter is held one standard "
        "deviation above (blue) or below (red) its best fit and all others are fitted; outlines: "
        "the same with the standard deviation before the fit; crosses: to first order from the "
        "covariance. Points (lower axis): pulls and constraints; of a parameter without "
        f"constraint the value is written. The {len(rows)} largest of "
        f"{len(impacts['parameters'])} impacts, of the fit to {named}.{said} "
        f"{wording.sentence(one)}",
    )


def _pulled(row: Numbers) -> bool:
    return row.get("pull") is not None and row.get("constraint") is not None


def _impact_bars(ax: Axes, place: float, row: Numbers) -> None:
    refit = row.get("refit") or {}
    for side, colour in (("up", looks.UP), ("down", looks.DOWN)):
        shift, before = refit.get(side), refit.get(f"prefit_{side}")
        if shift is not None:
            ax.barh(place, shift, height=0.72, color=colour, alpha=0.8, linewidth=0)
        if before is not None:
            ax.barh(place, before, height=0.72, fill=False, edgecolor=colour, linewidth=1.0)
        linear = wording.both(row.get("covariance"))[0 if side == "up" else 1]
        if linear is not None:
            ax.plot([linear], [place], "x", color="0.1", markersize=5, markeredgewidth=1.1)


def _free_values(ax: Axes, one: Collected, rows: Sequence[tuple[float, Numbers]]) -> None:
    fitted = {row["name"]: row for row in one.result["parameters"]}
    for place, row in rows:
        found = fitted.get(row["name"], row)
        error = found.get("uncertainty")
        text = f"{found['value']:.3g}" + ("" if error is None else f" ± {error:.2g}")
        ax.annotate(
            text,
            (0.985, place),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="center",
            fontsize=10,
        )


def _ranking_legend(fig: Any, rows: Sequence[Numbers]) -> None:
    handles: list[Any] = [
        Line2D([], [], marker="o", linewidth=1.2, label="pull", **looks.POINTS),
    ]
    if any((row.get("refit") or {}).get("up") is not None for row in rows):
        handles += [
            Patch(color=looks.UP, alpha=0.8, label=r"$+1\sigma$, refit"),
            Patch(color=looks.DOWN, alpha=0.8, label=r"$-1\sigma$, refit"),
        ]
    if any((row.get("refit") or {}).get("prefit_up") is not None for row in rows):
        handles.append(Patch(fill=False, edgecolor="0.3", label="prefit"))
    if any(row.get("covariance") for row in rows):
        handles.append(
            Line2D([], [], marker="x", linestyle="", color="0.1", markersize=5, label="covariance")
        )
    fig.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=10.5)


def _groups(figures: FigureSet, one: Collected, impacts: Numbers) -> None:
    groups: dict[str, Numbers] = dict(impacts["groups"])
    names = sorted(groups, key=lambda name: -_group_size(groups[name]))
    total = impacts.get("total")
    fig, ax = looks.figure(7.0, 1.9 + 0.45 * (len(names) + 1))
    rows: list[tuple[str, Any, Any]] = [
        (wording.spoken(name), groups[name].get("refit"), groups[name].get("covariance"))
        for name in names
    ]
    if total is not None:
        rows.insert(0, (TOTAL, total, None))
    places = np.arange(len(rows))[::-1]
    widest = max((wording.size(one) or wording.size(other) or 0.0) for _, one, other in rows)
    for place, (name, refit, linear) in zip(places, rows, strict=True):
        shown = refit if wording.size(refit) is not None else linear
        colour = "0.55" if name == TOTAL else looks.UP
        mean = wording.size(shown)
        if mean is None:
            continue
        ax.barh(place, mean, height=0.62, color=colour, alpha=0.85, linewidth=0)
        sides = [abs(side) for side in wording.both(shown) if side is not None]
        if len(sides) == 2:
            spread = [[mean - min(sides)], [max(sides) - mean]]
            ax.errorbar([mean], [place], xerr=spread, color="black", linewidth=1.2, fmt="none")
        first_order = wording.size(linear)
        if first_order is not None and shown is refit:
            ax.plot([first_order], [place], "x", color="0.1", markeredgewidth=1.3)
        text = f"{mean:.3f}" if widest < 1 else f"{mean:.2f}"
        end = max([*sides, first_order or 0.0]) + 0.02 * widest
        ax.text(end, place, text, va="center", fontsize=11)
    ax.set_xlim(0.0, 1.22 * widest)
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.set_yticks(places, [name for name, _, _ in rows], fontsize=12)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(rf"impact on {looks.strength(one.poi)}")
    looks.heading(ax, one)
    figures.save(
        fig,
        f"groups_{one.name}",
        f"{wording.spoken(one.name)}, impacts of groups of uncertainties",
        f"What the uncertainty of {one.poi} loses, in quadrature, when the parameters of a group "
        "are held at their best fit, and the statistical part, which is left with all constrained "
        "parameters held. Bars: by refit, mean of up and down, which the black line joins; "
        "crosses: from the covariance. Groups that the fit correlates do not add up to the total. "
        f"{wording.sentence(one)}",
    )


def _group_size(group: Numbers) -> float:
    return wording.size(group.get("refit")) or wording.size(group.get("covariance")) or 0.0
