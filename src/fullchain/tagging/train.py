"""Train a tagger on labelled jets: one of its members, with one fold left out and one seed.

The state after each epoch is kept in `checkpoint.pt` beside the model until training ends, so that
the same command goes on where it was killed; a checkpoint of other code, settings or jets is left
aside.
"""

import json
from pathlib import Path
from typing import Annotated, Any

from fullchain.atomic import write_text
from fullchain.dag.closure import code
from fullchain.errors import InputError
from fullchain.learning import device, split
from fullchain.learning.checkpoint import of_training
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import Objective, Resumption, initialised, train
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging import members, model_file
from fullchain.tagging.between_training import Interpolated, find_working_point
from fullchain.tagging.classification import Classification, boosted, number_of_parameters
from fullchain.tagging.selection_settings import SelectionSettings
from fullchain.tagging.settings import SplitSettings, TaggerSettings
from fullchain.tagging.tagger import Tagger
from fullchain.tagging.training_data import Batches, Task, named, standardisation, training_tensors
from fullchain.tagging.trees_settings import TreesSettings
from fullchain.tagging.views import View, view_of


def main(
    *,
    jets: Annotated[list[Path], Input("files of jets of all samples of the tagger: Parquet, ROOT")],
    samples: Annotated[list[str], Option("name of the sample of each of these files, in order")],
    tagger: Annotated[str, Option("name of the tagger in tagging.taggers")],
    member: Annotated[str, Option("fold that is left out, and seed, such as fold0_seed0")],
    model: Annotated[Path, Output("trained model: state dict and settings")],
    history: Annotated[Path, Output("loss per epoch and numbers of jets, JSON")],
    settings: Given,
) -> None:
    """Read jets, train, write the model of the best epoch."""
    chosen = settings.model(f"tagging.taggers.{tagger}", TaggerSettings)
    which = members.member_of(member, chosen)
    window = chosen.selection or settings.model("tagging.selection", SelectionSettings)
    fractions = settings.model("tagging.split", SplitSettings)
    task = Task(named(jets, samples, chosen), chosen, window, fractions, settings.seed, which)
    how = chosen.training or settings.model("tagging.training", TrainingSettings)
    place = device.choose(how.device).type
    view = view_of(chosen)
    seed = derive(settings.seed, "tagging", tagger, which.fold, which.seed)
    with training_tensors(task, view, how, model.parent) as (batches, numbers, accounts):
        identity = {"code": code("tagging.train"), "tagger": tagger, "member": which.name}
        mark = of_training(identity, settings.values, place, batches)
        resumption = Resumption(model.with_name("checkpoint.pt"), mark)
        trained, record = _train(
            task, view, batches, how, seed, resumption, f"training {tagger} {member}"
        )
    model_file.save(model, trained, chosen, window, which)
    content = {
        "tagger": tagger,
        "member": member,
        "parameters": number_of_parameters(trained),
        "jets": numbers,
        "accounts": {name: account.as_dict() for name, account in accounts.items()},
        "device": place,
        **record,
    }
    write_text(history, json.dumps(content, indent=1, allow_nan=False) + "\n")
    resumption.path.unlink(missing_ok=True)


def _train(
    task: Task,
    view: View,
    batches: Batches,
    how: TrainingSettings,
    seed: int,
    resumption: Resumption,
    description: str,
) -> tuple[Tagger, dict[str, Any]]:
    if isinstance(task.tagger.architecture, TreesSettings):
        return boosted(task.tagger, view, batches, seed)
    scale = standardisation(task.tagger, view, batches[split.TRAIN])
    objective, facts = _objective(task, view, batches, how)
    network = initialised(seed, lambda: Tagger(task.tagger, scale))
    if task.tagger.between is not None:
        objective = Interpolated(objective)
    record = train(
        network,
        objective,
        batches[split.TRAIN],
        batches[split.VALIDATION],
        how,
        seed=seed,
        resumption=resumption,
        description=description,
    )
    assert isinstance(network, Tagger)
    facts |= record.as_dict()
    if task.tagger.between is None or task.tagger.between.working_point != "best":
        return network, facts
    with device.repeatable(how.threads):
        place = device.choose(how.device)
        found = find_working_point(network, batches[split.VALIDATION], place)
    return network, {**facts, "between": found}


def _objective(
    task: Task, view: View, batches: Batches, how: TrainingSettings
) -> tuple[Objective, dict[str, Any]]:
    """Give what is minimised, and numbers of it for the record."""
    chosen = task.tagger.bayesian
    if chosen is None:
        return Classification(view, task.tagger.rotate), {}
    from fullchain.tagging.variational_loss import NegativeBound, effective_number

    if how.weight_decay > 0:
        raise InputError(
            f"weight_decay is {how.weight_decay:g}, but the tagger is bayesian: its prior holds "
            "the weights back, and decay would pull widths to one; set weight_decay to 0 in the "
            "training of this tagger"
        )
    jets = effective_number(batches[split.TRAIN]["weight"])
    bound = NegativeBound(view, task.tagger.rotate, jets, chosen.samples)
    return bound, {"effective_jets": jets}
