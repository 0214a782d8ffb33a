"""Entries of a file in the layout of JetClass, as the jets that the stage `jets` makes of them.

Their labels are finer: they tell the decays of a Higgs boson apart, and of a top quark to a lepton.
"""

import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.jets.arrays import Kinematics, momenta, offsets_of, sums
from fullchain.ntuples.layouts.jetclass_units import LABELS, MM_TO_CM
from fullchain.tagging.class_settings import DECAYS
from fullchain.tagging.jets_reading import FOUR_MOMENTUM, TRACK, Jets, padded

Array = npt.NDArray[Any]

MOMENTUM = ("part_px", "part_py", "part_pz", "part_energy")
CODES = {
    "part_isChargedHadron": 211,
    "part_isNeutralHadron": 130,
    "part_isPhoton": 22,
    "part_isElectron": -11,
    "part_isMuon": -13,
}
"""PDG codes of the flags, for charge +1 where there is a charge."""

NEUTRAL = ("part_isNeutralHadron", "part_isPhoton")

FINE_LABELS = LABELS | {f"label_{name}": number for name, number in DECAYS.items()}
"""Class branches, and numbers that tell the decays of a particle apart; the stage jets does not."""

TRACK_BRANCHES = dict(
    zip(TRACK, ("part_d0val", "part_d0err", "part_dzval", "part_dzerr"), strict=True)
)
SOURCE = frozenset(("source_file", "source_row"))
"""Where a jet of a converted file comes from, see `ntuples.jet_files.rootfile`."""

MEASURED = {"msoftdrop": "jet_sdmass", **{f"tau{n}": f"jet_tau{n}" for n in (1, 2, 3, 4)}}
"""Observables that a file may have, and their branches; NaN where it has not."""

RATIOS = {"tau21": ("tau2", "tau1"), "tau32": ("tau3", "tau2")}

CONSTANT = {
    "run": np.uint32(1),
    "variation": "nominal",
    "jet": np.int32(0),
    "weight": 1.0,
    "npu": np.float32(0),
    "npv": np.int32(1),
}
"""Columns that are the same for all jets of such files."""

GIVEN = (
    *("luminosityBlock", "event", *FOUR_MOMENTUM, "n_constituents", *MEASURED, *RATIOS),
    *("label", "label_fully_contained", *CONSTANT),
)
"""Columns that can be asked for, beside branches of one number a jet."""


def untold(columns: Sequence[str], required: Sequence[str], scalars: frozenset[str]) -> list[str]:
    """Columns that a file with branches `scalars` of one number a jet does not tell.

    Of those that are not `required`, only what is neither made of the particles nor NaN.
    """
    missing = [name for name in columns if name not in GIVEN and name not in scalars]
    for name in required:
        parts = [MEASURED[part] for part in RATIOS.get(name, (name,)) if part in MEASURED]
        if not scalars.issuperset(parts) and name not in missing:
            missing.append(name)
    return missing


def branches(
    columns: Sequence[str], fields: Sequence[str], there: frozenset[str]
) -> frozenset[str]:
    """Branches to read for columns of jets and fields of particles.

    Needed ones are named whether they are among those that are `there` or not, optional ones only
    if they are.
    """
    needed = {*MOMENTUM, "jet_pt"}
    if {"charge", "pdgId", *TRACK} & set(fields):
        needed.add("part_charge")
    if "pdgId" in fields:
        needed.update(CODES)
    optional = {TRACK_BRANCHES[name] for name in TRACK if name in fields}
    if {"label", "label_fully_contained"} & set(columns):
        optional.update(FINE_LABELS)
    if {"luminosityBlock", "event"} & set(columns):
        optional.update(SOURCE)
    for name in columns:
        parts = RATIOS.get(name, (name,))
        optional.update(MEASURED[part] for part in parts if part in MEASURED)
        if name not in GIVEN:
            optional.add(name)
    return frozenset(needed | (optional & there))


def identity(name: str, path: str, first: int, number: int, stored: Mapping[str, Array]) -> Array:
    """Column `luminosityBlock` or `event` of `number` jets: of the file and row that they are from.

    Parameters
    ----------
    path, first
        File that is read, and number of the first of the jets there.
    stored
        Branches of `SOURCE` that there are, (jets,).
    """
    if name == "event":
        rows = np.arange(first, first + number)
        return stored.get("source_row", rows).astype(np.uint64)
    file = np.full(number, zlib.crc32(Path(path).name.encode()), np.uint32)
    return stored.get("source_file", file).astype(np.uint32)


def quotient(above: Array, below: Array) -> Array:
    """Quotient of two observables, NaN where the second is not above zero."""
    nothing = np.full(above.shape, np.nan, np.float32)
    return np.divide(above, below, out=nothing, where=below > 0)


