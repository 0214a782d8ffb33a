"""Published numbers of the CaloChallenge beside which ours are set."""

from typing import Any

from fullchain.calorimetry.published_models import CALOINN, GEANT4, SOURCE, published

CALODIFFUSION = "CaloDiffusion"

SEPARATIONS = {
    GEANT4: {"E_tot": 0.40e-3, "E_layer": 0.20e-3, "EC_r": 0.32e-3},
    CALOINN: {"E_tot": 0.64e-3, "E_layer": 1.62e-3, "EC_r": 1.96e-3},
    CALODIFFUSION: {"E_tot": 19.0e-3, "E_layer": 1.14e-3, "EC_r": 0.46e-3},
}
"""Of set 1, photons; of layers the mean."""

CALOFLOW_FPD = 3.1e-3
"""Of set 1, photons; one number is given for teacher and student."""

SET1_VOXELS = 368


def separations(voxels: int) -> dict[str, dict[str, float]]:
    """Separations published for a geometry with this number of voxels."""
    return SEPARATIONS if voxels == SET1_VOXELS else {}


def fpd(voxels: int) -> dict[str, float]:
    """FPD published for a geometry with this number of voxels."""
    known = {model.name: model.fpd for model in published(voxels)[1]}
    found = {name: value for name, value in known.items() if value is not None}
    return found | {"CaloFlow": CALOFLOW_FPD} if voxels == SET1_VOXELS else found


def fields(value: float | None) -> dict[str, Any]:
    """Give the fields of a metric for a published value, or none."""
    if value is None:
        return {}
    return {"published": value, "source": SOURCE}
