"""Learn super-resolution of a calorimeter layer, and judge it by the two photons of a pi0."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fullchain.atomic import write_text
from fullchain.calorimetry import cell_flow, photon_separation, refinement_file
from fullchain.calorimetry.cell_flow import CellFlow
from fullchain.calorimetry.photon_images import Images, coarse_of, drawn
from fullchain.calorimetry.photon_separation import PhotonClassifier
from fullchain.calorimetry.refinement_closure import closure
from fullchain.calorimetry.refinement_settings import RefinementSettings
from fullchain.errors import InputError
from fullchain.learning import training
from fullchain.learning.device import repeatable
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import History, Objective
from fullchain.seeds import derive, stream
from fullchain.step import Given, Option, Output

Array = NDArray[Any]

SHOWN = 3
"""Images of pi0s that are kept for a figure."""

SMOOTH = 3
"""Fine cells on each side over which energy is summed before maxima are looked for."""


def main(
    *,
    refinement: Annotated[str, Option("name in the settings calorimetry.refinement")],
    model: Annotated[Path, Output("the flow, torch file")],
    numbers: Annotated[Path, Output("closure and two-photon separation, JSON")],
    settings: Given,
) -> None:
    """Draw photons and pi0s, train the flow and the classifiers, judge, write.

    Raises
    ------
    InputError
        A training fails, or photons would miss the layer.
    """
    how = settings.model(f"calorimetry.refinement.{refinement}", RefinementSettings)
    seed = derive(settings.seed, "calorimetry", "refinement", refinement)
    samples = {
        name: drawn(number, how.layer, how.photons, stream(seed, name))
        for name, number in (
            ("training", how.photons.training),
            ("classified", how.photons.classified),
            ("test", how.photons.test),
            ("second test", how.photons.test),
        )
    }
    with repeatable(how.flow.training.threads):
        flow, history = learned(samples["training"], how, seed)
        refined = {name: refine(flow, samples[name], seed, name) for name in ("classified", "test")}
    separation = separate(samples, refined, how, seed)
    test = samples["test"]
    images = {"fine": test.fine, "refined": refined["test"], "floor": samples["second test"].fine}
    content = {
        "refinement": refinement,
        "settings": how.model_dump(mode="json"),
        "training": history.as_dict(),
        "conservation": conservation(test, refined["test"], how.layer.factor),
        "closure": closure(images, how.layer.cell, how.layer.threshold, how.replicas, seed),
        "separation": separation,
        "shown": shown(test, refined["test"], how.layer.factor),
    }
    refinement_file.write(model, flow)
    write_text(numbers, json.dumps(content, allow_nan=False) + "\n")


def learned(images: Images, how: RefinementSettings, seed: int) -> tuple[CellFlow, History]:
    """Train the flow."""
    generator = torch.Generator().manual_seed(derive(seed, "rows"))
    rows = cell_flow.rows(torch.from_numpy(images.fine), how.layer, how.flow, generator)
    flow = training.initialised(derive(seed, "flow"), lambda: CellFlow(how.layer, how.flow))
    assert isinstance(flow, CellFlow)
    flow.measure(rows)
    history = _trained(
        flow, cell_flow.objective, rows, how.flow.training, how.validation, seed, "refining flow"
    )
    return flow, history


def refine(flow: CellFlow, images: Images, seed: int, name: str) -> Array:
    """Sum cells of images, and draw them anew."""
    coarse = torch.from_numpy(coarse_of(images.fine, flow.layer.factor))
    generator = torch.Generator().manual_seed(derive(seed, "refined", name))
    return flow.refine(coarse, generator).numpy()


def separate(
    samples: Mapping[str, Images], refined: Mapping[str, Array], how: RefinementSettings, seed: int
) -> dict[str, Any]:
    """Judge one photon against two, in coarse, refined and true fine images."""
    factor, coarse = how.layer.factor, how.layer.coarse
    views = {
        name: {
            "coarse": coarse_of(samples[name].fine, factor),
            "refined": refined[name],
            "fine": samples[name].fine,
        }
        for name in ("classified", "test")
    }
    label = torch.from_numpy(samples["classified"].photons == 2).float()
    found = {}
    with repeatable(how.classifier.training.threads):
        for view, images in views["classified"].items():
            cells = 1 if view == "coarse" else factor
            network = training.initialised(
                derive(seed, "classifier"),
                lambda cells=cells: PhotonClassifier(cells, coarse, how.classifier),  # type: ignore[misc]
            )
            _trained(
                network,
                photon_separation.objective,
                {"images": torch.from_numpy(images), "label": label},
                how.classifier.training,
                how.validation,
                seed,
                f"photon classifier, {view}",
            )
            found[view] = photon_separation.scores(network, views["test"][view])
            if view == "fine":
                found["transferred"] = photon_separation.scores(network, views["test"]["refined"])
    maxima = {
        view: photon_separation.second_maximum(images, 1 if view == "coarse" else SMOOTH)
        for view, images in views["test"].items()
    }
    test = samples["test"]
    edges = np.linspace(*how.photons.angles, how.bins + 1)
    common = (test.photons == 2, test.angle, edges, how.efficiency, how.replicas, seed, "coarse")
    return {
        "edges": edges.tolist(),
        "classifier": photon_separation.judged(found, *common),
        "maxima": photon_separation.judged(maxima, *common),
    }


def _trained(
    model: nn.Module,
    objective: Objective,
    rows: Mapping[str, Tensor],
    how: TrainingSettings,
    validation: float,
    seed: int,
    what: str,
) -> History:
    number = len(next(iter(rows.values())))
    order = torch.from_numpy(stream(seed, what).permutation(number))
    kept = round(number * validation)
    if not 0 < kept < number:
        raise InputError(f"{what}: {number} rows cannot be divided for validation; make more")
    first, last = (
        {name: one[some] for name, one in rows.items()} for some in (order[kept:], order[:kept])
    )
    return training.train(
        model, objective, first, last, how, seed=derive(seed, what), description=what
    )


def conservation(images: Images, refined: Array, factor: int) -> float:
    """Largest relative difference of the energies of a coarse cell."""
    before, after = coarse_of(images.fine, factor), coarse_of(refined, factor)
    return float((np.abs(after - before) / np.maximum(before, 1e-30))[before > 0].max())


def shown(images: Images, refined: Array, factor: int) -> list[dict[str, Any]]:
    """Images of pi0s with small to large opening angles, 1/6, 1/2, 5/6 of the range."""
    twice = np.flatnonzero(images.photons == 2)
    low, high = images.angle.min(), images.angle.max()
    chosen = []
    for number in range(SHOWN):
        aim = low + (high - low) * (number + 0.5) / SHOWN
        place = twice[np.argmin(np.abs(images.angle[twice] - aim))]
        chosen.append(
            {
                "angle": float(images.angle[place]),
                "energy": float(images.energy[place]),
                "coarse": coarse_of(images.fine[[place]], factor)[0].round(2).tolist(),
                "refined": refined[place].round(2).tolist(),
                "fine": images.fine[place].round(2).tolist(),
            }
        )
    return chosen
