"""A trained tagger on disk: `model.pt`, with everything that is needed to use it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fullchain.errors import InputError
from fullchain.learning import torch_file
from fullchain.learning.standardise import Standardisation
from fullchain.step import Given
from fullchain.tagging.members import Member, members
from fullchain.tagging.selection_settings import SelectionSettings
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.tagger import Tagger

FORMAT = 2
"""Raised when the content of `model.pt` changes, so that an old file is not misread."""


@dataclass(frozen=True)
class Trained:
    """A trained tagger, its settings, and which of its trainings it is."""

    tagger: Any
    settings: TaggerSettings
    member: Member


def save(
    path: Path,
    tagger: Tagger,
    settings: TaggerSettings,
    selection: SelectionSettings,
    member: Member,
) -> None:
    """Write the state dict (with the standardisation) and the settings."""
    content = {
        "format": FORMAT,
        "settings": settings.model_dump(mode="json"),
        "selection": selection.model_dump(mode="json"),
        "member": {"fold": member.fold, "seed": member.seed},
        "classes": list(settings.class_names),
        "features": list(tagger.view.features),
        "state": {name: tensor.cpu() for name, tensor in tagger.state_dict().items()},
    }
    torch_file.write(path, content)


def load(path: Path) -> Trained:
    """Read `model.pt`. Raises InputError where it is none, or of another format."""
    content = torch_file.read_format(
        path, FORMAT, "a tagger", "train the tagger first", "train again"
    )
    try:
        settings = TaggerSettings.model_validate(content["settings"])
        member = Member(**content["member"])
        state = content["state"]
        standardisation = Standardisation(
            tuple(state["standardise.subtract"].tolist()),
            tuple(state["standardise.multiply"].tolist()),
        )
        tagger = Tagger(settings, standardisation)
        tagger.load_state_dict(state)
    except (KeyError, TypeError, RuntimeError, ValidationError) as problem:
        reason = str(problem).strip().splitlines()[0]
        raise InputError(
            f"{path}: not the weights of this tagger ({reason}); train again"
        ) from None
    return Trained(tagger.eval(), settings, member)


def scored_with(settings: TaggerSettings, common: Given) -> tuple[str, int]:
    """Device and number of threads to apply a tagger with: those that it was trained with.

    `common` gives `tagging.training.device` and `.threads` of taggers without a training of their
    own.
    """
    if settings.training is not None:
        return settings.training.device, settings.training.threads
    return common["tagging.training.device"], common["tagging.training.threads"]


def read_models(paths: list[Path]) -> list[Trained]:
    """Read all trainings of a tagger, in order of fold and seed.

    Between two generators, all get the mean of their working points.

    Raises InputError where they are not of one tagger, or one is missing.
    """
    trained = sorted((load(path) for path in paths), key=lambda one: one.member)
    if not trained:
        raise InputError("no models were given")
    first = trained[0].settings
    if any(one.settings != first for one in trained):
        raise InputError(
            f"{', '.join(map(str, paths))}: these models differ in their settings; train again"
        )
    seeds = 1 + max(one.member.seed for one in trained)
    have, wanted = [one.member for one in trained], members(first.folds, seeds)
    if have != wanted:
        raise InputError(
            f"the models given are {', '.join(one.name for one in have)}; needed are "
            f"{', '.join(one.name for one in wanted)}"
        )
    if first.between is not None:
        # Each has found its own; the score is a mean of all at one place.
        point = sum(float(one.tagger.working_point) for one in trained) / len(trained)
        for one in trained:
            one.tagger.set_working_point(point)
    return trained
