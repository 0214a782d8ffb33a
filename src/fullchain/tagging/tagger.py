"""A tagger: preprocessing and network in one module, from what is read of a jet to its classes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.learning.standardise import Standardisation, Standardise
from fullchain.tagging.conditioned import PARAMETER
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.views import Arrays, Tensors, View, view_of

BATCH = {"part": 64, "particlenet": 128, "lgatr": 128, "pfn": 256, "efn": 256}
"""Jets at once where a network holds something for each pair of particles, or much for each."""


class Tagger(nn.Module):
    """From what is read of a jet to the logits of the classes.

    Parameters
    ----------
    settings
        Inputs, classes and architecture.
    standardisation
        Scale of the inputs; it becomes part of the state dict.
    """

    working_point: Tensor | None
    """Part of a second generator that the score is for; None where there is one generator."""

    def __init__(self, settings: TaggerSettings, standardisation: Standardisation) -> None:
        super().__init__()
        self.classes = len(settings.classes)
        self.kind = settings.architecture.kind
        self.view = view_of(settings)
        self.standardise = Standardise(standardisation, self.view.clip)
        self.network = network_of(settings, self.view)
        self.register_buffer("working_point", _start(settings))
        self.bayesian = settings.bayesian
        if self.bayesian is not None:
            from fullchain.tagging.bayesian import make_bayesian

            example = self.arguments(self.view.examples)
            make_bayesian(self.network, example, self.classes, self.bayesian)

    def forward(self, tensors: Tensors) -> Tensor:
        """Give the logits of the classes, shape (jets, classes).

        `tensors` has at least the names of the view; for particles these are `constituents` (jets,
        particles, fields) and `jet` (jets, 4): pT [GeV], eta, phi, mass [GeV], then what else the
        inputs need; a particle of pT zero is padding.
        """
        logits: Tensor = self.network(*self.arguments(tensors))
        return logits

    def arguments(self, tensors: Tensors) -> tuple[Any, ...]:
        """Give what the network gets; without a part r of the second generator, at the own one."""
        if self.working_point is not None and PARAMETER not in tensors:
            jets = tensors[next(iter(self.view.examples))].shape[0]
            tensors = {**tensors, PARAMETER: self.working_point.expand(jets, 1)}
        return self.view.prepared(tensors, self.standardise)

    def set_working_point(self, value: float) -> None:
        """Choose the r of the score. Raises ValueError without a second generator, or beyond it."""
        if self.working_point is None:
            raise ValueError("a tagger of one generator has no working point")
        if not 0 <= value <= 1:
            raise ValueError(f"working_point: a part in [0, 1], not {value}")
        self.working_point.fill_(value)

    def latent(self, tensors: Tensors) -> Tensor:
        """Give what the last layer of the network sees, shape (jets, width).

        Raises InputError for trees, which have no layers.
        """
        if self.kind == "trees":
            raise InputError(
                "boosted trees have no layers, and so no latent features: explain them by their "
                "observables, or take a network (mlp has the same inputs)"
            )
        latent: Any = self.network.latent
        seen: Tensor = latent(*self.arguments(tensors))
        return seen


def _start(settings: TaggerSettings) -> Tensor | None:
    """Working point as given; the middle until the best one is found."""
    if settings.between is None:
        return None
    given = settings.between.working_point
    return torch.tensor(0.5 if given == "best" else float(given))


def network_of(settings: TaggerSettings, view: View) -> nn.Module:
    """Build the network, without what its architecture has no need to import."""
    sizes = settings.architecture
    features, classes = len(view.features), len(settings.classes)
    conditions = 0 if settings.between is None else 1
    own = sizes.model_dump(exclude={"kind"})
    if sizes.kind == "pfn":
        from fullchain.tagging.pfn import ParticleFlowNetwork

        return ParticleFlowNetwork(features, classes, typical=settings.n_constituents, **own)
    if sizes.kind == "efn":
        from fullchain.tagging.efn import EnergyFlowNetwork

        return EnergyFlowNetwork(features, classes, conditions=conditions, **own)
    if sizes.kind == "particlenet":
        from fullchain.tagging.particlenet import ParticleNet

        return ParticleNet(features, classes, **own)
    if sizes.kind == "part":
        from fullchain.tagging.particle_transformer import ParticleTransformer

        return ParticleTransformer(features, classes, **own)
    if sizes.kind == "lgatr":
        from fullchain.tagging.lorentz import LorentzTransformer

        return LorentzTransformer(features, classes, conditions=conditions, **own)
    if sizes.kind == "lund":
        from fullchain.tagging.lund_network import LundNetwork

        return LundNetwork(features, classes, **_without(own, "coordinates", "max_nodes"))
    if sizes.kind == "mlp":
        from fullchain.tagging.high_level import HighLevelNetwork

        return HighLevelNetwork(features, classes, **_without(own, "features"))
    if sizes.kind == "trees":
        from fullchain.tagging.trees import TreeEnsemble

        return TreeEnsemble(features, classes)
    raise ValueError(f"no network is called {sizes.kind}")


def _without(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def batches(
    tagger: Tagger, arrays: Arrays, device: torch.device, batch_size: int | None = None
) -> Iterator[tuple[slice, Tensors]]:
    """Give rows and tensors of some jets at a time."""
    batch_size = batch_size or BATCH.get(tagger.kind, 1024)
    names = [*tagger.view.examples, *({PARAMETER} & set(arrays))]
    for start in range(0, len(arrays[names[0]]), batch_size):
        chosen = slice(start, start + batch_size)
        yield (
            chosen,
            {name: torch.from_numpy(arrays[name][chosen]).to(device) for name in names},
        )


@torch.no_grad()
def probabilities(
    tagger: Tagger, arrays: Arrays, device: torch.device, batch_size: int | None = None
) -> npt.NDArray[np.float32]:
    """Probability of each class for each jet, shape (jets, classes), for classes of equal size.

    A jet that has nothing to look at gets NaN (`View.blanked`). Of a Bayesian tagger it is the mean
    over the samples of its weights. Between two generators `arrays` may have r of each jet;
    without, it is at the working point.
    """
    if tagger.bayesian is not None:
        from fullchain.tagging.posterior import posterior

        return posterior(tagger, arrays, device, batch_size).mean.astype(np.float32)
    tagger.to(device).eval()
    pieces = [
        tagger.view.blanked(torch.softmax(tagger(tensors), dim=1), tensors).cpu().numpy()
        for _, tensors in batches(tagger, arrays, device, batch_size)
    ]
    return np.concatenate(pieces) if pieces else np.empty((0, tagger.classes), dtype=np.float32)
