"""The observables of Z + jet events in OmniFold (Andreassen et al., 1911.09107), at either level.

All are made of the four-momenta of the constituents of the jet:

mass          of their sum (E scheme) [GeV].
multiplicity  their number.
width         sum pT dR / sum pT; dR is the distance in rapidity and azimuth from the axis of the
              jet, the direction of the sum of its constituents.
ln_rho        ln(m_SD^2 / pT^2), with the mass after soft drop (1402.2657) and the pT before.
tau21         tau_2 / tau_1 of N-subjettiness (1011.2268) with beta = 1, each with its own axes.
z_g           share of the softer branch where soft drop stops (1502.01719).
jet_pt        pT of the sum [GeV].
z_pt          pT of the two muons [GeV].

A jet in which no branching passes soft drop has z_g = 0 and ln rho at its floor; one whose tau_1 is
0 has tau21 = 0.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from fullchain.jets.arrays import Array, Kinematics, sums
from fullchain.jets.declustering import decluster
from fullchain.jets.subjettiness import subjettiness
from fullchain.unfolding.selection_settings import LeadingJetSettings

UNITS: Mapping[str, str] = MappingProxyType(
    {
        "mass": "GeV",
        "multiplicity": "",
        "width": "",
        "ln_rho": "",
        "tau21": "",
        "z_g": "",
        "jet_pt": "GeV",
        "z_pt": "GeV",
    }
)
"""Unit of each observable, in the order of the columns."""

SCALED = ("mass", "jet_pt")
"""Observables that a factor on the momenta of all constituents multiplies; the others stay."""


def measure(momenta: Array, offsets: Array, settings: LeadingJetSettings) -> dict[str, Array]:
    """Give the observables of n jets, (n) each; all but `z_pt`.

    Parameters
    ----------
    momenta
        (constituents, 4) px, py, pz, E [GeV].
    offsets
        (n + 1) where the constituents of each jet begin; none is empty.
    """
    total = sums(momenta, offsets)
    kinematics = Kinematics.of(total)
    ln_rho, z_g = _soft_drop(momenta, offsets, kinematics.pt, settings)
    return {
        "mass": kinematics.mass,
        "multiplicity": np.diff(offsets).astype(np.float64),
        "width": _width(momenta, offsets, total),
        "ln_rho": ln_rho,
        "tau21": _tau21(momenta, offsets, settings),
        "z_g": z_g,
        "jet_pt": kinematics.pt,
    }


def _width(momenta: Array, offsets: Array, total: Array) -> Array:
    jet = np.repeat(np.arange(len(total)), np.diff(offsets))
    rapidity, phi = rapidities(momenta), np.arctan2(momenta[:, 1], momenta[:, 0])
    axis_rapidity, axis_phi = rapidities(total), np.arctan2(total[:, 1], total[:, 0])
    turn = np.mod(phi - axis_phi[jet] + np.pi, 2.0 * np.pi) - np.pi
    pt = np.hypot(momenta[:, 0], momenta[:, 1])
    away = pt * np.hypot(rapidity - axis_rapidity[jet], turn)
    return np.asarray(sums(away, offsets) / sums(pt, offsets))


def rapidities(momenta: Array) -> Array:
    """Give the rapidities (n) of four-momenta (n, 4); those of spacelike sums as if massless."""
    px, py, pz, energy = momenta.T
    pt_squared = px**2 + py**2
    mass_squared = np.maximum((energy + pz) * (energy - pz) - pt_squared, 0.0)
    return np.asarray(np.arcsinh(pz / np.sqrt(pt_squared + mass_squared)))


def _soft_drop(
    momenta: Array, offsets: Array, pt: Array, settings: LeadingJetSettings
) -> tuple[Array, Array]:
    """Give ln rho and z_g."""
    z_cut, beta, radius = settings.soft_drop_z_cut, settings.soft_drop_beta, settings.radius
    mass, _, _, lund_offsets, lund = decluster(momenta, offsets, z_cut, beta, radius)
    passing = np.flatnonzero(lund[:, 2] > z_cut * (lund[:, 1] / radius) ** beta)
    jets, where = np.unique(
        np.searchsorted(lund_offsets, passing, side="right") - 1, return_index=True
    )
    z_g = np.zeros(len(pt))
    z_g[jets] = lund[passing[where], 2]
    ln_rho = np.full(len(pt), settings.ln_rho_floor)
    massive = (z_g > 0) & (mass > 0)
    ln_rho[massive] = np.maximum(2.0 * np.log(mass[massive] / pt[massive]), settings.ln_rho_floor)
    return ln_rho, z_g


def _tau21(momenta: Array, offsets: Array, settings: LeadingJetSettings) -> Array:
    one_pass = settings.subjettiness_axes == "one_pass_kt"
    tau = subjettiness(momenta, offsets, 2, settings.radius, one_pass)
    ratio = np.zeros(len(tau))
    np.divide(tau[:, 1], tau[:, 0], out=ratio, where=tau[:, 0] > 0)
    return ratio
