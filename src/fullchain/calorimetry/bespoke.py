"""Flow matching with solvers of few steps that are fitted to its velocities (2310.19075).

The network stays what it is; for each of its two parts the numbers of a `BespokeSolver` are fitted.
The loss is the mean square distance to the exact solution itself, with gradients through all steps,
and not the bound on it of the publication, which needs a Lipschitz constant.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from fullchain.calorimetry.bespoke_settings import BespokeSettings
from fullchain.calorimetry.matching import MatchingModel
from fullchain.calorimetry.matching_parts import following
from fullchain.calorimetry.parts import Parts
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.shower_model import ShowerModel
from fullchain.calorimetry.taught import preprocessing_of_teacher
from fullchain.errors import InputError
from fullchain.learning.bespoke_solver import BespokeSolver
from fullchain.learning.device import choose, repeatable
from fullchain.learning.ode import DifferentiableVelocity
from fullchain.learning.training import Resumption, train
from fullchain.seeds import derive

ROWS = 500
"""Rows whose solutions are found at once."""


class BespokeModel(ShowerModel):
    """A flow matching model and a solver for each of its parts.

    Parameters
    ----------
    settings
        Of the solvers, with those of the model.
    teacher
        The model.
    """

    def __init__(self, settings: BespokeSettings, teacher: MatchingModel) -> None:
        super().__init__(teacher.preprocessing)
        numbers = preprocessing_of_teacher(settings.preprocessing, teacher)
        self.settings = settings.model_copy(
            update={"velocity": teacher.settings, "preprocessing": numbers}
        )
        self.teacher = teacher
        self.ratios = BespokeSolver(settings.energies.steps, settings.energies.base)
        self.voxels = BespokeSolver(settings.shower.steps, settings.shower.base)

    def loss(self, numbers: Tensor, condition: Tensor) -> Tensor:
        """Give the loss of the velocities, which the solvers do not change."""
        return self.teacher.loss(numbers, condition)

    def draw(self, condition: Tensor, generator: torch.Generator) -> Tensor:
        """Draw numbers for conditions (n, 1), (n, numbers)."""
        return self.teacher.drawn(condition, generator, self.ratios, self.voxels)


def build(settings: BespokeSettings, preprocessing: Preprocessing) -> BespokeModel:
    """Make a model whose solvers are their base methods.

    Raises
    ------
    InputError
        The settings do not say what the velocity is.
    """
    if settings.velocity is None:
        raise InputError(
            "velocity: a bespoke solver is one of a flow matching model; fit it with a teacher"
        )
    return BespokeModel(settings, MatchingModel(settings.velocity, preprocessing))


def fit(
    settings: BespokeSettings,
    teacher: ShowerModel,
    training: Parts,
    validation: Parts,
    seed: int,
    resumption: Resumption | None = None,
) -> tuple[BespokeModel, dict[str, Any]]:
    """Fit both solvers and give the model and both histories.

    Parameters
    ----------
    settings
        Of the solvers.
    teacher
        A flow matching model.
    training, validation
        Showers, at which solutions are found.
    seed
        Of starting points and order.
    resumption
        Of the fit of the voxels' solver; the ratios' has a file beside it.

    Raises
    ------
    InputError
        The teacher is no flow matching model.
    """
    if not isinstance(teacher, MatchingModel):
        raise InputError(
            "teacher: a bespoke solver needs a model of the kind matching, and this one is a "
            f"{type(teacher).__name__}"
        )
    teacher.eval().requires_grad_(False)
    model = BespokeModel(settings, teacher)
    solutions = {}
    with repeatable(settings.training.threads), torch.no_grad():
        for name, parts in (("training", training), ("validation", validation)):
            chance = torch.Generator().manual_seed(derive(seed, "bespoke", name))
            solutions[name] = _solutions(teacher, parts, settings, chance)
    history = {}
    velocities: dict[str, Callable[[Tensor], DifferentiableVelocity]] = {
        "energies": teacher.energies.velocity,
        "shower": teacher.shower.velocity,
    }
    for name, solver in (("energies", model.ratios), ("shower", model.voxels)):
        own = resumption
        if own is not None:
            own = replace(own, path=own.path.with_name(f"{own.path.name}.{name}"))
        # The velocity is no part of what is trained, and goes to the same device.
        place = choose(settings.training.device)
        teacher.to(place)
        found = train(
            solver,
            _Distance(velocities[name]),
            solutions["training"][name],
            solutions["validation"][name],
            settings.training,
            seed=derive(seed, "bespoke", name),
            resumption=own,
            description=f"bespoke solver, {name}",
        )
        history[name] = found.as_dict()
    teacher.to("cpu")
    model.eval()
    return model, history


class _Distance:
    """Mean square distance of the ends, over all numbers."""

    def __init__(self, velocity: Callable[[Tensor], DifferentiableVelocity]) -> None:
        self.velocity = velocity

    def __call__(self, solver: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        end = solver(self.velocity(batch["given"]), batch["noise"])
        return {"loss": ((end - batch["end"]) ** 2).mean()}


def _solutions(
    teacher: MatchingModel, parts: Parts, settings: BespokeSettings, chance: torch.Generator
) -> dict[str, dict[str, Tensor]]:
    """Starting points, ends and conditions of both parts."""
    rows = min(settings.rows, len(parts.incident))
    follow = following(settings.reference)
    incident, ratios, fractions = (
        part[:rows] for part in (parts.incident, parts.ratios, parts.fractions)
    )
    condition = teacher.preprocessing.condition(incident)
    numbers = teacher.preprocessing(ratios, fractions, chance, incident=incident)
    known, voxels = numbers[:, : teacher.layers], numbers[:, teacher.layers :]
    given = teacher.energies.transformer.conditions(known[:, :-1], condition)
    found = {}
    for name, velocity, conditions, size in (
        ("energies", teacher.energies.velocity, given.flatten(0, 1), 1),
        (
            "shower",
            teacher.shower.velocity,
            torch.cat([condition, known], dim=1),
            voxels.shape[1],
        ),
    ):
        noise = torch.randn((len(conditions), size), generator=chance)
        ends = [
            follow(velocity(some), start)
            for some, start in zip(conditions.split(ROWS), noise.split(ROWS), strict=True)
        ]
        found[name] = {"noise": noise, "end": torch.cat(ends), "given": conditions}
    return found
