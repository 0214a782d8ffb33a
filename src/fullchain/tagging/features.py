"""What a network sees of a particle: functions of its momentum and of that of its jet.

All functions take `constituents` of shape (jets, particles, 4 or more) and `jet` of shape (jets,
4), both pT [GeV], eta, phi, mass [GeV]; a particle of pT zero is padding. For `kinpid`,
constituents have two more columns, charge and PDG code, and for `full` these and d0, its
uncertainty, dz, its uncertainty [cm].
"""

import math

import torch
from torch import Tensor

from fullchain.learning.standardise import Standardisation
from fullchain.tagging.cloud import ParticleCloud
from fullchain.tagging.jets_reading import FOUR_MOMENTUM, FULL

CLIP = 5.0
"""Largest absolute value of a standardised feature, as in 2202.03772."""

_SIZES = ("log_pt", "log_energy", "log_pt_fraction", "log_energy_fraction", "delta_r")
_ANGLES = ("delta_eta", "delta_phi")
_KINDS = (
    "charge",
    "is_charged_hadron",
    "is_neutral_hadron",
    "is_photon",
    "is_electron",
    "is_muon",
)
_DISPLACEMENT = ("tanh_d0", "d0_error", "tanh_dz", "dz_error")

# The order of the authors' configurations for JetClass, for their weights.
NAMES = {
    "kin": (*_SIZES, *_ANGLES),
    "kinpid": (*_SIZES, *_KINDS, *_ANGLES),
    "full": (*_SIZES, *_KINDS, *_DISPLACEMENT, *_ANGLES),
    "pt_eta_phi": ("pt_fraction", "delta_eta", "delta_phi"),
}

FIELDS = {
    "kin": FOUR_MOMENTUM,
    "kinpid": (*FOUR_MOMENTUM, "charge", "pdgId"),
    "full": FULL,
    "pt_eta_phi": FOUR_MOMENTUM,
}
"""What has to be read of a particle."""


def _published(names: tuple[str, ...]) -> Standardisation:
    """The table of inputs of 2202.03772, as its authors' configuration for JetClass has it."""
    unscaled = len(names) - len(_SIZES)
    return Standardisation(
        subtract=(1.7, 2.0, -4.7, -4.7, 0.2, *([0.0] * unscaled)),
        multiply=(0.7, 0.7, 0.7, 0.7, 4.0, *([1.0] * unscaled)),
    )


PUBLISHED = {
    **{inputs: _published(NAMES[inputs]) for inputs in ("kin", "kinpid", "full")},
    # 1810.05165 normalises pT to the jet's and centres the angles, and scales no further.
    "pt_eta_phi": Standardisation(subtract=(0.0, 0.0, 0.0), multiply=(1.0, 1.0, 1.0)),
}

_SMALL = 1e-8
"""Smallest argument of a logarithm: padding has pT zero, and its features are never used."""


def is_particle(constituents: Tensor) -> Tensor:
    """Mask of the particles that are no padding, shape (jets, particles)."""
    return constituents[..., 0] > 0


def wrapped(angle: Tensor) -> Tensor:
    """Bring angles to [-pi, pi]."""
    return angle - 2 * math.pi * torch.round(angle / (2 * math.pi))


def energy(momenta: Tensor) -> Tensor:
    """Energy [GeV] of momenta of shape (..., 4)."""
    pt, eta, _, mass = momenta[..., :4].unbind(-1)
    return torch.sqrt((pt * torch.cosh(eta)) ** 2 + mass**2)


def relative_angles(constituents: Tensor, jet: Tensor) -> tuple[Tensor, Tensor]:
    """Give eta and phi of the particles relative to the jet axis, each (jets, particles)."""
    delta_eta = constituents[..., 1] - jet[:, None, 1]
    delta_phi = wrapped(constituents[..., 2] - jet[:, None, 2])
    return delta_eta, delta_phi


def kin(constituents: Tensor, jet: Tensor) -> Tensor:
    """Give the kinematic inputs of 2202.03772, shape (jets, particles, 7).

    ln pT, ln E, ln pT/pT(jet), ln E/E(jet), distance to the jet axis, and the angles to it, eta
    counted in the direction of the jet's own (so that both hemispheres look alike).
    """
    delta_eta, delta_phi = relative_angles(constituents, jet)
    forward = torch.where(jet[:, None, 1] < 0, -1.0, 1.0)
    log_pt = _log(constituents[..., 0])
    log_energy = _log(energy(constituents))
    features = (
        log_pt,
        log_energy,
        log_pt - _log(jet[:, None, 0]),
        log_energy - _log(energy(jet)[:, None]),
        torch.sqrt(delta_eta**2 + delta_phi**2),
        delta_eta * forward,
        delta_phi,
    )
    return torch.stack(features, dim=-1)


