"""The jets of a sample with the observables of all methods, collected chunk by chunk."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.learning.bootstrap import event_factors
from fullchain.learning.roc import event_numbers
from fullchain.pileup.discrimination_jets import Observed, TrueJets
from fullchain.pileup.events import Events

Array = NDArray[Any]


@dataclass(frozen=True)
class JetTable:
    """Jets of a sample, ordered by the identity of their events.

    So no number depends on the order in which the events were read.

    Parameters
    ----------
    identity
        (n, 3) run, luminosity block and number of the event.
    event
        (n) number of the event, from 0.
    interactions, weight, kind, reference
        (n) pile-up interactions and weight of the event, place in `KINDS`, soft-drop mass of the
        particle-level jet [GeV].
    values
        By method (n, observables), NaN where a method has no jet.
    found
        By method (n).
    """

    identity: Array
    event: Array
    interactions: Array
    weight: Array
    kind: Array
    reference: Array
    values: Mapping[str, Array]
    found: Mapping[str, Array]

    def __len__(self) -> int:
        return len(self.kind)

    def replicas(self, number: int, seed: int) -> Array:
        """Give the weights of the jets in each replica of the events, (number + 1, n).

        Row 0 is the sample itself. All jets and all methods of an event share its factor.
        """
        factors = list(event_factors(self.event, number, seed))
        return np.stack([np.ones(len(self)), *factors]) * self.weight


def joined(signal: JetTable, background: JetTable) -> JetTable:
    """Give the jets of two samples in one table; no event is in both."""
    first = int(signal.event.max()) + 1 if len(signal) else 0
    columns = {
        name: np.concatenate([getattr(signal, name), getattr(background, name)])
        for name in ("identity", "interactions", "weight", "kind", "reference")
    }
    return JetTable(
        event=np.concatenate([signal.event, background.event + first]),
        values={
            name: np.concatenate([values, background.values[name]])
            for name, values in signal.values.items()
        },
        found={
            name: np.concatenate([found, background.found[name]])
            for name, found in signal.found.items()
        },
        **columns,
    )


@dataclass
class Collector:
    """Takes chunks of events, and gives the table of their jets."""

    columns: dict[str, list[Array]] = field(default_factory=dict)
    values: dict[str, list[Array]] = field(default_factory=dict)
    found: dict[str, list[Array]] = field(default_factory=dict)
    events: int = 0

    def add(self, events: Events, jets: TrueJets, observed: Mapping[str, Observed]) -> None:
        """Take the jets of a chunk.

        Raises
        ------
        InputError
            A method has weights for this chunk and not for those before, or the reverse.
        """
        partial = set(self.values) ^ set(observed)
        if self.events and partial:
            raise InputError(
                f"weights of {', '.join(sorted(partial))} are there for some parts of the sample "
                "only; make those of all parts that are looked at"
            )
        assert events.truth is not None
        identity = np.stack([events.run, events.luminosity_block, events.event], axis=1)
        own = {
            "identity": identity.astype(np.uint64)[jets.event],
            "interactions": events.truth.interactions[jets.event],
            "weight": events.truth.weight[jets.event],
            "kind": jets.kind,
            "reference": jets.msoftdrop,
        }
        for name, column in own.items():
            self.columns.setdefault(name, []).append(column)
        for name, one in observed.items():
            self.values.setdefault(name, []).append(one.values)
            self.found.setdefault(name, []).append(one.found)
        self.events += len(events)

    def table(self) -> JetTable:
        """Give all jets so far; at least one chunk must have been added."""
        columns = {name: np.concatenate(chunks) for name, chunks in self.columns.items()}
        # stable: the leading jet of an event stays before the other
        order = np.lexsort(columns["identity"].T[::-1])
        columns = {name: column[order] for name, column in columns.items()}
        return JetTable(
            event=event_numbers(*columns["identity"].T),
            values={name: np.concatenate(chunks)[order] for name, chunks in self.values.items()},
            found={name: np.concatenate(chunks)[order] for name, chunks in self.found.items()},
            **columns,
        )
