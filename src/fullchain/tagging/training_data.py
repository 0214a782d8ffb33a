"""The jets of one training of a tagger: read, divided, weighted, as tensors."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fullchain.accounting import Account, added
from fullchain.errors import InputError
from fullchain.learning import split
from fullchain.learning.rows import Rows, Table
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.standardise import Standardisation
from fullchain.learning.training import Batch
from fullchain.tagging import members, selection
from fullchain.tagging.between_training import own_tensors
from fullchain.tagging.class_settings import LABELS
from fullchain.tagging.jets_reading import IDENTITY, Jets, stream
from fullchain.tagging.members import Member
from fullchain.tagging.reweighting import tagger_weights
from fullchain.tagging.selection_settings import SelectionSettings
from fullchain.tagging.settings import SplitSettings, TaggerSettings
from fullchain.tagging.views import Arrays, View

USED = (split.TRAIN, split.VALIDATION)

Batches = dict[str, Table]
Numbers = dict[str, dict[str, int]]
Accounts = dict[str, Account]
"""What became of the nominal jets of each sample."""

NO_JETS = Account(0, 0, {"outside the selection": 0, "of no class": 0, "for tests only": 0})


@dataclass(frozen=True)
class Task:
    """What is read for a training: files with the names of their samples, and how."""

    files: Sequence[tuple[Path, str]]
    tagger: TaggerSettings
    window: SelectionSettings
    fractions: SplitSettings
    seed: int
    member: Member
    against: tuple[str, ...] = ()
    """Columns of the jets that become the tensor `against` (jets, columns)."""


def named(jets: list[Path], samples: list[str], tagger: TaggerSettings) -> list[tuple[Path, str]]:
    """Join files and names of their samples.

    Raises InputError where their numbers differ, or a sample of the tagger has no file.
    """
    if len(jets) != len(samples):
        raise InputError(f"{len(jets)} files of jets and {len(samples)} names of samples")
    missing = [name for name in tagger.training_samples if name not in samples]
    if missing:
        raise InputError(
            f"no files of jets of {', '.join(missing)}, which the tagger is trained on"
        )
    return list(zip(jets, samples, strict=True))


@dataclass
class _Kept:
    """Jets that were kept: their tensors, beside them what weights need, and what there was."""

    rows: dict[str, Rows]
    scalars: dict[str, list[Arrays]] = field(default_factory=lambda: {part: [] for part in USED})
    labels: dict[str, Counter[int]] = field(default_factory=dict)
    folds: list[npt.NDArray[np.intp]] = field(default_factory=list)
    """Numbers of jets by generator, class and fold."""
    accounts: Accounts = field(default_factory=dict)

    def account(self, sample: str, one: Account) -> None:
        """Count what became of some more jets of a sample."""
        self.accounts[sample] = added([self.accounts.get(sample, NO_JETS), one])


@contextmanager
def training_tensors(
    task: Task, view: View, training: TrainingSettings, folder: Path
) -> Iterator[tuple[Batches, Numbers, Accounts]]:
    """Give tensors and numbers of jets of the training and the validation part, for a block.

    Beside them, what became of all nominal jets of each sample.

    The tensors are those of the view, `target` (number of the class) and `weight`. What exceeds the
    budget of memory lies in files below `folder` until the block ends. All other arrays are freed:
    training holds each of its jets once.

    Raises
    ------
    InputError
        A class has no jets, or none in a fold or a part; a column that weights need is infinite, or
        NaN where it must exist.
    """
    if training.rows_folder == "temporary":
        folder = Path(tempfile.gettempdir())
    with ExitStack() as stack:
        rows = {
            part: stack.enter_context(Rows(f"{task.member.name}.{part}", folder, budget))
            for part, budget in _budgets(training.memory_budget_mb, task.fractions).items()
        }
        yield _tensors(task, view, rows)


def _budgets(total: float | None, fractions: SplitSettings) -> dict[str, float | None]:
    """Share a budget of memory among the parts by their number of events."""
    used = 1.0 - fractions.test
    validation = fractions.validation / used
    shares = {split.TRAIN: 1.0 - validation, split.VALIDATION: validation}
    return {part: None if total is None else share * total for part, share in shares.items()}


def _tensors(task: Task, view: View, rows: dict[str, Rows]) -> tuple[Batches, Numbers, Accounts]:
    kept = _Kept(rows)
    for path, sample in task.files:
        kept.account(sample, NO_JETS)
        for jets, outside in _inside(path, task, view):
            kept.account(sample, Account(outside, 0, {"outside the selection": outside}))
            _keep(jets, sample, task, view, kept)
    for sample, account in kept.accounts.items():
        account.check(f"jets of sample {sample}")
    _check_classes(kept, task)
    batches: Batches = {}
    numbers: Numbers = {}
    for part in USED:
        pieces = kept.scalars.pop(part)
        columns = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
        numbers[part] = _numbers(part, columns, task)
        own = {
            "target": torch.from_numpy(columns["target"].astype(np.int64)),
            "weight": torch.from_numpy(_weights(columns, task.tagger).astype(np.float32)),
        }
        if task.tagger.between is not None:
            own |= own_tensors(columns["second"], train=part == split.TRAIN)
        if task.against:
            values = np.stack([columns[name] for name in task.against], axis=1)
            own["against"] = torch.from_numpy(values.astype(np.float32))
        batches[part] = rows[part].finish().with_columns(own)
    _check_kept(batches, kept.accounts)
    return batches, numbers, kept.accounts


def _check_kept(batches: Batches, accounts: Accounts) -> None:
    """Raise InputError where the tensors do not hold the jets that the accounts say are used."""
    used = sum(account.written for account in accounts.values())
    for name in next(iter(batches.values())):
        rows = sum(len(table[name]) for table in batches.values())
        if rows != used:
            raise InputError(
                f"the training holds {name} of {rows} jets, but {used} were chosen for it; run it "
                "again, and report it if it stays"
            )


def _weights(columns: Arrays, tagger: TaggerSettings) -> npt.NDArray[np.float64]:
    try:
        return tagger_weights(columns, tagger)
    except ValueError as problem:
        raise InputError(
            f"training weights: {problem}; look at the column weight of the jets and at those of "
            "tagging.taggers.*.reweighting.variables"
        ) from None


def standardisation(tagger: TaggerSettings, view: View, training: Batch) -> Standardisation:
    """Give the scale of the features: published, or measured on training jets."""
    if tagger.standardisation == "published" and view.published is not None:
        return view.published
    # Every k-th jet, and not the first ones, so that all samples are in it.
    every = max(1, len(training["target"]) // 50_000)
    some = {name: rows[::every] for name, rows in training.items()}
    values, mask = view.measured(some)
    weight = some["weight"][:, None].expand(mask.shape)[mask].clamp(min=0)
    return view.scale(values[mask].numpy(), weight.numpy())


def _inside(path: Path, task: Task, view: View) -> Iterator[tuple[Jets, int]]:
    """Give the jets inside the selection, and how many nominal ones are outside."""
    columns = (
        *IDENTITY,
        *selection.COLUMNS,
        *task.window.ranges,
        "weight",
        *task.against,
        *task.tagger.reweighting.variables,
        *view.columns,
    )
    for batch in stream(
        path,
        columns,
        view.n_constituents,
        fields=view.fields,
        variation="nominal",
        required=(
            *view.columns,
            *task.window.ranges,
            *task.against,
            *task.tagger.reweighting.variables,
        ),
    ):
        inside = selection.in_window(batch.scalars, task.window)
        nominal = batch.scalars["variation"] == "nominal"
        yield batch.where(inside), int(np.count_nonzero(nominal & ~inside))


def _keep(jets: Jets, sample: str, task: Task, view: View, kept: _Kept) -> None:
    """Keep jets of the classes in the parts that this training uses; count all."""
    tagger = task.tagger
    classes = [tagger.classes[name] for name in tagger.class_names]
    kept.labels.setdefault(sample, Counter()).update(jets.scalars["label"].tolist())
    nominal = tagger.between.first(sample) if tagger.between else sample
    second = nominal != sample
    numbers = selection.class_numbers(jets.scalars, nominal, classes)
    run, block, event = (jets.scalars[name] for name in ("run", "luminosityBlock", "event"))
    hashes = split.fold(run, block, event, task.seed)
    found = numbers >= 0
    groups = numbers + len(classes) * second
    kept.folds.append(
        np.bincount(
            groups[found] * tagger.folds + members.fold_of(hashes, tagger.folds)[found],
            minlength=_generators(tagger) * len(classes) * tagger.folds,
        )
    )
    parts = members.parts(hashes, tagger.folds, task.fractions, sample, task.member.fold)
    used = np.isin(parts, USED)
    left_out = {
        "of no class": int(np.count_nonzero(~found)),
        "for tests only": int(np.count_nonzero(found & ~used)),
    }
    kept.account(sample, Account(len(found), int(np.count_nonzero(found & used)), left_out))
    for part in USED:
        here = found & (parts == part)
        chosen = jets.where(here)
        names = dict.fromkeys(("weight", *tagger.reweighting.variables, *task.against))
        for name in names:
            _check_column(chosen, name, or_nan=name not in ("weight", *task.against))
        kept.rows[part].append(view.arrays(chosen))
        own = {name: chosen.scalars[name] for name in names}
        if tagger.between is not None:
            own["second"] = np.full(int(here.sum()), second)
        kept.scalars[part].append({**own, "target": numbers[here]})


def _check_column(jets: Jets, name: str, *, or_nan: bool) -> None:
    """Raise InputError where a column is not finite; NaN may stand for what does not exist."""
    values = jets.scalars[name]
    if values.dtype.kind not in "fiub":
        raise InputError(f"{jets.file}: the column {name} holds no numbers; name another one")
    bad = np.flatnonzero(np.isinf(values) if or_nan else ~np.isfinite(values))
    if len(bad):
        raise InputError(
            f"{jets.named(int(bad[0]))}: {name} is {values[bad[0]]} ({len(bad)} such jets in this "
            "batch); correct the jets, or make them again"
        )


def _generators(tagger: TaggerSettings) -> int:
    return 1 if tagger.between is None else 2


def _check_classes(kept: _Kept, task: Task) -> None:
    tagger, window = task.tagger, task.window
    groups = _generators(tagger) * len(tagger.classes)
    counts = sum(kept.folds, np.zeros(groups * tagger.folds, dtype=np.intp))
    for group, folds in enumerate(counts.reshape(groups, tagger.folds)):
        second, number = divmod(group, len(tagger.classes))
        name = tagger.class_names[number]
        wanted = tagger.classes[name]
        samples = wanted.samples
        if second and tagger.between:
            samples = tuple(tagger.between.samples[sample] for sample in samples)
        where = f" of {', '.join(samples)}" if second else ""
        there = sum((kept.labels.get(sample, Counter()) for sample in samples), Counter())
        if not folds.sum():
            raise InputError(
                f"no {name} jets in samples {', '.join(samples)}: labels "
                f"{', '.join(wanted.labels)}{', fully contained' if wanted.fully_contained else ''}"
                f" wanted; with {selection.described(window)} there are: {_census(there)}"
            )
        if not folds.all():
            raise InputError(
                f"fold {int(np.argmin(folds))} of {tagger.folds} has no {name} jets{where} "
                f"(there are {int(folds.sum())} in all): make more events, widen the selection, or "
                "take fewer folds"
            )


def _census(labels: Counter[int]) -> str:
    names = {number: name for name, number in LABELS.items()}
    return ", ".join(f"{labels[k]} {names.get(k, k)}" for k in sorted(labels)) or "none"


def _numbers(part: str, columns: Arrays, task: Task) -> dict[str, int]:
    names, target = task.tagger.class_names, columns["target"]
    second = columns.get("second", np.zeros(len(target), dtype=bool))
    for generator in range(_generators(task.tagger)):
        numbers = _by_class(target[second == generator], names)
        if 0 in numbers.values():
            found = " and ".join(f"{number} {name}" for name, number in numbers.items())
            where = " of the second generator (between.samples)" if generator else ""
            raise InputError(
                f"the {part} part of {task.member.name} has {found} jets{where}: make more events, "
                "widen tagging.selection, or change tagging.split"
            )
    return _by_class(target, names)


def _by_class(target: npt.NDArray[Any], names: Sequence[str]) -> dict[str, int]:
    return dict(zip(names, np.bincount(target, minlength=len(names)).tolist(), strict=True))
