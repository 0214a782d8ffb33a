"""Make a model of weights that weaver-core trained: what a training writes, without one.

Inputs, their scale and the order of the classes are those of the settings; the file says nothing of
them, and nothing can check them.
"""

import json
from pathlib import Path
from typing import Annotated

from fullchain.atomic import write_text
from fullchain.checksums import checksum
from fullchain.errors import InputError
from fullchain.step import Given, Input, Option, Output
from fullchain.tagging import members, model_file, weaver_weights
from fullchain.tagging.classification import number_of_parameters
from fullchain.tagging.features import PUBLISHED
from fullchain.tagging.particlenet import ParticleNet
from fullchain.tagging.selection_settings import SelectionSettings
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.tagger import Tagger


def main(
    *,
    weights: Annotated[Path, Input("state dict that weaver-core saved, .pt")],
    tagger: Annotated[str, Option("name of the tagger in tagging.taggers")],
    member: Annotated[str, Option("the only training of the tagger, fold0_seed0")],
    model: Annotated[Path, Output("model as trained: state dict and settings")],
    history: Annotated[Path, Output("file and checksum of the weights, JSON")],
    settings: Given,
) -> None:
    """Read the weights, write the model."""
    chosen = settings.model(f"tagging.taggers.{tagger}", TaggerSettings)
    if chosen.weights is None:
        raise InputError(
            f"tagging.taggers.{tagger}.weights is null: train the tagger, or name the file there"
        )
    which = members.member_of(member, chosen)
    window = chosen.selection or settings.model("tagging.selection", SelectionSettings)
    made = _with_weights(weights, chosen)
    model_file.save(model, made, chosen, window, which)
    content = {
        "tagger": tagger,
        "member": member,
        "parameters": number_of_parameters(made),
        "imported": {"file": weights.name, "checksum": checksum(weights)},
    }
    write_text(history, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _with_weights(path: Path, chosen: TaggerSettings) -> Tagger:
    """Tagger with the weights of a file, and the rows of its last layer in our order of classes."""
    assert chosen.weights is not None
    tagger = Tagger(chosen, PUBLISHED[chosen.inputs])
    assert isinstance(tagger.network, ParticleNet)
    outputs = chosen.weights.outputs
    rows = [outputs.index(name) for name in chosen.class_names]
    weaver_weights.load(path, tagger.network, outputs=len(outputs), rows=rows)
    return tagger
