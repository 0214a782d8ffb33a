"""Settings of a tagger that is trained between two generators."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel


class BetweenSettings(SettingsModel):
    """Samples of a second generator, and where between the two the score is taken.

    The network gets the part r of the second generator in the mixture that it shall be best for
    (Butter, Dillon, Plehn, Vogel, arXiv:2212.10493).
    """

    samples: dict[str, str] = Field(
        min_length=1,
        description="samples of the second generator, by name of the samples of the classes that "
        "they stand in for; each of those needs one",
    )
    working_point: Annotated[float, Field(ge=0, le=1)] | Literal["best"] = Field(
        0.5,
        description="part r of the second generator for which the score is given: 0 for the first "
        "generator, 1 for the second, or best: where, on the validation part, the larger of the "
        "two losses of cross entropy against the best r for one generator is least",
    )

    @model_validator(mode="after")
    def _all_differ(self) -> "BetweenSettings":
        for name, stand_in in self.samples.items():
            if stand_in in self.samples:
                raise ValueError(
                    f"samples.{name}: {stand_in} is a sample of the first generator; name the "
                    "sample of the second one"
                )
        seen: dict[str, str] = {}
        for name, stand_in in self.samples.items():
            other = seen.setdefault(stand_in, name)
            if other != name:
                raise ValueError(
                    f"samples.{name}: {stand_in} stands in for {other} already; its jets would "
                    "count twice"
                )
        return self

    def first(self, sample: str) -> str:
        """Name of the sample that `sample` stands in for; its own where it is no stand-in."""
        return next((name for name, other in self.samples.items() if other == sample), sample)
