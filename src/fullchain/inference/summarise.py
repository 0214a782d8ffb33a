"""Train the networks of one loss, or take scores as they are, and evaluate them as summaries."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.inference import summary_evaluation as evaluation
from fullchain.inference.summaries_settings import SCORES, SummariesSettings, SummaryTraining
from fullchain.inference.summary_evaluation import Choices
from fullchain.inference.summary_events import Events, read_events
from fullchain.inference.summary_nuisances import Nuisance, from_json
from fullchain.inference.summary_rows import rows
from fullchain.inference.summary_training import Summary, quantile_edges, train
from fullchain.inference.template_file import NOMINAL, read_json
from fullchain.learning import torch_file
from fullchain.seeds import stream
from fullchain.step import Given, Input, Option, Output

Array = NDArray[np.float64]
Integers = NDArray[np.int64]
BINNED = ("inferno", "likelihood")
"""Losses that make bins; the others make a score."""

Binning = Callable[[Events, str], list[Integers]]
"""Bins of each member in a variation."""


def main(
    *,
    events: Annotated[Path, Input("events of inference prepare")],
    summary: Annotated[Path, Input("what was written beside them")],
    method: Annotated[str, Option("loss in inference.summaries.losses, or scores")],
    numbers: Annotated[Path, Output("expected uncertainties of all seeds")],
    model: Annotated[Path, Output("trained networks; of scores an empty state")],
    settings: Given,
) -> None:
    """Put events into bins and give the expected uncertainty on the signal strength.

    Trained on the training part, stopped on the validation part, evaluated on the test part with
    hard bins, and on the training part for comparison.
    """
    torch.set_num_threads(1)
    chosen = settings.model("inference.summaries", SummariesSettings)
    content = read_json(summary)
    everything = read_events(events)
    nuisances = [from_json(one) for one in content["nuisances"]]
    choices = _choices(content)
    parts = {
        "train": everything.of_parts("train"),
        "validation": everything.of_parts("validation"),
        "test": everything.of_parts("test"),
        "seen": everything.of_parts("train", "validation"),
    }
    evaluator = Evaluator(parts, nuisances, choices, chosen, settings.seed)
    state: Mapping[str, Any] = {}
    found: dict[str, Any] = {}
    if method == SCORES:
        found = {
            name: evaluator.evaluate(_binned_score(name, parts, choices, chosen.bins))
            | {"kind": "score"}
            for name in content["scores"]
        }
    elif method in chosen.losses:
        loss = cast(Any, method)
        trained, history = _train(
            method, chosen.losses[loss], parts, nuisances, choices, chosen, settings.seed
        )
        binning = _binned_network(method, trained, parts, choices, chosen.bins)
        found = {method: evaluator.evaluate(binning) | {"kind": "loss", "history": history}}
        state = trained.state_dict()
    else:
        known = ", ".join(chosen.summaries())
        raise InputError(f"method {method!r} is not one of inference.summaries: {known}")
    torch_file.write(model, {"settings": chosen.model_dump(mode="json"), "state": state})
    written = {
        "analysis": content["analysis"],
        "method": method,
        "luminosity": content["luminosity"],
        "bins": chosen.bins,
        "events": content["events"],
        "nuisances": [asdict(one) for one in nuisances],
        "signals": sorted(choices.signals),
        "summaries": found,
    }
    write_text(numbers, json.dumps(written, indent=1, allow_nan=False) + "\n")


def _choices(content: Mapping[str, Any]) -> Choices:
    low, high = content["poi_range"]
    return Choices(
        content["poi"],
        (low, high),
        frozenset(content["signals"]),
        (float(content["thresholds"][0]), float(content["thresholds"][1])),
        content["luminosity_uncertainty"],
        content["largest_error"],
        content["simulation"],
    )


class Evaluator:
    """Expected uncertainties of any summary on the same events and replicas.

    Parameters
    ----------
    parts
        Events of `train`, `test`, and `seen`: all that are not of the test part.
    nuisances, choices
        The statistical model.
    chosen
        Settings.
    seed
        Of the bootstrap; replicas are the same for all summaries, so that differences of two mean
        more than either.
    """

    def __init__(
        self,
        parts: Mapping[str, Events],
        nuisances: Sequence[Nuisance],
        choices: Choices,
        chosen: SummariesSettings,
        seed: int,
    ) -> None:
        self.parts = parts
        self.nuisances = nuisances
        self.choices = choices
        self.bins = chosen.bins
        random = stream(seed, "inference", "summaries", "bootstrap")
        size = (chosen.replicas, len(parts["test"]))
        self.times = random.poisson(1.0, size).astype(float)

    def evaluate(self, binning: Binning) -> dict[str, Any]:
        """Numbers of each member: see `_member`."""
        bins = {
            name: {variation: binning(self.parts[name], variation) for variation in self._needed()}
            for name in ("train", "test", "seen")
        }
        members = len(bins["test"][NOMINAL])
        return {
            "members": [
                self._member(
                    {
                        name: {variation: each[member] for variation, each in of_part.items()}
                        for name, of_part in bins.items()
                    }
                )
                for member in range(members)
            ]
        }

    def _needed(self) -> list[str]:
        shifts = [
            f"{one.source}_{side}"
            for one in self.nuisances
            if one.kind == "shift"
            for side in one.sides
        ]
        return list(dict.fromkeys([NOMINAL, *shifts]))

    def _member(self, bins: Mapping[str, Mapping[str, Integers]]) -> dict[str, Any]:
        """Expected uncertainties on test and training events, replicas, impacts and yields."""
        seen = evaluation.fill(bins["seen"], self.bins, self.parts["seen"], [])
        order = evaluation.purity_order(seen, self.choices.signals)
        found: dict[str, Any] = {}
        for part in ("test", "train"):
            filled = evaluation.fill(bins[part], self.bins, self.parts[part], self.nuisances)
            starts = evaluation.merging(filled, order, self.choices, f"summary, {part} events")
            merged = filled.merged(order, starts)
            specification = evaluation.workspace(merged, self.nuisances, self.choices)
            expected, impacts = evaluation.expected(specification, self.nuisances)
            found[part] = expected
            if part == "train":
                continue
            found["impacts"] = impacts
            found["quick"] = evaluation.quick(merged, self.nuisances, self.choices)
            found["replicas"] = [
                evaluation.quick(
                    evaluation.fill(
                        bins[part], self.bins, self.parts[part], self.nuisances, times
                    ).merged(order, starts),
                    self.nuisances,
                    self.choices,
                )
                for times in self.times
            ]
            found["yields"] = {name: one.values.tolist() for name, one in merged.nominal.items()}
            found["simulation"] = {
                name: np.sqrt(one.variances).tolist() for name, one in merged.nominal.items()
            }
        return found


def _train(
    loss: str,
    training: SummaryTraining,
    parts: Mapping[str, Events],
    nuisances: Sequence[Nuisance],
    choices: Choices,
    chosen: SummariesSettings,
    seed: int,
) -> tuple[Summary, dict[str, Any]]:
    trained, history = train(
        loss,
        rows(parts["train"], nuisances, choices.signals),
        rows(parts["validation"], nuisances, choices.signals),
        [one.precision for one in nuisances],
        training,
        members=chosen.seeds,
        layers=chosen.layers,
        bins=chosen.bins,
        simulation=chosen.simulation and choices.simulation,
        seed=seed,
    )
    return trained, {
        "training": history.training.tolist(),
        "validation": history.validation.tolist(),
        "best": history.best.tolist(),
    }


def _binned_network(
    loss: str, trained: Summary, parts: Mapping[str, Events], choices: Choices, bins: int
) -> Binning:
    """Bins of the trained networks; of a score alone, equal parts of the validation signal."""

    def features(events: Events, variation: str) -> torch.Tensor:
        return torch.as_tensor(events.features[variation], dtype=torch.float32)

    if loss in BINNED:
        return lambda events, variation: list(trained.hard(features(events, variation)))
    validation = parts["validation"]
    signal = _signal(validation, choices)
    scores = trained.score(features(validation, NOMINAL))
    edges = [quantile_edges(one[signal], validation.weight[signal], bins) for one in scores]

    def binned(events: Events, variation: str) -> list[Integers]:
        found = trained.score(features(events, variation))
        return [
            np.searchsorted(inner, one, side="right")
            for inner, one in zip(edges, found, strict=True)
        ]

    return binned


def _binned_score(name: str, parts: Mapping[str, Events], choices: Choices, bins: int) -> Binning:
    """Bins of a score that is given, in equal parts of the validation signal."""
    validation = parts["validation"]
    signal = _signal(validation, choices)
    edges = quantile_edges(
        validation.scores[name][NOMINAL][signal], validation.weight[signal], bins
    )

    def binned(events: Events, variation: str) -> list[Integers]:
        # Events that the variation does not select have no score; their weight there is zero.
        return [np.searchsorted(edges, np.nan_to_num(events.scores[name][variation]), "right")]

    return binned


def _signal(events: Events, choices: Choices) -> NDArray[np.bool_]:
    chosen = np.isin(events.process, list(choices.signals)) & (events.alternative == "")
    return np.asarray(chosen & events.member[NOMINAL])
