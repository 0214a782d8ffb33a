"""A calorimeter from its settings."""

from itertools import accumulate, pairwise

from fullchain.calorimetry import geometry as geometry_module
from fullchain.calorimetry import media
from fullchain.calorimetry.detector_settings import DetectorSettings, HomogeneousSettings
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.gflash import Detector
from fullchain.calorimetry.media import Medium
from fullchain.errors import InputError


def build(settings: DetectorSettings) -> Detector:
    """Build a calorimeter.

    Raises
    ------
    InputError
        The geometry cannot be read, or the thickness of one of its layers is missing.
    """
    geometry = geometry_module.load(settings.geometry)
    medium = medium_of(settings)
    scale = 1.0 if settings.unit == "X0" else 1.0 / _length(medium)
    edges = [
        edge * scale
        for edge in accumulate(thicknesses(settings, geometry), initial=settings.in_front)
    ]
    return Detector(geometry, medium, tuple(pairwise(edges)), settings.threshold)


def medium_of(settings: DetectorSettings) -> Medium:
    """Give the medium."""
    chosen = settings.medium
    if isinstance(chosen, HomogeneousSettings):
        return media.homogeneous(settings.material(chosen.material), chosen.resolution)
    return media.layered(
        settings.material(chosen.passive),
        chosen.passive_thickness,
        settings.material(chosen.active),
        chosen.active_thickness,
        chosen.resolution,
    )


def thicknesses(settings: DetectorSettings, geometry: Geometry) -> list[float]:
    """Thickness of each layer that has voxels, in the unit of the settings.

    Raises
    ------
    InputError
        One is missing, or there is one for a layer that has no voxels.
    """
    numbers = [layer.identifier for layer in geometry.layers]
    given = settings.thickness
    if not isinstance(given, dict):
        return [given] * len(numbers)
    missing = [number for number in numbers if number not in given]
    unknown = [number for number in given if number not in numbers]
    if missing or unknown:
        wrong = f"none for {missing}" if missing else f"one for {unknown}, which has no voxels"
        raise InputError(
            f"thickness of layers of {settings.geometry}: {wrong}; its layers with voxels are "
            f"{numbers}"
        )
    return [given[number] for number in numbers]


def _length(medium: Medium) -> float:
    assert medium.radiation_length is not None, "media of settings have one"
    return medium.radiation_length
