"""Candidates as the networks see them: with the origin of tracks, and the truth if it is known."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.pileup.association import origins
from fullchain.pileup.association_settings import AssociationSettings
from fullchain.pileup.events import Events
from fullchain.pileup.reading import read_chunks

Array = NDArray[Any]

_TOLERANCE = 1e-3  # of the true fraction, which is rounded in the file


@dataclass(frozen=True)
class CandidateEvents:
    """Candidates of some events, one event after the other.

    Parameters
    ----------
    pt, eta, phi
        (n) [GeV]; may hold what is no finite number, see `valid`.
    charge, pdg_id
        (n).
    origin
        (n) see `fullchain.pileup.association`.
    from_pv
        (n) whether a track was used in the fit of a vertex, see `fullchain.ntuples.layouts.base`.
    dz
        (n) longitudinal impact parameter to the leading vertex [cm]; NaN: no track.
    hard_fraction
        (n) true part of the energy from the hard collision; None where it is not known.
    offsets
        (events + 1) where the candidates of each event begin.
    vertices
        (events) number of reconstructed vertices.
    identity
        (events, 3) run, luminosity block, event.
    """

    pt: Array
    eta: Array
    phi: Array
    charge: Array
    pdg_id: Array
    origin: Array
    from_pv: Array
    dz: Array
    hard_fraction: Array | None
    offsets: Array
    vertices: Array
    identity: Array

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def valid(self) -> Array:
        """(n) whether momentum and direction are finite and pT is positive."""
        finite = np.isfinite(self.pt) & np.isfinite(self.eta) & np.isfinite(self.phi)
        return np.asarray(finite & (self.pt > 0))

    def select(self, kept: Array) -> "CandidateEvents":
        """Give the candidates in the mask `kept` (n); all events stay, some maybe empty."""
        before = np.concatenate([[0], np.cumsum(kept)])
        return CandidateEvents(
            self.pt[kept],
            self.eta[kept],
            self.phi[kept],
            self.charge[kept],
            self.pdg_id[kept],
            self.origin[kept],
            self.from_pv[kept],
            self.dz[kept],
            None if self.hard_fraction is None else self.hard_fraction[kept],
            before[self.offsets],
            self.vertices,
            self.identity,
        )


def candidate_events(events: Events, association: AssociationSettings) -> CandidateEvents:
    """Take what the networks need from events as they were read; truth where they have it."""
    charge = np.asarray(events.charge, np.int64)
    dz = np.where(charge == 0, np.nan, events.dz)
    return CandidateEvents(
        pt=events.pt,
        eta=events.eta,
        phi=events.phi,
        charge=charge,
        pdg_id=np.asarray(events.pdg_id, np.int64),
        origin=origins(events.pt, events.eta, charge, events.from_pv, dz, association),
        from_pv=np.asarray(events.from_pv, np.int64),
        dz=dz,
        hard_fraction=None if events.truth is None else events.truth.hard_fraction,
        offsets=np.asarray(events.event_offsets, np.int64),
        vertices=np.asarray(events.vertices, np.float64),
        identity=np.stack(
            [
                np.asarray(column).astype(np.int64)
                for column in (events.run, events.luminosity_block, events.event)
            ],
            axis=1,
        ),
    )


def training_events(
    manifest: Path, association: AssociationSettings, events_per_chunk: int
) -> Iterator[CandidateEvents]:
    """Read a part with its truth, some events at a time.

    Raises
    ------
    InputError
        The part cannot be read or has no truth, or a true fraction is outside of [0, 1].
    """
    for chunk in read_chunks(manifest, events_per_chunk=events_per_chunk, truth=True):
        found = candidate_events(chunk.events, association)
        fraction = found.hard_fraction
        assert fraction is not None
        wrong = ~((fraction >= -_TOLERANCE) & (fraction <= 1 + _TOLERANCE))
        if wrong.any():
            first = int(np.argmax(wrong))
            number = int(np.searchsorted(found.offsets, first, side="right")) - 1
            raise InputError(
                f"{manifest}: PFCands_hardFraction is {fraction[first]:g} in event "
                f"{found.identity[number, 2]}, outside of [0, 1]; make the ntuple again"
            )
        np.clip(fraction, 0.0, 1.0, out=fraction)
        yield found
