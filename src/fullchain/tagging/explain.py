"""Explain a tagger by observables of its jets: what it has learned, in terms that are known.

The tagger is its first training. Numbers are those of the test part, or of the fold that this
training did not see.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.learning import device, split
from fullchain.seeds import derive
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging import explained_jets, explanation, model_file, surrogate
from fullchain.tagging.association import Array
from fullchain.tagging.explained import Explained, limited, log_odds
from fullchain.tagging.explained_jets import ExplainedJets, Question
from fullchain.tagging.explanation_settings import ExplanationSettings
from fullchain.tagging.formula_choice import formula_of
from fullchain.tagging.mlp_settings import MlpSettings
from fullchain.tagging.model_file import Trained
from fullchain.tagging.settings import SelectionSettings, SplitSettings
from fullchain.tagging.tagger import BATCH
from fullchain.tagging.trees_settings import TreesSettings


def main(
    *,
    jets: Annotated[list[Path], Input("Parquet files of jets of all samples of the tagger")],
    samples: Annotated[list[str], Option("name of the sample of each of these files, in order")],
    model: Annotated[Path, Input("model.pt of the first training of the tagger")],
    tagger: Annotated[str, Option("name of the tagger in tagging.taggers")],
    explanation: Annotated[Path, Output("components, attributions and formulas, JSON")],
    settings: Given,
) -> None:
    """Read jets and the model, explain, write the numbers."""
    trained = model_file.load(model)
    how = settings.model("tagging.explanation", ExplanationSettings)
    with device.repeatable(how.threads):
        content = _explain(
            jets,
            samples,
            trained,
            how,
            settings,
            derive(settings.seed, "tagging", "explain", tagger),
        )
    text = json.dumps({"tagger": tagger, **content}, indent=1, allow_nan=False)
    write_text(explanation, text + "\n")


def _explain(
    jets: list[Path],
    samples: list[str],
    trained: Trained,
    how: ExplanationSettings,
    settings: Given,
    seed: int,
) -> dict[str, Any]:
    chosen = trained.settings
    if len(jets) != len(samples):
        raise InputError(f"{len(jets)} files of jets and {len(samples)} names of samples")
    window = chosen.selection or settings.model("tagging.selection", SelectionSettings)
    fractions = settings.model("tagging.split", SplitSettings)
    files = [pair for pair in zip(jets, samples, strict=True) if pair[1] in chosen.samples]
    kind = chosen.architecture.kind
    names: tuple[str, ...] = how.observables
    if isinstance(chosen.architecture, MlpSettings | TreesSettings):
        names = tuple(dict.fromkeys((*names, *chosen.architecture.features)))
    question = Question(files, chosen, window, fractions, settings.seed, trained.member, how)
    read = explained_jets.read(question, trained.tagger.view, names)
    left_out = explained_jets.without_knowledge(read, how.observables)
    how = how.model_copy(
        update={"observables": tuple(one for one in how.observables if one not in left_out)}
    )
    if len(how.observables) < 2:
        raise InputError(
            f"{', '.join(left_out)} tell nothing of the jets of {', '.join(chosen.samples)}, and "
            "fewer than two observables are left; name others in tagging.explanation.observables"
        )
    everything = _applied(trained, read)
    parts = {name: everything.part(name) for name in (split.TRAIN, split.VALIDATION, split.TEST)}
    parts["fitted"] = everything.part(split.TRAIN, split.VALIDATION)
    test = parts[split.TEST]
    counts = np.bincount(test.jets.target, minlength=len(chosen.classes)).tolist()
    content = {
        "architecture": kind,
        "member": trained.member.name,
        "classes": list(chosen.class_names),
        "selection": window.model_dump(mode="json"),
        "jets": {name: len(part.logit) for name, part in parts.items() if name != "fitted"},
        "test_jets": dict(zip(chosen.class_names, counts, strict=True)),
        "network_auc": test.separation(test.logit, how.replicas, seed),
        "observables": explanation.observables_of(test, how, seed),
        "left_out": left_out,
        "components": None,
        "disentangled": None,
    }
    if everything.latent is not None:
        content["components"] = explanation.components_of(parts["fitted"], test, how, seed)
        content["disentangled"] = explanation.disentangled_of(
            parts, len(chosen.classes), how, derive(seed, "disentangled")
        )
    return content | _by_observables(trained, parts, how, seed)


def _applied(trained: Trained, jets: ExplainedJets) -> Explained:
    """Log-odds and activations of all jets."""
    tagger = trained.tagger
    batch = BATCH.get(tagger.kind, 1024)
    logits, latents = [], []
    with torch.no_grad():
        for start in range(0, len(jets), batch):
            tensors = {
                name: torch.from_numpy(array[start : start + batch])
                for name, array in jets.arrays.items()
            }
            logits.append(tagger(tensors).double().numpy())
            if tagger.kind != "trees":
                latents.append(tagger.latent(tensors).double().numpy())
    latent = np.concatenate(latents) if latents else None
    return Explained(jets, log_odds(np.concatenate(logits)), latent)


def _by_observables(
    trained: Trained, parts: dict[str, Explained], how: ExplanationSettings, seed: int
) -> dict[str, Any]:
    """Shapley values and formulas: of the tagger, or of a network that stands in for it."""
    sizes = trained.settings.architecture
    own = isinstance(sizes, MlpSettings | TreesSettings)
    names: tuple[str, ...]
    if isinstance(sizes, MlpSettings | TreesSettings):
        names = sizes.features

        def function(features: Array) -> Array:
            with torch.no_grad():
                logits = trained.tagger({"features": torch.from_numpy(features.astype(np.float32))})
            return log_odds(logits.double().numpy())

    else:
        names = how.observables
        model = surrogate.fit(
            *(
                (part.jets.table(names), limited(part), part.weight)
                for part in (parts[split.TRAIN], parts[split.VALIDATION])
            ),
            epochs=how.surrogate_epochs,
            threads=how.threads,
            seed=derive(seed, "surrogate"),
        )

        def function(features: Array) -> Array:
            return surrogate.log_odds(model, features)

    found = explanation.attribution_of(
        function, names, parts["fitted"], parts[split.TEST], how, seed
    )
    order = np.argsort(-np.array(found["single"]["value"]), kind="stable")
    used = [names[place] for place in order[: how.formula.inputs]]
    in_formulas = None if own else (lambda jets: function(jets.jets.table(names)))
    return {
        "attribution": {"explains": "tagger" if own else "surrogate", **found},
        "formula": formula_of(used, parts, how, seed, in_formulas),
    }
