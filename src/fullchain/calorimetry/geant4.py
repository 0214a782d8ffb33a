"""Showers of Geant4, through calzone, in a calorimeter of plane layers.

Optional: calzone is no dependency of fullchain, and has a command of its own that downloads
Geant4's data tables (2 GB). A homogeneous layer is one block; a layer of a sampling calorimeter is
as many pairs of a passive and an active plate as come nearest to its thickness. All are wide discs
around the particle's axis. The energy of a step is put where its middle is. In a sampling
calorimeter the energy of active plates is divided by the part that they see of showers of the
middle energy.
"""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.calorimetry import detector as detectors
from fullchain.calorimetry.detector_settings import DetectorSettings, HomogeneousSettings
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.gflash import Detector
from fullchain.calorimetry.showers_settings import DiscreteEnergiesSettings, Geant4Settings
from fullchain.errors import InputError

Array = NDArray[Any]

PACKAGE = "calzone"
INSTALL = "pip install calzone==1.2.2"
DOWNLOAD = "python -m calzone download"

ROOT = "Hall"
VACUUM = "G4_Galactic"
GAP = 1.0
"""Distance of the particle from the first matter, and of matter from the walls [cm]."""

WIDER = 2.0
"""Radius of plates over the greatest radius of voxels."""

CODES = {"photon": 22, "electron": 11}


@dataclass(frozen=True)
class Plate:
    """One plate, a disc.

    Parameters
    ----------
    material
        In Geant4's table.
    thickness
        [mm].
    layer
        Position of its layer in the geometry; -1 for matter in front.
    active
        Whether it measures.
    """

    material: str
    thickness: float
    layer: int
    active: bool


def plates(settings: DetectorSettings, detector: Detector) -> list[Plate]:
    """Give the plates from front to back.

    Raises
    ------
    InputError
        A material has no name in Geant4, or a layer is thinner than half a pair of plates.
    """
    names = [_name(settings, name) for name in settings.material_names()]
    length = detector.medium.radiation_length
    assert length is not None, "media of settings have one"
    scale = length if settings.unit == "X0" else 1.0
    sizes = [size * scale for size in detectors.thicknesses(settings, detector.geometry)]
    chosen = settings.medium
    found = [Plate(names[0], settings.in_front * scale, -1, False)] if settings.in_front else []
    for layer, size in enumerate(sizes):
        if isinstance(chosen, HomogeneousSettings):
            found.append(Plate(names[0], size, layer, True))
            continue
        pair = (chosen.passive_thickness, chosen.active_thickness)
        pairs = round(size / sum(pair))
        if pairs < 1:
            raise InputError(
                f"layer {detector.geometry.layers[layer].identifier} of {settings.geometry} is "
                f"{size:.3g} mm thick, less than half of one passive and one active plate, "
                f"{sum(pair):.3g} mm"
            )
        found += [
            Plate(names[0], pair[0], layer, False),
            Plate(names[1], pair[1], layer, True),
        ] * pairs
    return found


def _name(settings: DetectorSettings, name: str) -> str:
    found = settings.material(name).geant4
    if found is None:
        raise InputError(
            f"material {name!r} has no name in Geant4's table of materials: set "
            f"materials.{name}.geant4, such as G4_Pb"
        )
    return found


def description(stack: list[Plate], geometry: Geometry) -> dict[str, Any]:
    """Describe the plates as calzone reads it; lengths are in cm.

    The particle starts at z = 0; volumes are `Plate0`, `Plate1`, ..., and all but those in front
    record what is deposited in them.
    """
    radius = 0.1 * WIDER * max(layer.edges[-1] for layer in geometry.layers)
    depth = 0.1 * sum(plate.thickness for plate in stack)
    hall: dict[str, Any] = {
        "box": [2.0 * (radius + GAP), 2.0 * (radius + GAP), 2.0 * (depth + 2.0 * GAP)],
        "material": VACUUM,
    }
    front = GAP
    for number, plate in enumerate(stack):
        size = 0.1 * plate.thickness
        hall[f"Plate{number}"] = {
            "cylinder": {"length": size, "radius": radius},
            "material": plate.material,
            "position": [0.0, 0.0, front + 0.5 * size],
            **({"role": "record_deposits"} if plate.layer >= 0 else {}),
        }
        front += size
    return {ROOT: hall}


