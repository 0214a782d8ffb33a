"""The training loop: seeded, resumable to the bit, with early stopping on the validation loss.

Every source of chance is set anew at the start of each epoch from (seed, epoch), and the learning
rate is a function of the step. A checkpoint therefore needs no generators and no schedule: with the
model, the optimiser, the best model so far and the history, what follows a kill is exactly what
would have followed without one.

The rows may lie in memory or in mapped files (`rows`), the arithmetic may use fewer bits
(`precision`), and several processes may share the work (`distributed`).
"""

import copy
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.learning import checkpoint, device, distributed, optimisers, precision
from fullchain.learning.distributed import Share
from fullchain.learning.rows import shuffled
from fullchain.learning.schedule import factor
from fullchain.learning.settings import TrainingSettings
from fullchain.progress import progress
from fullchain.seeds import derive

Batch = Mapping[str, Tensor]
Objective = Callable[[nn.Module, Batch], Mapping[str, Tensor]]
"""Gives named scalars, each a mean over the rows of the batch; "loss" is the one to minimise."""


@dataclass
class History:
    """Terms of the objective after each epoch (lists of equal length), and the best epoch."""

    train: list[dict[str, float]] = field(default_factory=list)
    validation: list[dict[str, float]] = field(default_factory=list)
    learning_rate: list[float] = field(default_factory=list)
    best_epoch: int = -1
    best_loss: float = math.inf
    stopped_early: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Give plain containers, for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Resumption:
    """Where to keep the state of an unfinished training, and the mark of what it belongs to."""

    path: Path
    fingerprint: str


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Mean over rows of weight times value.

    Weights should have mean one over all rows: dividing by the sum in each batch instead would
    favour rows that happen to sit among light ones.
    """
    return (values * weights).mean()


def initialised(seed: int, build: Callable[[], nn.Module]) -> nn.Module:
    """Build a model whose initial weights depend on `seed` only."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "initialise"))
        return build()


def train(
    model: nn.Module,
    objective: Objective,
    training: Batch,
    validation: Batch,
    settings: TrainingSettings,
    *,
    seed: int,
    resumption: Resumption | None = None,
    description: str = "training",
    after_epoch: Callable[[int], None] | None = None,
) -> History:
    """Train `model` in place and leave it with the weights of its best epoch, on the CPU.

    Parameters
    ----------
    model
        Anything that `objective` understands. With `compile` or several processes, what the
        objective gets is a wrapper that can be called as the model, and knows if it trains.
    objective
        Maps (model, batch) to named means over the rows of the batch, among them "loss".
    training, validation
        Named tensors on the CPU that agree in their first dimension, the rows: a plain mapping, or
        a `rows.Table`, whose columns may lie in files.
    settings
        Length, rate, schedule, patience, device, precision, processes.
    seed
        Seed of the order of rows and of everything random in model and objective.
    resumption
        Checkpoint to go on from and to write after each epoch.
    after_epoch
        Called with the index of each finished epoch, after its checkpoint.

    Raises
    ------
    InputError
        No rows, rows that do not agree, a loss that is not finite, float16 without CUDA, or more
        processes than devices or rows of a batch.
    RuntimeError
        One of several processes ended.
    """
    _check_rows("training", training)
    _check_rows("validation", validation)
    place = device.choose(settings.device)
    smallest = _rows(training) // batches_of(_rows(training), settings)
    distributed.check(settings.processes, place, smallest, _rows(validation))
    rest = (objective, training, validation, settings, seed, resumption)
    team = distributed.team(settings.processes, place, _follow, model, *rest)
    with _conditions(settings), _own_generators(place), team as share:
        run = _Run(share, model, objective, training, validation, settings, seed)
        if resumption is not None:
            run.resume(resumption)
        with progress(description, settings.epochs, "epochs") as advance:
            advance(run.epochs_done)
            while not run.finished:
                run.epoch()
                if resumption is not None:
                    checkpoint.save(resumption.path, resumption.fingerprint, run.state())
                if after_epoch is not None:
                    after_epoch(run.epochs_done - 1)
                advance(1)
        return run.conclude(model)


def _follow(
    share: Share,
    model: nn.Module,
    objective: Objective,
    training: Batch,
    validation: Batch,
    settings: TrainingSettings,
    seed: int,
    resumption: Resumption | None,
) -> None:
    """Do what `train` does, in a process other than the first: all but writing and reporting."""
    with _conditions(settings):
        # A copy, because what came from another process is shared with it.
        own = copy.deepcopy(model)
        run = _Run(share, own, objective, training, validation, settings, seed)
        if resumption is not None:
            run.resume(resumption)
        while not run.finished:
            run.epoch()


