"""Generate events whose photons and electrons become showers of a model, as NanoAOD."""

from pathlib import Path
from typing import Annotated

from fullchain.calorimetry import learned_source
from fullchain.calorimetry.detector_settings import DetectorSettings as ShowerDetectorSettings
from fullchain.errors import InputError
from fullchain.ntuples import sample_part
from fullchain.ntuples.detector_settings import DetectorSettings
from fullchain.ntuples.electromagnetic_settings import ModelResponse
from fullchain.ntuples.shower_response import Showering
from fullchain.seeds import stream
from fullchain.step import Given, Input, Option, Output


def main(
    *,
    initialisation: Annotated[Path, Input("initialisation of multiparton interactions")],
    generator: Annotated[Path, Input("cross section of the sample, JSON")],
    pool: Annotated[list[Path], Input("pool of minimum-bias collisions, with pile-up only")] = [],  # noqa: B006
    model: Annotated[Path, Input("trained model of showers")],
    sample: Annotated[str, Option("name of the sample")],
    part: Annotated[str, Option("number of the part, from 0000")],
    ntuple: Annotated[Path, Output("events, ROOT")],
    manifest: Annotated[Path, Output("part manifest, JSON")],
    settings: Given,
) -> None:
    """Generate one part of a sample and describe it in a part manifest.

    Raises
    ------
    InputError
        The detector is not set to a model, or the model was trained for another geometry.
    """
    detector = settings.model("ntuples.detector", DetectorSettings)
    how = detector.calorimeter.electromagnetic
    if not isinstance(how, ModelResponse):
        raise InputError(
            f"ntuples.detector.calorimeter.electromagnetic.kind is {how.kind}, not model"
        )
    path = f"calorimetry.detectors.{how.detector}"
    with learned_source.opened(
        model, how.detector, settings.model(path, ShowerDetectorSettings)
    ) as source:
        showers = Showering(source, how, stream(settings.seed, "ntuples", "shower calibration"))
        sample_part.write_part(
            initialisation=initialisation,
            generator=generator,
            pool=pool,
            sample=sample,
            part=part,
            ntuple=ntuple,
            manifest=manifest,
            settings=settings,
            showers=showers,
        )