def voxel_of(layer: int, positions: Array, geometry: Geometry) -> Array:
    """Give the voxel of positions (n, 2 or 3) [mm] in a layer, -1 outside of its voxels."""
    chosen = geometry.layers[layer]
    radius = np.hypot(positions[:, 0], positions[:, 1])
    angle = np.arctan2(positions[:, 1], positions[:, 0])
    edges = np.array(chosen.edges)
    ring = np.searchsorted(edges, radius, side="right") - 1
    sector = np.clip(
        ((angle + np.pi) / (2.0 * np.pi) * chosen.angles).astype(int), 0, chosen.angles - 1
    )
    place = geometry.slices[layer].start + sector * chosen.rings + ring
    return np.where((ring >= 0) & (ring < chosen.rings), place, -1)


class Simulation:
    """Geant4 with a calorimeter.

    Parameters
    ----------
    settings
        Of the set of showers.
    detector_settings
        Of the calorimeter.
    seed
        For the calibration of a sampling calorimeter.

    Raises
    ------
    InputError
        calzone or Geant4's data tables are missing, or the calorimeter cannot be built.
    """

    def __init__(
        self, settings: Geant4Settings, detector_settings: DetectorSettings, seed: int
    ) -> None:
        self.calzone = _package()
        self.settings = settings
        self.detector = detectors.build(detector_settings)
        self.stack = plates(detector_settings, self.detector)
        self.simulation = self.calzone.Simulation(
            description(self.stack, self.detector.geometry), sample_deposits="detailed"
        )
        self.simulation.physics = self.calzone.Physics(
            em_model=settings.model, default_cut=0.1 * settings.cut
        )
        self.seen = 1.0
        if self.detector.medium.sampling is not None:
            self.seen = self._calibrate(seed)

    def __call__(self, energies: Array, random: np.random.Generator) -> Array:
        """Give voxels [MeV], (n, voxels), float32, of particles with energies (n) [MeV]."""
        result = np.zeros((len(energies), self.detector.geometry.voxels), dtype=np.float32)
        for row, energy in enumerate(energies):
            self.simulation.random = self.calzone.Random(int(random.integers(1, 2**62)))
            for plate, places, values in self._deposits(energy):
                if plate.active:
                    voxel = voxel_of(plate.layer, places, self.detector.geometry)
                    np.add.at(result[row], voxel[voxel >= 0], values[voxel >= 0] / self.seen)
        medium = self.detector.medium
        if medium.photostatistics:
            scale = 1000.0 * medium.photostatistics**2
            result = (random.standard_gamma(result / scale) * scale).astype(np.float32)
        return np.where(result >= self.detector.threshold, result, np.float32(0.0))

    @property
    def versions(self) -> dict[str, str]:
        """Versions of what simulates."""
        return {PACKAGE: str(self.calzone.VERSION), "geant4": str(self.calzone.GEANT4_VERSION)}

    def _deposits(self, energy: float) -> list[tuple[Plate, Array, Array]]:
        """Plates with places [mm] and energies [MeV] of what is deposited in them."""
        particle = self.calzone.particles(
            1,
            pid=CODES[self.settings.particle],
            energy=float(energy),
            position=(0.0, 0.0, 0.0),
            direction=(0.0, 0.0, 1.0),
        )
        try:
            found = self.simulation.run(particle)
        except FileNotFoundError as problem:
            raise InputError(
                f"Geant4's data tables are missing ({problem}); download them with: {DOWNLOAD}"
            ) from None
        # With nothing else sampled, the deposits may come by themselves.
        deposits = getattr(found, "deposits", found)
        result = []
        for number, plate in enumerate(self.stack):
            here = deposits.get(f"{ROOT}.Plate{number}")
            if here is None:
                continue
            line, point = here.line, here.point
            middle = 0.5 * (line["start"] + line["end"])
            places = 10.0 * np.concatenate([middle, point["position"]])
            result.append((plate, places, np.concatenate([line["value"], point["value"]])))
        return result

    def _calibrate(self, seed: int) -> float:
        """Part of the deposited energy that active plates see, in showers of the middle energy."""
        energies = self.settings.energies
        limits = (
            (min(energies.values), max(energies.values))
            if isinstance(energies, DiscreteEnergiesSettings)
            else (energies.low, energies.high)
        )
        self.simulation.random = self.calzone.Random(seed)
        seen = whole = 0.0
        for _ in range(self.settings.calibration):
            for plate, _, values in self._deposits(float(np.sqrt(limits[0] * limits[1]))):
                whole += values.sum()
                seen += plate.active * values.sum()
        if seen <= 0:
            raise InputError("active plates see nothing of showers: are they thick enough?")
        return float(seen / whole)


def _package() -> Any:
    try:
        return importlib.import_module(PACKAGE)
    except ImportError as problem:
        raise InputError(
            f"showers of kind geant4 need the package {PACKAGE} ({problem}): install it with "
            f"{INSTALL}, then download Geant4's data tables (2 GB) with {DOWNLOAD}"
        ) from None
