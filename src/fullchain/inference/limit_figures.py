"""Draw limits against mass, and the CLs of each hypothesis from which they are read."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from fullchain import plotting
from fullchain.inference import looks, wording
from fullchain.inference.collected import Collected, Numbers
from fullchain.plotting import FigureSet

MOST_HYPOTHESES = 9
"""Hypotheses whose CLs is drawn."""


def draw(figures: FigureSet, one: Collected) -> None:
    """Draw what there is of limits of an analysis."""
    if one.limits is None or not one.limits["hypotheses"]:
        return
    _limits(figures, one, one.limits)
    _scans(figures, one, one.limits)


def _limits(figures: FigureSet, one: Collected, limits: Numbers) -> None:
    rows = wording.by_mass(limits)
    known = all(row.get("cross_section_pb") is not None for row in rows)
    fig, axes = plotting.panels(2 if known else 1, 1, 5.9 if known else 6.4)
    unit = np.ones(len(rows))
    _limit_panel(axes[0][0], one, limits, rows, unit)
    axes[0][0].axhline(1.0, color=looks.DOWN, linewidth=1.2, linestyle="-.")
    axes[0][0].set_ylabel(f"upper limit on {looks.strength(limits['poi'])}")
    if known:
        sections = np.array([row["cross_section_pb"] for row in rows])
        _limit_panel(axes[0][1], one, limits, rows, sections)
        _model_line(axes[0][1], rows, sections)
        axes[0][1].set_ylabel("upper limit on the cross section [pb]")
    values = [row["expected"][place] for row in rows for place in (0, 4)]
    seen = _observed(one, rows)
    strengths = np.append(values, [] if seen is None else seen)
    _decades(axes[0][0], np.append(strengths, 1.0))
    if known:
        of_values = np.append(np.repeat(sections, 2), [] if seen is None else sections)
        _decades(axes[0][1], np.append(strengths * of_values, sections))
    for ax in axes[0]:
        ax.legend(loc="upper right", fontsize=11)
    looks.heading(axes[0][0], one)
    level = 100 * limits["level"]
    observed = "" if _observed(one, rows) is None else "solid, with points: the observed limit; "
    toys = (
        " Open diamonds: the median of the expectation, from toys."
        if _from_toys(rows) is not None
        else ""
    )
    second = (
        " Right: the same times the cross section of the model, which is the red line."
        if known
        else ""
    )
    figures.save(
        fig,
        f"limits_{one.name}",
        f"{wording.spoken(one.name)}, limits",
        f"Upper limits at {level:g} % confidence level (CLs, asymptotic formulae) for each "
        f"hypothesis: {observed}dashed: the median expected without a signal; bands: the central "
        f"68 and 95 % of the expectation. Red line: the strength of the model.{second}{toys} "
        f"{wording.sentence(one)}",
    )


def _places(rows: Sequence[Numbers]) -> tuple[Any, bool]:
    """Positions of the hypotheses, and whether these are masses."""
    masses = [row.get("mass") for row in rows]
    if any(mass is None for mass in masses):
        return np.arange(len(rows), dtype=float), False
    return np.array(masses, dtype=float), True


def _observed(one: Collected, rows: Sequence[Numbers]) -> Any:
    if one.blind or any(row.get("observed") is None for row in rows):
        return None
    return np.array([row["observed"] for row in rows])


def _from_toys(rows: Sequence[Numbers]) -> list[tuple[int, float, float]] | None:
    """Place, value and error of the median limits by toys; None without any."""
    found = []
    for place, row in enumerate(rows):
        expected = (row.get("toys") or {}).get("expected")
        median = expected[len(expected) // 2] if expected else None
        if isinstance(median, Mapping):
            found.append((place, float(median["value"]), float(median["error"])))
        elif median is not None:
            found.append((place, float(median), 0.0))
    return found or None


def _limit_panel(
    ax: Axes, one: Collected, limits: Numbers, rows: Sequence[Numbers], scale: Any
) -> None:
    places, masses = _places(rows)
    bands = np.array([row["expected"] for row in rows]).T * scale
    observed = _observed(one, rows)
    toys = _from_toys(rows)
    if masses and len(rows) > 1:
        ax.fill_between(
            places, bands[0], bands[4], color=looks.YELLOW, linewidth=0, label="95 % expected"
        )
        ax.fill_between(
            places, bands[1], bands[3], color=looks.GREEN, linewidth=0, label="68 % expected"
        )
        ax.plot(places, bands[2], "--", color="black", label="median expected")
        if observed is not None:
            ax.plot(places, observed * scale, "o-", color="black", label="observed")
        ax.set_xlim(places[0], places[-1])
        ax.set_xlabel("mass [GeV]")
    else:
        half = 0.3
        for place, band in zip(range(len(rows)), bands.T, strict=True):
            first = place == 0
            for low, high, colour, words in (
                (0, 4, looks.YELLOW, "95 % expected"),
                (1, 3, looks.GREEN, "68 % expected"),
            ):
                ax.fill_between(
                    [place - half, place + half], band[low], band[high],
                    color=colour, linewidth=0, label=words if first else None,
                )  # fmt: skip
            ax.plot(
                [place - half, place + half], [band[2]] * 2, "--",
                color="black", label="median expected" if first else None,
            )  # fmt: skip
            if observed is not None:
                ax.plot(
                    [place], [observed[place] * scale[place]], "o",
                    color="black", label="observed" if first else None,
                )  # fmt: skip
        names = [
            f"{row['mass']:g} GeV" if row.get("mass") is not None else wording.spoken(row["name"])
            for row in rows
        ]
        long = max(len(name) for name in names) * len(names) > 40
        ax.set_xticks(range(len(rows)), names, rotation=60 if long else 0, fontsize=11)
        ax.set_xlim(-0.6, len(rows) - 0.4)
        places = np.arange(len(rows))
        ax.tick_params(axis="x", which="minor", length=0)
    if toys is not None:
        at = [place for place, _, _ in toys]
        ax.errorbar(
            places[at],
            [value * scale[place] for place, value, _ in toys],
            yerr=[error * scale[place] for place, _, error in toys],
            fmt="D",
            color="0.2",
            markerfacecolor="white",
            markersize=5.5,
            linewidth=1.1,
            label="median, toys",
            clip_on=False,
            zorder=5,
        )


def _model_line(ax: Axes, rows: Sequence[Numbers], sections: Any) -> None:
    places, masses = _places(rows)
    if masses and len(rows) > 1:
        ax.plot(places, sections, "-.", color=looks.DOWN, linewidth=1.3, label="model")
    else:
        for place, value in enumerate(sections):
            ax.plot(
                [place - 0.3, place + 0.3], [value] * 2, "-.",
                color=looks.DOWN, linewidth=1.3, label="model" if place == 0 else None,
            )  # fmt: skip


def _decades(ax: Axes, values: Any) -> None:
    """Make the y axis logarithmic, with room for the legend at the top."""
    low, high = 0.7 * float(np.min(values)), 1.3 * float(np.max(values))
    ax.set_yscale("log")
    ax.set_ylim(low, high * max((high / low) ** 0.5, 4.0))
    if high / low < 100:
        # Less than two decades: ticks of single digits, or hardly a number would stand there.
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _scans(figures: FigureSet, one: Collected, limits: Numbers) -> None:
    rows = [row for row in wording.by_mass(limits) if (row.get("cls_scan") or {}).get("mu")]
    if not rows:
        return
    shown = rows[:MOST_HYPOTHESES]
    columns = min(3, len(shown))
    lines = -(-len(shown) // columns)
    fig, axes = plotting.panels(columns, lines, 6.4 if columns == 1 else 4.8)
    for ax in axes.flat[len(shown) :]:
        ax.remove()
    for number, (ax, row) in enumerate(zip(axes.flat, shown, strict=False)):
        _scan(ax, one, limits, row)
        # Below the legend in the panel that has one.
        ax.text(
            0.96, 0.94 if number else 0.42, wording.hypothesis(row),
            transform=ax.transAxes, ha="right", va="top", fontsize=12,
        )  # fmt: skip
    axes[0][0].legend(loc="upper right", fontsize=11)
    looks.heading(axes[0][0], one)
    left = (
        f" {len(rows) - len(shown)} further hypotheses are not shown."
        if rows[MOST_HYPOTHESES:]
        else ""
    )
    toys = " Points: CLs from toys." if any(_toy_points(one, row) for row in shown) else ""
    seen = "" if one.blind else "solid: observed; "
    figures.save(
        fig,
        f"cls_{one.name}",
        f"{wording.spoken(one.name)}, CLs",
        f"CLs of each hypothesis against its signal strength (asymptotic formulae): {seen}dashed: "
        "median expected without a signal; bands: the central 68 and 95 % of the expectation. The "
        f"limit at {100 * limits['level']:g} % lies where a curve crosses the red line.{toys}"
        f"{left} {wording.sentence(one)}",
    )


def _scan(ax: Axes, one: Collected, limits: Numbers, row: Numbers) -> None:
    scan = row["cls_scan"]
    strengths = np.array(scan["mu"])
    expected = np.array(scan["expected"])
    # Either the bands of each point, or the points of each band.
    bands = expected if len(expected) == 5 and expected.shape[1] == len(strengths) else expected.T
    ax.fill_between(
        strengths, bands[0], bands[4], color=looks.YELLOW, linewidth=0, label="95 % expected"
    )
    ax.fill_between(
        strengths, bands[1], bands[3], color=looks.GREEN, linewidth=0, label="68 % expected"
    )
    ax.plot(strengths, bands[2], "--", color="black", label="median expected")
    if scan.get("observed") is not None and not one.blind:
        ax.plot(strengths, scan["observed"], "-", color="black", label="observed")
    points = _toy_points(one, row)
    if points:
        places, values, errors, what = points
        ax.errorbar(places, values, yerr=errors, fmt="o", linewidth=1.1, label=what, **looks.POINTS)
    ax.axhline(1 - limits["level"], color=looks.DOWN, linewidth=1.1, linestyle="-.")
    ax.set_xlim(0.0, strengths[-1])
    ax.set_ylim(0.0, 1.05)
    ax.set_xlabel(looks.strength(limits["poi"]))
    ax.set_ylabel("CLs")


def _toy_points(
    one: Collected, row: Numbers
) -> tuple[list[float], list[float], list[float], str] | None:
    """Strengths, CLs with errors, and their name: observed, or the median expected if blind."""
    found: list[tuple[float, float, float]] = []
    for point in (row.get("toys") or {}).get("points") or []:
        value = point.get("cls") if not one.blind else (point.get("expected") or [None] * 5)[2]
        if isinstance(value, Mapping):
            found.append((point["mu"], value["value"], value["error"]))
    if not found:
        return None
    places, values, errors = (list(column) for column in zip(*found, strict=True))
    return places, values, errors, "median, toys" if one.blind else "observed, toys"
