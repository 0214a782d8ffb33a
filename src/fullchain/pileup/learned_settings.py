"""What all learned pile-up weights have in common: samples, parts of the events, training."""

from pydantic import Field

from fullchain.learning.parts_settings import PartsSettings
from fullchain.learning.settings import TrainingSettings
from fullchain.model import SettingsModel
from fullchain.pileup.association_settings import AssociationSettings


class SeedingSettings(SettingsModel):
    """Which places of an event are trained on."""

    per_event: int = Field(8, ge=1, description="places drawn in each event")
    hard: float = Field(
        0.75,
        ge=0,
        le=1,
        description="part of them drawn with the true pT from the hard collision as weight; the "
        "others are drawn among all candidates alike",
    )


class LearnedSettings(SettingsModel):
    """Samples, seeds and training of one method."""

    samples: tuple[str, ...] = Field(
        min_length=1,
        description="generated samples that it is trained on; several densities of pile-up make "
        "one network for all of them",
    )
    seeds: int = Field(1, ge=1, description="trainings that differ in their seed only")
    parts: PartsSettings = Field(
        default_factory=PartsSettings, description="training, validation and test events"
    )
    seeding: SeedingSettings = Field(
        default_factory=SeedingSettings, description="places of an event that are trained on"
    )
    association: AssociationSettings = Field(
        default_factory=AssociationSettings, description="tracks and vertices"
    )
    training: TrainingSettings = Field(
        default_factory=TrainingSettings, description="length, rate, batches (of places), device"
    )
