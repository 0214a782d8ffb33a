"""Fit the flow that makes one score of a tagger uniform over background at each mass.

A tagger with several seeds needs a flow for each, and one for their mean: the mean of transformed
scores would not be uniform at each mass, for how much the seeds have in common may depend on it.

Where the tagger has folds, each has a flow that is fitted to the background of the others.
"""

import json
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt

from fullchain.atomic import write_text
from fullchain.decorrelation import flow_file, flow_jets, quantile_flow
from fullchain.decorrelation.cross_fitting import CrossFitted
from fullchain.decorrelation.flow_file import FittedFlow
from fullchain.decorrelation.flow_jets import FlowJets
from fullchain.decorrelation.marginal import chances
from fullchain.decorrelation.method_settings import ClassifierSettings, FlowSettings
from fullchain.decorrelation.quantile_flow import QuantileFlow
from fullchain.decorrelation.settings import base_tagger, classifiers_of, seeds_of
from fullchain.errors import InputError
from fullchain.learning.training import History
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging import scored_jets
from fullchain.tagging.scored_jets import ScoredJets
from fullchain.tagging.selection_settings import SelectionSettings
from fullchain.tagging.settings import TaggerSettings

Array = npt.NDArray[np.float64]


def main(
    *,
    jets: Annotated[list[Path], Input("files of jets of all samples of the tagger: Parquet, ROOT")],
    samples: Annotated[list[str], Option("name of the sample of each of these files, in order")],
    scores: Annotated[list[Path], Input("the tagger's scores, one file for each sample, in order")],
    classifier: Annotated[str, Option("name in decorrelation.classifiers")],
    member: Annotated[str, Option("score that is transformed: mean, or seed0, seed1, ...")],
    flow: Annotated[Path, Output("fitted flow: state dict, tables and settings")],
    history: Annotated[Path, Output("loss per epoch and numbers of jets, JSON")],
    settings: Given,
) -> None:
    """Read background jets with their scores, fit, write the flow of each fold at its best epoch.

    Raises
    ------
    InputError
        The classifier is no flow, the tagger has no such seed, or there is no background to fit to.
    """
    classifiers = classifiers_of(settings["decorrelation.classifiers"])
    chosen = classifiers[classifier]
    base = base_tagger(classifiers, classifier)
    tagger = settings.model(f"tagging.taggers.{base}", TaggerSettings)
    seeds = seeds_of(classifiers, classifier) or tagger.seeds
    tagger = tagger.model_copy(update={"seeds": seeds})
    window = tagger.selection or settings.model("tagging.selection", SelectionSettings)
    against = tuple(settings["decorrelation.against"])
    method = flow_settings(classifier, chosen)
    files = scored_jets.grouped(jets, samples, scores)
    found = scored_jets.read(files, tagger, window, (*against, "jet"), scores=("fold",))
    own = score_of(found, member, chosen.tagger)
    # One number for each jet, whatever the member: seeds that agree go on agreeing.
    chance_seed = derive(settings.seed, "decorrelation", classifier)
    flows, records = [], []
    for fold in range(tagger.folds):
        name = member if tagger.folds == 1 else f"fold{fold}_{member}"
        seed = derive(settings.seed, "decorrelation", classifier, name)
        try:
            taken = flow_jets.choose(found, own, method.fitted_to, seed, tagger.folds, fold)
            fitted, record = _fit(
                found, own, taken, against, method, chance_seed, seed, f"{classifier} {name}"
            )
        except InputError as problem:
            raise InputError(
                f"{classifier}, tagger {chosen.tagger}, samples {', '.join(files)}, flow of "
                f"{name}: {problem}"
            ) from None
        flows.append(fitted)
        records.append({"fold": fold, "jets": taken.record, **record.as_dict()})
    flow_file.save(
        flow,
        FittedFlow(
            CrossFitted(flows),
            method,
            chosen.tagger,
            member,
            tagger.class_names,
            against,
            chance_seed,
            tagger.training_samples,
        ),
    )
    content = {
        "classifier": classifier,
        "tagger": chosen.tagger,
        "member": member,
        "against": list(against),
        "parameters": sum(weights.numel() for weights in flows[0].flow.parameters()),
        "folds": records,
    }
    write_text(history, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _fit(
    jets: ScoredJets,
    scores: Array,
    taken: FlowJets,
    against: tuple[str, ...],
    method: FlowSettings,
    chance_seed: int,
    seed: int,
    description: str,
) -> tuple[QuantileFlow, History]:
    """Fit the flow of one fold to the jets that were chosen for it."""
    columns = {name: column[taken.rows] for name, column in jets.columns.items()}
    run, block, event, jet = (columns[name] for name in (*scored_jets.IDENTITY, "jet"))
    return quantile_flow.fit(
        scores[taken.rows],
        np.stack([columns[name].astype(float) for name in against], axis=1),
        columns["weight"],
        chances(run, block, event, jet, chance_seed),
        taken.validation,
        against,
        method,
        seed=seed,
        description=f"flow {description}",
    )


def flow_settings(classifier: str, chosen: ClassifierSettings) -> FlowSettings:
    """Give the settings of the flow, with what the classifier has of its own training.

    Raises InputError for another method.
    """
    method = chosen.method
    if not isinstance(method, FlowSettings):
        raise InputError(
            f"decorrelation.classifiers.{classifier}: the method {method.kind} trains the "
            "tagger, and only a flow is fitted to its scores"
        )
    own = {name: getattr(chosen, name) for name in ("epochs", "batch_size", "patience")}
    changes = {name: value for name, value in own.items() if value is not None}
    return method.model_copy(update={"training": method.training.model_copy(update=changes)})


def score_of(jets: ScoredJets, member: str, tagger: str) -> Array:
    """Probability of the signal of one member, (jets,).

    Raises InputError where the tagger has no such seed.
    """
    if member == flow_file.MEAN:
        return jets.probabilities[:, 0]
    names = [f"seed{number}" for number in range(len(jets.single))]
    if member not in names:
        known = ", ".join([flow_file.MEAN, *names])
        raise InputError(f"member {member}: of the tagger {tagger} there are {known}")
    return np.asarray(jets.single[names.index(member), :, 0])
