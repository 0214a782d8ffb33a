"""Train learned pile-up weights, PUMML or a network on graphs: one of the trainings of a method.

The state after each epoch is kept in `checkpoint.pt` beside the model until training ends, so that
the same command goes on where it was killed; a checkpoint of other code, settings or events is left
aside.
"""

import json
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import ValidationError
from torch import nn

from fullchain.atomic import write_text
from fullchain.dag.closure import code
from fullchain.errors import InputError
from fullchain.learning import device, split
from fullchain.learning.checkpoint import fingerprint
from fullchain.learning.training import Objective, Resumption, initialised, train
from fullchain.ntuples.manifests import read_part
from fullchain.pileup import learned_data, learned_file
from fullchain.pileup.graph_network import FractionLoss, GraphNetwork
from fullchain.pileup.graph_settings import GraphSettings
from fullchain.pileup.learned_data import Prepared
from fullchain.pileup.learned_methods import method_of
from fullchain.pileup.pumml_network import LogarithmicLoss, PummlNetwork
from fullchain.pileup.pumml_settings import PummlSettings
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output


def main(
    *,
    manifests: Annotated[list[Path], Input("part manifests of all samples of the method")],
    method: Annotated[str, Option("name of the method in pileup.learned")],
    member: Annotated[str, Option("which of its trainings, such as seed0")],
    model: Annotated[Path, Output("trained model: state dict and settings")],
    history: Annotated[Path, Output("loss per epoch and numbers of events and rows, JSON")],
    settings: Given,
) -> None:
    """Read candidates, train, write the model of the best epoch."""
    chosen = settings_of(settings, method)
    number = number_of(member)
    files = _named(manifests, chosen)
    seed = derive(settings.seed, "pileup", method, number)
    place = device.choose(chosen.training.device).type
    with learned_data.training_rows(files, chosen, settings.seed, model) as prepared:
        mark = _fingerprint(settings, method, member, place, prepared)
        resumption = Resumption(model.with_name("checkpoint.pt"), mark)
        network, objective = _start(chosen, prepared, seed)
        record = train(
            network,
            objective,
            prepared.parts[split.TRAIN],
            prepared.parts[split.VALIDATION],
            chosen.training,
            seed=seed,
            resumption=resumption,
            description=f"training {method} {member}",
        )
    learned_file.save(model, network, chosen, number)
    content = {
        "method": method,
        "member": member,
        "parameters": sum(weights.numel() for weights in network.parameters()),
        "events": prepared.events,
        "rows": {part: len(next(iter(table.values()))) for part, table in prepared.parts.items()},
        "device": place,
        **record.as_dict(),
    }
    write_text(history, json.dumps(content, indent=1, allow_nan=False) + "\n")
    resumption.path.unlink(missing_ok=True)


def settings_of(settings: Given, method: str) -> GraphSettings | PummlSettings:
    """Give the settings of a method. Raises InputError where they are none."""
    try:
        return method_of(settings[f"pileup.learned.{method}"])
    except ValidationError as problem:
        reason = "; ".join(error["msg"] for error in problem.errors())
        raise InputError(f"pileup.learned.{method}: {reason}") from None


def number_of(member: str) -> int:
    """Read the number of a training. Raises InputError where the name has none."""
    found = re.fullmatch(r"seed(0|[1-9]\d*)", member)
    if found is None:
        raise InputError(f"member {member}: trainings are called seed0, seed1, ...")
    return int(found[1])


def _named(manifests: list[Path], chosen: GraphSettings | PummlSettings) -> list[tuple[Path, str]]:
    named = [(path, read_part(path).sample) for path in manifests]
    missing = [name for name in chosen.samples if name not in {sample for _, sample in named}]
    if missing:
        raise InputError(f"no parts of {', '.join(missing)}, which the method is trained on")
    return named


def _start(
    chosen: GraphSettings | PummlSettings, prepared: Prepared, seed: int
) -> tuple[nn.Module, Objective]:
    if isinstance(chosen, PummlSettings):
        return initialised(seed, lambda: PummlNetwork(chosen)), LogarithmicLoss(chosen)
    training = prepared.parts[split.TRAIN]
    scales = learned_data.scales(training)
    network = initialised(seed, lambda: GraphNetwork(chosen, *scales))
    return network, FractionLoss(chosen, learned_data.mean_weight(training))


def _fingerprint(settings: Given, method: str, member: str, place: str, prepared: Prepared) -> str:
    texts: dict[str, Any] = {
        "code": code("pileup.train"),
        "settings": json.dumps(settings.values, sort_keys=True),
        "method": method,
        "member": member,
        # The setting may be auto, and a training must not change its device halfway.
        "device": place,
    }
    tensors = {
        f"{part}.{name}": rows
        for part, table in prepared.parts.items()
        for name, rows in table.items()
    }
    return fingerprint(texts, tensors)
