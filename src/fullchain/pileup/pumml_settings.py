"""Settings of PUMML."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.pileup.learned_settings import LearnedSettings


class PummlSettings(LearnedSettings):
    """PUMML (1707.08600); the defaults are the published images and layers, 4711 parameters."""

    kind: Literal["pumml"] = Field("pumml", description="the method")
    pixels: int = Field(36, ge=4, description="fine pixels along each side of an image")
    fine_pixel: float = Field(
        0.025, gt=0, description="side of a pixel of the charged images in eta and phi"
    )
    filters: int = Field(10, ge=1, description="filters of each of the two convolutions")
    filter_size: int = Field(
        6, ge=2, multiple_of=2, description="pixels along each side of a filter"
    )
    pbar: float = Field(
        10.0, gt=0, description="constant p of the loss ln((p' + p) / (p + p)) [GeV]"
    )
    step: float = Field(
        0.45,
        gt=0,
        description="distance of the centres of images when whole events are weighed; a candidate "
        "takes its weight from the image whose centre is nearest",
    )
    abs_eta_max: float = Field(
        2.5, gt=0, description="where tracks end: candidates beyond are not in any image"
    )
    beyond: Literal["keep", "drop"] = Field(
        "keep", description="weight of neutral candidates beyond abs_eta_max: 1 or 0"
    )

    @model_validator(mode="after")
    def _images_fit(self) -> "PummlSettings":
        if self.pixels % 4:
            raise ValueError(f"pixels ({self.pixels}) must be a multiple of 4")
        if self.step > self.pixels * self.fine_pixel:
            raise ValueError(
                f"step ({self.step}) must not exceed the side of an image "
                f"({self.pixels * self.fine_pixel:g}): candidates would be in none"
            )
        return self
