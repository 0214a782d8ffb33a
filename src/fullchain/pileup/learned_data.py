"""Reading training rows from ntuples, piece by piece, in bounded memory."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullchain.errors import InputError
from fullchain.learning import split
from fullchain.learning.rows import Rows, Table, folder
from fullchain.learning.standardise import Standardisation, measure
from fullchain.pileup.candidate_events import CandidateEvents, training_events
from fullchain.pileup.graph_settings import GraphSettings
from fullchain.pileup.learned_rows import Columns, graph_rows, pumml_rows
from fullchain.pileup.pumml_settings import PummlSettings

USED = (split.TRAIN, split.VALIDATION)
EVENTS = 50  # read at a time
_MEASURED_ROWS = 2000  # windows that the scale of features is measured on


@dataclass(frozen=True)
class Prepared:
    """Rows of each part, and how many events they come from."""

    parts: dict[str, Table]
    events: dict[str, int]


@contextmanager
def training_rows(
    files: Sequence[tuple[Path, str]],
    settings: GraphSettings | PummlSettings,
    seed: int,
    output: Path,
) -> Iterator[Prepared]:
    """Give the rows of the training and the validation part, for a block.

    Parameters
    ----------
    files
        Part manifests with the names of their samples.
    output
        File beside which rows beyond the budget of memory go.

    Raises
    ------
    InputError
        A file that cannot be used, or a part without rows.
    """
    training = settings.training
    place = folder(training.rows_folder, output)
    with ExitStack() as stack:
        rows = {
            part: stack.enter_context(Rows(f"{output.stem}.{part}", place, budget))
            for part, budget in _budgets(training.memory_budget_mb, settings).items()
        }
        yield _filled(files, settings, seed, rows)


def _budgets(
    total: float | None, settings: GraphSettings | PummlSettings
) -> dict[str, float | None]:
    validation = settings.parts.validation / (1.0 - settings.parts.test)
    shares = {split.TRAIN: 1.0 - validation, split.VALIDATION: validation}
    return {part: None if total is None else share * total for part, share in shares.items()}


def _filled(
    files: Sequence[tuple[Path, str]],
    settings: GraphSettings | PummlSettings,
    seed: int,
    rows: dict[str, Rows],
) -> Prepared:
    numbers, events_of = dict.fromkeys(USED, 0), dict.fromkeys(USED, 0)
    for path, sample in files:
        for events in training_events(path, settings.association, EVENTS):
            of_part = parts_of(events, settings, seed)
            for part in USED:
                chosen = of_part == part
                events_of[part] += int(chosen.sum())
                found = _rows(only(events, chosen), settings, seed, sample)
                if found is not None:
                    rows[part].append(found)
                    numbers[part] += len(next(iter(found.values())))
    for part, number in numbers.items():
        if not number:
            raise InputError(
                f"the {part} part has {events_of[part]} events and nothing in them to learn from "
                f"in {', '.join(sorted({sample for _, sample in files}))}: make more events, or "
                "change the parts"
            )
    return Prepared({part: rows[part].finish() for part in USED}, events_of)


def parts_of(
    events: CandidateEvents, settings: GraphSettings | PummlSettings, seed: int
) -> np.ndarray:
    """Name the part of each event; the same number in two samples is in the same part."""
    run, block, event = events.identity.T
    hashes = split.fold(run, block, event, seed)
    return split.parts(hashes, settings.parts.validation, settings.parts.test)


def only(events: CandidateEvents, chosen: np.ndarray) -> CandidateEvents:
    """Give events with the candidates of the others left out: others are empty."""
    counts = np.diff(events.offsets)
    return events.select(np.repeat(chosen, counts) & events.valid)


def _rows(
    events: CandidateEvents, settings: GraphSettings | PummlSettings, seed: int, sample: str
) -> Columns | None:
    if isinstance(settings, GraphSettings):
        return graph_rows(events, settings, seed, sample)
    return pumml_rows(events, settings, seed, sample)


def scales(training: Table) -> tuple[Standardisation, Standardisation]:
    """Measure the scale of the features of candidates and of events on some windows."""
    every = max(1, math.ceil(len(training["mask"]) / _MEASURED_ROWS))
    mask = training["mask"][::every]
    features = training["features"][::every][mask].numpy()
    of_event = training["of_event"][::every].numpy()
    return measure(features, np.ones(len(features))), measure(of_event, np.ones(len(of_event)))


def mean_weight(training: Table) -> float:
    """Mean sum of the weights of a window."""
    total = sum(float(piece.double().sum()) for piece in training["weight"].split(1024))
    return total / len(training["weight"])
