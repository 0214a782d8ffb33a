"""Quark and gluon jets of EnergyFlow: doi:10.5281/zenodo.3164691, 3066475; arXiv:1810.05165.

NumPy archives with ``X`` of shape (jets, particles, 4), padded with zeros: pT [GeV], rapidity, phi
and PDG code of each particle; and ``y``: 1 for a quark, 0 for a gluon. There is no detector: the
particles are stable hadrons, photons, electrons and muons.
"""

from __future__ import annotations

import numpy as np

from fullchain.errors import InputError
from fullchain.ntuples.jet_files.jets import DAMAGED, Array, Jets, check_labels, check_rows
from fullchain.ntuples.jet_files.npz_rows import NpzRows, open_archive

FIELDS = 4
MASSES = {
    11: 0.00051099895, 13: 0.1056583755, 22: 0.0, 130: 0.497611, 211: 0.13957039, 310: 0.497611,
    321: 0.493677, 2112: 0.93956542, 2212: 0.93827209, 3112: 1.197449, 3122: 1.115683,
    3222: 1.18937, 3312: 1.32171, 3322: 1.31486, 3334: 1.67245,
}  # fmt: skip
"""Masses [GeV] of particles that reach a detector (Particle Data Group), by PDG code."""

_CODES = np.array(sorted(MASSES))
_MASSES = np.array([MASSES[code] for code in sorted(MASSES)])


class QuarkGluon:
    """An open file of the set.

    Parameters
    ----------
    path
        Of the file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._archive = open_archive(path)
        try:
            self._particles = NpzRows(path, self._archive, "X")
            self._label = NpzRows(path, self._archive, "y")
            self._check_shapes()
        except BaseException:
            self._archive.close()
            raise

    @property
    def rows(self) -> int:
        """Number of jets."""
        return int(self._particles.shape[0])

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def read(self, start: int, stop: int) -> Jets:
        """Jets from ``start`` up to ``stop``.

        Raises
        ------
        InputError
            A number is not finite, a pT negative, a jet without particles, an unknown PDG code, a
            label neither 0 nor 1, or the rows cannot be read.
        """
        particles = self._particles.read(start, stop).astype(np.float64)
        label = self._label.read(start, stop)
        pt, code = particles[..., 0], particles[..., 3]
        there = pt > 0
        self._check(start, particles, there)
        check_labels(self.path, start, label, "y")
        quark = label == 1
        pdg_id = code[there].astype(np.int64)
        return Jets(
            first=start,
            counts=there.sum(axis=1),
            momenta=_momenta(particles[there], pdg_id).astype(np.float32),
            pdg_id=pdg_id,
            classes={"label_light": quark, "label_gluon": ~quark},
        )

    def _check(self, first: int, particles: Array, there: Array) -> None:
        def check(bad: Array, what: str) -> None:
            check_rows(self.path, first, bad, what, DAMAGED)

        check(~np.isfinite(particles), "a particle is not finite")
        check(particles[..., 0] < 0, "a particle has a negative pT")
        check(np.asarray(there.sum(axis=1) == 0), "it has no particles")
        unknown = np.asarray(there & ~np.isin(np.abs(particles[..., 3]), _CODES))
        codes = particles[..., 3][unknown]
        what = f"the PDG code {codes[0]:g}" if len(codes) else "a PDG code"
        check(unknown, f"a particle has {what}, none that reaches a detector")

    def _check_shapes(self) -> None:
        shape, labels = self._particles.shape, self._label.shape
        if len(shape) != 3 or shape[2] != FIELDS:
            raise InputError(
                f"{self.path}: X has the shape {shape}, not (jets, particles, {FIELDS}) with pT, "
                "rapidity, phi and PDG code; use the file as it was published."
            )
        if labels != shape[:1]:
            raise InputError(
                f"{self.path}: X has {shape[0]} jets, y the shape {labels}: there must be one "
                "label for a jet; use the file as it was published."
            )


def _momenta(particles: Array, pdg_id: Array) -> Array:
    """Four-momenta (particles, 4) from pT, rapidity and phi, with the mass of the species."""
    pt, rapidity, phi = particles[:, 0], particles[:, 1], particles[:, 2]
    mass = _MASSES[np.searchsorted(_CODES, np.abs(pdg_id))]
    transverse = np.hypot(pt, mass)
    return np.stack(
        [
            pt * np.cos(phi),
            pt * np.sin(phi),
            transverse * np.sinh(rapidity),
            transverse * np.cosh(rapidity),
        ],
        axis=1,
    )
