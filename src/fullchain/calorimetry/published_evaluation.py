"""Published numbers of the CaloChallenge beside which ours are set."""

from typing import Any

SOURCE = "CaloChallenge, final results (2410.21611, repository CaloChallenge/homepage)"

NOTE = "published for Geant4 showers in the ATLAS calorimeter, another data set than ours"

GEANT4, CALOINN, CALODIFFUSION = "Geant4", "CaloINN", "CaloDiffusion"

SEPARATIONS = {
    GEANT4: {"E_tot": 0.40e-3, "E_layer": 0.20e-3, "EC_r": 0.32e-3},
    CALOINN: {"E_tot": 0.64e-3, "E_layer": 1.62e-3, "EC_r": 1.96e-3},
    CALODIFFUSION: {"E_tot": 19.0e-3, "E_layer": 1.14e-3, "EC_r": 0.46e-3},
}
"""Of set 1, photons; of layers the mean."""

FPD = {
    GEANT4: 0.12e-3,
    CALOINN: 3.90e-3,
    CALODIFFUSION: 0.65e-3,
    "CaloFlow": 3.1e-3,
    "BoloGAN": 142e-3,
}
"""Of set 1, photons."""

FPD_SET2 = {"CaloDREAM": 24.6e-3, CALOINN: 733e-3}

SET1_VOXELS, SET2_VOXELS = 368, 6480


def separations(voxels: int) -> dict[str, dict[str, float]]:
    """Separations published for a geometry with this number of voxels."""
    return SEPARATIONS if voxels == SET1_VOXELS else {}


def fpd(voxels: int) -> dict[str, float]:
    """FPD published for a geometry with this number of voxels."""
    return {SET1_VOXELS: FPD, SET2_VOXELS: FPD_SET2}.get(voxels, {})


def reference(role: str) -> str:
    """Name of the published entry that a content is compared with: of the same kind."""
    return GEANT4 if role == "reference" else CALOINN


def fields(value: float | None) -> dict[str, Any]:
    """Give the fields of a metric for a published value, or none."""
    if value is None:
        return {}
    return {"published": value, "source": SOURCE}
