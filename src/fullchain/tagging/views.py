"""What a tagger sees of a jet: which columns are read, and which tensors they become.

A view is made from the settings of a tagger. Its tensors are what the model takes, in training and
in ONNX alike; what follows from them (angles, logarithms, scales) is part of the model.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fullchain.learning.standardise import Standardisation, Standardise, measure
from fullchain.tagging import features
from fullchain.tagging.jets_reading import FOUR_MOMENTUM, Jets
from fullchain.tagging.settings import TaggerSettings

Array = npt.NDArray[Any]
Arrays = dict[str, Array]
Tensors = Mapping[str, Tensor]


class View(ABC):
    """What all views have.

    Attributes
    ----------
    columns
        Columns of the jets to read, beside identity and four-momentum.
    fields
        What to read of a particle.
    n_constituents
        Particles to read; 0 for none.
    examples
        An input of two jets: names, shapes and types of the tensors.
    features
        Names of what is standardised, the last dimension of what the network sees.
    published
        Their published scale, or None where there is none, so that it is always measured.
    clip
        Largest absolute value of a standardised feature.
    """

    columns: Sequence[str]
    fields: Sequence[str]
    n_constituents: int
    examples: Mapping[str, Tensor]
    features: Sequence[str]
    published: Standardisation | None
    clip: float

    @abstractmethod
    def arrays(self, jets: Jets) -> Arrays:
        """Give the tensors of some jets, as arrays of shape (jets, ...)."""

    def blanked(self, values: Tensor, tensors: Tensors) -> Tensor:
        """Put NaN where a jet has nothing to look at: a number would look like an answer.

        `values` has shape (..., jets, classes). By default each jet has something: a jet that is a
        single particle has no declustering, and an observable may not exist, but that is something
        to know of a jet, and the network gives it a number.
        """
        return values

    def augmented(self, tensors: Tensors) -> Tensors:
        """Give the tensors of jets that are as likely as these; the chance is torch's."""
        return tensors

    @abstractmethod
    def measured(self, tensors: Tensors) -> tuple[Tensor, Tensor]:
        """Give features before standardisation, (jets, things, features), and their mask."""

    def scale(self, values: Array, weights: Array) -> Standardisation:
        """Measure the scale of features (rows, features) with weights (rows,)."""
        return measure(values, weights)

    @abstractmethod
    def prepared(self, tensors: Tensors, standardise: Standardise) -> tuple[Any, ...]:
        """Give the arguments of the network."""


class Particles(View):
    """The particles of a jet: tensors `constituents` (jets, particles, fields) and `jet`."""

    columns: Sequence[str] = ()
    clip = features.CLIP

    def __init__(self, settings: TaggerSettings) -> None:
        self.inputs = settings.inputs
        self.fields = features.FIELDS[settings.inputs]
        self.features = features.NAMES[settings.inputs]
        self.published = features.PUBLISHED[settings.inputs]
        self.n_constituents = settings.n_constituents
        self.examples = {
            "constituents": torch.ones(2, settings.n_constituents, len(self.fields)),
            "jet": torch.ones(2, 4),
        }

    def arrays(self, jets: Jets) -> Arrays:
        """Give the tensors of some jets, as arrays."""
        return {"constituents": jets.constituents, "jet": jets.jet_momentum()}

    def blanked(self, values: Tensor, tensors: Tensors) -> Tensor:
        """Put NaN where a jet has no particles."""
        known = (tensors["constituents"][..., 0] > 0).any(dim=1)
        return torch.where(known.unsqueeze(1), values, torch.nan)

    def augmented(self, tensors: Tensors) -> Tensors:
        """Rotate the jets about their axes at random."""
        turned = features.rotated(tensors["constituents"], tensors["jet"])
        return {**tensors, "constituents": turned}

    def measured(self, tensors: Tensors) -> tuple[Tensor, Tensor]:
        """Give features before standardisation, and their mask."""
        constituents = tensors["constituents"]
        values = features.FUNCTIONS[self.inputs](constituents, tensors["jet"])
        return values, features.is_particle(constituents)

    def prepared(self, tensors: Tensors, standardise: Standardise) -> tuple[Any, ...]:
        """Give the arguments of the network."""
        values, _ = self.measured(tensors)
        return (features.cloud(standardise(values), tensors["constituents"], tensors["jet"]),)


