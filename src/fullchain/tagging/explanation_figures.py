"""Figures of the explanation of a tagger, from its saved numbers."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fullchain.plotting import COLOURS, FigureSet, label, panels
from fullchain.tagging.observable_symbols import symbol

Numbers = dict[str, Any]


def draw(figures: FigureSet, explained: Numbers) -> None:
    """Draw all figures of one tagger; trees have no latent features."""
    if explained["components"] is not None:
        _components(figures, explained)
        _disentangled(figures, explained)
    _attribution(figures, explained)
    _formula(figures, explained)


def _maths(name: str) -> str:
    return f"${symbol(name)}$"


def _measured(numbers: Numbers, digits: int = 3) -> str:
    return f"{numbers['value']:.{digits}f} ± {numbers['deviation']:.{digits}f}"


def _on(explained: Numbers) -> str:
    jets = " and ".join(f"{number} {name}" for name, number in explained["test_jets"].items())
    return f"{jets} jets that the network was not trained on"


def _left_out(explained: Numbers) -> str:
    """Say which observables are left out, and why; nothing where none is."""
    reasons: dict[str, list[str]] = {}
    for name, why in explained["left_out"].items():
        reasons.setdefault(why, []).append(name)
    return "".join(f" Left out: {', '.join(names)} ({why})." for why, names in reasons.items())


def _observables(explained: Numbers) -> list[str]:
    return [one["name"] for one in explained["observables"]]


def _heatmap(ax: Axes, values: Any, rows: list[str], columns: list[str], title: str) -> Any:
    """Draw numbers from -1 to 1 as colours, with the numbers in them."""
    table = np.array(values, dtype=float)
    picture = ax.imshow(table, cmap="RdBu_r", vmin=-1.0, vmax=1.0, aspect="auto")
    for place, value in np.ndenumerate(table):
        if np.isfinite(value):
            dark = abs(value) > 0.6
            ax.text(
                place[1],
                place[0],
                f"{value:.2f}",
                ha="center",
                va="center",
                fontsize=10,
                color="white" if dark else "black",
            )
    ax.set_xticks(range(len(columns)), columns, rotation=45, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(which="both", length=0)
    ax.minorticks_off()
    ax.set_title(title, fontsize=12, loc="left")
    return picture


def _components(figures: FigureSet, explained: Numbers) -> None:
    found, names = explained["components"], _observables(explained)
    shares, errors = found["variance"]["value"], found["variance"]["deviation"]
    rows = [
        f"PC {place + 1}: {100 * share:.1f} ± {100 * error:.1f} %"
        for place, (share, error) in enumerate(zip(shares, errors, strict=True))
    ]
    fig, axes = panels(1, 3, size=9.0)
    fig.set_size_inches(9.5, 0.36 * 3 * len(rows) + 5.2)
    drawn = (
        ("linear correlation", found["pearson"]["value"]),
        ("rank correlation", found["spearman"]["value"]),
        ("distance correlation", found["distance"]["value"]),
    )
    for ax, (title, values) in zip(axes[:, 0], drawn, strict=True):
        picture = _heatmap(ax, values, rows, [_maths(name) for name in names], title)
    fig.colorbar(picture, ax=axes[:, 0].tolist(), shrink=0.6)
    areas = ", ".join(
        f"{_measured(area)} (PC {place + 1})" for place, area in enumerate(found["auc"])
    )
    tagger = explained["tagger"]
    figures.save(
        fig,
        f"explanation_{tagger}_components",
        f"Principal components of {tagger}",
        f"Correlations of the principal components of the {found['width']} activations before the "
        f"last layer of {tagger} with observables, for {_on(explained)}, and the part of the "
        f"variance in each component. Errors of the correlations are those of a bootstrap over "
        f"events, at most "
        f"{_largest(found['pearson']['deviation'], found['spearman']['deviation']):.2f}. Distance "
        f"correlations have no sign, and for independent columns would be "
        f"{found['distance']['if_independent']:.2f} for as many jets as are taken for them "
        f"({found['distance']['jets']}). AUC of the components alone: {areas}; of the tagger "
        f"{_measured(explained['network_auc'])}.{_left_out(explained)}",
    )


def _largest(*tables: Any) -> float:
    return float(np.nanmax([np.nanmax(np.array(table, dtype=float)) for table in tables]))


def _disentangled(figures: FigureSet, explained: Numbers) -> None:
    found, names = explained["disentangled"], _observables(explained)
    fig, axes = panels(1, 2, size=9.0)
    number = len(found["with"]["dimensions"])
    fig.set_size_inches(9.5, 0.4 * 2 * number + 3.6)
    for ax, which in zip(axes[:, 0], ("with", "without"), strict=True):
        one = found[which]
        rows = [
            f"z {place + 1}, AUC {area['value']:.2f}"
            for place, area in enumerate(one["dimensions"])
        ]
        title = (
            f"{which} the term: AUC {_measured(one['auc'])}, distance correlation of pairs "
            f"{_measured(one['pairs'], 2)}"
        )
        columns = [_maths(name) for name in names]
        picture = _heatmap(ax, one["spearman"]["value"], rows, columns, title)
    fig.colorbar(picture, ax=axes[:, 0].tolist(), shrink=0.7)
    tagger, how = explained["tagger"], found["settings"]
    figures.save(
        fig,
        f"explanation_{tagger}_disentangled",
        f"Disentangled classifier of {tagger}",
        f"Rank correlations with observables of the {number} dimensions of a classifier on the "
        f"activations before the last layer of {tagger}, trained with (above) and without (below) "
        f"a term for the distance correlation of its dimensions (factor {how['decorrelation']:g}; "
        f"that of the reconstruction is {how['reconstruction']:g}). Independent columns would have "
        f"{found['with']['pairs']['if_independent']:.2f} for as many jets as are taken for it "
        f"({found['distance_jets']}). AUC of the tagger: {_measured(found['network_auc'])}."
        f"{_left_out(explained)}",
    )


def _attribution(figures: FigureSet, explained: Numbers) -> None:
    found = explained["attribution"]
    names = found["names"]
    rows: list[tuple[str, int | None, int | None]] = []
    edges: list[int] = []
    for place, group in enumerate(found["groups"]):
        edges.append(len(rows))
        if len(group) > 1:
            rows.append((f"group {place + 1}", place, None))
        rows += [(_maths(name), None, names.index(name)) for name in group]
    fig, axes = panels(2, 1, size=5.0)
    fig.set_size_inches(10.5, 0.32 * len(rows) + 2.4)
    left, right = axes[0]
    for y, (_, group, single) in enumerate(rows):
        if single is not None:
            _bar(left, y, found["single"], single, "o", COLOURS[0], "single observable")
            _bar(right, y, found["permuted_single"], single, "o", COLOURS[0], "single observable")
        if group is not None:
            _bar(left, y, found["group"], group, "s", COLOURS[2], "group, left out together")
            _bar(left, y, found["sum_of_sizes"], group, "D", "0.5", "sum over its members")
            _bar(right, y, found["permuted_group"], group, "s", COLOURS[2], "group, together")
            members = [names.index(name) for name in found["groups"][group]]
            total = sum(found["permuted_single"]["value"][k] for k in members)
            right.plot([total], [y], "D", color="0.5", mfc="white", label="sum over its members")
    for ax, text in (
        (left, "mean |Shapley value| of the log-odds"),
        (right, "loss of AUC when permuted"),
    ):
        ax.set_yticks(range(len(rows)), [name for name, _, _ in rows])
        ax.set_ylim(len(rows) - 0.5, -0.5)
        ax.minorticks_off()
        ax.margins(x=0.08)
        for edge in edges[1:]:
            ax.axhline(edge - 0.5, color="0.8", linewidth=0.8, zorder=0)
        ax.set_xlabel(text)
        ax.axvline(0.0, color="0.5", linewidth=1.0)
    label(left, right="")
    _legend_below(fig, left)
    tagger = explained["tagger"]
    whose = (
        f"the score of {tagger}"
        if found["explains"] == "tagger"
        else f"a network on observables that learned the score of {tagger}"
    )
    figures.save(
        fig,
        f"explanation_{tagger}_shap",
        f"Shapley values of {tagger}",
        f"What {whose} rests on. Left: mean size of the Shapley values ({found['jets']} jets, "
        f"{found['background']} background jets). Right: loss of AUC when an observable is "
        "permuted among the jets. An observable is left out as if it did not depend on the others; "
        "for those that are correlated the numbers of single ones mean little. Squares: groups of "
        "correlated observables that are left out, or permuted, together; open diamonds: the sum "
        "of the members' own numbers. Error bars are those of a bootstrap over events."
        + ("" if found["explains"] == "tagger" else _left_out(explained)),
    )


def _bar(
    ax: Axes, y: int, numbers: Numbers, place: int, marker: str, colour: Any, text: str
) -> None:
    ax.errorbar(
        [numbers["value"][place]],
        [y],
        xerr=[numbers["deviation"][place]],
        fmt=marker,
        color=colour,
        mfc="white" if marker == "D" else colour,
        label=text,
    )


def _formula(figures: FigureSet, explained: Numbers) -> None:
    found, tagger = explained["formula"], explained["tagger"]
    fig, axes = panels(2, 1, size=5.0)
    fig.set_size_inches(10.5, 5.6)
    front, reliability = axes[0]
    lines = [("network", tagger, COLOURS[0]), ("surrogate", "network on observables", COLOURS[3])]
    for key, text, colour in lines:
        if key in found:
            area = found[key]["auc"]
            front.axhline(area["value"], color=colour, label=f"{text}, AUC {_measured(area)}")
            low, high = (area["value"] + sign * area["deviation"] for sign in (-1, 1))
            front.axhspan(low, high, color=colour, alpha=0.15, linewidth=0)
    for place, one in enumerate(found["front"]):
        chosen = place == found["chosen"]
        front.errorbar(
            [one["length"]],
            [one["auc"]["value"]],
            yerr=[one["auc"]["deviation"]],
            fmt="o",
            color=COLOURS[2] if chosen else "0.3",
            mfc=COLOURS[2] if chosen else "white",
            zorder=4 if chosen else 3,
            label=f"formula that is chosen, AUC {_measured(one['auc'])}" if chosen else "formulas",
        )
    front.set_xlim(0, 1.1 * max(one["length"] for one in found["front"]))
    front.set_xlabel("length of the formula")
    front.set_ylabel("AUC")
    reliability.plot([0, 1], [0, 1], color="0.5", linewidth=1.0)
    for key, colour in (
        ("network", COLOURS[0]),
        ("surrogate", COLOURS[3]),
        ("formula", COLOURS[2]),
    ):
        if key in found:
            _reliability(reliability, found[key]["calibration"], colour)
    reliability.set_xlim(0, 1)
    reliability.set_ylim(0, 1)
    reliability.set_xlabel("mean score")
    reliability.set_ylabel("part of signal")
    label(front, right="")
    _legend_below(fig, front)
    scales = ", ".join(
        f"{one['name']} standing for ({one['name']} - {one['shift']:g}) / {one['width']:g}"
        for one in found["inputs"]
        if one["name"] in found["front"][found["chosen"]]["variables"]
    )
    figures.save(
        fig,
        f"explanation_{tagger}_formula",
        f"Formula for {tagger}",
        "Left: AUC of formulas for the log-odds of the signal, from symbolic regression, against "
        "their length (numbers, variables, operations). The shortest formula that is as good as "
        "the best on the jets that are not shown here, within its error, is: log-odds = "
        f"{found['text']}, with {scales}. Right: part of signal against mean score, as in the "
        "calibration of the scores. Error bars and bands are those of a bootstrap over events, in "
        "the right panel Wilson's intervals.",
    )


def _reliability(ax: Axes, table: Numbers, colour: Any) -> None:
    filled = [k for k, value in enumerate(table["observed"]) if value is not None]
    middle = [table["observed"][k] for k in filled]
    ax.errorbar(
        [table["predicted"][k] for k in filled],
        middle,
        yerr=[
            [value - table["low"][k] for k, value in zip(filled, middle, strict=True)],
            [table["high"][k] - value for k, value in zip(filled, middle, strict=True)],
        ],
        fmt="o-",
        color=colour,
    )


def _legend_below(fig: Figure, ax: Axes) -> None:
    """Put each entry of the legend once under the panels."""
    entries = {text: handle for handle, text in zip(*ax.get_legend_handles_labels(), strict=True)}
    fig.legend(list(entries.values()), list(entries), loc="outside lower center", ncols=2)
