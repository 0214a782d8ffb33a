"""What the chunks of a sample gave, method by method, joined to whole columns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.pileup.quantities import Kept, Pairs, Quantities

Array = NDArray[Any]


@dataclass
class Collected:
    """What all chunks of a sample gave."""

    pairs: dict[str, dict[str, list[Pairs]]] = field(default_factory=dict)
    kept: dict[str, list[Kept]] = field(default_factory=dict)
    interactions: list[Array] = field(default_factory=list)
    weight: list[Array] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    events: int = 0

    def add(self, method: str, found: Quantities) -> None:
        """Add a chunk; its events are counted on from those before."""
        for name, pairs in found.pairs.items():
            shifted = Pairs(pairs.value, pairs.reference, pairs.event + self.events)
            self.pairs.setdefault(method, {}).setdefault(name, []).append(shifted)
        self.kept.setdefault(method, []).append(found.kept)

    def joined(self) -> dict[str, dict[str, Pairs]]:
        """Give the pairs of all chunks, by method and quantity."""
        columns = ("value", "reference", "event")
        return {
            method: {
                name: Pairs(*(_column(chunks, column) for column in columns))
                for name, chunks in quantities.items()
            }
            for method, quantities in self.pairs.items()
        }

    def joined_kept(self) -> dict[str, Kept]:
        """Give the sums of pT of all events, by method."""
        columns = ("hard", "hard_kept", "pileup", "pileup_kept")
        return {
            method: Kept(*(_column(chunks, column) for column in columns))
            for method, chunks in self.kept.items()
        }


def _column(chunks: Sequence[Any], name: str) -> Array:
    return np.concatenate([getattr(chunk, name) for chunk in chunks])
