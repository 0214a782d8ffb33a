"""What became of the events of a part: cut flow at both levels, efficiency and fakes."""

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fullchain.errors import InputError
from fullchain.unfolding.event_processor import GEN
from fullchain.unfolding.sample import NOMINAL, Array, Flags, Simulation

Cutflow = Mapping[str, Mapping[str, Mapping[str, float]]]
"""Level or shift -> cut -> events and sum of weights."""


_HINT = (
    "lower the first cut of unfolding.selection that nothing passes, or take more events or a "
    "sample with a higher pthat_min"
)
_HINTS = {
    "two muons": "choose a sample of Z bosons that decay to muons (process zmumu), with the "
    "particles of whole events at both levels",
}
"""What to do where a cut is the first that nothing passes."""


def count(chunks: Sequence[Mapping[str, Any]]) -> Cutflow:
    """Count the events of all chunks that pass each cut and those before it.

    Sums are exactly rounded: they do not depend on the chunks.
    """
    weight = np.concatenate([chunk["weight"] for chunk in chunks])
    found: dict[str, dict[str, dict[str, float]]] = {}
    for level, cuts in chunks[0]["passed"].items():
        found[level] = {"all": _count(weight)}
        for cut in cuts:
            passed = np.concatenate([chunk["passed"][level][cut] for chunk in chunks])
            found[level][cut] = _count(weight[passed])
    return dict(sorted(found.items(), key=lambda item: (item[0] != GEN, item[0] != NOMINAL)))


def _count(weight: Array) -> dict[str, float]:
    return {"events": len(weight), "sum_of_weights": math.fsum(weight)}


def rates(events: Simulation) -> dict[str, dict[str, float]]:
    """Give weighted parts of the events with their errors; empty for recorded data.

    efficiency: events that pass the detector level, of those that pass the particle level; its
    complement are misses. fakes: events that fail the particle level, of those that pass the
    detector level; its complement is also called acceptance or purity.
    """
    gen, reco = events.gen.passed, events.reco.passed
    if not gen.any() or not reco.any():
        return {}
    return {
        "efficiency": _part(reco[gen], events.weight[gen]),
        "fakes": _part(~gen[reco], events.weight[reco]),
    }


def _part(chosen: Flags, weight: Array) -> dict[str, float]:
    """Give the weighted part of the chosen, and its standard error over events."""
    total = weight.sum()
    value = float(weight[chosen].sum() / total)
    error = float(np.sqrt((weight**2 * (chosen - value) ** 2).sum()) / abs(total))
    return {"value": value, "uncertainty": error}


def check(manifest: Path, cutflow: Cutflow, muons: int, *, is_data: bool) -> None:
    """Raise InputError where the part has no muons, or nothing passes a level of a simulated one.

    Recorded data may have parts without a Z boson; they give a table without rows and a warning.
    """
    if muons == 0:
        raise InputError(
            f"{manifest}: no event has a muon among its particle-flow candidates (code 13); "
            f"{_HINTS['two muons']}"
        )
    for name, words in ((GEN, "particle level"), (NOMINAL, "detector level")):
        flow = cutflow.get(name, {})
        empty = [cut for cut, counts in flow.items() if counts["events"] == 0]
        if not empty:
            continue
        counted = ", ".join(f"{cut} {counts['events']}" for cut, counts in flow.items())
        problem = f"{manifest}: no event passes the selection of the {words} ({counted})"
        if not is_data:
            raise InputError(f"{problem}; {_HINTS.get(empty[0], _HINT)}")
        print(f"warning: {problem}", file=sys.stderr)


def report(cutflow: Cutflow) -> None:
    """Print how many events pass, for the log."""
    for name, cuts in cutflow.items():
        flow = ", ".join(f"{cut} {counts['events']}" for cut, counts in cuts.items())
        print(f"{name}: {flow}", file=sys.stderr)
