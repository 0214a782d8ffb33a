"""Settings of super-resolution: from a coarse to a fine layer, judged by two photons of a pi0."""

from pydantic import Field, model_validator

from fullchain.learning.settings import TrainingSettings
from fullchain.model import SettingsModel


class FineLayerSettings(SettingsModel):
    """A square layer of square cells; the defaults are near lead tungstate, coarse cells 1 R_M."""

    atomic_number: float = Field(68.0, gt=0, description="effective atomic number")
    critical_energy: float = Field(9.07, gt=0, description="critical energy [MeV]")
    moliere_radius: float = Field(20.8, gt=0, description="Moliere radius [mm]")
    begin: float = Field(5.0, ge=0, description="where the layer begins [radiation lengths]")
    end: float = Field(11.0, gt=0, description="where the layer ends [radiation lengths]")
    coarse: int = Field(8, ge=4, description="coarse cells on each side")
    factor: int = Field(4, ge=2, description="fine cells on each side of a coarse cell: 2, 4, 8")
    cell: float = Field(5.5, gt=0, description="side of a fine cell [mm]")
    distance: float = Field(1300.0, gt=0, description="of the layer from the decay [mm]")
    threshold: float = Field(1.0, gt=0, description="energy below which a fine cell is empty [MeV]")

    @model_validator(mode="after")
    def _possible(self) -> "FineLayerSettings":
        if self.factor & (self.factor - 1):
            raise ValueError(f"factor: {self.factor} is not a power of two")
        if self.end <= self.begin:
            raise ValueError(f"end: {self.end:g} is not behind begin, {self.begin:g}")
        return self


class PhotonsSettings(SettingsModel):
    """Single photons and decays of pi0s, in equal numbers and with the same energies."""

    angles: tuple[float, float] = Field(
        (4.0, 44.0), description="range of opening angles, which are uniform [mrad]"
    )
    asymmetry: float = Field(
        0.8, gt=0, lt=1, description="largest |E1 - E2| / (E1 + E2); uniform below"
    )
    training: int = Field(4000, ge=20, description="images from which the flow learns")
    classified: int = Field(8000, ge=20, description="images that the classifiers learn from")
    test: int = Field(5000, ge=20, description="images that all is judged with")

    @model_validator(mode="after")
    def _rises(self) -> "PhotonsSettings":
        low, high = self.angles
        if not 0 < low < high:
            raise ValueError(f"angles: {low:g} and {high:g} do not rise from above 0")
        return self


class CellFlowSettings(SettingsModel):
    """Conditional flow of the parts of a coarse cell that its fine cells hold."""

    reach: int = Field(
        2, ge=0, description="coarse cells on each side of one whose energies the flow is told"
    )
    blocks: int = Field(8, ge=1, description="rational-quadratic coupling blocks")
    layers: tuple[int, ...] = Field((64, 64), min_length=1, description="dense layers of a block")
    bins: int = Field(8, ge=2, description="bins of each spline")
    bound: float = Field(6.0, gt=0, description="range of the splines, in widths of each number")
    bright: float = Field(
        0.005,
        ge=0,
        lt=1,
        description="part of the image's energy above which all coarse cells are learned from",
    )
    faint: float = Field(
        0.15, gt=0, le=1, description="part of the other coarse cells that is learned from"
    )
    training: TrainingSettings = Field(
        TrainingSettings(epochs=10, batch_size=1024, learning_rate=3e-3, gradient_clip=10.0),
        description="training of the flow",
    )


class PhotonClassifierSettings(SettingsModel):
    """Convolutional classifier of one photon or two; the same for all kinds of images."""

    channels: int = Field(24, ge=1, description="channels")
    dense: int = Field(48, ge=1, description="nodes of the dense layer")
    training: TrainingSettings = Field(
        TrainingSettings(epochs=8, batch_size=128, learning_rate=3e-3, weight_decay=1e-3),
        description="training loop",
    )


class RefinementSettings(SettingsModel):
    """Super-resolution of a layer, and what it is worth."""

    layer: FineLayerSettings = Field(FineLayerSettings(), description="the layer")
    photons: PhotonsSettings = Field(PhotonsSettings(), description="what hits it")
    flow: CellFlowSettings = Field(CellFlowSettings(), description="the flow")
    classifier: PhotonClassifierSettings = Field(
        PhotonClassifierSettings(), description="one photon or two"
    )
    validation: float = Field(
        0.15, gt=0, lt=1, description="part of each training that chooses the best epoch"
    )
    bins: int = Field(10, ge=1, description="bins of the opening angle")
    efficiency: float = Field(
        0.9, gt=0, lt=1, description="of single photons, at which pi0s are counted as resolved"
    )
    replicas: int = Field(100, ge=10, description="replicas of the bootstrap")
