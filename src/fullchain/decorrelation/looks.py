"""How the classifiers look in the figures of the stage, and what they are called."""

from collections.abc import Sequence
from typing import Any

from fullchain.plotting import COLOURS

Numbers = dict[str, Any]

MARKERS = "sDv^P<>Xph"

AXES = {
    "msoftdrop": "soft-drop mass [GeV]",
    "mass": "jet mass [GeV]",
    "pt": r"jet $p_T$ [GeV]",
    "eta": r"jet $\eta$",
    "npu": "pile-up interactions",
}
"""Labels of columns."""


def axis(column: str) -> str:
    """Label of a column."""
    return AXES.get(column, column)


def groups(measured: Sequence[Numbers]) -> dict[str | None, list[Numbers]]:
    """Measurements of each classifier with rising strength; of the tagger itself under None."""
    found: dict[str | None, list[Numbers]] = {}
    for one in measured:
        found.setdefault(one["classifier"], []).append(one)
    return {
        name: sorted(several, key=lambda one: one["strength"] or 0.0)
        for name, several in sorted(found.items(), key=lambda item: item[0] is not None)
    }


def look(classifier: str | None, measured: Sequence[Numbers]) -> dict[str, Any]:
    """Colour and marker of a classifier among those that are drawn together."""
    if classifier is None:
        return {"color": "black", "marker": "*", "markersize": 11}
    known = [name for name in groups(measured) if name is not None]
    turn, place = divmod(known.index(classifier), len(COLOURS))
    return {
        "color": COLOURS[place],
        # There are as many markers as colours: where colours come again they have other markers.
        "marker": MARKERS[(place + turn) % len(MARKERS)],
        "markersize": 6,
    }


def method_name(one: Numbers) -> str:
    """Name of a classifier for a legend, with its method; the tagger is unconstrained.

    Of a flow of a classifier that is decorrelated already, with the name of that one.
    """
    if one["classifier"] is None:
        return f"{one['tagger']}, unconstrained"
    method = one["method"]
    kind = {
        "disco": "DisCo",
        "mode": f"MoDe[{method.get('order')}]",
        "adversary": "adversary",
        "planing": "planing",
        "boosting": {"uboost": "uBoost"}.get(method.get("loss", ""), "flatness loss"),
        "flow": "conditional flow",
    }.get(method["kind"], method["kind"])
    source = f" of {one['source']}" if one["source"] else ""
    return f"{one['classifier']} ({kind}{source})"


def at(points: Sequence[Numbers], efficiency: float) -> Numbers:
    """Give the entry of a working point."""
    return next(one for one in points if one["signal_efficiency"] == efficiency)


def percent(one: Numbers) -> str:
    """The working point of rejection and 1/JSD, in percent."""
    return f"{100 * one['signal_efficiency']:g}"


def jets(one: Numbers) -> str:
    """How many jets are measured."""
    return " and ".join(f"{number} {name}" for name, number in one["jets"].items()) + " jets"
