"""Observables of jets whose constituents were changed, by the algorithms of the stage jets."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.jets.arrays import Kinematics, momenta, offsets_of, sums
from fullchain.jets.settings import SubstructureSettings
from fullchain.jets.substructure import N_TAU, energy_fractions, measure
from fullchain.tagging.jets_reading import FOUR_MOMENTUM, FULL, Jets, Scalars
from fullchain.tagging.perturbation import CHARGE, CODE

Array = npt.NDArray[Any]

_TAUS = tuple(f"tau{n}" for n in range(1, N_TAU + 1))
_SHAPES = ("msoftdrop", *_TAUS, "tau21", "tau32", "d2", "n2")
_FRACTIONS = ("chf", "nhf", "phf", "elf", "muf")

COLUMNS = (*FOUR_MOMENTUM, "n_constituents", *_SHAPES, *_FRACTIONS)
"""Columns of the jets that follow from the constituents."""


def jets(
    constituents: Array,
    columns: Sequence[str],
    *,
    fields: Sequence[str],
    n_constituents: int,
    radius: float,
    substructure: SubstructureSettings,
) -> Jets:
    """Make jets of constituents, with all that a tagger reads of them.

    The momentum of a jet is the sum of its constituents, all of them.

    Parameters
    ----------
    constituents
        (jets, particles, 10) with the fields of `FULL`, in falling pT; pT zero is padding.
    columns
        What to compute beside the momentum; names of `COLUMNS`.
    fields, n_constituents
        What the tagger reads of a particle, and of how many.
    radius, substructure
        As the jets were made with.

    Raises
    ------
    InputError
        A column does not follow from the constituents.
    """
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown:
        raise InputError(
            f"{', '.join(unknown)}: not computed from constituents; known are {', '.join(COLUMNS)}"
        )
    scalars = _scalars(constituents, columns, radius, substructure)
    places = [FULL.index(name) for name in fields]
    return Jets(scalars, np.ascontiguousarray(constituents[:, :n_constituents][..., places]))


def _scalars(
    constituents: Array, columns: Sequence[str], radius: float, substructure: SubstructureSettings
) -> Scalars:
    filled = constituents[..., 0] > 0
    particles = constituents[filled].astype(np.float64)
    p4, offsets = momenta(*particles[:, :4].T), offsets_of(filled.sum(axis=1))
    total = Kinematics.of(sums(p4, offsets))
    found: Scalars = {name: getattr(total, name) for name in FOUR_MOMENTUM}
    found["n_constituents"] = np.diff(offsets)
    if set(columns) & set(_SHAPES):
        shapes = measure(p4, offsets, radius, substructure)
        found |= {name: shapes.tau[:, n] for n, name in enumerate(_TAUS)}
        found |= {"tau21": shapes.ratio(2, 1), "tau32": shapes.ratio(3, 2)}
        found |= {"msoftdrop": shapes.msoftdrop, "d2": shapes.d2, "n2": shapes.n2}
    if set(columns) & set(_FRACTIONS):
        shares = energy_fractions(p4[:, 3], particles[:, CODE], particles[:, CHARGE], offsets)
        found["chf"], found["nhf"] = shares.charged_hadrons, shares.neutral_hadrons
        found["phf"], found["elf"], found["muf"] = shares.photons, shares.electrons, shares.muons
    wanted = dict.fromkeys((*FOUR_MOMENTUM, *columns))
    # Single precision, as the columns of the files are.
    return {name: np.asarray(found[name], dtype=np.float32) for name in wanted}
