"""Settings of statistical models that come from elsewhere."""

import itertools
from typing import Annotated, Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel

Edges = Annotated[tuple[float, ...], Field(min_length=2)]


class Observable(SettingsModel):
    """What the bins of a region are bins of."""

    name: str = Field(description="name, for the axes of figures")
    unit: str = Field("", description="its unit")


class Workspace(SettingsModel):
    """A user's own workspace, which is fitted as the analyses are."""

    path: str = Field(description="pyhf workspace (.json), or datacard of Combine (.txt)")
    files: list[str] = Field([], description="ROOT files that the datacard names")
    patchset: str | None = Field(None, description="pyhf patchset with the signal hypotheses")
    patches: list[str] = Field(
        [], description="patches to take, the first one for the fit; empty: all of the patchset"
    )
    mass_label: str = Field(
        "mass", description="label of the patchset that is the mass which limits are drawn against"
    )
    cross_sections_pb: dict[str, float] = Field(
        {},
        description="cross section that a signal strength of one means, by patch, or by the name "
        "of this workspace where there are no patches [pb]",
    )
    measurement: str | None = Field(None, description="measurement to take; null: the first one")
    luminosity: float = Field(gt=0, description="integrated luminosity, for figures [1/fb]")
    edges: dict[str, Edges] = Field(
        {}, description="bin edges by region; a region without has bins of width one"
    )
    observables: dict[str, Observable] = Field({}, description="observables by region")
    groups: dict[str, str] = Field(
        {}, description="groups of nuisance parameters for impacts, by the name of the parameter"
    )
    blind: bool = Field(
        False, description="fit the expectation in the place of the data of the workspace"
    )
    on_negative: Literal["error", "note"] = Field(
        "error", description="bin of a sample with a negative yield: an error, or a note"
    )

    @model_validator(mode="after")
    def _consistent(self) -> "Workspace":
        if self.patches and self.patchset is None:
            raise ValueError("patches are names in a patchset, and none is given")
        for region, edges in self.edges.items():
            if any(low >= high for low, high in itertools.pairwise(edges)):
                raise ValueError(f"edges.{region} must increase")
        if self.files and not self.datacard:
            raise ValueError("files belong to a datacard, and path is not one (.txt)")
        return self

    @property
    def datacard(self) -> bool:
        """Whether it is a datacard of Combine."""
        return self.path.endswith(".txt")
