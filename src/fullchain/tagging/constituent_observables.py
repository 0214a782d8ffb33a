r"""Observables of jets from their constituents, which the explanation of a tagger is made with.

With z_i = pT_i / \sum_j pT_j, angles in eta and phi, and sums over all constituents:

==============  ==============================================================================
``n_pf``        number of constituents
``width``       \sum_i z_i \Delta R(i, jet axis), the width or girth
``ptd``         sqrt(\sum_i z_i^2), pTD
``c_beta``      \sum_{i<j} z_i z_j \Delta R_ij^beta, the two-point energy correlation C_1^(beta) of
                Larkoski, Salam and Thaler (1305.0007)
``s_pid``       -\sum_k f_k ln f_k over the types of particles, f_k the part of the constituents
                that are of type k: charged hadron, neutral hadron, photon, electron, muon
``s_frag``      -\sum_i z_i ln z_i, the entropy of the shares of pT
``e_q``         \sum_i |q_i| z_i, the share of pT that charged particles carry
``jet_charge``  \sum_i q_i z_i^0.5 (Krohn, Schwartz, Lin and Waalewijn 1209.2421, kappa = 0.5)
==============  ==============================================================================

The entropies and the charged share are definitions of ours for what Vent, Winterhalder and Plehn
(2507.21214) call S_PID, S_frag and E_Q.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

KAPPA = 0.5
"""Power of the shares in the jet charge."""

_CHUNK = 256
"""Jets whose pairs of particles are in memory at once."""

FIELDS = ("pt", "eta", "phi", "mass", "charge", "pdgId")
"""First fields of the constituents that observables are made of."""


OF_CHARGE = frozenset(("s_pid", "e_q", "jet_charge"))
"""Observables that say nothing where files do not tell the charge of the particles."""


class _Jets(NamedTuple):
    z: Array
    constituents: npt.NDArray[np.floating]
    axis: npt.NDArray[np.floating]
    beta: float


FUNCTIONS: Mapping[str, Callable[[_Jets], Any]] = {
    "n_pf": lambda jets: (jets.constituents[..., 0] > 0).sum(axis=1),
    "width": lambda jets: (jets.z * _distance(jets.constituents, jets.axis)).sum(axis=1),
    "ptd": lambda jets: np.sqrt((jets.z**2).sum(axis=1)),
    "c_beta": lambda jets: energy_correlation(jets.z, jets.constituents, jets.beta),
    "s_pid": lambda jets: _entropy(_type_fractions(jets.constituents)),
    "s_frag": lambda jets: _entropy(jets.z),
    "e_q": lambda jets: (np.abs(jets.constituents[..., 4]) * jets.z).sum(axis=1),
    "jet_charge": lambda jets: (jets.constituents[..., 4] * jets.z**KAPPA).sum(axis=1),
}
"""The observables by name."""


def observables(
    constituents: npt.NDArray[np.floating],
    axis: npt.NDArray[np.floating],
    names: Sequence[str],
    beta: float = 0.2,
) -> dict[str, Array]:
    """Compute observables, each of shape (jets,).

    Parameters
    ----------
    constituents
        Shape (jets, particles, 6 or more): `FIELDS`, pT in GeV; pT zero is padding.
    axis
        eta and phi of the jets, shape (jets, 2).
    names
        Which of the table above.
    beta
        Angular exponent of the energy correlation.

    Returns
    -------
        By name. A jet without constituents has zeros.
    """
    pt = np.asarray(constituents[..., 0], dtype=float)
    total = pt.sum(axis=1, keepdims=True)
    z = np.divide(pt, total, out=np.zeros_like(pt), where=total > 0)
    jets = _Jets(z, constituents, axis, beta)
    return {name: np.asarray(FUNCTIONS[name](jets), dtype=float) for name in names}


def energy_correlation(
    z: Array, constituents: npt.NDArray[np.floating], beta: float
) -> npt.NDArray[np.float64]:
    r"""Two-point correlation \sum_{i<j} z_i z_j \Delta R_ij^beta, shape (jets,).

    `z` (jets, particles) are shares of pT, zero for padding.
    """
    result = np.zeros(len(z))
    for start in range(0, len(z), _CHUNK):
        rows = slice(start, start + _CHUNK)
        longest = max(1, int((z[rows] > 0).sum(axis=1).max(initial=0)))
        share = z[rows, :longest].astype(np.float32)
        eta, phi = (
            np.asarray(constituents[rows, :longest, field], dtype=np.float32) for field in (1, 2)
        )
        delta_eta = eta[:, :, None] - eta[:, None, :]
        squared = delta_eta**2 + _wrapped(phi[:, :, None] - phi[:, None, :]) ** 2
        pairs = squared ** np.float32(0.5 * beta)
        # Each pair stands there twice, and a particle with itself has no angle.
        result[rows] = 0.5 * np.einsum("ni,nij,nj->n", share, pairs, share, optimize=True)
    return result


def _distance(constituents: npt.NDArray[np.floating], axis: npt.NDArray[np.floating]) -> Array:
    delta_eta = constituents[..., 1] - axis[:, None, 0]
    delta_phi = _wrapped(constituents[..., 2] - axis[:, None, 1])
    return np.asarray(np.sqrt(delta_eta**2 + delta_phi**2), dtype=float)


def _wrapped(angle: Any) -> Any:
    return angle - 2 * np.pi * np.round(angle / (2 * np.pi))


def _type_fractions(constituents: npt.NDArray[np.floating]) -> Array:
    """Part of the constituents of each of the five types, shape (jets, 5)."""
    real = constituents[..., 0] > 0
    code, charged = np.abs(constituents[..., 5]), constituents[..., 4] != 0
    electron, muon, photon = (code == number for number in (11, 13, 22))
    lepton = electron | muon
    flags = (charged & ~lepton, ~charged & ~photon & ~lepton, photon, electron, muon)
    counts = np.stack([(flag & real).sum(axis=1) for flag in flags], axis=1).astype(float)
    return counts / np.maximum(1.0, counts.sum(axis=1, keepdims=True))


def _entropy(fractions: Array) -> Array:
    """-sum f ln f over the last dimension, zero where a fraction is zero."""
    logarithm = np.log(fractions, out=np.zeros_like(fractions), where=fractions > 0)
    return np.asarray(-(fractions * logarithm).sum(axis=-1))
