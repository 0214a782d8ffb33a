"""CaloFlow's student: samples in one pass for each block, taught by a flow with fast densities.

C. Krause and D. Shih, 2110.11377: flow II becomes an inverse autoregressive flow that is trained by
probability density distillation (A. van den Oord et al., 1711.10433) without the Kullback-Leibler
divergence in the loss. Two losses see that the student undoes what its teacher does:

* from data: showers go through the teacher to normal numbers and through the student back;
* from normal numbers: these go through the student to showers and through the teacher back.

Both are squared distances of where one begins and where one arrives. Fully guided, the numbers
between blocks and the shapes of the splines are compared as well, which is why a student has blocks
and orders like its teacher. Flow I stays the teacher's.
"""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fullchain.calorimetry.autoregressive import AutoregressiveModel
from fullchain.calorimetry.masked_flow import Passage, log_normal
from fullchain.calorimetry.preprocessing import Parts, Preprocessing
from fullchain.calorimetry.shower_model import ShowerModel
from fullchain.calorimetry.student_settings import StudentSettings
from fullchain.calorimetry.taught import preprocessing_of_teacher
from fullchain.errors import InputError
from fullchain.learning.training import Resumption, initialised, train

TERMS = ("loss", "from_data", "from_normal", "divergence")
"""What `Distillation` finds; the divergence is of student to teacher (Kullback-Leibler) [nats]."""

FIXED = 20_264
"""Seed of the normal numbers with which the validation loss is found, the same in each epoch."""


class StudentModel(AutoregressiveModel):
    """Flow I of the teacher and an inverse autoregressive flow II.

    Parameters
    ----------
    preprocessing
        That of the teacher.
    settings
        With the flows of the teacher, see `completed`.

    Notes
    -----
    `loss`, the negative logarithm of the density, takes a pass for each voxel and has no gradients;
    the student is trained by `Distillation`.
    """

    def __init__(self, preprocessing: Preprocessing, settings: StudentSettings) -> None:
        if settings.energy_flow is None or settings.shower_flow is None:
            raise InputError(
                "a student takes energy_flow and shower_flow from its teacher; make it by "
                "`fullchain calorimetry distil`"
            )
        shower_flow = settings.shower_flow
        if settings.layers is not None:
            shower_flow = shower_flow.model_copy(update={"layers": settings.layers})
        super().__init__(preprocessing, settings.energy_flow, shower_flow, inverse=True)
        self.settings = settings


def build(settings: StudentSettings, preprocessing: Preprocessing) -> StudentModel:
    """Make an untrained model."""
    return StudentModel(preprocessing, settings)


class Distillation(ShowerModel):
    """A student and its teacher.

    Parameters
    ----------
    student, teacher
        The teacher does not change, and has no dropout.
    settings
        Which losses.
    """

    def __init__(
        self, student: StudentModel, teacher: AutoregressiveModel, settings: StudentSettings
    ) -> None:
        super().__init__(teacher.preprocessing)
        self.student = student
        self.teacher = copy.deepcopy(teacher).requires_grad_(False)
        self.data_part = settings.data_part
        self.full = settings.guidance == "full"

    def train(self, mode: bool = True) -> "Distillation":
        """Set the student to training or evaluation."""
        super().train(mode)
        self.teacher.eval()
        return self

    def loss(self, numbers: Tensor, condition: Tensor) -> Tensor:
        """Give the terms of `TERMS` for each shower, (terms, n)."""
        layers = self.teacher.layers
        given = self.teacher.given(numbers[:, :layers], condition)
        taught, learned = self.teacher.shower, self.student.shower
        with torch.no_grad():
            target = taught.fast(numbers[:, layers:], given)
        from_data = self._distance(learned.fast(target.normal, given), target)
        normal = self._normal(target.normal)
        made = learned.fast(normal, given)
        seen = taught.fast(made.data, given)
        from_normal = self._distance(made, seen)
        divergence = (log_normal(normal) + made.stretch - seen.log_density()).detach()
        loss = self.data_part * from_data + (1.0 - self.data_part) * from_normal
        return torch.stack([loss, from_data, from_normal, divergence])

    def _normal(self, like: Tensor) -> Tensor:
        if self.training:
            return torch.randn_like(like)
        chance = torch.Generator(like.device).manual_seed(FIXED)
        return torch.randn(like.shape, generator=chance, device=like.device)

    def _distance(self, student: Passage, teacher: Passage) -> Tensor:
        """Sum of squared differences for each shower, (n).

        Both begin with the same numbers, on one side, which add nothing.
        """
        if self.full:
            own, other = student.states + student.shapes, teacher.states + teacher.shapes
        else:
            own, other = [student.data, student.normal], [teacher.data, teacher.normal]
        sums = [((a - b) ** 2).flatten(1).sum(dim=1) for a, b in zip(own, other, strict=True)]
        return torch.stack(sums).sum(dim=0)


