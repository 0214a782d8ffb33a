"""Figures of triggers, from the numbers of `trigger`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fullchain import drawing, plotting
from fullchain.firmware import turn_on
from fullchain.firmware.trigger_figure_names import RATE, SCORES, TURN_ON
from fullchain.firmware.trigger_settings import PT_TRIGGER
from fullchain.firmware.trigger_words import judgement, name_of, rows_of, target_words
from fullchain.plotting import COLOURS, LINESTYLES

Content = Mapping[str, Any]
Drawn = dict[str, tuple[Figure, str]]

MARKERS = "osv^DPX*"

SIGNALS = {
    "tt": r"$t\bar{t}$",
    "W": "W + jet",
    "Z": "Z + jet",
    "zprime": r"Z$^\prime \to t\bar{t}$",
}


def figures(contents: Sequence[Content]) -> Drawn:
    """Give figures with captions, by name."""
    if not contents:
        return {}
    found: Drawn = {
        f"{RATE}_{signal}": _rate(contents, signal) for signal in contents[0]["signals"]
    }
    for one in contents:
        name = f"{one['model']}_{one['point']}"
        found[f"{TURN_ON}_{name}"] = _turn_on(one)
        found[f"{SCORES}_{name}"] = _scores(one)
    return found


def _look(number: int) -> tuple[str, Any]:
    """Colour and line style of a trigger; that on the jet pT is the first."""
    if number == 0:
        return "black", LINESTYLES[1]
    return COLOURS[(number - 1) % len(COLOURS)], "-"


def _rate(contents: Sequence[Content], signal: str) -> tuple[Figure, str]:
    fig, ax = plotting.figure(7.2, 5.6)
    rate = contents[0]["background"]["rate"]
    smallest = 1.0
    for number, (one, trigger) in enumerate(rows_of(contents)):
        curve = judgement(one["triggers"][trigger])["curve"]
        part = np.array(curve["background"])
        value, error = (np.array(values) for values in curve["signals"][signal])
        shown = part > 0
        scale = 1.0 if rate is None else one["background"]["rate"]
        smallest = min(smallest, float(part[shown].min(initial=1.0)))
        colour, line = _look(number)
        area, deviation = judgement(one["triggers"][trigger])["areas"][signal]
        ax.fill_betweenx(
            scale * part[shown], (value - error)[shown], (value + error)[shown], color=colour,
            alpha=0.2, linewidth=0,
        )  # fmt: skip
        ax.plot(
            value[shown], scale * part[shown], color=colour, linestyle=line,
            label=f"{name_of(one, trigger)}: AUC {area:.3f} ± {deviation:.3f}",
        )  # fmt: skip
    full = 1.0 if rate is None else rate
    chance = np.geomspace(smallest, 1.0, 200)
    ax.plot(chance, full * chance, color="0.6", linewidth=0.8, linestyle=":", label="chance")
    for fraction in (point["fraction"] for point in _points(contents[0])):
        ax.axhline(full * fraction, color="0.6", linewidth=0.8, zorder=0)
    ax.set_xlim(0, 1)
    name = SIGNALS.get(signal, signal)
    plotting.finish(
        ax,
        xlabel=f"efficiency for {name} events",
        ylabel="part of background events" if rate is None else "background rate [Hz]",
        logy=True,
        legend=False,
        headroom=1.0,
    )
    ax.set_ylim(full * smallest, full)
    fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9)
    words = (
        "part of the background events with a jet in the window that pass"
        if rate is None
        else "background rate, of events of the generated phase space with a jet in the window, at "
        f"{contents[0]['settings']['luminosity']:.3g} cm^-2 s^-1"
    )
    return fig, (
        f"Rate against efficiency for {name}: {words}, for all thresholds of each trigger. Bands "
        "are standard deviations of the efficiency in a bootstrap over events of background and "
        "signal with thresholds found anew; lines are the rates of the tables. Events have the "
        "largest score of their jets."
    )


def _points(one: Content) -> Sequence[Content]:
    points: Sequence[Content] = judgement(one["triggers"][PT_TRIGGER])["points"]
    return points


def _turn_on(one: Content) -> tuple[Figure, str]:
    signals = list(one["signals"])
    columns = min(2, len(signals))
    fig, axes = plotting.panels(columns, -(-len(signals) // columns), size=5.0)
    place = len(_points(one)) - 1
    edges = np.array(one["settings"]["turn_on_edges"])
    for ax, signal in zip(axes.flat, signals, strict=False):
        for number, trigger in enumerate(one["triggers"]):
            found = judgement(one["triggers"][trigger])["points"][place]["signals"][signal][
                "turn_on"
            ]
            colour, _ = _look(number)
            label = "level-1 jet pT" if trigger == PT_TRIGGER else name_of(one, trigger)
            _bins(ax, found["bins"], edges, number, len(one["triggers"]), colour, label)
            if found["fit"] is not None:
                x = np.linspace(edges[0], edges[-1], 400)
                parameters = found["fit"]["midpoint"][0], found["fit"]["width"][0]
                ax.plot(x, turn_on.curve(x, *parameters), color=colour, linewidth=1.0)
        ax.axhline(1, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
        ax.set_xlim(edges[0], edges[-1])
        plotting.finish(
            ax, xlabel="offline jet $p_T$ [GeV]", ylabel="efficiency", headroom=1.0, legend=False,
            right=SIGNALS.get(signal, signal),
        )  # fmt: skip
        ax.set_ylim(0, 1.1)
    for ax in axes.flat[len(signals) :]:
        ax.set_axis_off()
    handles = axes.flat[0].get_legend_handles_labels()
    fig.legend(*handles, loc="outside lower center", ncols=3, fontsize=10)
    words = target_words(one, _points(one)[place]["fraction"])
    return fig, (
        f"Turn-on of the triggers of {one['model']} {one['point']}: part of the jets of each "
        "signal, with the truth label of its particle, whose own score passes, against their "
        f"offline pT, at {words}. Error bars are 68 % intervals of Clopper and Pearson. Lines are "
        "error functions fitted to the jets, where the efficiency rises from 0 to 1 within the "
        "window."
    )


def _bins(
    ax: Axes,
    bins: Sequence[Content | None],
    edges: np.ndarray[Any, Any],
    place: int,
    places: int,
    colour: str,
    label: str,
) -> None:
    # Side by side within a bin, the first one, which may have a curve, in the middle.
    aside = (place + 1) // 2 * (1 if place % 2 else -1) / (places + 1)
    x = 0.5 * (edges[:-1] + edges[1:]) + np.diff(edges) * aside
    known = [index for index, one in enumerate(bins) if one is not None]
    rows = [one for one in bins if one is not None]
    value = np.array([one["value"] for one in rows])
    errors = [
        value - np.array([one["low"] for one in rows]),
        np.array([one["high"] for one in rows]) - value,
    ]
    ax.errorbar(
        x[known], value, yerr=np.maximum(errors, 0.0), fmt=MARKERS[place % len(MARKERS)],
        color=colour, label=label, markersize=3.5, linewidth=1.0,
    )  # fmt: skip


def _scores(one: Content) -> tuple[Figure, str]:
    triggers = list(one["triggers"])
    columns = min(2, len(triggers))
    fig, axes = plotting.panels(columns, -(-len(triggers) // columns), size=5.0)
    for ax, trigger in zip(axes.flat, triggers, strict=False):
        judged = judgement(one["triggers"][trigger])
        found = judged["distributions"]
        edges = np.array(found["edges"])
        for number, (sample, (values, errors)) in enumerate(found["of"].items()):
            drawing.histogram(
                ax, values, edges, errors=errors, label=SIGNALS.get(sample, sample),
                color="black" if number == 0 else COLOURS[(number - 1) % len(COLOURS)],
                linestyle="--" if number == 0 else "-",
            )  # fmt: skip
        for point in judged["points"]:
            if point["threshold"] is not None:
                ax.axvline(point["threshold"], color="0.6", linewidth=0.8, zorder=0)
        ax.set_xlim(edges[0], edges[-1])
        title = (
            "level-1 jet $p_T$ [GeV]"
            if trigger == PT_TRIGGER
            else f"score, {name_of(one, trigger)}"
        )
        plotting.finish(ax, xlabel=title, ylabel="part of events", right="", headroom=1.3)
        ax.legend(fontsize=10)
    for ax in axes.flat[len(triggers) :]:
        ax.set_axis_off()
    return fig, (
        f"Scores of the triggers of {one['model']} {one['point']}: largest score of the jets of "
        "each event, of background and signals; outermost bins hold what lies beyond. Grey lines "
        "are the thresholds at the background rates of the tables; errors are statistical."
    )
