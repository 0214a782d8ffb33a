"""Make a fixed-point network of a trained one.

The state after each epoch is kept in `checkpoint_<point>.pt` beside the result until training ends.
"""

import json
from pathlib import Path
from typing import Annotated

from fullchain.atomic import write_text
from fullchain.dag.closure import code
from fullchain.errors import InputError
from fullchain.firmware import fixed_network, float_network, tasks
from fullchain.firmware.input_scaling import scaled
from fullchain.firmware.network_data import judged, part_of
from fullchain.firmware.point_settings import PointSettings
from fullchain.firmware.quantisation import finished
from fullchain.firmware.quantisation import quantise as quantised_of
from fullchain.firmware.trigger_jets import labelled
from fullchain.learning import device
from fullchain.learning.checkpoint import of_training
from fullchain.learning.parts_settings import PartsSettings
from fullchain.learning.split import TRAIN, VALIDATION
from fullchain.learning.training import Resumption
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging.class_settings import classes_of


def main(
    *,
    jets: Annotated[list[Path], Input("trigger jets of all samples, HDF5")],
    scores: Annotated[list[Path], Input("scores of the teacher, one file a sample, Parquet")] = [],  # noqa: B006
    trained: Annotated[Path, Input("the network in floating point")],
    model: Annotated[str, Option("name of the model in firmware.models")],
    point: Annotated[str, Option("name of the point in the points of the model")],
    network: Annotated[Path, Output("the fixed-point network, JSON")],
    history: Annotated[Path, Output("overflow, training, accuracy and AUC, JSON")],
    settings: Given,
) -> None:
    """Read jets and the trained network, quantise, compare bit for bit, write.

    Raises
    ------
    InputError
        Training failed; the exported network differs from the one that was trained, or overflows
        (names the layer); there are no jets or scores.
    """
    how = settings.model(f"firmware.models.{model}.points.{point}", PointSettings)
    parts = settings.model("firmware.split", PartsSettings)
    classes = classes_of(settings["firmware.classes"])
    start = float_network.read(trained)
    if start.classes != tuple(classes):
        raise InputError(
            f"{trained}: trained for the classes {', '.join(start.classes)}, and "
            f"firmware.classes are {', '.join(classes)}; train again"
        )
    seed = derive(settings.seed, "firmware", model, point)
    everything = labelled(jets, classes, parts.validation, parts.test, settings.seed)
    training, validation = (
        part_of(everything, part, start.settings, start.quantities, start.classes, scores)
        for part in (TRAIN, VALIDATION)
    )
    exact = scaled(validation.quantities, start.shift, start.exponent)
    batches = {
        "training": training.batch(scaled(training.quantities, start.shift, start.exponent)),
        "validation": validation.batch(exact),
    }
    place = device.choose(how.training.device).type
    identity = {"code": code("firmware.quantise"), "model": model, "point": point}
    state = start.network.state_dict()
    mark = of_training(identity, settings.values, place, {**batches, "trained": state})
    resumption = Resumption(network.with_name(f"checkpoint_{point}.pt"), mark)
    found = quantised_of(
        start,
        how,
        batches["training"],
        batches["validation"],
        seed,
        resumption,
        f"quantising {model}, {point}",
    )
    finish = tasks.of(start.settings).finish
    fixed, facts = finished(found, finish, how, validation.quantities, exact)
    outputs = fixed.evaluate(fixed.inputs.quantise(validation.quantities))
    with device.repeatable(start.settings.training.threads):
        floating = float_network.judged_scores(start, exact)
    performance = {
        name: judged(start.settings, values, validation, start.classes, seed)
        for name, values in (
            ("float", floating),
            ("quantised", outputs),
        )
    }
    about = {"model": model, "point": point, "classes": list(start.classes)}
    fixed_network.write(network, fixed, about)
    content = {
        **about,
        "kind": start.settings.kind,
        "settings": how.model_dump(mode="json"),
        **facts,
        "performance": {
            name: {key: list(pair) for key, pair in numbers.items()}
            for name, numbers in performance.items()
        },
        "device": place,
        "training": found.record,
    }
    write_text(history, json.dumps(content, indent=1, allow_nan=False) + "\n")
    resumption.path.unlink(missing_ok=True)
