"""Learn likelihood ratios, calibrate them, and fit pseudo-experiments event by event."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.inference import (
    ratio_expected,
    ratio_experiments,
    ratio_file,
    ratio_methods,
    ratio_templates,
    ratio_training,
    unbinned,
)
from fullchain.inference.ratio_methods import Tables
from fullchain.inference.ratio_settings import RatioSettings
from fullchain.inference.ratio_source import Experiments, Source, SyntheticSource
from fullchain.inference.ratio_table import TableSource, read_data
from fullchain.inference.ratio_templates import Templates
from fullchain.inference.ratio_training import Trained
from fullchain.learning.device import keeping_memory, repeatable
from fullchain.progress import progress
from fullchain.step import Given, Input, Output

NODES = 7
"""Values of the nuisance parameter at which log ratios are tabulated; the polynomial through them
is exact where the network gives one of degree six or less."""

RAW = "_raw"
"""What the name of a method without calibration ends with."""

SYNTHETIC = ("x0", "x1", "x2")


def main(
    *,
    events: Annotated[
        list[Path], Input("table of one's own simulated events, Parquet, if settings ask for it")
    ] = [],  # noqa: B006 - the command line makes a new list of it
    data: Annotated[list[Path], Input("table of one's own measured events, Parquet")] = [],  # noqa: B006
    ratio_json: Annotated[Path, Output("calibration, pseudo-experiments, profiles, JSON")],
    networks: Annotated[Path, Output("the calibrated ensembles, torch file")],
    settings: Given,
) -> None:
    """Train, calibrate, fit, write."""
    chosen = settings.model("inference.ratio", RatioSettings)
    source: Source
    features: tuple[str, ...]
    if chosen.own is None:
        if events or data:
            raise InputError(
                "a table of events is given, but no columns: set inference.ratio.own.features"
            )
        source, features = SyntheticSource(chosen, settings.seed), SYNTHETIC
    else:
        if not events:
            raise InputError("inference.ratio.own is set: give the table with --events")
        table = TableSource(events, chosen, settings.seed)
        source, features = table, tuple(chosen.own.features)
    with repeatable(chosen.training.threads):
        nodes = unbinned.nodes(NODES, chosen.model.reach)
        trained = learn(source, chosen, features, nodes, settings.seed)
        with keeping_memory():
            measured = measure(source, trained, chosen, nodes)
        content = {
            "settings": chosen.model_dump(mode="json"),
            "independent_members": source.independent,
            "losses": {name: one.report for name, one in trained.items()},
            **measured,
        }
        if data and chosen.own is not None:
            content["measurement"] = measurement(data, trained, chosen)
    ratio_file.save(networks, {name: one.ratio for name, one in trained.items()})
    write_text(ratio_json, json.dumps(content, indent=1, allow_nan=False) + "\n")


def learn(
    source: Source, settings: RatioSettings, features: tuple[str, ...], nodes: Tensor, seed: int
) -> dict[str, Trained]:
    """Train and calibrate with each loss, all from the same events."""
    training, validation = source.events("training"), source.events("validation")
    found: dict[str, Trained] = {}
    for loss in settings.losses:
        pair, histories = ratio_training.train(loss, training, validation, settings, seed)
        # Not around the training, which ends what it begins of the same.
        with keeping_memory():
            found[loss] = ratio_training.calibrate(
                loss, pair, histories, source, settings, features, nodes
            )
    return found


def binned(source: Source, trained: Trained, settings: RatioSettings, nodes: Tensor) -> Templates:
    """Templates of the score of a calibrated ensemble."""
    events = source.templates(nodes.tolist())
    score, bins = trained.ratio.signal, settings.experiments.bins
    log_ratios: dict[float | str, Tensor] = {"signal": score(events.signal[0])}
    for value, x, _ in events.background:
        log_ratios[value] = score(x)
    filled = ratio_templates.fill(log_ratios, events, bins)
    values = [value for value, _, _ in events.background]
    return ratio_templates.templates(*filled, values, nodes, settings.model.reach)


def expected(
    templates: Templates, known: bool, settings: RatioSettings, nuisance: float
) -> dict[str, Any]:
    """Bounds by information at a true nuisance parameter."""
    model = settings.model
    yields = (model.signal, model.background, model.constraint)
    parts, slope = templates.at(nuisance / model.reach)
    found = {
        "binned": ratio_expected.of_bins(templates.signal, parts, slope / model.reach, *yields)
    }
    if known:
        found["exact"] = ratio_expected.of_densities(*yields, nuisance)
    return {name: asdict(one) for name, one in found.items()}


def measure(
    source: Source, trained: dict[str, Trained], settings: RatioSettings, nodes: Tensor
) -> dict[str, Any]:
    """Fit all pseudo-experiments with all methods."""
    model = _model(settings)
    templates = binned(source, next(iter(trained.values())), settings, nodes)
    found: dict[str, Any] = {"bins": len(templates.signal), "experiments": []}
    total = settings.experiments.number * len(settings.experiments.nuisance)
    with progress("pseudo-experiments", total, "data sets") as advance:
        for nuisance in settings.experiments.nuisance:
            parts: dict[str, list[ratio_experiments.Fitted]] = {}
            single: dict[str, list[list[ratio_experiments.Fitted]]] = {}
            for numbers in ratio_experiments.chunks(settings.experiments.number):
                some = source.experiments(nuisance, numbers)
                tables, members = _tables(source, trained, some, nodes, numbers.start, settings)
                likelihoods = {name: ratio_methods.data(one, some) for name, one in tables.items()}
                score = tables[next(iter(trained))].signal
                likelihoods["binned"] = templates.data(score, some)
                for name, one in likelihoods.items():
                    # What is as learned is shown for comparison, and may be of no use.
                    allowed = 1.0 if name.endswith(RAW) else ratio_experiments.FAILING
                    result = ratio_experiments.fitted(
                        model, one, settings.model.signal, name, allowed
                    )
                    parts.setdefault(name, []).append(result)
                for name, several in members.items():
                    single.setdefault(name, []).append(
                        [
                            ratio_experiments.fitted(
                                model,
                                ratio_methods.data(one, some),
                                settings.model.signal,
                                f"{name}, member {number}",
                            )
                            for number, one in enumerate(several)
                        ]
                    )
                if "profile" not in found:
                    calibrated = {
                        name: one for name, one in likelihoods.items() if not name.endswith(RAW)
                    }
                    found["profile"] = ratio_experiments.profiles(
                        model, calibrated, settings.model.signal
                    )
                advance(len(numbers))
            summary = _summary(parts, single, settings, nuisance)
            summary["expected"] = expected(templates, "exact" in parts, settings, nuisance)
            found["experiments"].append(summary)
    return found


def _tables(
    source: Source,
    trained: dict[str, Trained],
    some: Experiments,
    nodes: Tensor,
    first: int,
    settings: RatioSettings,
) -> tuple[dict[str, Tables], dict[str, list[Tables]]]:
    """Log ratios of all events: by method, and of each network alone while they are wanted."""
    found: dict[str, Tables] = {}
    members: dict[str, list[Tables]] = {}
    exact = source.exact(some.x, nodes)
    if exact is not None:
        found["exact"] = Tables(*exact)
    for loss, one in trained.items():
        raw = one.ratio.pair.members(some.x, nodes)
        together = ratio_methods.mean(raw)
        found[loss] = one.ratio.correction.tables(together, nodes)
        found[loss + RAW] = together
        if first < settings.experiments.of_members:
            members[loss] = [
                correction.tables(table, nodes)
                for correction, table in zip(one.members, raw, strict=True)
            ]
    return found, members


def _summary(
    parts: dict[str, list[ratio_experiments.Fitted]],
    single: dict[str, list[list[ratio_experiments.Fitted]]],
    settings: RatioSettings,
    nuisance: float,
) -> dict[str, Any]:
    whole = {name: ratio_experiments.joined(some) for name, some in parts.items()}
    exact = whole.get("exact")
    signal = settings.model.signal
    numbers = {
        name: ratio_experiments.summary(one, exact, signal, nuisance) for name, one in whole.items()
    }
    found: dict[str, Any] = {
        "nuisance": nuisance,
        "methods": {name: one for name, one in numbers.items() if "uncertainty" in one},
        "failing": [name for name, one in numbers.items() if "uncertainty" not in one],
        "members": {},
    }
    for loss, several in single.items():
        members = [ratio_experiments.joined(list(one)) for one in zip(*several, strict=True)]
        found["members"][loss] = ratio_experiments.spread_of_members(
            members, whole["exact"] if exact is not None else whole[loss]
        )
    return found


def measurement(
    data: list[Path], trained: dict[str, Trained], settings: RatioSettings
) -> dict[str, Any]:
    """Fit one's own measured events with each loss."""
    model = _model(settings)
    assert settings.own is not None
    x = read_data(data, settings.own)
    one = Experiments(x, torch.tensor([len(x)]), torch.zeros(1, dtype=torch.float64), 0.0)
    found = {}
    for loss, ratio in trained.items():
        likelihood = ratio_methods.data(ratio.ratio.tables(x), one)
        result = ratio_experiments.fitted(model, likelihood, settings.model.signal, f"data, {loss}")
        if not bool(result.good.all()):
            raise InputError(f"data, {loss}: the profile has no ends; look at the ratios of events")
        found[loss] = {name: float(values[0]) for name, values in vars(result).items()}
    return {"events": len(x), "fits": found}


def _model(settings: RatioSettings) -> unbinned.Model:
    chosen = settings.model
    return unbinned.Model(chosen.background, chosen.constraint, chosen.reach)
