"""Materials of calorimeters, and the medium that a shower sees in them.

A sampling calorimeter is replaced by one medium with effective constants, as G. Grindhammer and
S. Peters do (hep-ex/0001020): atomic number and weight are averages by mass, lengths add up in
radiation lengths, and E_c / X_0 is an average by mass. Numbers of materials are those of the tables
of the Particle Data Group; atomic number and weight of a compound are averages by mass.
"""

from collections.abc import Mapping
from dataclasses import dataclass

SCALE_ENERGY = 21.2
"""Scale of multiple scattering in the Moliere radius [MeV]."""

UNEQUAL = 0.007
"""How e/mip depends on the difference of atomic numbers."""


@dataclass(frozen=True)
class Material:
    """A material.

    Parameters
    ----------
    atomic_number, atomic_weight
        Averages by mass.
    density
        [g/cm^3].
    radiation_length
        [g/cm^2].
    geant4
        Name in the table of materials of Geant4; None where there is none.
    """

    atomic_number: float
    atomic_weight: float
    density: float
    radiation_length: float
    geant4: str | None = None

    @property
    def length(self) -> float:
        """Radiation length [mm]."""
        return 10.0 * self.radiation_length / self.density

    @property
    def critical_energy(self) -> float:
        """E_c = 2.66 (X_0 Z / A)^1.1 [MeV], X_0 in g/cm^2.

        Examples
        --------
        >>> round(MATERIALS["lead"].critical_energy, 2)
        7.36
        """
        return float(
            2.66 * (self.radiation_length * self.atomic_number / self.atomic_weight) ** 1.1
        )

    @property
    def moliere_radius(self) -> float:
        """R_M [mm]."""
        return SCALE_ENERGY * self.length / self.critical_energy


MATERIALS: Mapping[str, Material] = {
    "lead": Material(82.0, 207.2, 11.35, 6.37, "G4_Pb"),
    "tungsten": Material(74.0, 183.84, 19.30, 6.76, "G4_W"),
    "iron": Material(26.0, 55.845, 7.874, 13.84, "G4_Fe"),
    "copper": Material(29.0, 63.546, 8.96, 12.86, "G4_Cu"),
    "lead_tungstate": Material(68.36, 170.9, 8.30, 7.39, "G4_PbWO4"),
    "lead_glass": Material(64.31, 161.2, 6.22, 7.87, "G4_GLASS_LEAD"),
    "silicon": Material(14.0, 28.085, 2.329, 21.82, "G4_Si"),
    "liquid_argon": Material(18.0, 39.948, 1.396, 19.55, "G4_lAr"),
    "polystyrene": Material(5.61, 11.16, 1.06, 43.79, "G4_POLYSTYRENE"),
    "scintillator": Material(5.57, 11.07, 1.032, 43.90, "G4_PLASTIC_SC_VINYLTOLUENE"),
}
"""Materials by name; `scintillator` is polyvinyltoluene."""


@dataclass(frozen=True)
class Sampling:
    """Structure of a sampling calorimeter.

    Parameters
    ----------
    frequency
        F_S: effective radiation length over the thickness of one passive and one active layer.
    ratio
        e/mip, 1 / (1 + 0.007 (Z_passive - Z_active)).
    resolution
        c: sigma(E)/E = c / sqrt(E/GeV).
    """

    frequency: float
    ratio: float
    resolution: float


@dataclass(frozen=True)
class Medium:
    """What the shower runs through.

    Parameters
    ----------
    atomic_number, critical_energy, moliere_radius
        Effective Z, E_c [MeV], R_M [mm].
    sampling
        None for a homogeneous calorimeter.
    radiation_length
        [mm]; None where depths are in radiation lengths anyway.
    photostatistics
        c of a homogeneous calorimeter, which has no sampling fluctuations but those of light;
        0 is the parameterisation as published.
    """

    atomic_number: float
    critical_energy: float
    moliere_radius: float
    sampling: Sampling | None = None
    radiation_length: float | None = None
    photostatistics: float = 0.0

    @property
    def resolution(self) -> float:
        """c: sigma(E)/E = c / sqrt(E/GeV)."""
        return self.photostatistics if self.sampling is None else self.sampling.resolution


def homogeneous(material: Material, resolution: float = 0.0) -> Medium:
    """Give the medium of a calorimeter of one material."""
    return Medium(
        material.atomic_number,
        material.critical_energy,
        material.moliere_radius,
        None,
        material.length,
        resolution,
    )


def layered(
    passive: Material,
    passive_thickness: float,
    active: Material,
    active_thickness: float,
    resolution: float,
) -> Medium:
    """Give the effective medium of a sampling calorimeter.

    Parameters
    ----------
    passive_thickness, active_thickness
        Of one layer each [mm].
    resolution
        c: sigma(E)/E = c / sqrt(E/GeV).
    """
    both = (passive, active)
    thicknesses = (passive_thickness, active_thickness)
    masses = [one.density * thickness for one, thickness in zip(both, thicknesses, strict=True)]
    lengths = [thickness / one.length for one, thickness in zip(both, thicknesses, strict=True)]
    atomic_number = sum(
        mass * one.atomic_number for one, mass in zip(both, masses, strict=True)
    ) / sum(masses)
    # By mass, E_c / X_0 averages to this: by radiation lengths, E_c does.
    critical = sum(
        length * one.critical_energy for one, length in zip(both, lengths, strict=True)
    ) / sum(lengths)
    length = sum(thicknesses) / sum(lengths)
    ratio = 1.0 / (1.0 + UNEQUAL * (passive.atomic_number - active.atomic_number))
    sampling = Sampling(length / sum(thicknesses), ratio, resolution)
    return Medium(atomic_number, critical, SCALE_ENERGY * length / critical, sampling, length)
