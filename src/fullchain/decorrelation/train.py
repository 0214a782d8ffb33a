"""Train a decorrelated classifier: one of its members, with one fold left out and one seed.

The network, its inputs and its classes are those of a tagger of the stage tagging; what is
minimised, or the weights of the jets, are those of the method. The model is a tagger like any
other: the steps `tagging predict` and `tagging export_onnx` take it.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy.typing as npt

from fullchain.atomic import write_text
from fullchain.dag.closure import code
from fullchain.decorrelation.background import checked
from fullchain.decorrelation.method_settings import (
    BoostingSettings,
    ClassifierSettings,
    FlowSettings,
    PlaningSettings,
)
from fullchain.decorrelation.trained_tagger import decorrelated
from fullchain.learning import device, split
from fullchain.learning.checkpoint import of_training
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import Batch, Resumption, initialised, train
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging import members, model_file
from fullchain.tagging.classification import Classification, boosted, number_of_parameters
from fullchain.tagging.selection_settings import SelectionSettings
from fullchain.tagging.settings import SplitSettings, TaggerSettings
from fullchain.tagging.tagger import Tagger
from fullchain.tagging.training_data import Batches, Task, named, standardisation, training_tensors
from fullchain.tagging.trees_settings import TreesSettings
from fullchain.tagging.views import View, view_of

Array = npt.NDArray[Any]


def main(
    *,
    jets: Annotated[list[Path], Input("files of jets of all samples of the tagger: Parquet, ROOT")],
    samples: Annotated[list[str], Option("name of the sample of each of these files, in order")],
    classifier: Annotated[str, Option("name in decorrelation.classifiers")],
    strength: Annotated[float, Option("factor on the penalty, for methods that have one")] = 0.0,
    member: Annotated[str, Option("fold that is left out, and seed, such as fold0_seed0")],
    model: Annotated[Path, Output("trained model: state dict and settings")],
    history: Annotated[Path, Output("terms of the loss per epoch and numbers of jets, JSON")],
    settings: Given,
) -> None:
    """Read jets, train, write the model of the best epoch.

    Raises
    ------
    InputError
        The method trains nothing, a penalty cannot be measured on these jets or in batches of this
        size, or jets are not as they should be.
    """
    chosen = settings.model(f"decorrelation.classifiers.{classifier}", ClassifierSettings)
    base = settings.model(f"tagging.taggers.{chosen.tagger}", TaggerSettings)
    against = tuple(settings["decorrelation.against"])
    tagger = decorrelated(base, chosen, against)
    which = members.member_of(member, tagger)
    window = base.selection or settings.model("tagging.selection", SelectionSettings)
    fractions = settings.model("tagging.split", SplitSettings)
    task = Task(
        named(jets, samples, tagger), tagger, window, fractions, settings.seed, which, against
    )
    how = training_of(chosen, base, settings)
    place = device.choose(how.device).type
    # Not the name of the classifier: equal members of two methods start from the same weights.
    seed = derive(settings.seed, "tagging", chosen.tagger, which.fold, which.seed)
    with training_tensors(task, view_of(tagger), how, model.parent) as (batches, numbers, accounts):
        identity = {
            "code": code("decorrelation.train"),
            "classifier": classifier,
            "strength": repr(strength),
            "member": which.name,
        }
        mark = of_training(identity, settings.values, place, batches)
        resumption = Resumption(model.with_name("checkpoint.pt"), mark)
        trained, record = _train(
            task, chosen, strength, batches, how, seed, resumption, f"{classifier} {member}"
        )
    model_file.save(model, trained, tagger, window, which)
    content = {
        "classifier": classifier,
        "tagger": chosen.tagger,
        "method": chosen.method.model_dump(mode="json"),
        "strength": strength,
        "against": list(against),
        "member": member,
        "parameters": number_of_parameters(trained),
        "jets": numbers,
        "accounts": {name: account.as_dict() for name, account in accounts.items()},
        "device": place,
        **record,
    }
    write_text(history, json.dumps(content, indent=1, allow_nan=False) + "\n")
    resumption.path.unlink(missing_ok=True)


def training_of(
    chosen: ClassifierSettings, base: TaggerSettings, settings: Given
) -> TrainingSettings:
    """Give the training of the tagger with what the classifier has of its own."""
    how = base.training or settings.model("tagging.training", TrainingSettings)
    own = {name: getattr(chosen, name) for name in ("epochs", "batch_size", "patience")}
    return how.model_copy(update={name: value for name, value in own.items() if value is not None})


def _train(
    task: Task,
    chosen: ClassifierSettings,
    strength: float,
    batches: Batches,
    how: TrainingSettings,
    seed: int,
    resumption: Resumption,
    description: str,
) -> tuple[Tagger, dict[str, Any]]:
    view = view_of(task.tagger)
    if isinstance(chosen.method, BoostingSettings):
        return _uniformly_boosted(task, view, chosen.method, strength, batches, seed, description)
    scale = standardisation(task.tagger, view, batches[split.TRAIN])
    if isinstance(chosen.method, PlaningSettings):
        checked(*_background(batches[split.TRAIN]), task.against)
        if isinstance(task.tagger.architecture, TreesSettings):
            return boosted(task.tagger, view, batches, seed)
        network = initialised(seed, lambda: Tagger(task.tagger, scale))
        objective: Any = Classification(view, task.tagger.rotate)
        model = network
    else:
        from fullchain.decorrelation import penalised

        assert not isinstance(chosen.method, FlowSettings)
        training = batches[split.TRAIN]
        penalised.check_batch(chosen.method, training, how)
        columns = (*_background(training), task.against)

        # The tagger first: it starts from the weights that it has without a penalty.
        def build() -> penalised.Penalised:
            tagger = Tagger(task.tagger, scale)
            return penalised.Penalised(tagger, penalised.penalty_of(chosen.method, *columns))

        model = initialised(seed, build)
        assert isinstance(model, penalised.Penalised)
        network = model.tagger
        objective = penalised.PenalisedClassification(view, task.tagger.rotate, strength)
    record = train(
        model,
        objective,
        batches[split.TRAIN],
        batches[split.VALIDATION],
        how,
        seed=seed,
        resumption=resumption,
        description=description,
    )
    assert isinstance(network, Tagger)
    return network, record.as_dict()


def _uniformly_boosted(
    task: Task,
    view: View,
    method: BoostingSettings,
    strength: float,
    batches: Batches,
    seed: int,
    description: str,
) -> tuple[Tagger, dict[str, Any]]:
    from fullchain.decorrelation import boosting

    ensemble, record = boosting.fit(
        *_arrays(batches[split.TRAIN]),
        method,
        strength,
        seed=seed,
        names=task.against,
        observables=view.features,
        validation=_arrays(batches[split.VALIDATION]),
        description=description,
    )
    network = Tagger(task.tagger, standardisation(task.tagger, view, batches[split.TRAIN]))
    network.network = ensemble
    return network, record


def _background(batch: Batch) -> tuple[Array, Array]:
    """Variables (jets, k) and weights (jets,) of the background jets."""
    background = batch["target"] != 0
    return batch["against"][background].numpy(), batch["weight"][background].numpy()


def _arrays(batch: Batch) -> tuple[Array, Array, Array, Array]:
    """Observables, classes, weights and variables of jets, as boosting takes them."""
    features, target, weight, against = (
        batch[name].numpy() for name in ("features", "target", "weight", "against")
    )
    return features, target, weight, against