class _Run:
    """One training: everything that changes from epoch to epoch."""

    def __init__(
        self,
        share: Share,
        model: nn.Module,
        objective: Objective,
        training: Batch,
        validation: Batch,
        settings: TrainingSettings,
        seed: int,
    ) -> None:
        self.share = share
        self.place = share.place(device.choose(settings.device))
        self.model = distributed.prepared(model, share, self.place).to(self.place)
        self.called = self.model
        if settings.compile:
            self.called = precision.compiled(self.model, self.place)
        self.joined = share.joined(self.called)
        self.objective = objective
        self.training = training
        self.validation = validation
        self.settings = settings
        self.seed = seed
        self.history = History()
        self.best = copy.deepcopy(self.model.state_dict())
        self.batches = batches_of(_rows(training), settings)
        self.optimiser = optimisers.build(self.model, settings)
        self.descent = precision.Descent(
            self.optimiser, settings.precision, self.place, settings.gradient_clip
        )

    @property
    def epochs_done(self) -> int:
        return len(self.history.train)

    @property
    def finished(self) -> bool:
        return self.history.stopped_early or self.epochs_done >= self.settings.epochs

    def resume(self, resumption: Resumption) -> None:
        state = checkpoint.load(resumption.path, resumption.fingerprint)
        if state is None:
            return
        self.model.load_state_dict(state["model"])
        self.descent.load(state)
        self.best = state["best"]
        self.history = History(**state["history"])
        if self.share.rank == 0:
            print(
                f"going on after epoch {self.epochs_done}, from {resumption.path}",
                file=sys.stderr,
                flush=True,
            )

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            **self.descent.state(),
            "best": self.best,
            "history": self.history.as_dict(),
        }

    def epoch(self) -> None:
        torch.manual_seed(derive(self.seed, "epoch", self.epochs_done))
        order = shuffled(_rows(self.training), self.settings.shuffle_block)
        if self.share.rank:
            # Other rows, other dropout; the order above is the same for all.
            torch.manual_seed(derive(self.seed, "epoch", self.epochs_done, "rank", self.share.rank))
        terms = self._pass_over_training(order)
        validation = self.evaluate()
        history = self.history
        history.train.append(terms)
        history.validation.append(validation)
        history.learning_rate.append(self.optimiser.param_groups[0]["lr"])
        if validation["loss"] < history.best_loss - self.settings.min_improvement:
            history.best_loss = validation["loss"]
            history.best_epoch = self.epochs_done - 1
            self.best = copy.deepcopy(self.model.state_dict())
        elif self.epochs_done - 1 - history.best_epoch >= self.settings.patience:
            history.stopped_early = True

    def _pass_over_training(self, order: Tensor) -> dict[str, float]:
        self.joined.train()
        sums = _Means()
        # Batches of nearly equal size: a last one with a single row would break batch norms.
        for index, chosen in enumerate(torch.tensor_split(order, self.batches)):
            self._set_rate(self.epochs_done * self.batches + index)
            mine = self.share.of(chosen)
            batch = self._to_place(
                {name: rows.index_select(0, mine) for name, rows in self.training.items()}
            )
            with precision.autocast(self.settings.precision, self.place):
                terms = self.objective(self.joined, batch)
            loss = self.share.weighted(terms["loss"], len(mine), len(chosen))
            self.descent.step(loss, self.model)
            sums.add(terms, len(mine))
        return self._finite(sums.means(self.share), "training")

    def _set_rate(self, step: int) -> None:
        settings = self.settings
        scale = factor(
            settings.schedule,
            step,
            self.batches * settings.epochs,
            settings.warmup,
            settings.final_rate,
        )
        for group in self.optimiser.param_groups:
            group["lr"] = settings.learning_rate * scale

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        self.share.equalise_buffers(self.model)
        self.called.eval()
        sums = _Means()
        mine = self.share.interval(_rows(self.validation))
        for batch in _slices(self.validation, mine, 4 * self.settings.batch_size):
            with precision.autocast(self.settings.precision, self.place):
                terms = self.objective(self.called, self._to_place(batch))
            sums.add(terms, _rows(batch))
        return self._finite(sums.means(self.share), "validation")

    def _to_place(self, batch: Batch) -> dict[str, Tensor]:
        return {name: rows.to(self.place) for name, rows in batch.items()}

    def _finite(self, terms: dict[str, float], part: str) -> dict[str, float]:
        for name, value in terms.items():
            if not math.isfinite(value):
                raise InputError(
                    f"the {part} {name} is {value} in epoch {self.epochs_done + 1}: lower "
                    "learning_rate, set gradient_clip, or look for extreme values in the inputs"
                )
        return terms

    def conclude(self, model: nn.Module) -> History:
        model.to("cpu").load_state_dict(self.best)
        model.eval()
        return self.history


class _Means:
    """Means over rows of what comes as means over batches."""

    def __init__(self) -> None:
        self.rows = 0
        self.sums: dict[str, Tensor] = {}

    def add(self, terms: Mapping[str, Tensor], rows: int) -> None:
        self.rows += rows
        for name, value in terms.items():
            term = value.detach().double() * rows
            self.sums[name] = self.sums[name] + term if name in self.sums else term

    def means(self, share: Share) -> dict[str, float]:
        totals = torch.stack([*self.sums.values(), self._as_sum(self.rows)])
        *sums, rows = share.total(totals).tolist()
        return {name: total / rows for name, total in zip(self.sums, sums, strict=True)}

    def _as_sum(self, value: float) -> Tensor:
        return next(iter(self.sums.values())).new_tensor(value)


def batches_of(rows: int, settings: TrainingSettings) -> int:
    """Number of batches that rows are divided into in each epoch, at least one."""
    return max(1, round(rows / settings.batch_size))


def _rows(batch: Batch) -> int:
    return len(next(iter(batch.values())))


def _slices(batch: Batch, limits: tuple[int, int], size: int) -> Iterator[dict[str, Tensor]]:
    first, last = limits
    for start in range(first, last, size):
        stop = min(start + size, last)
        yield {name: rows[start:stop] for name, rows in batch.items()}


@contextmanager
def _conditions(settings: TrainingSettings) -> Iterator[None]:
    with device.repeatable(settings.threads), device.keeping_memory():
        yield


def _own_generators(place: torch.device) -> AbstractContextManager[None]:
    cuda = [place.index or 0] if place.type == "cuda" else []
    return torch.random.fork_rng(devices=cuda)


def _check_rows(part: str, batch: Batch) -> None:
    lengths = {name: len(rows) for name, rows in batch.items()}
    if not lengths or 0 in lengths.values():
        raise InputError(f"no rows for {part}: {lengths}")
    if len(set(lengths.values())) > 1:
        raise InputError(f"the tensors for {part} differ in their number of rows: {lengths}")
