"""A tagger: preprocessing and network in one module, from momenta to a score, on disk and back."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor, nn

from fullchain.atomic import atomic
from fullchain.errors import InputError
from fullchain.learning import torch_file
from fullchain.learning.standardise import Standardisation, Standardise
from fullchain.tagging import features
from fullchain.tagging.pfn import ParticleFlowNetwork
from fullchain.tagging.settings import SelectionSettings, TaggerSettings

FORMAT = 1
"""Raised when the content of `model.pt` changes, so that an old file is not misread."""


class Tagger(nn.Module):
    """From momenta in GeV to the log-odds of signal.

    Parameters
    ----------
    settings
        Inputs and architecture.
    standardisation
        Scale of the inputs; it becomes part of the state dict.
    """

    def __init__(self, settings: TaggerSettings, standardisation: Standardisation) -> None:
        super().__init__()
        self.features = features.FUNCTIONS[settings.inputs]
        self.standardise = Standardise(standardisation, features.CLIP)
        self.network = _network(settings)

    def forward(self, constituents: Tensor, jet: Tensor) -> Tensor:
        """Give the log-odds of signal, shape (jets,).

        `constituents` (jets, particles, 4) and `jet` (jets, 4) are pT [GeV], eta, phi, mass [GeV];
        a particle of pT zero is padding.
        """
        inputs = self.standardise(self.features(constituents, jet))
        return self.network(inputs, features.is_particle(constituents))


def _network(settings: TaggerSettings) -> nn.Module:
    sizes = settings.architecture
    return ParticleFlowNetwork(
        len(features.NAMES[settings.inputs]),
        sizes.phi,
        sizes.f,
        typical=settings.n_constituents,
        dropout=sizes.dropout,
    )


class _Score(nn.Module):
    """The probability that goes into the ONNX file."""

    def __init__(self, tagger: Tagger) -> None:
        super().__init__()
        self.tagger = tagger

    def forward(self, constituents: Tensor, jet: Tensor) -> Tensor:
        return torch.sigmoid(self.tagger(constituents, jet))


@torch.no_grad()
def scores(
    tagger: Tagger,
    constituents: npt.NDArray[np.float32],
    jet: npt.NDArray[np.float32],
    device: torch.device,
    batch_size: int = 2048,
) -> npt.NDArray[np.float32]:
    """Probability of signal of each jet, shape (jets,), for classes of equal size.

    A jet without particles gets NaN: a number would look like an answer.
    """
    tagger.to(device).eval()
    result = np.empty(len(jet), dtype=np.float32)
    for start in range(0, len(jet), batch_size):
        piece = slice(start, start + batch_size)
        momenta = torch.from_numpy(constituents[piece]).to(device)
        logits = tagger(momenta, torch.from_numpy(jet[piece]).to(device))
        result[piece] = torch.sigmoid(logits).cpu().numpy()
    result[~(constituents[..., 0] > 0).any(axis=1)] = np.nan
    return result


def save(
    path: Path, tagger: Tagger, settings: TaggerSettings, selection: SelectionSettings
) -> None:
    """Write `model.pt`: the state dict (with the standardisation) and the settings."""
    content = {
        "format": FORMAT,
        "settings": settings.model_dump(mode="json"),
        "selection": selection.model_dump(mode="json"),
        "features": list(features.NAMES[settings.inputs]),
        "state": {name: tensor.cpu() for name, tensor in tagger.state_dict().items()},
    }
    torch_file.write(path, content)


def load(path: Path) -> tuple[Tagger, TaggerSettings]:
    """Read `model.pt`. Raises InputError where it is none, or of another format."""
    try:
        content = torch_file.read(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such model; train the tagger first") from None
    except torch_file.Unreadable as problem:
        raise InputError(f"{path}: not a tagger ({problem}); train again") from None
    if content.get("format") != FORMAT:
        raise InputError(f"{path}: written in format {content.get('format')}; train again")
    settings = TaggerSettings.model_validate(content["settings"])
    state = content["state"]
    standardisation = Standardisation(
        tuple(state["standardise.subtract"].tolist()),
        tuple(state["standardise.multiply"].tolist()),
    )
    tagger = Tagger(settings, standardisation)
    tagger.load_state_dict(state)
    return tagger.eval(), settings


def save_onnx(path: Path, tagger: Tagger, settings: TaggerSettings) -> None:
    """Write `model.onnx`: momenta in GeV in, probability of signal out, any number of jets.

    Inputs are ``constituents`` (jets, n_constituents, 4) and ``jet`` (jets, 4), output ``score``
    (jets,), as in `Tagger.forward`; all preprocessing is in the graph.
    """
    momenta = torch.ones(2, settings.n_constituents, 4)
    jet = torch.ones(2, 4)
    jets = torch.export.Dim("jets")
    with warnings.catch_warnings(), _quiet("torch.onnx"):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Score(tagger).eval(),
            (momenta, jet),
            dynamo=True,
            input_names=["constituents", "jet"],
            output_names=["score"],
            dynamic_shapes={"constituents": {0: jets}, "jet": {0: jets}},
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export gave no program")
    with atomic(path) as temporary:
        onnx.save(_documented(program.model_proto, settings), temporary)


def _documented(model: Any, settings: TaggerSettings) -> Any:
    """Say what the graph is, and drop the exporter's stack traces, which name local folders."""
    for node in model.graph.node:
        del node.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    model.producer_name = "fullchain"
    model.producer_version = ""
    model.doc_string = (
        "Jet tagger. constituents: pT [GeV], eta, phi, mass [GeV] in falling pT, zeros as padding; "
        "jet: the same of the jet; score: probability of signal for classes of equal size."
    )
    del model.metadata_props[:]
    entry = model.metadata_props.add()
    entry.key = "settings"
    entry.value = json.dumps(settings.model_dump(mode="json"), sort_keys=True)
    onnx.checker.check_model(model)
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
