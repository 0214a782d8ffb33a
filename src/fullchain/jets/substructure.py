"""All substructure observables of many jets at once."""

from dataclasses import dataclass

import numpy as np

from fullchain.jets.arrays import Array, offsets_of, sums
from fullchain.jets.correlators import d2_and_n2
from fullchain.jets.declustering import decluster
from fullchain.jets.settings import SubstructureSettings
from fullchain.jets.subjettiness import subjettiness

N_TAU = 4


@dataclass(frozen=True)
class Substructure:
    """Observables of n jets. None of them but `msoftdrop` and kt changes when a jet is scaled.

    Parameters
    ----------
    msoftdrop
        (n) soft-drop mass [GeV].
    tau
        (n, 4) N-subjettiness for 1 to 4 axes.
    d2
        (n) of all constituents.
    n2
        (n) of the constituents that soft drop leaves, as CMS does.
    lund
        (branchings, 3) kt [GeV], distance, z of the primary Lund planes of all jets.
    lund_offsets
        (n + 1) where those of each jet begin.
    """

    msoftdrop: Array
    tau: Array
    d2: Array
    n2: Array
    lund: Array
    lund_offsets: Array

    def ratio(self, above: int, below: int) -> Array:
        """Give tau_above / tau_below, NaN where the latter is 0."""
        numerator, denominator = self.tau[:, above - 1], self.tau[:, below - 1]
        result = np.full(len(numerator), np.nan)
        np.divide(numerator, denominator, out=result, where=denominator > 0)
        return result


def measure(
    momenta: Array, offsets: Array, radius: float, settings: SubstructureSettings
) -> Substructure:
    """Compute the observables.

    Parameters
    ----------
    momenta
        (constituents, 4) px, py, pz, E [GeV].
    offsets
        (jets + 1) where the constituents of each jet begin.
    radius
        Of the jets: the R0 of soft drop and N-subjettiness.
    """
    mass, _, kept, lund_offsets, lund = decluster(
        momenta, offsets, settings.soft_drop_z_cut, settings.soft_drop_beta, radius
    )
    one_pass = settings.subjettiness_axes == "one_pass_kt"
    tau = subjettiness(momenta, offsets, N_TAU, radius, one_pass)
    d2, _ = d2_and_n2(momenta, offsets, settings.correlator_beta)
    groomed = offsets_of(sums(kept.astype(np.float64), offsets).astype(np.int64))
    _, n2 = d2_and_n2(momenta[kept], groomed, settings.correlator_beta)
    return Substructure(mass, tau, d2, n2, lund, lund_offsets)


def soft_drop_mass(
    momenta: Array, offsets: Array, radius: float, settings: SubstructureSettings
) -> Array:
    """Give the groomed mass [GeV] alone, for particle-level jets."""
    mass, *_ = decluster(
        momenta, offsets, settings.soft_drop_z_cut, settings.soft_drop_beta, radius
    )
    return mass


@dataclass(frozen=True)
class EnergyFractions:
    """Shares of the jet's energy by particle-flow class, each (n); they add up to 1."""

    charged_hadrons: Array
    neutral_hadrons: Array
    photons: Array
    electrons: Array
    muons: Array


def energy_fractions(
    energy: Array, pdg_id: Array, charge: Array, offsets: Array
) -> EnergyFractions:
    """Sum the energies [GeV] of the constituents by class.

    The codes 1 and 2 are hadronic and electromagnetic deposits in the forward calorimeter; whatever
    is neither lepton nor photon is a hadron, charged or neutral. Where no constituent of a jet has
    a class (code 0), its fractions are NaN.
    """
    code = np.abs(pdg_id)
    electron, muon, photon = code == 11, code == 13, (code == 22) | (code == 2)
    hadron = ~(electron | muon | photon)
    total = sums(energy, offsets)
    shares = [
        np.divide(sums(energy * chosen, offsets), total, out=np.zeros_like(total), where=total > 0)
        for chosen in (hadron & (charge != 0), hadron & (charge == 0), photon, electron, muon)
    ]
    unknown = (sums((code != 0).astype(np.float64), offsets) == 0) & (np.diff(offsets) > 0)
    return EnergyFractions(*(np.where(unknown, np.nan, share) for share in shares))
