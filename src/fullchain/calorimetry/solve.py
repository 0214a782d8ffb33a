"""Compare solvers of a flow matching model: quality and time against evaluations."""

import json
from pathlib import Path
from typing import Annotated

from fullchain.atomic import write_text
from fullchain.calorimetry import model_file, shower_file
from fullchain.calorimetry.bespoke import BespokeModel
from fullchain.calorimetry.matching import MatchingModel
from fullchain.calorimetry.solver_scan import scan
from fullchain.calorimetry.solver_scan_settings import SolverScanSettings
from fullchain.errors import InputError
from fullchain.learning.device import keeping_memory, repeatable
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output


def main(
    *,
    trained: Annotated[Path, Input("flow matching model")],
    bespoke: Annotated[list[Path], Input("bespoke solvers of this model")] = [],  # noqa: B006 - the command line makes a new list of it
    showers: Annotated[Path, Input("test showers, HDF5")],
    model: Annotated[str, Option("name of the model")],
    solved: Annotated[Path, Output("distances, separations and times of all solvers, JSON")],
    settings: Given,
) -> None:
    """Read, draw with each solver, compare, write.

    Raises
    ------
    InputError
        The model is no flow matching, a bespoke solver is of another model, or the showers do not
        belong to the model.
    """
    how = settings.model("calorimetry.solvers", SolverScanSettings)
    found, _, _ = model_file.read(trained)
    if not isinstance(found, MatchingModel):
        raise InputError(
            f"{trained}: solvers are compared for models of the kind matching, and this one is a "
            f"{type(found).__name__}"
        )
    students = {}
    for path in bespoke:
        student, _, extra = model_file.read(path)
        if not isinstance(student, BespokeModel):
            raise InputError(f"{path}: not a bespoke solver; take a model of the kind bespoke")
        students[str(extra.get("model", path.parent.name))] = student
    test = shower_file.read(showers, found.preprocessing.geometry, 0, how.showers)
    seed = derive(settings.seed, "calorimetry", model)
    with repeatable(how.threads), keeping_memory():
        content = scan(found, students, test, how, seed)
    write_text(solved, json.dumps({"model": model, **content}, allow_nan=False) + "\n")