class LundPlane(View):
    """The declusterings of a jet: tensors `nodes`, `mask` and `neighbours`.

    They are made as jets are read: reclustering is no part of the model. A rotation would change
    no coordinate but psi, and is left out. A jet of one particle has an empty plane: no node, and a
    mean over nodes of zero, which is what the network learns of such jets.
    """

    columns: Sequence[str] = ()
    fields: Sequence[str] = FOUR_MOMENTUM
    clip = float("inf")

    def __init__(self, settings: TaggerSettings) -> None:
        sizes = settings.architecture
        assert sizes.kind == "lund"
        self.features = sizes.coordinates
        self.n_constituents = settings.n_constituents
        self.nodes = sizes.max_nodes or max(1, settings.n_constituents - 1)
        # The network normalises its input itself: published is no scale.
        number = len(self.features)
        self.published = Standardisation((0.0,) * number, (1.0,) * number)
        self.examples = {
            "nodes": torch.ones(2, self.nodes, number),
            "mask": torch.ones(2, self.nodes, dtype=torch.bool),
            "neighbours": torch.zeros(2, self.nodes, 3, dtype=torch.int32),
        }

    def arrays(self, jets: Jets) -> Arrays:
        """Give the tensors of some jets, as arrays."""
        from fullchain.tagging import lund_tree

        trees = lund_tree.lund_trees(jets.constituents[..., :4], self.nodes, named=jets.named)
        chosen = [lund_tree.NAMES.index(name) for name in self.features]
        return {
            "nodes": np.ascontiguousarray(trees.features[..., chosen]),
            "mask": trees.mask,
            "neighbours": trees.neighbours.astype(np.int32),
        }

    def measured(self, tensors: Tensors) -> tuple[Tensor, Tensor]:
        """Give features before standardisation, and their mask."""
        return tensors["nodes"], tensors["mask"]

    def prepared(self, tensors: Tensors, standardise: Standardise) -> tuple[Any, ...]:
        """Give the arguments of the network."""
        nodes = standardise(tensors["nodes"])
        return nodes, tensors["mask"], tensors["neighbours"].long()


class HighLevel(View):
    """Observables of a jet: tensor `features` (jets, features), NaN where one does not exist."""

    fields: Sequence[str] = FOUR_MOMENTUM
    n_constituents = 0

    def __init__(self, settings: TaggerSettings) -> None:
        from fullchain.tagging import high_level

        sizes = settings.architecture
        assert sizes.kind in ("mlp", "trees")
        self.features = sizes.features
        self.columns = high_level.columns(self.features)
        number = len(self.features)
        # Trees do not depend on the scale, and know what to do where an observable is missing.
        self.raw = sizes.kind == "trees"
        nothing = Standardisation((0.0,) * number, (1.0,) * number)
        self.published = nothing if self.raw else None
        self.clip = float("inf") if self.raw else high_level.CLIP
        self.examples = {"features": torch.ones(2, number)}

    def arrays(self, jets: Jets) -> Arrays:
        """Give the tensors of some jets, as arrays."""
        from fullchain.tagging import high_level

        return {"features": high_level.inputs(jets.scalars, self.features, jets.named)}

    def measured(self, tensors: Tensors) -> tuple[Tensor, Tensor]:
        """Give features before standardisation, and their mask."""
        values = tensors["features"]
        return values[:, None], torch.ones(len(values), 1, dtype=torch.bool)

    def scale(self, values: Array, weights: Array) -> Standardisation:
        """Measure the scale from what is not NaN."""
        from fullchain.tagging import high_level

        return high_level.measure(values, weights, self.features)

    def prepared(self, tensors: Tensors, standardise: Standardise) -> tuple[Any, ...]:
        """Give the arguments of the network."""
        values = tensors["features"]
        if self.raw:
            return (values,)
        known = torch.where(torch.isnan(values), standardise.subtract, values)
        return (standardise(known),)


def view_of(settings: TaggerSettings) -> View:
    """Give the view that the architecture of a tagger needs."""
    views: dict[str, Any] = {"lund": LundPlane, "mlp": HighLevel, "trees": HighLevel}
    view: View = views.get(settings.architecture.kind, Particles)(settings)
    if settings.between is not None:
        from fullchain.tagging.conditioned import Conditioned

        view = Conditioned(view)
    return view
