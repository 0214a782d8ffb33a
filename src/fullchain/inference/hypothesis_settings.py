"""Settings of hypotheses: signals that are tested one after another in the same analysis."""

from pydantic import Field, model_validator

from fullchain.model import SettingsModel


class Hypothesis(SettingsModel):
    """A signal that stands in the place of the analysis' own."""

    ntuples: list[str] = Field(min_length=1, description="ntuple samples of this signal")
    mass: float = Field(gt=0, description="mass that the limit is drawn against [GeV]")
    cross_section_pb: float | None = Field(
        None,
        gt=0,
        description="cross section that a signal strength of one means [pb]; null: that of the "
        "generator",
    )

    @model_validator(mode="after")
    def _one_cross_section(self) -> "Hypothesis":
        if self.cross_section_pb is not None and len(self.ntuples) > 1:
            raise ValueError(
                "cross_section_pb replaces that of one ntuple sample; this hypothesis has "
                f"{len(self.ntuples)}: give it to the ntuple samples instead"
            )
        return self
