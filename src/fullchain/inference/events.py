"""Jets into events: which jets belong together, which events a region takes, the dijet mass.

An event is what carries one entry of a histogram, so that bins fluctuate independently.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.inference.jet_tables import JetTable
from fullchain.inference.observable_names import DIJET_MASS, SCORE
from fullchain.inference.selection_settings import Region

Array = NDArray[Any]


@dataclass(frozen=True)
class Events:
    """Events of one variation, as rows of the table of their jets."""

    table: JetTable
    first: Array
    """Row of the leading jet of each event."""
    second: Array
    """Row of the second jet; -1 where an event has one jet only."""

    def where(self, mask: Array) -> "Events":
        """Only the events that `mask` marks."""
        return Events(self.table, self.first[mask], self.second[mask])

    def of_first(self, name: str) -> Array:
        """A column of the leading jets."""
        return self.table[name][self.first]

    def used(self, region: Region) -> Array:
        """Rows of all jets that a region looks at."""
        return np.concatenate([self.first, self.second]) if region.is_dijet else self.first

    def identity(self) -> Array:
        """The numbers of run, block and event as one structured array."""
        names = ("run", "luminosityBlock", "event")
        kinds = np.dtype([(name, np.uint64) for name in names])
        found = np.empty(len(self.first), dtype=kinds)
        for name in names:
            found[name] = self.of_first(name)
        return found


def pair_jets(run: Array, lumi: Array, event: Array, jet: Array) -> tuple[Array, Array]:
    """Find the two jets of lowest index in each event.

    Parameters
    ----------
    run, lumi, event, jet
        Integers that identify the event, and the place of the jet in it by falling pT; only the
        jets that are to be considered, in any order.

    Returns
    -------
    tuple
        Row of the first jet of each event, and of the second, -1 where there is none.
    """
    order = np.lexsort((jet, event, lumi, run))
    same = np.ones(max(len(order) - 1, 0), dtype=bool)
    for column in (run, lumi, event):
        ordered = np.asarray(column)[order]
        same &= ordered[1:] == ordered[:-1]
    starts = np.ones(len(order), dtype=bool)
    starts[1:] = ~same
    place = np.flatnonzero(starts)
    followed = np.append(~starts, False)[place + 1]
    second = np.full(len(place), -1)
    second[followed] = order[place[followed] + 1]
    return order[place], second


def dijet_mass(pt: Array, eta: Array, phi: Array, mass: Array) -> Array:
    """Invariant mass of pairs of jets.

    Parameters
    ----------
    pt, eta, phi, mass
        Four-vectors of the jets, of shape (2, events); pT and mass [GeV].

    Returns
    -------
    numpy.ndarray
        Masses [GeV], of shape (events,).
    """
    pt, eta, phi, mass = (np.asarray(one, dtype=float) for one in (pt, eta, phi, mass))
    x, y, z = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    energy = np.sqrt(x**2 + y**2 + z**2 + mass**2)
    squared = energy.sum(0) ** 2 - x.sum(0) ** 2 - y.sum(0) ** 2 - z.sum(0) ** 2
    return np.asarray(np.sqrt(np.clip(squared, 0.0, None)))


def all_events(table: JetTable) -> Events:
    """All events of one variation."""
    names = ("run", "luminosityBlock", "event", "jet")
    return Events(table, *pair_jets(*(table[name] for name in names)))


def in_window(table: JetTable, region: Region) -> Events:
    """Events of one variation by their jets of highest pT in the window of a region."""
    rows = np.flatnonzero((table["pt"] >= region.pt_min) & (table["pt"] < region.pt_max))
    names = ("run", "luminosityBlock", "event", "jet")
    first, second = pair_jets(*(table[name][rows] for name in names))
    events = Events(table, rows[first], np.where(second < 0, -1, rows[second]))
    if region.leading_pt_min is None:
        return events
    return events.where(events.of_first("pt") >= region.leading_pt_min)


def select(table: JetTable, region: Region, cut: float) -> tuple[Events, Array]:
    """Choose the events of a region among the jets of one variation.

    The jets are chosen before their score is looked at.

    Returns
    -------
    tuple
        The events, and the rows of the jets of those that were lost for want of a second jet.

    Raises
    ------
    InputError
        A soft-drop mass or pseudorapidity that is cut on is not a finite number, or the jets of an
        event do not agree on its weight or split.
    """
    events = in_window(table, region)
    lost = np.empty(0, dtype=np.intp)
    if region.is_dijet:
        alone = events.second < 0
        lost = events.first[alone]
        events = events.where(~alone)
        _check_agreement(events)
    if region.score != "any":
        passing = table.score[events.first] > cut
        events = events.where(passing == (region.score == "pass"))
    if region.tagged:
        tags = sum((table.score[rows] > cut).astype(int) for rows in (events.first, events.second))
        events = events.where(np.isin(tags, region.tagged))
    if region.delta_eta_max is not None:
        table.check_finite("eta", events.used(region))
        apart = np.abs(table["eta"][events.first] - table["eta"][events.second])
        events = events.where(apart <= region.delta_eta_max)
    if region.mass_window is not None:
        table.check_finite("msoftdrop", events.used(region))
        low, high = region.mass_window
        inside = (table["msoftdrop"] >= low) & (table["msoftdrop"] < high)
        both = inside[events.second] if region.is_dijet else True
        events = events.where(inside[events.first] & both)
    return events, lost


def observable(events: Events, region: Region) -> Array:
    """What is histogrammed, one value per event.

    Raises
    ------
    InputError
        It is not a finite number; names the file and the jet.
    """
    table = events.table
    if region.observable != DIJET_MASS:
        jets = events.first
        if region.observed_jet == "highest_score":
            better = table.score[events.second] > table.score[events.first]
            jets = np.where(better, events.second, events.first)
        if region.observable == SCORE:
            return table.score[jets]
        table.check_finite(region.observable, jets)
        return np.asarray(table[region.observable][jets], dtype=float)
    rows = np.stack([events.first, events.second])
    for name in ("eta", "phi", "mass"):
        table.check_finite(name, rows.ravel())
    pt, eta, phi, mass = (table[name][rows] for name in ("pt", "eta", "phi", "mass"))
    return dijet_mass(pt, eta, phi, mass)


def _check_agreement(events: Events) -> None:
    """Refuse events whose jets differ in what belongs to the event."""
    table = events.table
    columns = {"weight": table["weight"], "split": table.split}
    for name, column in columns.items():
        differ = np.flatnonzero(column[events.first] != column[events.second])
        if len(differ):
            row = events.first[differ[0]]
            raise InputError(
                f"{table.path if name == 'weight' else table.scores}: the jets of event "
                f"{table['run'][row]}:{table['luminosityBlock'][row]}:{table['event'][row]} "
                f"(variation {table['variation'][row]}) differ in their {name}, which is one for "
                "all jets of an event; make the file again"
            )
