"""Settings of the weights of training jets."""

from pydantic import Field, model_validator

from fullchain.model import SettingsModel

MOST_BINS = 1_000_000
"""Joint bins of all variables at most: beyond, nearly all would hold no jet or one."""


class ReweightingSettings(SettingsModel):
    """Weights of training jets, so that the classes differ in substructure and not in spectrum."""

    reference: str = Field(
        "signal",
        description="spectrum that all classes are brought to: flat, that of the signal, that of "
        "the class of this name, or none (the classes are balanced in any case)",
    )
    variables: tuple[str, ...] = Field(
        ("pt",),
        min_length=1,
        description="columns of the jets whose joint spectrum is brought there: any that hold "
        "numbers, with jets_from ntuples also branches of one number a jet",
    )
    bins: int = Field(
        20,
        ge=1,
        description="bins in each variable, over the range of the jets; jets where it is no number "
        "have a bin of their own",
    )
    largest: float = Field(
        20.0, gt=1, description="largest factor on a jet, relative to the median of its class"
    )

    @model_validator(mode="after")
    def _bins_hold(self) -> "ReweightingSettings":
        if len(set(self.variables)) < len(self.variables):
            raise ValueError("variables: each column once")
        joint = self.bins ** len(self.variables)
        if joint > MOST_BINS:
            raise ValueError(
                f"variables: {self.bins} bins in each of {len(self.variables)} are {joint} joint "
                f"bins, more than {MOST_BINS}, and nearly all of them empty: take fewer bins or "
                "fewer variables"
            )
        return self
