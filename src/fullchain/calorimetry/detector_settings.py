"""Settings of calorimeters: voxels, materials, and where layers lie."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fullchain.calorimetry.media import MATERIALS, Material
from fullchain.model import SettingsModel
from fullchain.setting_errors import nearest


class MaterialSettings(SettingsModel):
    """A material of one's own; numbers of a compound are averages by mass."""

    atomic_number: float = Field(gt=0, description="Z")
    atomic_weight: float = Field(gt=0, description="A")
    density: float = Field(gt=0, description="density [g/cm^3]")
    radiation_length: float = Field(gt=0, description="radiation length [g/cm^2]")
    geant4: str | None = Field(
        None, description="name in Geant4's table of materials, such as G4_Pb; only Geant4 needs it"
    )


class HomogeneousSettings(SettingsModel):
    """A calorimeter of one material."""

    kind: Literal["homogeneous"] = Field("homogeneous", description="one material")
    material: str = Field("lead_tungstate", description="name of the material")
    resolution: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="c of photostatistics, sigma(E)/E = c / sqrt(E/GeV); 0: none, as published",
    )


class SamplingSettings(SettingsModel):
    """A calorimeter of passive and active layers in turn."""

    kind: Literal["sampling"] = Field("sampling", description="passive and active layers")
    passive: str = Field("lead", description="material that makes the shower")
    passive_thickness: float = Field(1.5, gt=0, description="of one passive layer [mm]")
    active: str = Field("liquid_argon", description="material that measures")
    active_thickness: float = Field(4.2, gt=0, description="of one active layer [mm]")
    resolution: float = Field(
        0.1, gt=0, lt=1, description="c of sampling, sigma(E)/E = c / sqrt(E/GeV)"
    )


MediumSettings = Annotated[HomogeneousSettings | SamplingSettings, Field(discriminator="kind")]


class DetectorSettings(SettingsModel):
    """A calorimeter in which showers are drawn."""

    geometry: str = Field(
        "set1_photons",
        description="voxels: name of a geometry that comes with fullchain (set1_photons, "
        "set2_electrons, crystal), or path of an XML file of the CaloChallenge's format",
    )
    medium: MediumSettings = Field(
        default_factory=SamplingSettings, description="what showers run through"
    )
    unit: Literal["X0", "mm"] = Field(
        "X0", description="unit of thicknesses: radiation lengths of the medium, or mm"
    )
    thickness: float | dict[int, float] = Field(
        description="of each layer that has voxels, one number for all or by the layer's number; "
        "layers follow each other without gaps [unit]"
    )
    in_front: float = Field(
        0.0, ge=0, description="matter in front of the first layer, which measures nothing [unit]"
    )
    threshold: float = Field(1.0, ge=0, description="energy below which a voxel is empty [MeV]")
    materials: dict[str, MaterialSettings] = Field(
        {}, description="materials of one's own, by name, beside those that fullchain knows"
    )

    @model_validator(mode="after")
    def _possible(self) -> "DetectorSettings":
        several = self.thickness.values() if isinstance(self.thickness, dict) else [self.thickness]
        if any(value <= 0 for value in several):
            raise ValueError("thickness: every layer needs a positive one")
        for name in self.material_names():
            if name not in MATERIALS and name not in self.materials:
                known = sorted({*MATERIALS, *self.materials})
                raise ValueError(f"medium: no material is called {name!r}{nearest(name, known)}")
        return self

    def material_names(self) -> tuple[str, ...]:
        """Names of the materials of the medium, the passive one first."""
        if isinstance(self.medium, HomogeneousSettings):
            return (self.medium.material,)
        return (self.medium.passive, self.medium.active)

    def material(self, name: str) -> Material:
        """Give a material: one's own before a known one of the same name."""
        if name in self.materials:
            return Material(**self.materials[name].model_dump())
        return MATERIALS[name]


def default_detectors() -> dict[str, DetectorSettings]:
    """Calorimeters that come with fullchain.

    `set1_photons` has the sections of a lead and liquid argon calorimeter like that of ATLAS (4.3,
    16 and 2 radiation lengths) behind a presampler that measures what 1.7 radiation lengths of
    matter in front of it take, and before a tail catcher; `set2_electrons` has the 45 layers of
    1.4 mm of tungsten and 0.3 mm of silicon of the second data set; `crystal` is of lead tungstate.
    Resolutions are choices.
    """
    return {
        "set1_photons": DetectorSettings(
            geometry="set1_photons",
            medium=SamplingSettings(
                passive="lead",
                passive_thickness=1.5,
                active="liquid_argon",
                active_thickness=4.2,
                resolution=0.1,
            ),
            thickness={0: 1.7, 1: 4.3, 2: 16.0, 3: 2.0, 12: 20.0},
            threshold=1.0,
        ),
        "set2_electrons": DetectorSettings(
            geometry="set2_electrons",
            medium=SamplingSettings(
                passive="tungsten",
                passive_thickness=1.4,
                active="silicon",
                active_thickness=0.3,
                resolution=0.17,
            ),
            unit="mm",
            thickness=1.7,
            threshold=0.01515,
        ),
        "crystal": DetectorSettings(
            geometry="crystal",
            medium=HomogeneousSettings(material="lead_tungstate", resolution=0.03),
            thickness={0: 4.0, 1: 3.0, 2: 3.0, 3: 5.0, 4: 11.0},
            threshold=0.5,
        ),
    }