def objective(model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the training loop minimises, and what it shows: means of `TERMS` over the showers."""
    terms: Tensor = model(batch["incident"], batch["ratios"], batch["fractions"])
    return dict(zip(TERMS, terms.mean(dim=1), strict=True))


def fit(
    settings: StudentSettings,
    teacher: ShowerModel,
    training: Parts,
    validation: Parts,
    seed: int,
    resumption: Resumption | None = None,
) -> tuple[StudentModel, dict[str, Any]]:
    """Train a student.

    Parameters
    ----------
    settings
        Of the student; flows that are null are the teacher's.
    teacher
        A trained model of kind autoregressive.
    training, validation
        Showers.
    seed
        Of initial weights, order and normal numbers.
    resumption
        Where an unfinished training is kept.

    Returns
    -------
    The student, whose `settings` are complete, and the history of the training.

    Raises
    ------
    InputError
        The teacher is of another kind, of another geometry or preprocessing, or has other flows.
    """
    known = _checked(teacher)
    for parts in (training, validation):
        _check_parts(known, parts)
    complete = completed(settings, known)
    student = initialised(seed, lambda: StudentModel(copy.deepcopy(known.preprocessing), complete))
    assert isinstance(student, StudentModel)
    student.energies.load_state_dict(known.energies.state_dict())
    student.energies.requires_grad_(False)
    # Orders beyond the second block are drawn: the teacher's are what counts.
    student.shower.load_state_dict(
        {name: rows for name, rows in known.shower.state_dict().items() if "network" not in name},
        strict=False,
    )
    model = Distillation(student, known, complete)
    history = train(
        model,
        objective,
        training.columns(),
        validation.columns(),
        complete.training,
        seed=seed,
        resumption=resumption,
        description="distillation",
    )
    return model.student, history.as_dict()


def completed(settings: StudentSettings, teacher: AutoregressiveModel) -> StudentSettings:
    """Fill in what a student has from its teacher.

    Raises
    ------
    InputError
        The settings say something else than the teacher has.
    """
    preprocessing = preprocessing_of_teacher(settings.preprocessing, teacher)
    filled = settings.model_copy(
        update={
            "preprocessing": preprocessing,
            "energy_flow": settings.energy_flow or teacher.energy_flow,
            "shower_flow": settings.shower_flow or teacher.shower_flow,
        }
    )
    for name, given, has in (
        ("energy_flow", filled.energy_flow, teacher.energy_flow),
        ("shower_flow", filled.shower_flow, teacher.shower_flow),
    ):
        if given != has:
            raise InputError(
                f"student: {name} is {given}, that of the teacher is {has}; leave it out, and the "
                "teacher's is taken"
            )
    return filled


def _checked(teacher: ShowerModel) -> AutoregressiveModel:
    if not isinstance(teacher, AutoregressiveModel) or teacher.shower.inverse:
        raise InputError(
            f"a student needs a teacher of kind autoregressive ({AutoregressiveModel.__name__}), "
            f"this one is a {type(teacher).__name__}"
        )
    return teacher


def _check_parts(teacher: AutoregressiveModel, parts: Parts) -> None:
    geometry = teacher.preprocessing.geometry
    voxels, layers = parts.fractions.shape[1], parts.ratios.shape[1]
    if (layers, voxels) != (len(geometry.layers), geometry.voxels):
        raise InputError(
            f"the showers have {layers} layers with {voxels} voxels, the geometry "
            f"{geometry.name!r} of the teacher has {len(geometry.layers)} with {geometry.voxels}; "
            "take the showers that the teacher was trained on"
        )
