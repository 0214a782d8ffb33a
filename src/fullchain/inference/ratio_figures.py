"""Figures of learned likelihood ratios and of the fits with them, from ratio.json."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import norm

from fullchain import drawing, plotting
from fullchain.inference.ratio_figure_names import (
    CALIBRATION,
    LOG_RATIOS,
    PROFILES,
    PULLS,
    UNCERTAINTIES,
)
from fullchain.plotting import COLOURS

Content = Mapping[str, Any]
Drawn = dict[str, tuple[Figure, str]]

WORDS = {
    "exact": "exact densities",
    "cross_entropy": "cross-entropy",
    "cross_entropy_raw": "cross-entropy, not calibrated",
    "mlc": "MLC",
    "mlc_raw": "MLC, not calibrated",
    "binned": "binned",
}

LOOKS = {
    "exact": "black",
    "cross_entropy": COLOURS[0],
    "cross_entropy_raw": COLOURS[0],
    "mlc": COLOURS[1],
    "mlc_raw": COLOURS[1],
    "binned": COLOURS[2],
}


def figures(content: Sequence[Content]) -> Drawn:
    """Give figures with captions, by name."""
    found: Drawn = {}
    for one in content:
        if all("points" in report for report in one["losses"].values()):
            found[LOG_RATIOS] = _log_ratios(one)
        found[CALIBRATION] = _calibration(one)
        found[PROFILES] = _profiles(one)
        found[PULLS] = _pulls(one)
        found[UNCERTAINTIES] = _uncertainties(one)
    return found


def shown(one: Content) -> list[str]:
    """Methods that are drawn: all but those without calibration."""
    return [name for name in one["experiments"][0]["methods"] if not name.endswith("_raw")]


def problem(one: Content) -> str:
    """What is fitted."""
    if one["settings"]["own"] is not None:
        return "own events"
    return "synthetic problem of 1806.04743"


def _log_ratios(one: Content) -> tuple[Figure, str]:
    fig, axes = plotting.panels(columns=2, rows=2)
    titles = {
        "signal": r"$\log\, p_s(x)/p_b(x|0)$",
        "nuisance": r"$\log\, p_b(x|r)/p_b(x|0)$",
    }
    for column, (name, title) in enumerate(titles.items()):
        above, below = axes[:, column]
        for place, (loss, report) in enumerate(one["losses"].items()):
            points = report["points"][name]
            exact, learned = np.array(points["exact"]), np.array(points["learned"])
            rows = np.array(points["differences"]).T
            colour = LOOKS[loss]
            low, high = rows[0][0], rows[0][-1]
            inside = (exact > low) & (exact < high)
            above.plot(
                exact[inside], learned[inside], ".", color=colour, markersize=2,
                label=WORDS[loss], zorder=3 - place,
            )  # fmt: skip
            below.fill_between(rows[0], rows[1], rows[3], color=colour, alpha=0.25, linewidth=0)
            below.plot(rows[0], rows[2], color=colour)
        above.plot([low, high], [low, high], color="0.4", linewidth=0.8, zorder=0)
        below.axhline(0.0, color="0.4", linewidth=0.8, zorder=0)
        below.set_xlim(*above.get_xlim())
        if name == "signal":
            # Far from the signal any large negative number will do.
            above.set_ylim(low - 3, high + 3)
            below.set_ylim(-1.5, 1.5)
        below.set_xlabel(f"exact {title}")
        above.set_ylabel(f"learned {title}", fontsize=12)
        below.set_ylabel("learned - exact")
    axes[0][0].legend(markerscale=5)
    plotting.label(axes[0][0], right="")
    value = _node(one)
    return fig, (
        "Learned against exact log ratios: calibrated ensembles on events that took no part in "
        "training or calibration, of the signal ratio (left) and of the ratio of background at "
        f"nuisance parameter r = {value:.2f} to the nominal one (right). Below, median and central "
        "68 % of the difference. A large negative log ratio of signal is not learned well, and "
        "does not matter: such events are background."
    )


def _node(one: Content) -> float:
    nodes = next(iter(one["losses"].values()))["after"]["nuisance"]["mean_ratio"]
    return float(nodes[len(nodes) // 4][0])


def _calibration(one: Content) -> tuple[Figure, str]:
    losses = one["losses"]
    fig, axes = plotting.panels(columns=len(losses), rows=1, size=5.0)
    for ax, (loss, report) in zip(axes[0], losses.items(), strict=True):
        for when, marker, colour in (("before", "s", "0.55"), ("after", "o", LOOKS[loss])):
            found = report[when]["signal"]["reliability"]
            learned, observed = np.array(found["learned"]), np.array(found["observed"])
            mean, error = report[when]["signal"]["mean_ratio"]
            ax.errorbar(
                learned, observed - learned, yerr=found["error"], fmt=marker, color=colour,
                label=f"{when}: mean ratio {mean:.3f} ± {error:.3f},\n"
                f"chi-squared {found['chi_squared']:.0f} / {len(learned)}",
            )  # fmt: skip
        ax.axhline(0.0, color="0.4", linewidth=0.8, zorder=0)
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.5 * (high - low))
        ax.margins(x=0.05)
        ax.set_title(WORDS[loss], fontsize=12, loc="right")
        ax.set_xlabel("learned log ratio of signal")
        ax.set_ylabel("observed - learned")
        ax.legend(fontsize=10, loc="upper right")
    plotting.label(axes[0][0], right="")
    kind = one["settings"]["calibration"]["kind"]
    return fig, (
        f"Calibration of the signal ratio before and after ({kind}): observed log ratio of events "
        "in bins of the learned one, less the learned one, with events that took no part in "
        "training or calibration. The mean ratio is that over nominal background, and is one for a "
        "right ratio. Errors are statistical, of these events alone."
    )


def _profiles(one: Content) -> tuple[Figure, str]:
    fig, ax = plotting.figure()
    signal = np.array(one["profile"]["signal"])
    for name in shown(one):
        values = one["profile"]["methods"][name]
        curve = np.array([np.nan if value is None else value for value in values])
        style = {"binned": "-.", "exact": "-"}.get(name, "--")
        drawing.curve(ax, signal, curve, label=WORDS[name], color=LOOKS[name], linestyle=style)
    ax.axhline(1.0, color="0.6", linewidth=0.8, zorder=0)
    truth = one["settings"]["model"]["signal"]
    ax.axvline(truth, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
    ax.set_ylim(0.0, 4.0)
    plotting.finish(
        ax, xlabel="signal events $s$", ylabel=r"$-2\,\Delta \log L$", right="", headroom=1.3
    )
    return fig, (
        f"Profile likelihoods of one pseudo-experiment, {problem(one)}: the nuisance parameter is "
        "fitted at each signal yield. Unbinned fits with exact densities and with learned, "
        f"calibrated ratios, and the fit of {one['bins']} bins of the "
        "classifier score with templates. The dotted line is the truth."
    )


def _pulls(one: Content) -> tuple[Figure, str]:
    sets = one["experiments"]
    fig, axes = plotting.panels(columns=len(sets), rows=1, size=6.0)
    for ax, found in zip(axes[0], sets, strict=True):
        highest = 0.0
        for name in shown(one):
            numbers = found["methods"][name]
            edges = np.array(numbers["pulls"]["edges"])
            content = np.array(numbers["pulls"]["content"], dtype=float)
            highest = max(highest, content.max())
            drawing.histogram(
                ax, content, edges, color=LOOKS[name],
                label=f"{WORDS[name]}: {_text(numbers['pull_mean'])}, width "
                f"{_text(numbers['pull_width'])},\n68.3 % interval holds "
                f"{_text(numbers['coverage'], 100, 1)} %",
            )  # fmt: skip
            total = content.sum() * np.diff(edges)[0]
        at = np.linspace(-4, 4, 161)
        ax.plot(at, norm.pdf(at) * total, color="0.4", linewidth=1.0, linestyle="--")
        ax.set_ylim(0.0, highest * 2.2)
        ax.legend(fontsize=9, loc="upper left")
        ax.set_xlabel(f"pull of the signal yield, true nuisance {found['nuisance']:g}")
        ax.set_ylabel("pseudo-experiments")
    plotting.label(axes[0][0], right="")
    number = sets[0]["methods"][shown(one)[0]]["sets"]
    return fig, (
        f"Pulls of the signal yield over {number} pseudo-experiments, {problem(one)}: all methods "
        "fit the same ones. Dashed: unit normal. The interval is where twice the profile log "
        "likelihood has risen by one. Errors are statistical."
    )


def _uncertainties(one: Content) -> tuple[Figure, str]:
    first = one["experiments"][0]
    names = list(first["methods"])
    fig, axes = plotting.panels(columns=2, rows=1, size=5.4)
    place = np.arange(len(names))[::-1]
    known = "exact" in names
    key = "shift" if known else "bias"
    for ax, quantity in zip(axes[0], ("uncertainty", key), strict=True):
        for row, name in zip(place, names, strict=True):
            if name == "exact" and quantity == "shift":
                continue
            value, error = first["methods"][name][quantity]
            trained = first["members"].get(name)
            ax.errorbar(
                value, row, xerr=error, fmt="s" if name.endswith("_raw") else "o",
                color=LOOKS[name], zorder=3,
            )  # fmt: skip
            if trained and quantity == "shift" and one["independent_members"]:
                ax.errorbar(
                    value, row, xerr=float(np.hypot(error, trained["shift_error_of_mean"])),
                    fmt="none", color=LOOKS[name], linewidth=5, alpha=0.3,
                )  # fmt: skip
        ax.set_yticks(place, [WORDS[name] for name in names], fontsize=10)
        ax.tick_params(axis="y", which="minor", left=False, right=False)
        ax.set_ylim(-0.6, len(names) - 0.4)
        ax.margins(x=0.08)
    for name, expected in first["expected"].items():
        axes[0][0].axvline(
            expected["signal"], color=LOOKS[name], linewidth=0.9, linestyle="--", zorder=0
        )
    axes[0][1].axvline(0.0, color="0.5", linewidth=0.8, zorder=0)
    axes[0][1].set_yticklabels([])
    axes[0][0].set_xlabel("mean uncertainty of $s$ [events]")
    words = "exact fit" if known else "truth"
    axes[0][1].set_xlabel(f"mean of fitted $s$ less {words} [events]")
    plotting.label(axes[0][0], right="")
    return fig, (
        f"Uncertainty and bias of the signal yield, {problem(one)}: means over pseudo-experiments "
        f"with true nuisance parameter {first['nuisance']:g}; all methods fit the same ones. "
        "Dashed: information of the exact densities by integration (black), and of the templates "
        "(red). Thin bars are statistical; wide ones have the error of training and calibration "
        "too, from the spread of the networks."
    )


def _text(found: Sequence[float], scale: float = 1.0, decimals: int = 2) -> str:
    return f"{scale * found[0]:.{decimals}f} ± {scale * found[1]:.{decimals}f}"
