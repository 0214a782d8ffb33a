"""Panels with a quantity of each method against the number of pile-up interactions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fullchain.pileup.method_look import drawn, look, name_of
from fullchain.plotting import finish, panels

Value = Callable[[dict[str, Any]], "list[float] | None"]
"""Takes a bin and gives a number with its uncertainty."""


@dataclass(frozen=True)
class Panel:
    """One panel.

    Parameters
    ----------
    bins
        Takes the numbers of a method and gives its bins.
    value
        Takes a bin and gives what is drawn.
    label
        Of the vertical axis, which begins at 0 if `from_zero`, or is logarithmic.
    line
        Where a horizontal line lies.
    left_out
        Methods that are not drawn.
    """

    bins: Callable[[dict[str, Any]], Sequence[dict[str, Any]]]
    value: Value
    label: str
    line: float | None = None
    from_zero: bool = False
    logarithmic: bool = False
    left_out: tuple[str, ...] = ()


def draw(rows: Sequence[Sequence[Panel]], content: dict[str, Any], energy: str) -> Figure:
    """Draw rows of panels with one legend above all.

    Parameters
    ----------
    content
        Numbers of a sample, as 'pileup evaluate' writes them.
    energy
        Of the collisions, as it stands above the axes.
    """
    fig, axes = panels(len(rows[0]), len(rows), size=5.4 if len(rows[0]) < 3 else 4.6)
    handles: dict[str, Any] = {}
    small = 14 if len(rows[0]) < 3 else 11
    for line, row in zip(axes, rows, strict=True):
        for ax, panel in zip(line, row, strict=True):
            handles |= _fill(ax, panel, content)
            finish(
                ax, xlabel="pile-up interactions", ylabel=panel.label, right=energy,
                legend=False, headroom=1.1, logy=panel.logarithmic,
            )  # fmt: skip
            ax.yaxis.label.set_size(small)
            _limit(ax, panel)
    fig.legend(
        handles.values(), handles.keys(), loc="outside upper center", ncols=min(len(handles), 8)
    )
    return fig


def _fill(ax: Axes, panel: Panel, content: dict[str, Any]) -> dict[str, Any]:
    """Draw the points of all methods in a panel, and shade what was not trained on."""
    methods = {name: one for name, one in drawn(content).items() if name not in panel.left_out}
    centres = [one["interactions"] for entries in methods.values() for one in panel.bins(entries)]
    span = max(centres, default=0.0) - min(centres, default=0.0)
    handles = {}
    for place, (method, entries) in enumerate(methods.items()):
        bins = [one for one in panel.bins(entries) if panel.value(one) is not None]
        values = np.array([panel.value(one) for one in bins]).reshape(-1, 2)
        # methods side by side, so that no error bar hides another
        shift = 0.004 * max(span, 10.0) * (place - 0.5 * (len(methods) - 1))
        x = np.array([one["interactions"] for one in bins]) + shift
        style = look(method, content)
        handles[name_of(method)] = ax.errorbar(
            x, values[:, 0], yerr=values[:, 1], linestyle="-", linewidth=1.0, **style
        )
        beyond = np.array([one.get("beyond", False) for one in bins], dtype=bool)
        ax.plot(
            x[beyond], values[beyond, 0], linestyle="none", markerfacecolor="white", zorder=5,
            **style,
        )  # fmt: skip
    if panel.line is not None and centres:
        ax.axhline(panel.line, color="0.6", linewidth=0.8, zorder=0)
    if centres:
        margin = max(0.04 * span, 5.0)
        _shade(ax, methods, min(centres) - margin, max(centres) + margin)
    else:
        ax.text(0.5, 0.5, "too few entries", transform=ax.transAxes, ha="center", va="center")
        ax.set_xticks([])
        ax.set_yticks([])
    return handles


def _shade(ax: Axes, methods: dict[str, Any], left: float, right: float) -> None:
    trained = [one["trained"] for one in methods.values() if "trained" in one]
    ax.set_xlim(left, right)
    if not trained:
        return
    low, high = max(limits[0] for limits in trained), min(limits[1] for limits in trained)
    for begin, end in ((left, min(low, right)), (max(high, left), right)):
        if begin < end:
            ax.axvspan(begin, end, color="0.92", linewidth=0.0, zorder=-1)


def _limit(ax: Axes, panel: Panel) -> None:
    """Show responses around their line; bars of single bins do not set the range."""
    heights = np.concatenate(
        [np.asarray(line.get_ydata(), float) for line in ax.get_lines()] or [np.zeros(0)]
    )
    if panel.line is None or not len(heights):
        return
    low, high = float(heights.min()), float(heights.max())
    space = 0.1 * max(high - low, 0.05)
    ax.set_ylim(0.0 if panel.from_zero else low - space, high + (2 * space))
