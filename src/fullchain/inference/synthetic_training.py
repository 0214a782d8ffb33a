"""Training of summaries of the synthetic benchmark, of several members together.

Each member has its own start and its own order of events, and learns what it learns alone, to the
bit; all share the events.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fullchain.errors import InputError
from fullchain.inference import synthetic_model, synthetic_networks
from fullchain.inference.synthetic_networks import Expectation, Networks
from fullchain.inference.synthetic_settings import SummaryTrainingSettings, SyntheticSettings
from fullchain.inference.synthetic_templates import Templates, templates
from fullchain.seeds import stream

Array = npt.NDArray[np.float64]

KEYS = ("inference", "synthetic")

VALIDATION_PARTS = 1000
"""Events of each class that are passed at once."""


@dataclass
class Learned:
    """What came of a training.

    Parameters
    ----------
    networks
        With the weights of the epoch of the lowest validation loss, of each member.
    epoch
        (members) which epoch that is, from 1.
    training, validation
        (epochs, members) mean loss over the steps of an epoch, and after it that of the events not
        trained on; for INFERNO their square roots, which are expected uncertainties.
    expected
        Of each case (epochs, members) expected uncertainty with the templates of the validation
        events in the bins of the summary.
    """

    networks: Networks
    epoch: npt.NDArray[np.int64]
    training: list[Array] = field(default_factory=list)
    validation: list[Array] = field(default_factory=list)
    expected: dict[str, list[Array]] = field(default_factory=dict)


@dataclass(frozen=True)
class Events:
    """Signal and background (events, 3) each."""

    signal: Array
    background: Array

    @classmethod
    def drawn(cls, events: int, seed: int, what: str) -> "Events":
        """Draw as many events of each class; what they are for keys the random numbers."""
        chance = stream(seed, *KEYS, what)
        return cls(
            synthetic_model.sample_signal(events, chance),
            synthetic_model.sample_background(
                events, synthetic_model.SHIFT, synthetic_model.RATE, chance
            ),
        )


def learn_inferno(
    case: str, events: Events, validation: Events, members: Sequence[int], how: SyntheticSettings,
    seed: int, look: Callable[[int, Array], None] = lambda epoch, loss: None,
) -> Learned:  # fmt: skip
    """Minimise the expected variance of s.

    Parameters
    ----------
    case
        Name of the inference problem.
    members
        Numbers of the trainings; of each number one start and order, whatever the others are.
    look
        Called after each epoch with its number and the expected uncertainties (members).

    Raises
    ------
    InputError
        The loss is not finite, or the information singular.
    """
    chosen = synthetic_model.CASES[case]
    what = Expectation(
        synthetic_model.SIGNAL,
        synthetic_model.BACKGROUND,
        torch.from_numpy(chosen.precision),
        "b" in chosen.nuisances,
        how.temperature,
    )
    networks = _started(members, how.layers, how.bins, seed)
    held = _columns(validation, [None])
    size = min(VALIDATION_PARTS, held.shape[-1])
    parts = [
        with_derivatives(one.expand(-1, len(members), -1, -1), chosen.shapes)
        for one in held.split(size, dim=-1)
        if one.shape[-1] == size
    ]

    def epoch_losses(orders: Sequence[Order]) -> Iterator[Tensor]:
        for rows in _batches(events, orders, how.inferno.batch):
            blocks = with_derivatives(rows, chosen.shapes)
            loss, gradients = synthetic_networks.variance_gradients(networks, blocks, what)
            networks.step(gradients, how.inferno.learning_rate)
            yield loss

    def validated() -> Array:
        return synthetic_networks.variance_of_parts(networks, parts, what).sqrt().numpy()

    def measured() -> Templates:
        return inferno_templates(networks, how.bins, validation)

    return _learn(
        f"INFERNO for {case}", networks, epoch_losses, validated, measured, np.sqrt, members,
        len(events.signal), how.inferno, seed, (case,), look,
    )  # fmt: skip


def learn_classifier(
    events: Events, validation: Events, members: Sequence[int], how: SyntheticSettings, seed: int,
    look: Callable[[int, Array], None] = lambda epoch, loss: None,
) -> Learned:  # fmt: skip
    """Minimise the cross-entropy of signal and nominal background; see `learn_inferno`."""
    assert how.classifier is not None
    training = how.classifier
    networks = _started(members, how.layers, 2, seed)
    held = _columns(validation, [None])
    both = torch.cat([held[0, 0], held[1, 0]], dim=-1)

    def epoch_losses(orders: Sequence[Order]) -> Iterator[Tensor]:
        for rows in _batches(events, orders, training.batch):
            both = torch.cat([rows[0], rows[1]], dim=-1)
            loss, gradients = synthetic_networks.classifier_gradients(networks, both)
            networks.step(gradients, training.learning_rate)
            yield loss

    def validated() -> Array:
        return synthetic_networks.cross_entropy(networks(both)).double().numpy()

    def measured() -> Templates:
        return classifier_templates(networks, how.bins, validation)

    return _learn(
        "the classifier", networks, epoch_losses, validated, measured, np.asarray, members,
        len(events.signal), training, seed, tuple(synthetic_model.CASES), look,
    )  # fmt: skip


def inferno_templates(networks: Networks, bins: int, events: Events) -> Templates:
    """Templates of events in the bins of the largest output."""
    return templates(
        lambda rows: networks(rows).argmax(dim=1), bins, events.signal, events.background
    )


def classifier_templates(networks: Networks, bins: int, events: Events) -> Templates:
    """Templates of events in uniform bins of the output for signal."""
    return templates(
        lambda rows: classifier_bins(networks, bins, rows), bins, events.signal, events.background
    )


def classifier_bins(networks: Networks, bins: int, rows: Tensor) -> Tensor:
    """Uniform bin of the output for signal (members, events)."""
    logits = networks(rows)
    output = torch.sigmoid(logits[:, 0] - logits[:, 1])
    return (output * bins).long().clamp_(max=bins - 1)


def with_derivatives(rows: Tensor, shapes: Sequence[str]) -> Tensor:
    """Add derivatives of background (2, members, 3, events) by r and by the rate, where asked."""
    blocks = rows.new_zeros(2 + len(shapes), *rows.shape[1:])
    blocks[:2] = rows
    for block, name in zip(blocks[2:], shapes, strict=True):
        if name == "r":
            block[:, 0] = 1.0
        else:
            torch.mul(rows[1, :, 2], -1.0 / synthetic_model.RATE, out=block[:, 2])
    return blocks


Order = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Numbers of the signal and of the background events of an epoch."""