def pt_eta_phi(constituents: Tensor, jet: Tensor) -> Tensor:
    """Give the momentum inputs of 1810.05165, shape (jets, particles, 3).

    pT as a fraction of the sum over the particles, and the angles to the jet axis.
    """
    pt = constituents[..., 0]
    fraction = pt / pt.sum(dim=1, keepdim=True).clamp(min=_SMALL)
    delta_eta, delta_phi = relative_angles(constituents, jet)
    return torch.stack((fraction, delta_eta, delta_phi), dim=-1)


def kinpid(constituents: Tensor, jet: Tensor) -> Tensor:
    """Give the inputs of 2202.03772 without impact parameters, shape (jets, particles, 13).

    Those of `kin`, the charge and five flags of the particle's type.
    """
    return _with_others(kin(constituents, jet), _kinds(constituents))


def full(constituents: Tensor, jet: Tensor) -> Tensor:
    """Give all inputs of 2202.03772, shape (jets, particles, 17).

    Those of `kinpid`, the hyperbolic tangent of the impact parameters and their uncertainties cut
    at one. Lengths are in millimetres here, as in the data set of that paper: the tangent saturates
    where they are displaced.
    """
    d0, d0_error, dz, dz_error = (10.0 * constituents[..., 6:10]).unbind(-1)
    others = (
        *_kinds(constituents),
        torch.tanh(d0),
        d0_error.clamp(0.0, 1.0),
        torch.tanh(dz),
        dz_error.clamp(0.0, 1.0),
    )
    return _with_others(kin(constituents, jet), others)


def _kinds(constituents: Tensor) -> tuple[Tensor, ...]:
    """Charge and flags of the five types of particles, each (jets, particles)."""
    charge, code = constituents[..., 4], constituents[..., 5].abs()
    electron, muon, photon = (code == number for number in (11, 13, 22))
    lepton = electron | muon
    charged = charge != 0
    flags = (charged & ~lepton, ~charged & ~photon & ~lepton, photon, electron, muon)
    return (charge, *(flag.to(charge.dtype) for flag in flags))


def _with_others(momentum: Tensor, others: tuple[Tensor, ...]) -> Tensor:
    """Put further features before the two angles, which are the last in the published order."""
    return torch.cat((momentum[..., :5], torch.stack(others, dim=-1), momentum[..., 5:]), dim=-1)


FUNCTIONS = {"kin": kin, "kinpid": kinpid, "full": full, "pt_eta_phi": pt_eta_phi}


def cartesian(constituents: Tensor) -> Tensor:
    """Energy and momentum E, px, py, pz [GeV] of momenta in pT, eta, phi, mass; (..., 4).

    In double precision: single loses the mass of a fast particle, and the distance of two that are
    nearly collinear. What it leaves is rounding, which every library does in another way.
    """
    pt, eta, phi, mass = constituents[..., :4].double().unbind(-1)
    # Hyperbolic functions by their definition: onnxruntime has none in double precision.
    up, down = torch.exp(eta), torch.exp(-eta)
    components = (
        torch.sqrt((0.5 * pt * (up + down)) ** 2 + mass**2),
        pt * torch.cos(phi),
        pt * torch.sin(phi),
        0.5 * pt * (up - down),
    )
    return torch.stack(components, dim=-1)


def cloud(features: Tensor, constituents: Tensor, jet: Tensor) -> ParticleCloud:
    """Join standardised features with mask, angles and momenta."""
    return ParticleCloud(
        features=features,
        mask=is_particle(constituents),
        angles=torch.stack(relative_angles(constituents, jet), dim=-1),
        momenta=cartesian(constituents),
    )


def rotated(constituents: Tensor, jet: Tensor) -> Tensor:
    """Rotate the particles of each jet about its axis by a random angle, and reflect half of them.

    Angles are those in the plane of eta and phi; all else stays. The random numbers are torch's.
    """
    delta_eta, delta_phi = relative_angles(constituents, jet)
    angle = 2 * math.pi * torch.rand(len(jet), 1, device=jet.device)
    sign = torch.where(torch.rand(len(jet), 1, device=jet.device) < 0.5, -1.0, 1.0)
    cosine, sine = torch.cos(angle), torch.sin(angle)
    result = constituents.clone()
    result[..., 1] = jet[:, None, 1] + cosine * delta_eta - sine * delta_phi
    result[..., 2] = jet[:, None, 2] + sign * (sine * delta_eta + cosine * delta_phi)
    return result


def _log(values: Tensor) -> Tensor:
    return torch.log(values.clamp(min=_SMALL))
