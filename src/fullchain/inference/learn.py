"""Learn a summary for the synthetic benchmark of INFERNO, from several starts together.

One summary is for one inference problem, with the loss of INFERNO, or with the cross-entropy for
all of them. See `synthetic_model` for the benchmark.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.inference import synthetic_model
from fullchain.inference.synthetic_settings import CLASSIFIER, SyntheticSettings
from fullchain.inference.synthetic_templates import profile
from fullchain.inference.synthetic_training import (
    Events,
    Learned,
    classifier_bins,
    classifier_templates,
    inferno_templates,
    learn_classifier,
    learn_inferno,
)
from fullchain.learning import torch_file
from fullchain.learning.device import keeping_memory, repeatable
from fullchain.step import Given, Option, Output

FORMAT = 1

SIGNALS = np.linspace(0.0, 100.0, 41)
"""Where the profile likelihood is evaluated."""

PLANE = {"x0": np.linspace(-5.0, 9.0, 71), "x2": np.linspace(0.0, 2.0, 51)}
"""Points of the picture of the bins, with x1 = 0."""


def main(
    *,
    summary: Annotated[str, Option("classifier, or the name of a case, B0 to B4")],
    numbers: Annotated[Path, Output("expected uncertainties of each seed, and history, JSON")],
    model: Annotated[Path, Output("weights of the networks of all seeds")],
    settings: Given,
) -> None:
    """Draw the events, train, evaluate.

    Raises
    ------
    InputError
        The summary is not one of the settings, or its training failed.
    """
    how = settings.model("inference.synthetic", SyntheticSettings)
    if summary not in how.summaries:
        raise InputError(
            f"summary {summary!r} is not one of inference.synthetic: {', '.join(how.summaries)}"
        )
    seed, members = settings.seed, range(how.seeds)
    events, validation, evaluation = (
        Events.drawn(number, seed, what)
        for number, what in (
            (how.events, "training"),
            (how.validation, "validation"),
            (how.evaluation, "evaluation"),
        )
    )

    def look(epoch: int, expected: Any) -> None:
        values = " ".join(f"{value:.2f}" for value in expected)
        print(f"{summary} epoch {epoch}: expected uncertainty {values}", file=sys.stderr)

    with repeatable(how.threads), keeping_memory(), torch.no_grad():
        if summary == CLASSIFIER:
            learned = learn_classifier(events, validation, members, how, seed, look)
            found = classifier_templates(learned.networks, how.bins, evaluation)
        else:
            learned = learn_inferno(summary, events, validation, members, how, seed, look)
            found = inferno_templates(learned.networks, how.bins, evaluation)
        expected = [
            {case: found.uncertainty(member, case) for case in synthetic_model.CASES}
            for member in members
        ]
        shown = _shown(expected, how.cases if summary == CLASSIFIER else (summary,))
        content = {
            "summary": summary,
            "bins": how.bins,
            "epochs": len(learned.training),
            "events": {"training": how.events, "evaluation": how.evaluation},
            "seeds": [
                {"expected": expected[member], **_history(learned, member)} for member in members
            ],
            "shown": {
                "seed": shown,
                "templates": found.of(shown),
                "profile": {
                    "signal": SIGNALS.tolist(),
                    "twice_delta_nll": {
                        case: profile(found.of(shown), case, SIGNALS)
                        for case in (how.cases if summary == CLASSIFIER else (summary,))
                    },
                },
                "plane": _plane(learned, shown, summary, how.bins),
            },
        }
    write_text(numbers, json.dumps(content, allow_nan=False) + "\n")
    torch_file.write(
        model,
        {
            "format": FORMAT,
            "summary": summary,
            "weights": learned.networks.weights,
            "biases": learned.networks.biases,
            "settings": how.model_dump_json(),
        },
    )


def _history(learned: Learned, member: int) -> dict[str, Any]:
    return {
        "epoch": int(learned.epoch[member]),
        "training": [float(one[member]) for one in learned.training],
        "validation": [float(one[member]) for one in learned.validation],
        "history": {
            case: [float(one[member]) for one in several]
            for case, several in learned.expected.items()
        },
    }


def _shown(expected: list[dict[str, float]], cases: tuple[str, ...]) -> int:
    """The seed whose uncertainty in the last of the cases is the (lower) median."""
    case = cases[-1] if cases else "B0"
    ordered = sorted(range(len(expected)), key=lambda member: expected[member][case])
    return ordered[(len(ordered) - 1) // 2]


def _plane(learned: Learned, member: int, summary: str, bins: int) -> dict[str, Any]:
    """Bins in the plane of x0 and x2 (x2, x0)."""
    x0, x2 = np.meshgrid(PLANE["x0"], PLANE["x2"])
    rows = np.stack([x0.ravel(), np.zeros(x0.size), x2.ravel()])
    at = torch.from_numpy(rows).float()
    if summary == CLASSIFIER:
        found = classifier_bins(learned.networks, bins, at)
    else:
        found = learned.networks(at).argmax(dim=1)
    return {
        **{name: values.tolist() for name, values in PLANE.items()},
        "bins": found[member].view(x0.shape).tolist(),
    }