def _started(members: Sequence[int], layers: Sequence[int], outputs: int, seed: int) -> Networks:
    chances = [stream(seed, *KEYS, "start", outputs, member) for member in members]
    return Networks.drawn([3, *layers, outputs], chances)


def _columns(events: Events, orders: Sequence[Order | None]) -> Tensor:
    """Events as (2, members, 3, events), in the order of each member."""
    found = [
        [
            np.ascontiguousarray((rows if order is None else rows[order[number]]).T)
            for order in orders
        ]
        for number, rows in enumerate((events.signal, events.background))
    ]
    return torch.from_numpy(np.array(found, dtype=np.float32))


def _batches(events: Events, orders: Sequence[Order], batch: int) -> Iterator[Tensor]:
    """Give (2, members, 3, batch) rows after rows; what does not fill a batch is left out."""
    rows = _columns(events, orders)
    steps = rows.shape[-1] // batch
    shape = (*rows.shape[:-1], steps, batch)
    cut = rows[..., : steps * batch].reshape(shape).permute(3, 0, 1, 2, 4).contiguous()
    return iter(cut)


def _learn(
    name: str,
    networks: Networks,
    epoch_losses: Callable[[Sequence[Order]], Iterator[Tensor]],
    validated: Callable[[], Array],
    measured: Callable[[], Templates],
    scale: Callable[[Array], Array],
    members: Sequence[int],
    events: int,
    training: SummaryTrainingSettings,
    seed: int,
    cases: tuple[str, ...],
    look: Callable[[int, Array], None],
) -> Learned:
    best = Learned(networks.copy(), np.zeros(len(members), dtype=np.int64))
    best.expected = {case: [] for case in cases}
    lowest = np.full(len(members), np.inf)
    for epoch in range(1, training.epochs + 1):
        orders = [_order(events, stream(seed, *KEYS, "order", member, epoch)) for member in members]
        try:
            losses = torch.stack(list(epoch_losses(orders))).double().mean(dim=0).numpy()
            validation = validated()
        except torch.linalg.LinAlgError:
            raise InputError(
                f"synthetic benchmark, {name}, epoch {epoch}: the information is singular, all "
                "events in too few bins; lower learning_rate, or take larger batches"
            ) from None
        for member, loss in zip(members, losses + validation, strict=True):
            if not np.isfinite(loss):
                raise InputError(
                    f"synthetic benchmark, {name}, training {member}, epoch {epoch}: the loss is "
                    "not finite; lower learning_rate, or take larger batches"
                )
        found = measured()
        better = validation < lowest
        lowest[better] = validation[better]
        best.epoch[better] = epoch
        best.networks.keep(networks, torch.from_numpy(better))
        best.training.append(scale(losses))
        best.validation.append(validation)
        for case in cases:
            best.expected[case].append(
                np.array([found.uncertainty(member, case) for member in range(len(members))])
            )
        look(epoch, best.expected[cases[-1]][-1])
    return best


def _order(events: int, chance: np.random.Generator) -> Order:
    return chance.permutation(events), chance.permutation(events)
