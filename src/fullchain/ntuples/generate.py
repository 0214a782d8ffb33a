"""Generate events with Pythia 8 and the parametric detector, as NanoAOD."""

from pathlib import Path
from typing import Annotated

from fullchain.errors import InputError
from fullchain.ntuples import sample_part
from fullchain.ntuples.detector_settings import DetectorSettings
from fullchain.step import Given, Input, Option, Output


def main(
    *,
    initialisation: Annotated[Path, Input("initialisation of multiparton interactions")],
    generator: Annotated[Path, Input("cross section of the sample, JSON")],
    pool: Annotated[list[Path], Input("pool of minimum-bias collisions, with pile-up only")] = [],  # noqa: B006
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
        The detector is set to showers, which other steps make.
    """
    kind = settings.model("ntuples.detector", DetectorSettings).calorimeter.electromagnetic.kind
    if kind != "resolution":
        step = {"parameterised": "generate_parameterised", "model": "generate_learned"}[kind]
        raise InputError(
            f"ntuples.detector.calorimeter.electromagnetic.kind is {kind}: the step is "
            f"ntuples {step}"
        )
    sample_part.write_part(
        initialisation=initialisation,
        generator=generator,
        pool=pool,
        sample=sample,
        part=part,
        ntuple=ntuple,
        manifest=manifest,
        settings=settings,
    )
