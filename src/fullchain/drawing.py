"""Histograms, points, curves and their ratios, with uncertainties, on the axes of a figure.

Arrays of bin contents and errors have the shape (bins,), edges (bins + 1,). The look is that of
`fullchain.plotting`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch
from numpy.typing import ArrayLike, NDArray

from fullchain.plotting import COLOURS


def _steps(values: NDArray[Any]) -> NDArray[Any]:
    return np.append(values, values[-1:])


def histogram(
    ax: Axes,
    values: ArrayLike,
    edges: ArrayLike,
    *,
    errors: ArrayLike | None = None,
    label: str | None = None,
    color: Any = None,
    linestyle: Any = "-",
    filled: bool = False,
) -> Any:
    """Draw bin contents as steps, with a band of `errors` (standard deviations) around them.

    `values` and `errors` have one entry per bin, `edges` one more. Returns the colour drawn with.
    """
    values, edges = np.asarray(values, dtype=float), np.asarray(edges, dtype=float)
    if color is None:
        # `stairs` does not take colours from the cycle by itself.
        drawn_before = sum(isinstance(patch, StepPatch) for patch in ax.patches)
        color = COLOURS[drawn_before % len(COLOURS)]
    patch = ax.stairs(
        values,
        edges,
        label=label,
        color=color,
        fill=filled,
        alpha=0.75 if filled else None,
        linestyle=linestyle,
        linewidth=1.6,
    )
    drawn = patch.get_facecolor() if filled else patch.get_edgecolor()
    if errors is not None:
        band(ax, values, errors, edges, color="0.2" if filled else drawn, hatched=filled)
    return drawn


def band(
    ax: Axes,
    values: ArrayLike,
    errors: ArrayLike,
    edges: ArrayLike,
    *,
    color: Any = "0.4",
    label: str | None = None,
    hatched: bool = False,
) -> None:
    """Draw `values` -+ `errors` as a step band; `errors` is (bins,) or (2, bins): down, up."""
    values, edges = np.asarray(values, dtype=float), np.asarray(edges, dtype=float)
    errors = np.asarray(errors, dtype=float)
    down, up = errors if errors.ndim == 2 else (errors, errors)
    look: dict[str, Any] = (
        {"facecolor": "none", "edgecolor": color, "hatch": "////"}
        if hatched
        else {"facecolor": color, "alpha": 0.25}
    )
    ax.fill_between(
        edges,
        _steps(values - down),
        _steps(values + up),
        step="post",
        linewidth=0,
        label=label,
        **look,
    )


def stack(
    ax: Axes,
    values: Sequence[ArrayLike],
    edges: ArrayLike,
    *,
    labels: Sequence[str],
    colors: Sequence[Any] | None = None,
    errors: ArrayLike | None = None,
) -> NDArray[Any]:
    """Draw filled histograms on top of each other, first at the bottom, and return their sum.

    `errors`, if given, are those of the sum, drawn hatched.
    """
    edges = np.asarray(edges, dtype=float)
    bottom: NDArray[Any] = np.zeros(len(edges) - 1)
    for index, (one, name) in enumerate(zip(values, labels, strict=True)):
        top = bottom + np.asarray(one, dtype=float)
        color = colors[index] if colors is not None else COLOURS[index % len(COLOURS)]
        ax.stairs(top, edges, baseline=bottom, fill=True, color=color, label=name, linewidth=0)
        bottom = top
    if errors is not None:
        band(ax, bottom, errors, edges, color="0.2", hatched=True, label="uncertainty")
    return bottom


def points(
    ax: Axes,
    values: ArrayLike,
    edges: ArrayLike,
    *,
    errors: ArrayLike | None = None,
    label: str | None = None,
    color: Any = "black",
    marker: str = "o",
) -> None:
    """Draw one point per bin at its centre, with `errors`; NaN bins are left out."""
    edges = np.asarray(edges, dtype=float)
    ax.errorbar(
        0.5 * (edges[:-1] + edges[1:]),
        np.asarray(values, dtype=float),
        yerr=None if errors is None else np.asarray(errors, dtype=float),
        xerr=None,
        fmt=marker,
        color=color,
        label=label,
        linewidth=1.2,
    )


def curve(
    ax: Axes,
    x: ArrayLike,
    y: ArrayLike,
    *,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    label: str | None = None,
    color: Any = None,
    linestyle: Any = "-",
) -> Any:
    """Draw a smooth line with a band from `low` to `high`. Returns the colour drawn with."""
    (line,) = ax.plot(np.asarray(x), np.asarray(y), label=label, color=color, linestyle=linestyle)
    if low is not None and high is not None:
        ax.fill_between(
            np.asarray(x),
            np.asarray(low),
            np.asarray(high),
            color=line.get_color(),
            alpha=0.25,
            linewidth=0,
        )
    return line.get_color()


def _divide(numerator: ArrayLike, denominator: ArrayLike) -> NDArray[Any]:
    above, below = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below != 0)


def ratio_points(
    ax: Axes,
    values: ArrayLike,
    errors: ArrayLike | None,
    reference: ArrayLike,
    edges: ArrayLike,
    *,
    color: Any = "black",
    marker: str = "o",
) -> None:
    """Draw `values` / `reference` with the errors of `values` alone; empty bins are left out.

    The errors of the reference belong into `ratio_band`, so that nothing is counted twice.
    """
    scaled = None if errors is None else _divide(errors, reference)
    points(ax, _divide(values, reference), edges, errors=scaled, color=color, marker=marker)


def ratio_histogram(
    ax: Axes,
    values: ArrayLike,
    errors: ArrayLike | None,
    reference: ArrayLike,
    edges: ArrayLike,
    *,
    color: Any = None,
    linestyle: Any = "-",
) -> None:
    """Draw `values` / `reference` as steps with the errors of `values` alone."""
    scaled = None if errors is None else _divide(errors, reference)
    histogram(
        ax, _divide(values, reference), edges, errors=scaled, color=color, linestyle=linestyle
    )


def ratio_band(
    ax: Axes, reference: ArrayLike, errors: ArrayLike, edges: ArrayLike, *, color: Any = "0.4"
) -> None:
    """Draw the relative errors of the reference around one."""
    relative = np.nan_to_num(_divide(errors, reference))
    band(ax, np.ones_like(relative), relative, edges, color=color)
