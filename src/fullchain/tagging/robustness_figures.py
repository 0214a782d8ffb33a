"""Draw what becomes of taggers when the constituents of their jets change."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from fullchain.drawing import curve
from fullchain.plotting import COLOURS, FigureSet, finish, ratio_figure

Numbers = dict[str, Any]

AXES = {
    "drop": "probability to be dropped",
    "smear_pt": r"relative width of the $p_T$",
    "smear_angles": "width of the angles",
}
"""Labels of the strength of each kind of change."""


def draw(figures: FigureSet, measured: Sequence[Numbers]) -> None:
    """Draw one figure for each change, with all taggers in it."""
    names = dict.fromkeys(
        name for one in measured for name in (*one["perturbations"], *one["left_out"])
    )
    for name in names:
        _figure(figures, name, [one for one in measured if name in one["perturbations"]], measured)


def _figure(
    figures: FigureSet, name: str, drawn: Sequence[Numbers], measured: Sequence[Numbers]
) -> None:
    fig, ax, below = ratio_figure()
    for number, one in enumerate(measured):
        if one not in drawn:
            continue
        colour = COLOURS[number % len(COLOURS)]
        cases = [case for case in one["cases"] if case["perturbation"] == name]
        strengths = [0.0, *(case["strength"] for case in cases)]
        _band(
            ax,
            strengths,
            [case["difference"]["auc"] for case in cases],
            0.0,
            label=_label(one),
            color=colour,
        )
        for side, style in (("background", "-"), ("signal", "--")):
            ratios = {case["strength"]: _ratio(one["nominal"], case, side) for case in cases}
            known = {strength: ratio for strength, ratio in ratios.items() if ratio}
            _band(below, [0.0, *known], list(known.values()), 1.0, color=colour, linestyle=style)
    how, point = _described(name, drawn)
    ax.axhline(0.0, color="0.5", linewidth=1.0, zorder=0)
    ax.margins(x=0.04)
    below.set_ylim(0.0, 2.0)
    below.set_ylabel(r"$\epsilon$ / nominal", loc="center")
    finish(
        ax,
        xlabel=AXES[how["kind"]] if how else name,
        ylabel="AUC less nominal",
        ratio=below,
        right="",
    )
    figures.save(
        fig,
        f"robustness_{name}",
        f"Robustness: {name.replace('_', ' ')}",
        f"Area under the ROC curve less that of the unchanged jets, {_words(how)}, "
        f"against the strength of the change; below, efficiency of {point} over that before, for "
        "background (lines) and signal (dashed). Observables and momenta are computed anew from "
        "the changed constituents. Bands are one standard deviation of a bootstrap over events "
        f"that is the same before and after; in the legend, the area before.{_jets(drawn)}",
    )


def _label(one: Numbers) -> str:
    area = one["nominal"]["auc"]
    return f"{one['tagger']}, AUC {area['value']:.3f} ± {area['deviation']:.3f}"


def _jets(drawn: Sequence[Numbers]) -> str:
    """Say that the jets are some of the test part: areas differ from those of all by chance."""
    if not drawn:
        return ""
    numbers = " and ".join(f"{number} {name}" for name, number in drawn[0]["jets"].items())
    return f" The jets are {numbers}, which need not be all of the test part."


def _band(
    ax: Axes, strengths: Sequence[float], values: Sequence[Numbers], start: float, **look: Any
) -> None:
    """Draw a curve from the unchanged jets on, which have no uncertainty of a difference."""
    middle = np.array([start, *(one["value"] for one in values)])
    width = np.array([0.0, *(one["deviation"] for one in values)])
    curve(ax, strengths, middle, low=middle - width, high=middle + width, **look)
    ax.plot(strengths, middle, "o", color=look["color"])


def _ratio(nominal: Numbers, case: Numbers, side: str) -> Numbers | None:
    """Efficiency of the last cut over that before; None where none passed before."""
    if side == "background":
        found: Numbers | None = case["background_ratio"][-1]
        return found
    before = nominal["working_points"][-1]["signal_efficiency"]["value"]
    change = case["difference"]["working_points"][-1]["signal_efficiency"]
    return {
        "value": 1.0 + change["value"] / before,
        "deviation": change["deviation"] / before,
    }


def _described(name: str, drawn: Sequence[Numbers]) -> tuple[Numbers | None, str]:
    """What was done, and which cut the lower panel is of."""
    if not drawn:
        return None, "a cut"
    points = drawn[0]["nominal"]["working_points"]
    percent = 100 * points[-1]["signal_efficiency_nominal"]
    return drawn[0]["perturbations"][name], f"the cut that kept {percent:g} % of the signal"


def _words(how: Numbers | None) -> str:
    if how is None:
        return "which no files here tell enough for"
    particles = "" if how["particles"] == "all" else f"{how['particles']} "
    which = f" below {how['pt_below']:g} GeV" if how["pt_below"] is not None else ""
    verb = {"drop": "dropped at random", "smear_pt": "smeared in pT", "smear_angles": "moved"}
    return f"with {particles}particles{which} {verb[how['kind']]}"
