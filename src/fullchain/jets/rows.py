"""Rows of the table of jets, from a set of jets and what was chosen of it."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fullchain.jets.arrays import Array, Kinematics, offsets_of
from fullchain.jets.columns import Lists, table
from fullchain.jets.jetset import JetSet
from fullchain.jets.reading import EventColumns
from fullchain.jets.substructure import Substructure


@dataclass(frozen=True)
class Chosen:
    """Jets of one variation: place in the set, rank in the event, factor on the momentum."""

    place: Array
    rank: Array
    factor: Array


@dataclass(frozen=True)
class Known:
    """What was measured of the jets at the sorted places `place`, for all variations."""

    place: Array
    substructure: Substructure
    label: Array
    contained: Array
    gen_pt: Array
    gen_mass: Array
    gen_msoftdrop: Array

    def rows(self, place: Array) -> Array:
        """Where the jets at `place` stand in these arrays."""
        return np.searchsorted(self.place, place)


def build(
    variation: str,
    chosen: Chosen,
    jets: JetSet,
    known: Known,
    event: dict[str, Array],
    measured: dict[str, Array],
) -> pa.Table:
    """Build the rows of one variation.

    Parameters
    ----------
    event
        Columns of the events, by their name in the table; one entry per event.
    measured
        Impact parameters of all candidates of the chunk, by name.

    Notes
    -----
    A scale factor acts on the jet with all its constituents: shapes and ratios stay, momenta and
    masses take the factor.
    """
    row = known.rows(chosen.place)
    found = known.substructure
    factor = chosen.factor
    number = jets.jets.events[chosen.place]
    scalars = {name: values[number] for name, values in event.items()}
    scalars["jet"] = chosen.rank
    kinematics = jets.kinematics
    scalars |= {
        "pt": kinematics.pt[chosen.place] * factor,
        "eta": kinematics.eta[chosen.place],
        "phi": kinematics.phi[chosen.place],
        "mass": kinematics.mass[chosen.place] * factor,
        "msoftdrop": found.msoftdrop[row] * factor,
        **{f"tau{n + 1}": found.tau[row, n] for n in range(found.tau.shape[1])},
        "tau21": found.ratio(2, 1)[row],
        "tau32": found.ratio(3, 2)[row],
        "d2": found.d2[row],
        "n2": found.n2[row],
        "n_constituents": jets.n_constituents[chosen.place],
        "chf": jets.fractions.charged_hadrons[chosen.place],
        "nhf": jets.fractions.neutral_hadrons[chosen.place],
        "phf": jets.fractions.photons[chosen.place],
        "elf": jets.fractions.electrons[chosen.place],
        "muf": jets.fractions.muons[chosen.place],
        "label": known.label[row],
        "label_fully_contained": known.contained[row],
        "gen_pt": known.gen_pt[row],
        "gen_mass": known.gen_mass[row],
        "gen_msoftdrop": known.gen_msoftdrop[row],
    }
    constituents = _constituents(chosen, jets, measured)
    return table(scalars, variation, constituents, _lund(row, factor, found))


def _constituents(chosen: Chosen, jets: JetSet, measured: dict[str, Array]) -> Lists:
    members, offsets = jets.members_of(chosen.place)
    candidates = jets.candidates
    if candidates is None:
        names = ("pt", "eta", "phi", "mass", "charge", "pdgId", "puppi_weight", "from_pv")
        return Lists({name: np.zeros(0) for name in (*names, *measured)}, offsets)
    factor = np.repeat(chosen.factor, np.diff(offsets))
    p4 = Kinematics.of(candidates.momenta[members])
    origin = candidates.origin[members]
    return Lists(
        {
            "pt": p4.pt * factor,
            "eta": p4.eta,
            "phi": p4.phi,
            "mass": p4.mass * factor,
            "charge": candidates.charge[members],
            "pdgId": candidates.pdg_id[members],
            "puppi_weight": candidates.weight[members],
            "from_pv": candidates.from_pv[members],
            **{name: values[origin] for name, values in measured.items()},
        },
        offsets,
    )


def _lund(row: Array, factor: Array, found: Substructure) -> Lists:
    starts, stops = found.lund_offsets[row], found.lund_offsets[row + 1]
    offsets = offsets_of(stops - starts)
    jet = np.repeat(np.arange(len(row)), stops - starts)
    branchings = found.lund[np.arange(offsets[-1]) - offsets[jet] + starts[jet]]
    return Lists(
        {"kt": branchings[:, 0] * factor[jet], "delta": branchings[:, 1], "z": branchings[:, 2]},
        offsets,
    )


def event_columns(columns: EventColumns, n_small: Array, ht: Array) -> dict[str, Array]:
    """Name the columns of the events as in the table."""
    return {
        "run": columns.run,
        "luminosityBlock": columns.luminosity_block,
        "event": columns.event,
        "weight": columns.weight,
        **{f"w_{name}": values for name, values in columns.factors.items()},
        "npu": columns.npu,
        "npv": columns.npv,
        "met_pt": columns.met_pt,
        "met_phi": columns.met_phi,
        "n_ak4": n_small,
        "ht": ht,
    }
