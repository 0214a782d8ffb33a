"""Settings that all models of showers share."""

from pydantic import Field

from fullchain.calorimetry.preprocessing_settings import PreprocessingSettings
from fullchain.learning.settings import TrainingSettings
from fullchain.model import SettingsModel


class ModelBaseSettings(SettingsModel):
    """What a model learns, and how it is trained."""

    showers: str = Field("photons", description="set of calorimetry.showers that it learns")
    judged: bool = Field(
        True,
        description="whether showers of the model are generated, compared, classified and timed; a "
        "model that only teaches another one or the detector may do without",
    )
    leave_out: list[float] = Field(
        default_factory=list,
        description="energies of the set kept out of training, to test interpolation [MeV]",
    )
    validation: float = Field(
        0.1, gt=0, lt=1, description="part of the training showers that choose the best epoch"
    )
    preprocessing: PreprocessingSettings = Field(
        PreprocessingSettings(), description="from showers to numbers"
    )
    training: TrainingSettings = Field(
        TrainingSettings(), description="length, rate, schedule, optimiser"
    )
