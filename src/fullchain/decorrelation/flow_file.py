"""A fitted flow on disk: `flow.pt`, with everything that is needed to apply it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from fullchain.decorrelation.conditions import PER_COLUMN, Conditions
from fullchain.decorrelation.cross_fitting import CrossFitted
from fullchain.decorrelation.marginal import Marginal
from fullchain.decorrelation.method_settings import FlowSettings
from fullchain.decorrelation.quantile_flow import ConditionalFlow, QuantileFlow
from fullchain.errors import InputError
from fullchain.learning import torch_file

FORMAT = 2
"""Raised when the content of `flow.pt` changes, so that an old file is not misread."""

MEAN = "mean"
"""Member that transforms the score of all seeds together."""


@dataclass(frozen=True)
class FittedFlow:
    """The flows of one score, and what they belong to.

    Parameters
    ----------
    flow
        The transformation, with a flow for each fold.
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
    samples
        Samples that the tagger was trained on, whose events are in folds.
    """

    flow: CrossFitted
    settings: FlowSettings
    tagger: str
    member: str
    classes: tuple[str, ...]
    against: tuple[str, ...]
    chance_seed: int
    samples: tuple[str, ...]

    @property
    def belongs_to(self) -> tuple[Any, ...]:
        """What flows of one tagger have in common."""
        return self.tagger, self.samples, self.classes, self.against, len(self.flow.flows)


def save(path: Path, fitted: FittedFlow) -> None:
    """Write the state dict, the tables of ranks, and the settings."""
    content = {
        "format": FORMAT,
        "settings": fitted.settings.model_dump(mode="json"),
        "tagger": fitted.tagger,
        "member": fitted.member,
        "classes": list(fitted.classes),
        "against": list(fitted.against),
        "chance_seed": fitted.chance_seed,
        "samples": list(fitted.samples),
        "folds": [_content(one) for one in fitted.flow.flows],
    }
    torch_file.write(path, content)


def _content(flow: QuantileFlow) -> dict[str, Any]:
    """What a file has of the flow of one fold."""
    marginal = flow.marginal
    return {
        "marginal": torch.from_numpy(np.stack([marginal.at, marginal.low, marginal.high])),
        "conditions": torch.from_numpy(flow.conditions.knots),
        # As it was trained: applying a flow turns it into double precision.
        "state": {name: value.float() for name, value in flow.flow.state_dict().items()},
    }


def _flow(content: dict[str, Any], settings: FlowSettings, columns: int) -> QuantileFlow:
    """Give the flow of one fold of what a file has of it, for a number of variables."""
    network = ConditionalFlow(settings, PER_COLUMN * columns)
    network.load_state_dict(content["state"])
    at, low, high = content["marginal"].numpy()
    conditions = Conditions(content["conditions"].numpy())
    return QuantileFlow(Marginal(at, low, high), conditions, network.eval())


def load(path: Path) -> FittedFlow:
    """Read `flow.pt`. Raises InputError where it is none, or of another format."""
    content = torch_file.read_format(
        path, FORMAT, "a flow", "run decorrelation flatten first", "fit it again"
    )
    try:
        settings = FlowSettings.model_validate(content["settings"])
        against = tuple(content["against"])
        flows = tuple(_flow(one, settings, len(against)) for one in content["folds"])
        return FittedFlow(
            CrossFitted(flows),
            settings,
            content["tagger"],
            content["member"],
            tuple(content["classes"]),
            against,
            int(content["chance_seed"]),
            tuple(content["samples"]),
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
        if one.belongs_to != mean.belongs_to:
            raise InputError(
                f"the flows of {one.member} and {MEAN} differ in tagger, samples, classes, folds "
                "or variables; fit them again"
            )
    return mean, single
