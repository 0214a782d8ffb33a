"""Scores that are uniform over background at each mass: quantile morphing by a conditional flow.

The transformed score is the cumulative distribution of the score given the mass, over background
(Algren, Raine and Golling 2211.02486): uniform at each mass as far as the flow has learned the
distribution, whatever the classifier. At a fixed mass the map is monotonic, so that no jets of one
mass change their order. Any number of variables may take the place of the mass.

The score first becomes its rank over all background (`marginal`), on the scale of a logistic
distribution; then rational-quadratic splines whose shape depends on the mass (neural spline flow,
Durkan et al. 1906.04032; from the library zuko) turn its distribution at each mass into the
logistic one again. They are trained by weighted maximum likelihood. Where the score does not depend
on the mass the splines have nothing to do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from fullchain.decorrelation.conditions import PER_COLUMN, Conditions
from fullchain.decorrelation.marginal import Marginal, logits
from fullchain.decorrelation.method_settings import FlowSettings
from fullchain.errors import InputError
from fullchain.learning.training import Batch, History, initialised, train, weighted_mean

Array = npt.NDArray[np.float64]

BOUND = 10.0
"""Range of the splines; beyond, where 5e-5 of background is on either side, scores are kept."""

ROWS = 65_536
"""Jets that are transformed at once."""

LARGEST = 1.0 - 2.0**-24
"""Largest quantile: the number below one in the single precision of a file of scores."""


class ConditionalFlow(nn.Module):
    """Monotonic map of one number, for given conditions, whose target is a logistic distribution.

    Parameters
    ----------
    settings
        Number and size of the splines.
    conditions
        Number of the conditions.
    """

    def __init__(self, settings: FlowSettings, conditions: int) -> None:
        super().__init__()
        from zuko.flows import MAF
        from zuko.transforms import MonotonicRQSTransform

        bins = settings.bins
        # That of zuko's spline flow, with a wider range: its own ends at 5.
        self.splines = MAF(
            features=1,
            context=conditions,
            transforms=settings.transforms,
            univariate=partial(MonotonicRQSTransform, bound=BOUND),
            shapes=[(bins,), (bins,), (bins - 1,)],
            hidden_features=settings.layers,
            activation=nn.SiLU,
        ).transform

    def forward(self, value: Tensor, context: Tensor) -> Tensor:
        """Give the logarithm of the density of `value` (jets,) given `context`, (jets,)."""
        mapped, stretch = self.splines(context).call_and_ladj(value.unsqueeze(1))
        mapped = mapped.squeeze(1)
        density: Tensor = stretch - softplus(mapped) - softplus(-mapped)
        return density

    def mapped(self, value: Tensor, context: Tensor) -> Tensor:
        """Give the logit of the quantile of `value` (jets,) given `context`, (jets,)."""
        result: Tensor = self.splines(context)(value.unsqueeze(1)).squeeze(1)
        return result


class NegativeLogLikelihood:
    """What the training minimises: batches have `value`, `context` and `weight`."""

    def __call__(self, model: nn.Module, batch: Batch) -> dict[str, Tensor]:
        """Give the weighted mean over the jets of the batch."""
        return {"loss": weighted_mean(-model(batch["value"], batch["context"]), batch["weight"])}


@dataclass(frozen=True)
class QuantileFlow:
    """A fitted transformation, with all that it takes."""

    marginal: Marginal
    conditions: Conditions
    flow: ConditionalFlow

    @torch.no_grad()
    def transformed(self, scores: npt.ArrayLike, against: Array, chance: Array) -> Array:
        """Give the quantile of scores among background jets of the same mass, in (0, 1).

        Parameters
        ----------
        scores
            Scores of the tagger in [0, 1], (jets,); a jet without one, NaN, stays without.
        against
            Variables, (jets, columns); beyond the range of the fit they count as at its edge.
        chance
            Numbers in [0, 1) that part jets of equal scores, (jets,).

        Returns
        -------
        ndarray
            Shape (jets,), in double precision, below one in single precision, too.
        """
        values = logits(scores)
        result = np.full(values.shape, np.nan)
        exists = np.flatnonzero(np.isfinite(values))
        flow = self.flow.double().eval()
        for start in range(0, len(exists), ROWS):
            rows = exists[start : start + ROWS]
            value = self.marginal.logistic(values[rows], chance[rows])
            context = self.conditions.context(against[rows])
            found = flow.mapped(torch.from_numpy(value), torch.from_numpy(context))
            result[rows] = torch.sigmoid(found).numpy()
        return np.minimum(result, LARGEST)


def fit(
    scores: Array,
    against: Array,
    weights: Array,
    chance: Array,
    validation: npt.NDArray[np.bool_],
    names: Sequence[str],
    settings: FlowSettings,
    *,
    seed: int,
    description: str = "flow",
) -> tuple[QuantileFlow, History]:
    """Fit the transformation to background jets.

    Parameters
    ----------
    scores
        Scores of the tagger in [0, 1], (jets,).
    against
        Variables that the score is made independent of, (jets, columns), `names` of them.
    weights
        Weights, (jets,); a negative one counts as zero, for no likelihood has a largest value
        with it.
    chance
        Numbers in [0, 1) that part jets of equal scores, (jets,).
    validation
        Jets that decide when training stops, (jets,); the others train.
    settings, seed
        Of the flow and its training; the result depends on these and the jets alone.

    Returns
    -------
    flow, history
        The transformation of the best epoch, and the mean negative log-likelihood ("loss") after
        each.

    Raises
    ------
    InputError
        A score is not finite, all are the same, a variable is constant or not finite, or the
        training or the validation jets have no weight.
    """
    bad = int((~np.isfinite(scores)).sum())
    if bad:
        raise InputError(f"{bad} of {len(scores)} background jets have no finite score")
    weights = np.clip(np.asarray(weights, dtype=float), 0.0, None)
    for part, rows in {"training": ~validation, "validation": validation}.items():
        if not weights[rows].sum() > 0:
            raise InputError(
                f"the weights of the {int(rows.sum())} background jets for the {part} of the flow "
                "sum to zero: make more events, or widen the selection of the tagger"
            )
    values = logits(scores)
    marginal = Marginal.measured(values, weights)
    conditions = Conditions.measured(against, weights, names)
    columns = {
        "value": marginal.logistic(values, chance),
        "context": conditions.context(against),
        "weight": weights,
    }
    flow = initialised(seed, lambda: ConditionalFlow(settings, PER_COLUMN * len(names)))
    assert isinstance(flow, ConditionalFlow)
    history = train(
        flow,
        NegativeLogLikelihood(),
        _tensors(columns, ~validation),
        _tensors(columns, validation),
        settings.training,
        seed=seed,
        description=description,
    )
    return QuantileFlow(marginal, conditions, flow.eval()), history


def _tensors(columns: Mapping[str, Array], rows: npt.NDArray[np.bool_]) -> dict[str, Tensor]:
    """Rows with a weight as tensors, with weights of mean one."""
    chosen = rows & (columns["weight"] > 0)
    own: dict[str, Any] = {name: column[chosen] for name, column in columns.items()}
    own["weight"] = own["weight"] / own["weight"].mean()
    return {name: torch.from_numpy(column.astype(np.float32)) for name, column in own.items()}
