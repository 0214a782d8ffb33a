"""Settings of the uncertainty that Bayesian weights give to generated distributions."""

from pydantic import Field

from fullchain.model import SettingsModel


class VariationSettings(SettingsModel):
    """Draws of weights, each of which generates showers of its own."""

    draws: int = Field(20, ge=2, description="draws of the weights")
    showers: int = Field(
        10_000, ge=100, description="test showers whose energies are taken at most"
    )
    bins: int = Field(30, ge=5, description="bins of a distribution")
