"""The numbers of top tagging and substructure for the list of the stage."""

import math
from collections.abc import Iterator
from typing import Any

from fullchain.metrics import Metric

_TAGGERS = {
    "cut": "cut on tau32 in a window of soft-drop mass",
    "trained": "trees fitted to jets of the method",
    "transferred": "trees fitted to jets of true weights",
}
_AREAS = {
    "area": "area under the ROC curve",
    "over_none": "area minus that without mitigation",
    "over_puppi": "area minus that of PUPPI",
}
_KINDS = {"top": "top jets", "w": "W jets", "qcd": "QCD jets"}
_QUANTITIES = {
    "msoftdrop": {
        "response": ("median response of the soft-drop mass", ""),
        "resolution": ("resolution of the soft-drop mass", ""),
        "gain": ("resolution of the soft-drop mass over that without mitigation", ""),
        "error_iqr": ("IQR of the error of the soft-drop mass against true weights", "%"),
        "correlation": ("correlation of the soft-drop mass with true weights", ""),
    },
    "peak": {
        "position": ("peak of the soft-drop mass", "GeV"),
        "width": ("width of the peak of the soft-drop mass", "GeV"),
    },
    **{
        name: {
            "shift": (f"median of {name} minus that with true weights", ""),
            "iqr": (f"IQR of the difference of {name} to true weights", ""),
            "correlation": (f"correlation of {name} with true weights", ""),
        }
        for name in ("tau32", "tau21")
    },
}


def pair_metrics(content: dict[str, Any]) -> Iterator[Metric]:
    """Give the metrics of one pair of samples, of what 'pileup discriminate' wrote."""
    pair = content["pair"]
    for method, entries in content["methods"].items():
        where = f"pair_{pair}.{method}"
        note = _note(content, method)
        for tagger, words in _TAGGERS.items():
            numbers = entries.get("auc", {}).get(tagger, {})
            for key, text in _AREAS.items():
                label = f"top against QCD, {pair}, {method}: {text}, {words}"
                yield from _metric(f"{where}.auc.{tagger}.{key}", numbers.get(key), label, "", note)
        for kind, jets in _KINDS.items():
            for quantity, statistics in _QUANTITIES.items():
                numbers = entries.get(kind, {}).get(quantity, {})
                for key, (text, unit) in statistics.items():
                    label = f"{jets}, {pair}, {method}: {text}"
                    name = f"{where}.{kind}.{quantity}.{key}"
                    yield from _metric(name, numbers.get(key), label, unit, note)


def _metric(
    name: str, value: list[float] | None, label: str, unit: str, note: str | None
) -> Iterator[Metric]:
    if value is not None and all(map(math.isfinite, value)):
        yield Metric(name, value[0], value[1], "bootstrap", label, unit, note=note)


def _note(content: dict[str, Any], method: str) -> str | None:
    """Say which part of the jets is at densities that learned weights were not trained on."""
    beyond = content["beyond"].get(method)
    if not beyond:
        return None
    low, high = content["trained"][method]
    return (
        f"{beyond:.0%} of the jets are at numbers of interactions outside of {low:.0f} to "
        f"{high:.0f}, which the weights were trained on"
    )
