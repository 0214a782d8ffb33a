"""Figures of events made with each response of the calorimeter, from the files of `compare`."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fullchain import drawing, plotting
from fullchain.calorimetry.downstream_figure_names import JETS, PHOTONS, TIME
from fullchain.calorimetry.downstream_words import response_words
from fullchain.plotting import COLOURS, LINESTYLES

Content = Mapping[str, Any]
Drawn = dict[str, tuple[Figure, str]]

AXES = {
    "ak8_response": r"AK8 jet $p_T$ / generated",
    "ak8_mass": "AK8 jet mass [GeV]",
    "met": "missing transverse momentum [GeV]",
    "ak8_photons": "photons in an AK8 jet",
    "photon_energy": "energy of photons [GeV]",
    "crystal_energy": "energy in a crystal [GeV]",
}

LOGARITHMIC = ("photon_energy", "crystal_energy")
RATIO_REACH = 0.6


def figures(contents: Sequence[Content]) -> Drawn:
    """Give figures with captions, by name."""
    found: Drawn = {}
    for one in contents:
        sample, reference = one["sample"], response_words(one["reference"])
        common = (
            f" {one['events']} events, the same for all responses, without pile-up, normalised to "
            f"one event. Below, the ratio to the {reference}, with errors from the bootstrap over "
            "events, in which the events in common cancel. The first and the last bin hold what "
            "lies beyond."
        )
        found[f"{JETS}_{sample}"] = (
            _closure(one, ("ak8_response", "ak8_mass", "met")),
            f"Jets and missing momentum with each calorimeter response, {sample}: pT of AK8 jets "
            f"over that of the matched jet of generated particles (left), their mass (middle), "
            f"missing transverse momentum (right).{common}",
        )
        found[f"{PHOTONS}_{sample}"] = (
            _closure(one, ("ak8_photons", "photon_energy", "crystal_energy")),
            f"Photons and crystals with each calorimeter response, {sample}: number of photons in "
            "AK8 jets (left), energy of photons (middle), energy in a crystal of |η| < 3 (right; "
            f"the resolution formula has none).{common}",
        )
    if contents:
        found[TIME] = _times(contents)
    return found


def look(one: Content, name: str) -> dict[str, Any]:
    """Colour and line of a response, the same in all figures."""
    if name == one["reference"]:
        return {"color": "black", "linestyle": "-"}
    if name == "resolution":
        return {"color": COLOURS[4], "linestyle": "--"}
    models = [other for other in one["responses"] if other not in ("resolution", one["reference"])]
    number = models.index(name)
    return {
        "color": COLOURS[number % len(COLOURS)],
        "linestyle": LINESTYLES[(number + 2) % len(LINESTYLES)],
    }


def _closure(one: Content, names: Sequence[str]) -> Figure:
    fig, axes = plt.subplots(
        2,
        len(names),
        figsize=(4.6 * len(names), 5.2),
        height_ratios=(3, 1),
        sharex="col",
        squeeze=False,
    )
    fig.set_layout_engine("constrained", h_pad=0.02, hspace=0.0)
    for place, (what, ax, ratio) in enumerate(zip(names, axes[0], axes[1], strict=True)):
        _panel(one, what, ax, ratio)
        if place == 0:
            ax.set_ylabel("entries per event")
            ratio.set_ylabel("ratio", loc="center")
            plotting.label(ax, right="")
    axes[0][-1].set_title("13.6 TeV", loc="right", fontsize=12)
    handles, labels = axes[0][0].get_legend_handles_labels()
    axes[0][0].legend(handles, labels, fontsize=10, loc="upper left")
    return fig


def _panel(one: Content, what: str, ax: Axes, ratio: Axes) -> None:
    edges = np.array(one["edges"][what])
    highest, reach = 0.0, 0.05
    lowest = np.inf
    for name, found in one["responses"].items():
        if what not in found["histograms"]:
            continue
        bins, style = found["histograms"][what], look(one, name)
        content, error = np.array(bins["content"]), np.array(bins["error"])
        drawing.histogram(ax, content, edges, errors=error, label=response_words(name), **style)
        highest = max(highest, float((content + error).max()))
        lowest = min(lowest, float(content[content > 0].min(initial=np.inf)))
        if "ratio" not in bins:
            continue
        values, errors = (
            np.array([np.nan if value is None else value for value in bins[key]])
            for key in ("ratio", "ratio_error")
        )
        drawing.histogram(ratio, values, edges, errors=errors, **style)
        # Bins with hardly an entry do not set the scale.
        clear = np.isfinite(values) & (errors < 0.15)
        if clear.any():
            reach = max(reach, float((np.abs(values - 1.0) + errors)[clear].max()))
    ratio.axhline(1.0, color="0.5", linewidth=1.0, zorder=0)
    reach = min(1.15 * reach, RATIO_REACH)
    ratio.set_ylim(1.0 - reach, 1.0 + reach)
    ratio.set_xlabel(AXES[what])
    if what in LOGARITHMIC:
        for one_axes in (ax, ratio):
            one_axes.set_xscale("log")
        ax.set_yscale("log")
        ax.set_ylim(0.5 * lowest, 4.0 * highest)
    else:
        ax.set_ylim(0.0, 1.55 * highest)


def _times(contents: Sequence[Content]) -> tuple[Figure, str]:
    names = list(dict.fromkeys(name for one in contents for name in one["responses"]))
    fig, ax = plotting.figure(height=1.6 + 0.5 * len(names) * max(1, len(contents) // 2))
    largest = 0.0
    for number, one in enumerate(contents):
        for name, found in one["responses"].items():
            value, error = found["time"]["ms_per_event"]
            row = len(names) - 1 - names.index(name) - 0.8 * (number + 0.5) / len(contents) + 0.4
            ax.barh(
                row, value, height=0.7 / len(contents), xerr=error, alpha=0.85,
                color=look(one, name)["color"],
            )  # fmt: skip
            text = f" {value:.2g} ms"
            if found["showers"]:
                showers = found["showers"]["particles"].get("showered", 0) / one["events"]
                text += f", {showers:.0f} showers"
            if len(contents) > 1:
                text += f" ({one['sample']})"
            ax.text(value + (error or 0.0), row, text, va="center", fontsize=11)
            largest = max(largest, value)
    ax.set_yticks(range(len(names)), [response_words(name) for name in reversed(names)])
    ax.tick_params(axis="y", which="minor", left=False, right=False)
    ax.set_ylim(-0.6, len(names) - 0.4)
    ax.set_xlim(0.0, 1.8 * largest)
    ax.set_xlabel("CPU time of the detector [ms per event]")
    plotting.label(ax, right="")
    return fig, (
        "Time per event of the detector with each calorimeter response: all of it, from particles "
        "to candidates, on one CPU core; errors over blocks of 100 events. Beside, photons and "
        "electrons that became showers in an event."
    )
