"""A trained tagger as ONNX, with its preprocessing inside the graph."""

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from fullchain.atomic import atomic
from fullchain.tagging.onnx_pieces import in_pieces
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.tagger import Tagger


class _Probabilities(nn.Module):
    """What goes into the file: the probability of the signal, and of all classes.

    Of several trainings of a tagger it is their mean. A jet that has nothing to look at gets NaN,
    as from `tagger.probabilities`.
    """

    def __init__(self, taggers: Sequence[Any]) -> None:
        super().__init__()
        self.taggers = nn.ModuleList(taggers)
        self.view = taggers[0].view

    def forward(self, *tensors: Tensor) -> tuple[Tensor, Tensor]:
        named = dict(zip(self.view.examples, tensors, strict=True))
        found = [torch.softmax(tagger(named), dim=1) for tagger in self.taggers]
        probabilities = torch.stack(found).mean(dim=0) if len(found) > 1 else found[0]
        probabilities = self.view.blanked(probabilities, named)
        return probabilities[:, 0], probabilities


def save_onnx(path: Path, taggers: Sequence[Tagger], settings: TaggerSettings) -> None:
    """Write `model.onnx`: what is read of a jet in, probabilities out, any number of jets.

    Inputs are those of the view (for particles ``constituents`` and ``jet``), outputs ``score``
    (jets,), the probability of the signal, and ``probabilities`` (jets, classes), the signal first;
    for several trainings of a tagger, their mean. Of a Bayesian tagger whose last layer alone has
    a distribution they are those of `tagging predict`, else those at the means of the weights.
    Where a network sees particles, the graph goes over the jets in pieces (`onnx_pieces`).
    """
    tagger = taggers[0]
    taggers = [_without_distributions(one) for one in taggers]
    examples = tagger.view.examples
    trimming = _Trimming(tagger)
    with warnings.catch_warnings(), _quiet("torch.onnx"):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Probabilities(taggers).eval(),
            tuple(examples.values()),
            dynamo=True,
            input_names=list(examples),
            output_names=["score", "probabilities"],
            dynamic_shapes={"tensors": trimming.dynamic_shapes},
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    model = _documented(program.model_proto, tagger, settings)
    if trimming.particles:
        in_pieces(model, classes=tagger.classes, entries=trimming.entries, least=trimming.least)
    onnx.checker.check_model(model)
    with atomic(path) as temporary:
        onnx.save(model, temporary)


class _Trimming:
    """Which sizes of the inputs a graph may not take as fixed.

    Jets always; of particles also their entries, so that padding can be cut off, where there are
    more of them than the network needs.
    """

    def __init__(self, tagger: Tagger) -> None:
        examples = tagger.view.examples
        self.particles = set(examples) == {"constituents", "jet"}
        self.entries = tagger.view.n_constituents
        # Each particle of ParticleNet must have entries for all its neighbours.
        needed = max(2, 1 + getattr(tagger.network, "neighbours", 1))
        self.least = needed if self.particles and self.entries > needed else None
        shapes = {name: {0: torch.export.Dim("jets")} for name in examples}
        if self.least is not None:
            shapes["constituents"][1] = torch.export.Dim("entries", min=needed, max=self.entries)
        self.dynamic_shapes = tuple(shapes.values())


def _without_distributions(tagger: Tagger) -> Any:
    """Give something whose softmax is the probability, with weights that are numbers."""
    if tagger.bayesian is None:
        return tagger
    from fullchain.tagging.bayesian import Predictive

    return Predictive(tagger, tagger.bayesian.samples)


def _documented(model: Any, tagger: Tagger, settings: TaggerSettings) -> Any:
    """Say what the graph is, and drop the exporter's stack traces, which name local folders."""
    for node in model.graph.node:
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    model.producer_name = "fullchain"
    model.producer_version = ""
    model.doc_string = (
        "Jet tagger. constituents: pT [GeV], eta, phi, mass [GeV] and other fields (see metadata) "
        "in falling pT, zeros as padding; jet: pT [GeV], eta, phi, mass [GeV]; nodes, mask, "
        "neighbours: declusterings; score: probability of the first class for classes of equal "
        "size; probabilities: of all classes. Of a tagger between two generators: for a mixture "
        "with the part working_point (see metadata) of the second."
    )
    del model.metadata_props[:]
    point = None if tagger.working_point is None else round(float(tagger.working_point), 6)
    for key, value in (
        ("settings", settings.model_dump(mode="json")),
        ("classes", list(settings.class_names)),
        ("fields", list(tagger.view.fields)),
        ("features", list(tagger.view.features)),
        *([] if point is None else [("working_point", point)]),
    ):
        entry = model.metadata_props.add()
        entry.key = key
        entry.value = json.dumps(value, sort_keys=True)
    return model


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a logger's warnings out of the log: the exporter complains of absent torchvision."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
