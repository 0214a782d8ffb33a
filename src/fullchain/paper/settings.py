"""Settings of the paper stage."""

from pydantic import Field

from fullchain.model import SettingsModel


class PaperSettings(SettingsModel):
    """What the report says about itself."""

    title: str = Field(
        "From ROOT ntuples to a fit",
        min_length=1,
        description="title of the report; $...$ may hold simple maths",
    )
    authors: list[str] = Field(
        default_factory=list, description="names under the title, in this order; may be empty"
    )
    summary: str = Field(
        "",
        description="a paragraph under the title; $...$ may hold simple maths; may be empty",
    )
    headline: list[str] = Field(
        default_factory=lambda: ["tagging.*.auc", "inference.*.mu"],
        description="numbers shown large at the top: names in paper/metrics.json, where * stands "
        "for anything; each must match a number, unless its stage is left out",
    )
    jobs_listed: int = Field(
        40,
        ge=0,
        description="how many jobs of a step the report lists with inputs and checksums; the rest "
        "is counted, and stays in the provenance files",
    )
