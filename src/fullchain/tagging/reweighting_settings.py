"""Settings of the weights of training jets."""

from typing import Literal

from pydantic import Field

from fullchain.model import SettingsModel

Variable = Literal["pt", "eta", "mass", "msoftdrop", "tau21", "tau32", "d2", "n2", "n_constituents"]
"""Columns of the jets whose spectrum can be changed."""


class ReweightingSettings(SettingsModel):
    """Weights of training jets, so that the classes differ in substructure and not in spectrum."""

    reference: str = Field(
        "signal",
        description="spectrum that all classes are brought to: flat, that of the signal, that of "
        "the class of this name, or none (the classes are balanced in any case)",
    )
    variables: tuple[Variable, ...] = Field(
        ("pt",), min_length=1, max_length=2, description="columns whose spectrum is brought there"
    )
    bins: int = Field(20, ge=1, description="bins in each variable, over the range of the jets")
    largest: float = Field(
        20.0, gt=1, description="largest factor on a jet, relative to the median of its class"
    )
