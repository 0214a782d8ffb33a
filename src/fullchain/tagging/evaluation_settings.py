"""Settings of the measurement of taggers."""

from pydantic import Field, model_validator

from fullchain.model import SettingsModel
from fullchain.tagging.selection_settings import SelectionSettings


class BaselineSettings(SettingsModel):
    """Cut on substructure beside which the taggers are shown: tau32 in a soft-drop window."""

    msoftdrop_min: float = Field(105.0, ge=0, description="lowest soft-drop mass [GeV]")
    msoftdrop_max: float = Field(210.0, gt=0, description="highest soft-drop mass [GeV]")
    tau32_max: float = Field(
        0.65, gt=0, le=1, description="cut on tau32 whose accuracy is quoted; the curve has all"
    )


class EvaluationSettings(SettingsModel):
    """How performance is measured, on the jets of the test part."""

    selection: SelectionSettings | None = Field(
        None, description="jets to measure on; null for those that the tagger is trained on"
    )
    pairs: tuple[tuple[str, str], ...] | None = Field(
        None,
        description="pairs of classes to measure, [signal, background], for each tagger that has "
        "both; null for the signal against each other class. The signal against all others "
        "together is always measured",
    )
    alternatives: dict[str, dict[str, str]] = Field(
        default_factory=lambda: {"a14": {"tt": "tt_a14", "qcd": "qcd_a14"}},
        description="other simulations by name, each with the samples that stand in for those of "
        "a tagger: the tagger is measured on them too, and the differences are given",
    )
    replicas: int = Field(200, ge=20, description="replicas of the bootstrap over events")
    working_points: tuple[float, ...] = Field(
        (0.3, 0.5), min_length=1, description="signal efficiencies at which 1/eB is quoted"
    )
    score_bins: int = Field(25, ge=2, description="bins of the score histograms")
    calibration_bins: int = Field(10, ge=2, description="bins of the calibration curve")
    bins: dict[str, tuple[float, ...]] = Field(
        default_factory=lambda: {
            "pt": (500.0, 540.0, 580.0, 620.0, 660.0, 700.0),
            "abs_eta": (0.0, 0.5, 1.0, 1.5, 2.0),
            "npu": (0.0, 20.0, 40.0, 60.0, 80.0, 120.0, 200.0),
            "mass": (0.0, 40.0, 80.0, 120.0, 160.0, 200.0, 250.0),
        },
        description="edges of the bins in which the efficiency of a fixed cut is measured, by "
        "column of the jets; abs_eta is |eta|",
    )
    interpolation: tuple[float, ...] = Field(
        (0.0, 0.25, 0.5, 0.75, 1.0),
        min_length=2,
        description="parts r of the second generator at which a tagger between two generators is "
        "measured, from 0 to 1; each makes a column of scores (score_r0, score_r0p25, ...)",
    )
    baseline: BaselineSettings = Field(
        default_factory=BaselineSettings, description="cut that the taggers are compared with"
    )

    @model_validator(mode="after")
    def _efficiencies(self) -> "EvaluationSettings":
        for point in self.working_points:
            if not 0 < point < 1:
                raise ValueError(f"a working point is a signal efficiency in (0, 1), not {point}")
        return self

    @model_validator(mode="after")
    def _from_one_generator_to_the_other(self) -> "EvaluationSettings":
        grid = list(self.interpolation)
        if grid != sorted(set(grid)) or (grid[0], grid[-1]) != (0.0, 1.0):
            raise ValueError(f"interpolation: values that rise from 0 to 1, not {grid}")
        return self

    @model_validator(mode="after")
    def _edges(self) -> "EvaluationSettings":
        for name, edges in self.bins.items():
            if len(edges) < 2 or list(edges) != sorted(set(edges)):
                raise ValueError(f"bins.{name}: at least two edges that rise, not {edges}")
        return self
