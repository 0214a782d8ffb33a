"""A fitted flow on disk: `flow.pt`, with everything that is needed to apply it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import ValidationError

from fullchain.decorrelation.conditions import PER_COLUMN, Conditions
from fullchain.decorrelation.marginal import Marginal
from fullchain.decorrelation.method_settings import FlowSettings
from fullchain.decorrelation.quantile_flow import ConditionalFlow, QuantileFlow
from fullchain.errors import InputError
from fullchain.learning import torch_file

FORMAT = 1
"""Raised when the content of `flow.pt` changes, so that an old file is not misread."""

MEAN = "mean"
"""Member that transforms the score of all seeds together."""


@dataclass(frozen=True)
class FittedFlow:
    """A flow, and what it belongs to.

    Parameters
    ----------
    flow
        The transformation.
    settings
        Of the flow.
    tagger, member
        Name of the tagger, and which of its scores is transformed: `mean`, or `seed0`, ...
    classes
        Classes of the tagger, the signal first.
    against
        Columns of the jets that the score is made independent of.
    chance_seed
        Seed of the numbers that part jets of equal scores.
    """

    flow: QuantileFlow
    settings: FlowSettings
    tagger: str
    member: str
    classes: tuple[str, ...]
    against: tuple[str, ...]
    chance_seed: int


def save(path: Path, fitted: FittedFlow) -> None:
    """Write the state dict, the tables of ranks, and the settings."""
    marginal, conditions = fitted.flow.marginal, fitted.flow.conditions
    content = {
        "format": FORMAT,
        "settings": fitted.settings.model_dump(mode="json"),
        "tagger": fitted.tagger,
        "member": fitted.member,
        "classes": list(fitted.classes),
        "against": list(fitted.against),
        "chance_seed": fitted.chance_seed,
        "marginal": torch.from_numpy(np.stack([marginal.at, marginal.low, marginal.high])),
        "conditions": torch.from_numpy(conditions.knots),
        # As it was trained: applying a flow turns it into double precision.
        "state": {name: value.float() for name, value in fitted.flow.flow.state_dict().items()},
    }
    torch_file.write(path, content)


def load(path: Path) -> FittedFlow:
    """Read `flow.pt`. Raises InputError where it is none, or of another format."""
    content = torch_file.read_format(
        path, FORMAT, "a flow", "run decorrelation flatten first", "fit it again"
    )
    try:
        settings = FlowSettings.model_validate(content["settings"])
        against = tuple(content["against"])
        network = ConditionalFlow(settings, PER_COLUMN * len(against))
        network.load_state_dict(content["state"])
        at, low, high = content["marginal"].numpy()
        flow = QuantileFlow(
            Marginal(at, low, high), Conditions(content["conditions"].numpy()), network.eval()
        )
        return FittedFlow(
            flow,
            settings,
            content["tagger"],
            content["member"],
            tuple(content["classes"]),
            against,
            int(content["chance_seed"]),
        )
    except (KeyError, TypeError, ValueError, RuntimeError, ValidationError) as problem:
        reason = str(problem).strip().splitlines()[0]
        raise InputError(f"{path}: not a flow of this form ({reason}); fit it again") from None


def read_flows(paths: list[Path]) -> tuple[FittedFlow, list[FittedFlow]]:
    """Read the flow of the mean score and those of the seeds in order; none where there is one.

    Raises InputError where they are not of one tagger, or one is missing.
    """
    fitted = {one.member: one for one in map(load, paths)}
    mean = fitted.pop(MEAN, None)
    names = [f"seed{number}" for number in range(len(fitted))]
    if mean is None or set(fitted) != set(names) or len(paths) != len(fitted) + 1:
        found = ", ".join(sorted([*fitted, *([MEAN] if mean else [])])) or "none"
        raise InputError(
            f"flows of {found} were given: one of {MEAN} is needed, and one of each seed (seed0, "
            "seed1, ...) of a tagger that has several"
        )
    single = [fitted[name] for name in names]
    for one in single:
        if (one.tagger, one.classes, one.against) != (mean.tagger, mean.classes, mean.against):
            raise InputError(
                f"the flows of {one.member} and {MEAN} differ in tagger, classes or variables; fit "
                "them again"
            )
    return mean, single
