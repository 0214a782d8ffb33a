"""Uncertainty of generated distributions: showers of several draws of Bayesian weights."""

import json
from pathlib import Path
from typing import Annotated

import numpy as np

from fullchain.atomic import write_text
from fullchain.calorimetry import model_file, shower_file
from fullchain.calorimetry.coupling import Coupling
from fullchain.calorimetry.generation import batches
from fullchain.calorimetry.shower_file import Showers
from fullchain.calorimetry.variation import compared, observables
from fullchain.calorimetry.variation_settings import VariationSettings
from fullchain.errors import InputError
from fullchain.learning.device import repeatable
from fullchain.progress import track
from fullchain.seeds import derive, stream
from fullchain.step import Given, Input, Option, Output

BATCH = 1000


def main(
    *,
    model: Annotated[Path, Input("a trained coupling flow with a distribution of weights")],
    showers: Annotated[Path, Input("test showers, HDF5")],
    name: Annotated[str, Option("name of the model in calorimetry.models")],
    numbers: Annotated[Path, Output("distributions with spreads and pulls, JSON")],
    settings: Given,
) -> None:
    """Draw weights, with each of them showers at the energies of the test, and compare.

    Raises
    ------
    InputError
        The weights of the model have no distribution.
    """
    how = settings.model("calorimetry.variation", VariationSettings)
    found, kind, _ = model_file.read(model)
    if not isinstance(found, Coupling) or not found.bayesian:
        raise InputError(
            f"{model}: the weights of this model have no distribution; train a coupling flow with "
            f"calorimetry.models.{name}.weights"
        )
    geometry = found.preprocessing.geometry
    test = shower_file.read(showers, geometry)
    chosen = stream(settings.seed, "calorimetry", "vary").permutation(len(test))[: how.showers]
    test = test.select(np.sort(chosen))
    seed = derive(settings.seed, "calorimetry", "vary", name)
    samples = []
    with repeatable(kind.training.threads):
        for draw in track(range(how.draws), f"draws of the weights of {name}", how.draws, "draws"):
            with found.fixed_weights(draw):
                voxels = np.concatenate(list(batches(found, test.energies, BATCH, seed)))
            samples.append(observables(Showers(test.energies, voxels), geometry))
    content = {
        "model": name,
        "draws": how.draws,
        "showers": len(test),
        "observables": compared(observables(test, geometry), samples, how.bins),
    }
    write_text(numbers, json.dumps(content, allow_nan=False) + "\n")
