"""Draw what decorrelation costs in rejection: R against 1/JSD, ROC, sculpting by efficiency."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from fullchain.decorrelation import looks, published
from fullchain.drawing import curve
from fullchain.plotting import FigureSet, figure, finish, panels

Numbers = dict[str, Any]


def draw(figures: FigureSet, tagger: str, measured: Sequence[Numbers]) -> None:
    """Draw the figures of all classifiers of one tagger."""
    _roc(figures, tagger, measured)
    for column in measured[0]["against"]:
        _frontier(figures, tagger, column, measured)
        _sculpting(figures, tagger, column, measured)


def legend_below(fig: Figure, ax: Axes, columns: int = 2) -> None:
    """Put the legend under the panels, where it hides nothing."""
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=columns)


def _roc(figures: FigureSet, tagger: str, measured: Sequence[Numbers]) -> None:
    fig, ax = figure()
    for classifier, several in looks.groups(measured).items():
        for number, one in enumerate(several):
            roc = one["roc"]
            passing = np.array(roc["background_efficiency"])
            low, high = np.array(roc["low"]), np.array(roc["high"])
            curve(
                ax,
                roc["signal_efficiency"],
                np.where(passing > 0, passing, np.nan),
                low=np.where(low > 0, low, np.nan),
                high=high,
                label=f"{one['name']}, AUC {one['auc']['value']:.4f} ± "
                f"{one['auc']['deviation']:.4f}",
                color=looks.look(classifier, measured)["color"],
                linestyle=("-", "--", "-.", ":")[number % 4],
            )
    ax.set_xlim(0.0, 1.0)
    finish(
        ax, xlabel="signal efficiency", ylabel="background efficiency", logy=True, right="",
        legend=False, headroom=1.0,
    )  # fmt: skip
    ax.set_ylim(top=1.0)
    legend_below(fig, ax, 1 if len(measured) < 8 else 2)
    figures.save(
        fig,
        f"roc_{tagger}",
        f"ROC curves, {tagger} and its decorrelated classifiers",
        f"Background efficiency against signal efficiency, for {looks.jets(measured[0])} inside "
        "the window of the stage; bands are the central 68 % of a bootstrap over events. Line "
        "styles tell the strengths of a method.",
    )


def _frontier(figures: FigureSet, tagger: str, column: str, measured: Sequence[Numbers]) -> None:
    fig, axes = panels(2, size=5.4)
    efficiency = measured[0]["signal_efficiency"]
    beside = published.points(measured[0]) if column == measured[0]["against"][0] else ()
    for ax, kind in zip(axes[0], ("inverse", "inverse_corrected"), strict=True):
        if kind == "inverse":
            _floor(ax, column, measured)
        for classifier, several in looks.groups(measured).items():
            _method(ax, classifier, several, column, kind, measured)
        for one, marker in zip(beside, "oH", strict=False):
            low, high = one.inverse
            middle = float(np.sqrt(low * high))
            ax.errorbar(
                middle, one.rejection, xerr=[[middle - low], [high - middle]], fmt=marker,
                color="0.45", mfc="white", label=_published_name(one),
            )  # fmt: skip
        ax.set_xscale("log")
        raw = kind == "inverse"
        finish(
            ax,
            xlabel="1/JSD [1/bit]" if raw else "1/JSD [1/bit], less the floor",
            ylabel=rf"$1/\epsilon_B$ at {looks.percent(measured[0])} % signal",
            logy=True,
            right=looks.axis(column).split(" [")[0] if raw else "",
            legend=False,
            headroom=1.08,
        )
        ax.margins(x=0.08, y=0.08)
    legend_below(fig, axes[0][0])
    figures.save(
        fig,
        f"frontier_{tagger}_{column}",
        f"Rejection against 1/JSD of {column}, {tagger}",
        f"Inverse background efficiency at {looks.percent(measured[0])} % signal efficiency "
        f"against the inverse Jensen-Shannon divergence (base 2, {measured[0]['mass_bins']} bins) "
        f"of {column} of the background that passes and that fails; {looks.jets(measured[0])}. "
        "Points are of the scores, thin bars their bootstrap over events; pale thick bars are mean "
        "and standard deviation of single trainings. Lines join the strengths of a method. Grey: "
        "what random cuts that pass as many jets give (68 %), beyond which nothing can be "
        "measured. Right: the same less that floor; arrows are lower limits at 95 % CL, of "
        f"divergences that more than one random cut in twenty reaches. {_source(bool(beside))}"
        f"Efficiency of the cut: {efficiency:g}.",
    )


def _published_name(one: published.Published) -> str:
    strength = "" if one.strength is None else rf", $\lambda = {one.strength:g}$"
    return f"{one.name}{strength}, published (other data set)"


def _source(beside: bool) -> str:
    return f"Open circles and hexagons: {published.SOURCE}. " if beside else ""


def _floor(ax: Axes, column: str, measured: Sequence[Numbers]) -> None:
    """Draw 1/JSD of random cuts against the rejection of the cuts of the same size."""
    rows = []
    for one in measured:
        entry = looks.at(one["sculpting"][column], one["signal_efficiency"])
        if entry["jsd"] is not None:
            floor = entry["inverse_floor"]
            rows.append((_rejection(one)["value"], floor["low"], floor["value"], floor["high"]))
    if not rows:
        return
    height, low, value, high = np.array(sorted(rows)).T
    if len(height) > 1:
        ax.fill_betweenx(height, low, high, color="0.8", linewidth=0, label="random cuts")
        ax.plot(value, height, color="0.6", linewidth=1.0)
    else:
        ax.errorbar(value, height, xerr=[value - low, high - value], fmt="|", color="0.6",
                    label="random cuts")  # fmt: skip


def _rejection(one: Numbers) -> Numbers:
    return dict(looks.at(one["working_points"], one["signal_efficiency"])["rejection"])


def _method(
    ax: Axes,
    classifier: str | None,
    several: Sequence[Numbers],
    column: str,
    kind: str,
    measured: Sequence[Numbers],
) -> None:
    """Draw the points of one classifier, joined; each with its strength."""
    look = looks.look(classifier, measured)
    drawn = []
    for one in several:
        entry = looks.at(one["sculpting"][column], one["signal_efficiency"])
        if entry["jsd"] is None:
            continue
        rejection, found = _rejection(one), entry[kind]
        drawn.append((found["value"], rejection["value"]))
        _point(ax, found, rejection, look)
        if kind == "inverse":
            _seeds(ax, one, column, look["color"])
        if one["strength"] is not None:
            ax.annotate(
                f"{one['strength']:g}", drawn[-1], xytext=(5, 5), textcoords="offset points",
                fontsize=8, color=look["color"],
            )  # fmt: skip
    if drawn:
        line = "-" if len(drawn) > 1 else "none"
        x, y = np.array(drawn).T
        ax.plot(x, y, line, label=looks.method_name(several[0]), linewidth=1.0, **look)


def _point(ax: Axes, found: Numbers, rejection: Numbers, look: dict[str, Any]) -> None:
    """Draw the error bars of a point: arrows where an interval has no end."""
    x, y = found["value"], rejection["value"]
    bars: dict[str, Any] = {"fmt": "none", "color": look["color"], "linewidth": 1.2}
    up = rejection["high"]
    ax.errorbar(x, y, yerr=[[y - rejection["low"]], [(up or y) - y]], **bars)
    if up is None:
        ax.errorbar(x, y, yerr=0.3 * y, lolims=True, **bars)
    if found["high"] is None:
        ax.errorbar(x, y, xerr=0.4 * x, xlolims=True, **bars)
    ax.errorbar(x, y, xerr=[[x - found["low"]], [(found["high"] or x) - x]], **bars)


def _seeds(ax: Axes, one: Numbers, column: str, colour: Any) -> None:
    """Draw mean and standard deviation of the single trainings."""
    if one["seeds"] is None:
        return
    rejection = looks.at(one["seeds"]["rejection"], one["signal_efficiency"])
    divergence = looks.at(one["seeds"]["jsd"][column], one["signal_efficiency"])
    if rejection["values"] is None or divergence["values"] is None:
        return
    inverse = 1.0 / np.array(divergence["values"])
    ax.errorbar(
        inverse.mean(), rejection["mean"], xerr=inverse.std(ddof=1), yerr=rejection["deviation"],
        fmt="none", color=colour, alpha=0.35, linewidth=4.0,
    )  # fmt: skip


def _sculpting(figures: FigureSet, tagger: str, column: str, measured: Sequence[Numbers]) -> None:
    fig, axes = panels(2, size=5.4)
    quantities = (("jsd", "JSD [bit]"), ("largest_deviation", "largest relative deviation"))
    everything = [(classifier, several) for classifier, several in looks.groups(measured).items()]
    for ax, (quantity, label) in zip(axes[0], quantities, strict=True):
        for classifier, several in everything:
            look = looks.look(classifier, measured)
            for number, one in enumerate(several):
                entries = [e for e in one["sculpting"][column] if e["jsd"] is not None]
                x = np.array([entry["signal_efficiency"] for entry in entries])
                y = np.array([entry[quantity]["value"] for entry in entries])
                bars = np.array([entry[quantity]["deviation"] for entry in entries])
                floor = [
                    entry["floor"]["value"] if quantity == "jsd" else entry[quantity]["floor"]
                    for entry in entries
                ]
                style = ("-", "--", "-.", ":")[number % 4]
                ax.errorbar(x, y, yerr=bars, linestyle=style, linewidth=1.2, label=one["name"],
                            **look)  # fmt: skip
                ax.plot(x, floor, ":", color=look["color"], alpha=0.6, linewidth=1.0)
        ax.margins(x=0.06)
        finish(ax, xlabel="signal efficiency", ylabel=label, logy=True, right="", legend=False,
               headroom=1.05)  # fmt: skip
        ax.yaxis.set_minor_formatter(NullFormatter())
    legend_below(fig, axes[0][0], 3)
    figures.save(
        fig,
        f"sculpting_{tagger}_{column}",
        f"Sculpting of {column}, {tagger}",
        f"Left: Jensen-Shannon divergence (base 2, {measured[0]['mass_bins']} bins) of {column} of "
        "the background that passes and that fails, at several signal efficiencies. Right: largest "
        "deviation of the background efficiency in bins of equal occupancy from that of all, over "
        "the latter. Bars are the bootstrap over events; dotted lines are the mean of random cuts "
        f"that pass as many jets: no less can be measured with these {looks.jets(measured[0])}.",
    )
