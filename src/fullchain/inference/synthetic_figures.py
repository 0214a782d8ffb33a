"""Draw the synthetic benchmark of INFERNO from saved numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from fullchain.inference import synthetic_figure_names as names
from fullchain.inference import synthetic_published as published
from fullchain.inference.synthetic_model import BACKGROUND, CASES, SIGNAL
from fullchain.inference.synthetic_numbers import over_seeds
from fullchain.inference.synthetic_settings import CLASSIFIER
from fullchain.plotting import COLOURS, finish, label, panels, plt

Numbers = Mapping[str, Any]

UNCERTAINTY = "expected uncertainty of $s$"
TITLES = {"r": "$r$", "rate": r"$\lambda$"}


def figures(known: Numbers, learned: Sequence[Numbers]) -> dict[str, tuple[Figure, str]]:
    """Draw all figures.

    Parameters
    ----------
    known
        Content of known.json.
    learned
        Content of the file of each summary.

    Returns
    -------
    Figure and caption by name, those of `synthetic_figure_names`.
    """
    return {
        names.TABLE: _table(known, learned),
        names.TRAINING: _training(known, learned),
        names.PLANE: _planes(learned),
        names.YIELDS: _yields(learned),
        names.PROFILE: _profiles(learned),
    }


def _name(one: Numbers) -> str:
    return "classifier" if one["summary"] == CLASSIFIER else f"INFERNO, {one['summary']}"


def _columns(number: int) -> tuple[Figure, list[Any]]:
    columns = min(number, 3)
    rows = -(-number // columns)
    fig, axes = panels(columns, rows, size=4.6 if number > 1 else 6.0)
    flat = list(axes.ravel())
    for ax in flat[number:]:
        ax.set_visible(False)
    return fig, flat[:number]


def _table(known: Numbers, learned: Sequence[Numbers]) -> tuple[Figure, str]:
    cases = list(published.CASES)
    fig, ax = plt.subplots(figsize=(7.0, 5.2), layout="constrained")
    at = np.arange(len(cases), dtype=float)
    classifier = [one for one in learned if one["summary"] == CLASSIFIER]
    inferno = {one["summary"]: one for one in learned if one["summary"] != CLASSIFIER}

    def points(values: dict[str, tuple[float, float | None]], colour: str, text: str,
               stated: Mapping[str, float], shift: float) -> None:  # fmt: skip
        places = [cases.index(case) + shift for case in values]
        errors = [error or 0.0 for _, error in values.values()]
        ax.errorbar(places, [value for value, _ in values.values()], yerr=errors, fmt="o",
                    color=colour, label=text)  # fmt: skip
        ax.plot(at + shift, list(stated.values()), "D", color=colour, fillstyle="none",
                markersize=8, label=f"{text}, published")  # fmt: skip

    for one in classifier:
        found = {case: over_seeds(one, case) for case in cases}
        points(found, COLOURS[0], "classifier", published.CLASSIFIER, -0.12)
    if inferno:
        found = {case: over_seeds(one, case) for case, one in inferno.items()}
        points(found, COLOURS[2], "INFERNO", published.INFERNO, 0.12)
    for key, colour, text in (
        ("best_classifier", COLOURS[0], "density ratio"),
        ("likelihood", "black", "likelihood"),
    ):
        values = [known[key][case] for case in cases]
        ax.hlines(values, at - 0.4, at + 0.4, color=colour, linewidth=1.2, linestyle="--",
                  label=text)  # fmt: skip
    ax.set_xticks(at, cases)
    ax.minorticks_off()
    ax.set_xlim(-0.5, len(cases) - 0.5)
    low, high = ax.get_ylim()
    ax.set_ylim(low, low + 1.45 * (high - low))
    finish(ax, xlabel="inference problem", ylabel=UNCERTAINTY, right="", headroom=1.0)
    ax.set_ylim(low, low + 1.45 * (high - low))
    ax.legend(loc="upper left", ncols=2, fontsize=11)
    return fig, (
        "Expected uncertainty of the signal yield in the five inference problems: median over "
        f"trainings with its error, beside the published values ({published.SOURCE}). Lines: the "
        "density ratio in uniform bins, and the unbinned likelihood, by numerical integration."
    )


def _training(known: Numbers, learned: Sequence[Numbers]) -> tuple[Figure, str]:
    fig, axes = _columns(len(learned))
    for one, ax in zip(learned, axes, strict=True):
        cases = list(one["seeds"][0]["history"])
        for place, case in enumerate(cases):
            colour = COLOURS[place] if len(cases) > 1 else COLOURS[2]
            for number, seed in enumerate(one["seeds"]):
                values = seed["history"][case]
                ax.plot(range(1, len(values) + 1), values, color=colour, linewidth=1.0, alpha=0.8,
                        marker="o" if len(values) == 1 else None,
                        label=f"{case}" if number == 0 else None)  # fmt: skip
            limit = known["best_classifier" if one["summary"] == CLASSIFIER else "likelihood"][case]
            ax.axhline(limit, color=colour, linestyle="--", linewidth=1.0)
        lowest = min(known["likelihood"][case] for case in cases)
        last = max(seed["history"][case][-1] for seed in one["seeds"] for case in cases)
        ax.set_ylim(lowest - 1.0, max(1.25 * last, 1.5 * lowest))
        ax.set_xlabel("epoch")
        ax.set_ylabel(UNCERTAINTY)
        ax.legend(title=_name(one), title_fontsize=12, fontsize=11, ncols=2, loc="upper right")
    label(axes[0], right="")
    return fig, (
        "Expected uncertainty of the signal yield after each epoch, with hard bins and templates "
        "of validation events; one line for each training. Dashed: the unbinned likelihood "
        "(INFERNO), and the density ratio in uniform bins (classifier), by integration."
    )


def _order(templates: Numbers) -> Any:
    """Bins by rising signal over background; those without events last."""
    signal, background = np.array(templates["signal"]), np.array(templates["background"])
    total = SIGNAL * signal + BACKGROUND * background
    ratio = np.where(total > 0, signal / np.where(total > 0, total, 1.0), np.inf)
    return np.argsort(ratio, kind="stable")


def _planes(learned: Sequence[Numbers]) -> tuple[Figure, str]:
    fig, axes = _columns(len(learned))
    for one, ax in zip(learned, axes, strict=True):
        plane, order = one["shown"]["plane"], _order(one["shown"]["templates"])
        rank = np.empty(len(order), dtype=int)
        rank[order] = np.arange(len(order))
        ax.pcolormesh(
            plane["x0"], plane["x2"], rank[np.array(plane["bins"])], shading="nearest",
            cmap=ListedColormap(plt.get_cmap("viridis")(np.linspace(0.0, 1.0, len(order)))),
            vmin=-0.5, vmax=len(order) - 0.5, rasterized=True,
        )  # fmt: skip
        ax.set_xlabel("$x_0$")
        ax.set_ylabel("$x_2$")
        ax.text(0.97, 0.95, _name(one), transform=ax.transAxes, ha="right", va="top",
                color="white", fontsize=12,
                bbox={"facecolor": "black", "alpha": 0.4, "lw": 0})  # fmt: skip
        ax.minorticks_off()
    label(axes[0], right="")
    return fig, (
        "Bins of the summary in the plane of $x_0$ and $x_2$ at $x_1 = 0$, for the training of "
        "median uncertainty; the lighter, the more signal over background. Signal is around "
        "$x_0 = 0$, background around $x_0 = 2$."
    )


def _yields(learned: Sequence[Numbers]) -> tuple[Figure, str]:
    fig, axes = plt.subplots(
        2, len(learned), figsize=(max(4.0 * len(learned), 6.0), 5.6), layout="constrained",
        squeeze=False, sharex="col", height_ratios=(3, 2),
    )  # fmt: skip
    for column, one in enumerate(learned):
        upper, lower = axes[:, column]
        templates, order = one["shown"]["templates"], _order(one["shown"]["templates"])
        edges = np.arange(len(order) + 1) - 0.5
        signal = SIGNAL * np.array(templates["signal"])[order]
        background = BACKGROUND * np.array(templates["background"])[order]
        upper.stairs(background, edges, fill=True, color="0.82", label="background")
        upper.stairs(10 * signal, edges, color=COLOURS[2], label="10 x signal")
        upper.set_ylim(0.0, 1.4 * max(background.max(), 10 * signal.max()))
        upper.legend(title=_name(one), title_fontsize=12, fontsize=11, loc="upper right")
        for place, (name, moved) in enumerate(templates["variations"].items()):
            for way, line in (("down", "--"), ("up", "-")):
                change = BACKGROUND * np.array(moved[way])[order] - background
                relative = np.divide(change, background, out=np.zeros_like(change),
                                     where=background > 0)  # fmt: skip
                sign = "+" if way == "up" else "-"
                lower.stairs(relative, edges, color=COLOURS[place], linestyle=line, baseline=None,
                             label=f"{TITLES[name]} {sign} {moved['step']:g}")  # fmt: skip
        lower.axhline(0.0, color="0.5", linewidth=1.0, zorder=0)
        low, high = lower.get_ylim()
        lower.set_ylim(low, high + 0.6 * (high - low))
        lower.legend(fontsize=9, ncols=2, loc="upper right")
        lower.set_xlabel("bin, by signal over background")
        for ax in (upper, lower):
            ax.minorticks_off()
    axes[0, 0].set_ylabel("events")
    axes[1, 0].set_ylabel("change of background", fontsize=12)
    label(axes[0, 0], right="")
    return fig, (
        "Expected events in the bins of the summary, for the training of median uncertainty, and "
        "the relative change of background where a nuisance is moved. Bins in order of rising "
        "signal over background."
    )


def _profiles(learned: Sequence[Numbers]) -> tuple[Figure, str]:
    cases = [
        case
        for case in CASES
        if any(case in one["shown"]["profile"]["twice_delta_nll"] for one in learned)
    ]
    fig, axes = _columns(max(len(cases), 1))
    for case, ax in zip(cases, axes, strict=False):
        for one in learned:
            found = one["shown"]["profile"]
            values = found["twice_delta_nll"].get(case)
            if values is None:
                continue
            colour = COLOURS[0] if one["summary"] == CLASSIFIER else COLOURS[2]
            uncertainty = one["seeds"][one["shown"]["seed"]]["expected"][case]
            ax.plot(found["signal"], values, color=colour, label=f"{_name(one)}: {uncertainty:.1f}")
        ax.axhline(1.0, color="0.5", linestyle="--", linewidth=1.0)
        ax.set_ylim(0.0, 8.0)
        ax.set_xlabel("$s$")
        ax.set_ylabel(r"$-2\,\Delta\ln L$")
        ax.legend(title=case, title_fontsize=12, fontsize=11, loc="upper center")
    label(axes[0], right="")
    return fig, (
        "Profile likelihood of the expectation for 50 signal events, nuisances of the problem "
        "profiled, with the templates of the training of median uncertainty; the numbers are the "
        "expected uncertainties by the Hessian."
    )
