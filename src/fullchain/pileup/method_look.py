"""How the methods look in figures: names, colours and markers."""

from typing import Any

from fullchain.pileup.densities import method_of_training
from fullchain.plotting import COLOURS

_COLOURS = {
    "none": COLOURS[7],
    "chs": COLOURS[1],
    "softkiller": COLOURS[3],
    "puppi": COLOURS[0],
    "truth": "black",
}
_NAMES = {
    "none": "no mitigation",
    "chs": "CHS",
    "softkiller": "SoftKiller",
    "puppi": "PUPPI",
    "truth": "true weights",
}
# Strong colours first: what is learned is looked at most.
_FREE = (COLOURS[2], COLOURS[5], COLOURS[6], COLOURS[8], COLOURS[9], COLOURS[4])
_MARKERS = "osD^vP*X"


def drawn(content: dict[str, Any]) -> dict[str, Any]:
    """Give the methods to draw: single trainings of a learned one are among the metrics only."""
    return {
        name: one for name, one in content["methods"].items() if method_of_training(name) is None
    }


def learned(content: dict[str, Any]) -> dict[str, Any]:
    """Give those of them that are learned, or a user's own."""
    return {name: one for name, one in drawn(content).items() if name not in _NAMES}


def look(method: str, content: dict[str, Any]) -> dict[str, Any]:
    """Give colour and marker of a method, the same in all figures of a sample."""
    others = list(learned(content))
    place = list(drawn(content)).index(method)
    colour = _COLOURS[method] if method in _COLOURS else _FREE[others.index(method) % len(_FREE)]
    return {"color": colour, "marker": _MARKERS[place % len(_MARKERS)]}


def name_of(method: str) -> str:
    """Give the name of a method for a legend."""
    return _NAMES.get(method, method)
