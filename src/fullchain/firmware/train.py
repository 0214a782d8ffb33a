"""Train a network in floating point.

The state after each epoch is kept in `checkpoint.pt` beside the network until training ends, so
that the same command goes on where it was killed.
"""

import json
from pathlib import Path
from typing import Annotated

from fullchain.atomic import write_text
from fullchain.dag.closure import code
from fullchain.firmware import float_network, tasks
from fullchain.firmware.float_network import Trained
from fullchain.firmware.input_scaling import measure, scaled
from fullchain.firmware.network_data import chosen_quantities, judged, part_of
from fullchain.firmware.pruning import check_pruned, removed
from fullchain.firmware.trainee import Trainee, steps_of, terms
from fullchain.firmware.trigger_jets import labelled
from fullchain.learning import device
from fullchain.learning.checkpoint import of_training
from fullchain.learning.parts_settings import PartsSettings
from fullchain.learning.split import TRAIN, VALIDATION
from fullchain.learning.training import Resumption, initialised
from fullchain.learning.training import train as run
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging.class_settings import classes_of


def main(
    *,
    jets: Annotated[list[Path], Input("trigger jets of all samples, HDF5")],
    scores: Annotated[list[Path], Input("scores of the teacher, one file a sample, Parquet")] = [],  # noqa: B006
    model: Annotated[str, Option("name of the model in firmware.models")],
    trained: Annotated[Path, Output("the network: weights, scales of inputs, settings")],
    history: Annotated[Path, Output("loss per epoch, accuracy and AUC, JSON")],
    settings: Given,
) -> None:
    """Read jets, train, write the network of the best epoch.

    Raises
    ------
    InputError
        A feature is constant or not finite, there are no jets or scores, or training failed.
    """
    how = tasks.settings_of(settings[f"firmware.models.{model}"], f"firmware.models.{model}")
    parts = settings.model("firmware.split", PartsSettings)
    classes = classes_of(settings["firmware.classes"])
    names = tuple(classes)
    seed = derive(settings.seed, "firmware", model)
    everything = labelled(jets, classes, parts.validation, parts.test, settings.seed)
    quantities = chosen_quantities(how, everything)
    training, validation = (
        part_of(everything, part, how, quantities, names, scores) for part in (TRAIN, VALIDATION)
    )
    shift, exponent = measure(training.quantities, quantities, "the jets of the training part")
    batches = {
        name: part.batch(scaled(part.quantities, shift, exponent))
        for name, part in (("training", training), ("validation", validation))
    }
    task = tasks.of(how)
    inputs = batches["training"]["inputs"][0].numel()
    rows = len(training.target)

    def build() -> Trainee:
        network = float_network.build(how, len(quantities), names)
        objective = task.objective(how, names, inputs)
        return Trainee(network, objective, steps_of(rows, how.training), None, how.pruning)

    place = device.choose(how.training.device).type
    identity = {"code": code("firmware.train"), "model": model}
    mark = of_training(identity, settings.values, place, batches)
    resumption = Resumption(trained.with_name("checkpoint.pt"), mark)
    with device.repeatable(how.training.threads):
        trainee = initialised(seed, build)
    assert isinstance(trainee, Trainee)
    record = run(
        trainee,
        terms,
        batches["training"],
        batches["validation"],
        how.training,
        seed=seed,
        resumption=resumption,
        description=f"training {model}",
    )
    network = trainee.network
    assert isinstance(network, float_network.FloatNetwork)
    outputs = task.outputs(how, names)
    own_state = trainee.objective.state_dict()
    result = Trained(network, how, quantities, shift, exponent, outputs, names, own_state)
    layers = list(network.dense.values())
    check_pruned(layers, how.pruning, model)  # type: ignore[arg-type]
    float_network.write(trained, result)
    with device.repeatable(how.training.threads):
        own = float_network.judged_scores(result, scaled(validation.quantities, shift, exponent))
    found = judged(how, own, validation, names, seed)
    content = {
        "model": model,
        "kind": how.kind,
        "settings": how.model_dump(mode="json"),
        "classes": list(names),
        "quantities": list(quantities),
        "layers": [[one.name, one.kind, one.inputs, one.outputs] for one in network.plan],
        "weights": sum(layer.weight.numel() for layer in layers),  # type: ignore[operator,misc]
        "pruned": removed(layers),  # type: ignore[arg-type]
        "jets": {"training": rows, "validation": len(validation.target)},
        "performance": {name: list(pair) for name, pair in found.items()},
        "device": place,
        **record.as_dict(),
    }
    write_text(history, json.dumps(content, indent=1, allow_nan=False) + "\n")
    resumption.path.unlink(missing_ok=True)
