"""What a tagger is trained for: to tell classes apart, by gradients or by boosting."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fullchain.learning import split
from fullchain.learning.training import Batch, weighted_mean
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.tagger import Tagger
from fullchain.tagging.training_data import Batches, standardisation
from fullchain.tagging.trees_settings import TreesSettings
from fullchain.tagging.views import View


@dataclass(frozen=True)
class Classification:
    """Cross entropy and accuracy of a batch; with `rotate`, of jets that are turned at random.

    A class and not a function in a function, which could not go to another process.
    """

    view: View
    rotate: bool

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Give the weighted means over the jets of the batch."""
        turned = self.rotate and model.training
        # The loss is a small difference of large numbers: not with fewer bits.
        logits = model(self.view.augmented(batch) if turned else batch).float()
        loss = cross_entropy(logits, batch["target"], reduction="none")
        right = (logits.argmax(dim=1) == batch["target"]).float()
        return {
            "loss": weighted_mean(loss, batch["weight"]),
            "accuracy": weighted_mean(right, batch["weight"]),
        }


def boosted(
    tagger: TaggerSettings, view: View, batches: Batches, seed: int
) -> tuple[Tagger, dict[str, Any]]:
    """Fit trees, which no gradient of torch trains; a jet of negative weight is left out."""
    from fullchain.tagging import trees

    assert isinstance(tagger.architecture, TreesSettings)
    training, validation = (
        (batch["features"].numpy(), batch["target"].numpy(), batch["weight"].clamp(min=0).numpy())
        for batch in (batches[split.TRAIN], batches[split.VALIDATION])
    )
    ensemble, record = trees.fit(*training, *validation, tagger.architecture, seed=seed)
    network = Tagger(tagger, standardisation(tagger, view, batches[split.TRAIN]))
    network.network = ensemble
    return network, record.as_dict()


def number_of_parameters(tagger: Tagger) -> int:
    """Number of weights; of trees, which have none, the number of nodes."""
    number = sum(weights.numel() for weights in tagger.parameters())
    return number or sum(one.numel() for name, one in tagger.named_buffers() if "value" in name)