class Entries:
    """Entries of a file, as jets.

    Parameters
    ----------
    path, first
        File that they are from, and number of the first of them there; for messages and identity.
    arrays
        Awkward records (entries,) with the branches that `branches` names.

    Raises
    ------
    InputError
        A jet has no particles.
    """

    def __init__(self, path: str, first: int, arrays: Any) -> None:
        self.path, self.first, self.arrays = path, first, arrays
        self.there = set(ak.fields(arrays))
        self.counts = ak.to_numpy(ak.num(arrays[MOMENTUM[0]])).astype(np.int64)
        self.offsets = offsets_of(self.counts)
        self._check(self.counts > 0, "part_px", "has no particles: it is no jet")

    def __len__(self) -> int:
        return len(self.counts)

    def jets(self, columns: Sequence[str], n_constituents: int, fields: Sequence[str]) -> Jets:
        """Make the jets, with `columns`, `n_constituents` particles and of these `fields`.

        Raises InputError where a number is not finite, or a momentum not above zero.
        """
        everything = self._momenta()
        total = Kinematics.of(sums(everything, self.offsets))
        momentum = {name: getattr(total, name).astype(np.float32) for name in FOUR_MOMENTUM}
        scalars = {n: momentum[n] if n in momentum else self._scalar(n) for n in columns}
        if not n_constituents:
            return Jets(scalars, np.zeros((len(self), 0, len(fields)), dtype=np.float32))
        order = self._by_falling_pt(everything)
        # Only of the particles that are kept; the jet is the sum of all.
        place = np.arange(len(order)) - np.repeat(self.offsets[:-1], self.counts)
        kept = place < n_constituents
        chosen = order[kept]
        particles = Kinematics.of(everything[chosen])
        values = [
            getattr(particles, name) if name in FOUR_MOMENTUM else self._field(name)[chosen]
            for name in fields
        ]
        counts = np.minimum(self.counts, n_constituents)
        return Jets(scalars, padded(values, counts, n_constituents))

    def _momenta(self) -> Array:
        """px, py, pz, E [GeV] of all particles, scaled to the pT of the jet; (particles, 4).

        Rounded on the way like those of the stage jets, so that particles of nearly equal pT come
        in the same order.
        """
        px, py, pz, energy = (self._particles(name) for name in MOMENTUM)
        self._check_particles((px != 0) | (py != 0), "part_px", "is zero, and so is part_py,")
        pt = np.hypot(px, py)
        momentum2 = sum(x.astype(np.float64) ** 2 for x in (px, py, pz))
        mass = np.sqrt(np.maximum(energy.astype(np.float64) ** 2 - momentum2, 0))
        found = momenta(pt, np.arcsinh(pz / pt), np.arctan2(py, px), mass.astype(np.float32))
        wanted = self._jet("jet_pt")
        self._check(wanted > 0, "jet_pt", "is not above zero")
        total = sums(found[:, :2], self.offsets)
        have = np.hypot(total[:, 0], total[:, 1])
        scale = np.divide(wanted, have, out=np.ones(len(have)), where=have > 0)
        return found * np.repeat(scale, self.counts)[:, None]

    def _by_falling_pt(self, found: Array) -> Array:
        """Order of the particles, jet by jet in falling pT; equal ones stay as they are."""
        pt2 = found[:, 0] ** 2 + found[:, 1] ** 2
        rises = np.diff(pt2) > 0
        rises[self.offsets[1:-1] - 1] = False
        if not rises.any():
            return np.arange(len(pt2))
        jet = np.repeat(np.arange(len(self)), self.counts)
        return np.lexsort((-pt2, jet))

    def _scalar(self, name: str) -> Array:
        """Column of the jets that is no part of their momentum, shape (jets,)."""
        number = len(self)
        match name:
            case "luminosityBlock" | "event":
                stored = {branch: self._jet(branch) for branch in SOURCE & self.there}
                return identity(name, self.path, self.first, number, stored)
            case "n_constituents":
                return self.counts.astype(np.int32)
            case "label":
                return self._label()
            case "label_fully_contained":
                return self._label() >= 0
            case "tau21" | "tau32":
                return quotient(*(self._scalar(part) for part in RATIOS[name]))
        if name in CONSTANT:
            return np.full(number, CONSTANT[name])
        branch = MEASURED.get(name, name)
        if branch not in self.there:
            return np.full(number, np.nan, np.float32)
        return self._jet(branch).astype(np.float32)

    def _label(self) -> Array:
        label = np.full(len(self), -1, np.int8)
        for branch, value in FINE_LABELS.items():
            if branch in self.there:
                label[self._jet(branch) != 0] = value
        return label

    def _field(self, name: str) -> Array:
        """Charge, PDG code or track (lengths in cm, zero without a track) of all particles."""
        charge = self._particles("part_charge")
        if name == "charge":
            return charge
        if name == "pdgId":
            code = np.zeros(len(charge))
            for branch, value in CODES.items():
                signed = value if branch in NEUTRAL else value * charge
                code = np.where(self._particles(branch) != 0, signed, code)
            return code
        if TRACK_BRANCHES[name] not in self.there:
            return np.zeros(len(charge))
        # A neutral particle has no track; files differ in what they write there.
        values = self._particles(TRACK_BRANCHES[name], where=charge != 0)
        return np.where(charge == 0, 0.0, MM_TO_CM * values)

    def _jet(self, branch: str) -> Array:
        values = ak.to_numpy(self.arrays[branch])
        self._check(np.isfinite(values), branch, "is not a finite number")
        return values

    def _particles(self, branch: str, where: Array | None = None) -> Array:
        """All numbers of a branch, which must be finite (`where`)."""
        column = self.arrays[branch]
        if (ak.to_numpy(ak.num(column)) != self.counts).any():
            other = ak.to_numpy(ak.num(column)) == self.counts
            self._check(other, branch, "has another number of particles than part_px")
        values = ak.to_numpy(ak.flatten(column))
        good = np.isfinite(values)
        self._check_particles(good if where is None else good | ~where, branch, "is not finite")
        return values

    def _check_particles(self, good: Array, branch: str, what: str) -> None:
        bad = np.flatnonzero(~good)
        if len(bad):
            row = int(np.searchsorted(self.offsets[1:], bad[0], side="right"))
            self._fail(row, branch, what)

    def _check(self, good: Array, branch: str, what: str) -> None:
        bad = np.flatnonzero(~good)
        if len(bad):
            self._fail(int(bad[0]), branch, what)

    def _fail(self, row: int, branch: str, what: str) -> None:
        raise InputError(
            f"{self.path}: {branch} {what} in entry {self.first + row}; correct the jet, or leave "
            "it out"
        )
