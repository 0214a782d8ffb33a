"""A network that weighs each candidate by what is around it, and its loss.

PuppiML's gated graph network (1810.07988) and ABCNet's attention (2001.05311) are the two kinds of
layers; inputs, windows, loss and output are the same for both.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from fullchain.learning.standardise import Standardisation, Standardise
from fullchain.pileup.attention_layers import AttentionLayers
from fullchain.pileup.candidate_features import GLOBALS, names
from fullchain.pileup.cloud_graph import Points
from fullchain.pileup.gated_layers import GatedLayers
from fullchain.pileup.graph_settings import GatedSettings, GraphSettings

_CLIP = 5.0  # of standardised features


class GraphNetwork(nn.Module):
    """Standardises features and applies the layers of the settings.

    Parameters
    ----------
    scale, event_scale
        Of the features of a candidate and of an event.
    """

    def __init__(
        self, settings: GraphSettings, scale: Standardisation, event_scale: Standardisation
    ) -> None:
        super().__init__()
        self.standardise = Standardise(scale, _CLIP)
        self.standardise_event = Standardise(event_scale, _CLIP)
        features, of_event = len(names(settings.local_sums)), len(GLOBALS)
        self.layers: nn.Module
        if isinstance(settings.layers, GatedSettings):
            self.layers = GatedLayers(settings.layers, features, of_event)
        else:
            self.layers = AttentionLayers(settings.layers, features, of_event)

    @property
    def sees_whole_groups(self) -> bool:
        """Whether an output depends on all of the group, and not only on what is near."""
        return isinstance(self.layers, AttentionLayers)

    def forward(self, points: Points) -> Tensor:
        """Give the logit of the weight of each candidate, (n)."""
        logits: Tensor = self.layers(
            replace(
                points,
                features=self.standardise(points.features),
                of_group=self.standardise_event(points.of_group),
            )
        )
        return logits


def packed(batch: Mapping[str, Tensor]) -> Points:
    """Take the candidates out of padded windows.

    Parameters
    ----------
    batch
        `features` (windows, points, features), `place` (windows, points, 2), `mask` (windows,
        points), `of_event` (windows, globals).
    """
    mask = batch["mask"]
    counts = mask.sum(dim=1).cpu()
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return Points(batch["features"][mask], batch["place"][mask], batch["of_event"], offsets)


class FractionLoss:
    """Distance of weights from the true fraction of energy from the hard collision.

    Each candidate counts with its `weight`, which is 0 in the halo of a window and for what is not
    to be learned. Both distances are least for the mean of the fraction, given what the network
    sees.

    Parameters
    ----------
    mean_weight
        Mean sum of weights of a window in the training sample, in units of which they count.
    """

    def __init__(self, settings: GraphSettings, mean_weight: float) -> None:
        self.squared = settings.loss == "squared"
        self.mean_weight = mean_weight

    def __call__(self, model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Give the mean loss over the windows of a batch."""
        mask = batch["mask"]
        logits = model(packed(batch)).float()
        target, weight = batch["target"][mask], batch["weight"][mask]
        if self.squared:
            loss = (torch.sigmoid(logits) - target) ** 2
        else:
            loss = binary_cross_entropy_with_logits(logits, target, reduction="none")
        return {"loss": (loss * weight).sum() / (len(mask) * self.mean_weight)}
