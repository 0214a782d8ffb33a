"""Settings of the statistical inference."""

from pydantic import Field, model_validator

from fullchain.inference.analysis_settings import Analysis
from fullchain.inference.default_analyses import default_analyses
from fullchain.inference.limit_settings import LimitSettings, ToySettings
from fullchain.inference.presentation_settings import (
    PUBLICATIONS,
    FigureSettings,
    PublicationSettings,
)
from fullchain.inference.ratio_settings import RatioSettings
from fullchain.inference.results_settings import ResultsSettings
from fullchain.inference.summaries_settings import SummariesSettings
from fullchain.inference.synthetic_settings import SyntheticSettings
from fullchain.inference.workspaces_settings import Workspace
from fullchain.model import SettingsModel


class InferenceSettings(SettingsModel):
    """Analyses, each with templates, a statistical model and its results."""

    analyses: dict[str, Analysis] = Field(
        default_factory=default_analyses, description="measurements and searches by name"
    )
    workspaces: dict[str, Workspace] = Field(
        {}, description="statistical models from elsewhere, by names that no analysis has"
    )
    results: ResultsSettings = Field(
        default_factory=ResultsSettings, description="fits, impacts and likelihood scans"
    )
    limits: LimitSettings = Field(
        default_factory=LimitSettings, description="upper limits on the signal strength"
    )
    toys: ToySettings = Field(
        default_factory=ToySettings, description="repeated experiments: goodness of fit, coverage"
    )
    synthetic: SyntheticSettings | None = Field(
        default_factory=SyntheticSettings,
        description="INFERNO's published benchmark; null: none",
    )
    summaries: SummariesSettings | None = Field(
        default_factory=SummariesSettings,
        description="summaries of events that are trained for the uncertainty; null: none",
    )
    ratio: RatioSettings | None = Field(
        default_factory=RatioSettings, description="learned likelihood ratios; null: none"
    )

    figures: FigureSettings = Field(
        default_factory=FigureSettings, description="what the figures show"
    )
    publication: dict[str, PublicationSettings] = Field(
        PUBLICATIONS,
        description="records for HEPData, by the name of the analysis; none is made of an analysis "
        "that is not here",
    )

    @model_validator(mode="after")
    def _names(self) -> "InferenceSettings":
        if not self.analyses and not self.workspaces:
            raise ValueError("there is no analysis and no workspace; take inference: null")
        for name in self.workspaces:
            if name in self.analyses:
                raise ValueError(f"workspaces.{name}: an analysis has this name already")
        for name in self.publication:
            if name not in (*self.analyses, *self.workspaces, *PUBLICATIONS):
                raise ValueError(f"publication.{name}: no analysis and no workspace is called that")
        if self.summaries is not None and self.summaries.analysis not in self.analyses:
            known = ", ".join(self.analyses)
            raise ValueError(
                f"summaries.analysis: no analysis is called {self.summaries.analysis!r}; known are "
                f"{known or 'none'}; summaries: null leaves them out"
            )
        return self

    def ntuple_samples(self) -> list[str]:
        """All ntuple samples that the analyses need, without repetition, in order of use."""
        names = [name for one in self.analyses.values() for name in one.ntuple_samples()]
        return list(dict.fromkeys(names))
