"""Anti-kT clustering of the candidates of many events with fastjet, sorted by pT."""

from dataclasses import dataclass
from functools import cache

import awkward as ak
import fastjet
import numpy as np

from fullchain.jets.arrays import Array, Kinematics, flat, offsets_of


@dataclass(frozen=True)
class Jets:
    """Jets of many events, in each event by falling pT.

    Parameters
    ----------
    event_offsets
        (events + 1) where the jets of each event begin.
    momenta
        (jets, 4) px, py, pz, E [GeV].
    members
        Candidates of all jets, counted over all events.
    member_offsets
        (jets + 1) where the candidates of each jet begin.
    """

    event_offsets: Array
    momenta: Array
    members: Array
    member_offsets: Array

    @property
    def kinematics(self) -> Kinematics:
        """pt, eta, phi, mass of the jets."""
        return Kinematics.of(self.momenta)

    @property
    def events(self) -> Array:
        """(jets) number of the event of each jet."""
        return np.repeat(np.arange(len(self.event_offsets) - 1), np.diff(self.event_offsets))

    @property
    def ranks(self) -> Array:
        """(jets) 0 for the jet of highest pT in its event, 1 for the next, ..."""
        return np.arange(len(self.momenta)) - self.event_offsets[self.events]


@cache
def _definition(radius: float) -> fastjet.JetDefinition:
    return fastjet.JetDefinition(fastjet.antikt_algorithm, radius)


def cluster(momenta: Array, event_offsets: Array, radius: float, pt_min: float) -> Jets:
    """Cluster all events with anti-kT (E-scheme).

    Parameters
    ----------
    momenta
        (candidates, 4) px, py, pz, E [GeV], in double precision.
    event_offsets
        (events + 1) where the candidates of each event begin.
    radius
        Of the jets.
    pt_min
        Jets below are left out [GeV].

    Notes
    -----
    fastjet gives inclusive jets in the order of clustering, not of pT.
    """
    n_events = len(event_offsets) - 1
    if len(momenta) == 0:
        nothing = np.zeros(0, np.int64)
        return Jets(np.zeros(n_events + 1, np.int64), np.zeros((0, 4)), nothing, np.zeros(1, int))
    columns = [ak.contents.NumpyArray(np.ascontiguousarray(column)) for column in momenta.T]
    records = ak.contents.RecordArray(
        columns, ["px", "py", "pz", "E"], parameters={"__record__": "Momentum4D"}
    )
    events = ak.Array(ak.contents.ListOffsetArray(ak.index.Index64(event_offsets), records))
    sequence = fastjet.ClusterSequence(events, _definition(radius))
    found = sequence.inclusive_jets(min_pt=pt_min)
    members = sequence.constituent_index(min_pt=pt_min)
    order = ak.argsort(-(found.px**2 + found.py**2), axis=1, stable=True)
    found, members = found[order], members[order]
    per_event = ak.to_numpy(ak.num(found))
    per_jet = flat(ak.num(members, axis=2), np.int64)
    first = np.repeat(np.repeat(event_offsets[:-1], per_event), per_jet)
    return Jets(
        event_offsets=offsets_of(per_event),
        momenta=np.stack(
            [flat(found[axis], np.float64) for axis in ("px", "py", "pz", "E")], axis=1
        ),
        members=flat(members, np.int64) + first,
        member_offsets=offsets_of(per_jet),
    )
