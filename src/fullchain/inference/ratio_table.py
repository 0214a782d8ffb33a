"""Tables of one's own events for learned ratios."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fullchain.errors import InputError
from fullchain.inference.likelihood_ratio import Events
from fullchain.inference.ratio_settings import OwnEventsSettings, RatioSettings
from fullchain.inference.ratio_source import SHARED, Experiments, Simulated, TemplateEvents
from fullchain.parquet_check import read_columns
from fullchain.seeds import stream

Array = npt.NDArray[np.float64]

PARTS = {"training": 0.5, "validation": 0.1, "calibration": 0.2, "check": 0.2}
"""How the events of each class and value of the nuisance parameter are divided."""

MOST_VALUES = 15
"""Background with more values of the nuisance parameter is put into groups for the templates."""

GROUPS = 6

CLASSES = ("signal", "nominal", "varied")


class TableSource:
    """Events of Parquet tables, divided at random into parts; members see bootstrap replicas.

    Pseudo-experiments are drawn, with replacement, from the part `check`.

    Parameters
    ----------
    paths
        Tables with the columns of the settings.
    settings, seed
        Names of the columns; what the division and the replicas depend on.

    Raises
    ------
    InputError
        A table cannot be read, a column is missing or has values that are not allowed, or one of
        signal, nominal and shifted background is not there.
    """

    independent = False

    def __init__(self, paths: Sequence[Path], settings: RatioSettings, seed: int) -> None:
        assert settings.own is not None
        own = settings.own
        self.settings, self.seed = settings, seed
        columns = [*own.features, own.label, own.nuisance, *([own.weight] if own.weight else [])]
        table = _read(paths, columns)
        self.x = np.column_stack([table[name] for name in own.features])
        label = table[own.label]
        self.weight = table[own.weight] if own.weight else np.ones(len(label))
        if not np.isin(label, (0.0, 1.0)).all():
            raise InputError(f"column {own.label}: only 1 (signal) and 0 (background) are allowed")
        # What signal has in this column is not read.
        self.nuisance = np.where(label == 1, 0.0, table[own.nuisance])
        reach = settings.model.reach
        if not (np.abs(self.nuisance) <= reach).all():
            raise InputError(
                f"column {own.nuisance}: values of background must be numbers from {-reach:g} to "
                f"{reach:g} (inference.ratio.model.reach)"
            )
        for name, column in zip(own.features, self.x.T, strict=True):
            if not np.isfinite(column).all():
                row = int(np.flatnonzero(~np.isfinite(column))[0])
                raise InputError(f"column {name}: row {row} is not a finite number")
        if not (np.isfinite(self.weight).all() and (self.weight >= 0).all()):
            raise InputError(f"column {own.weight}: weights must be finite and not negative")
        for value in settings.experiments.nuisance:
            if not ((self.nuisance == value) & (label == 0)).any():
                raise InputError(
                    f"experiments.nuisance: the table has no background with {value:g}; take a "
                    "value that it has"
                )
        self.kind = np.where(label == 1, 0, np.where(self.nuisance == 0, 1, 2))
        division = np.cumsum([*PARTS.values()])[:-1]
        chance = stream(seed, "inference", "ratio", "division").random(len(label))
        self.part = np.searchsorted(division, chance, side="right")

    def _rows(self, part: str, kind: int) -> npt.NDArray[np.intp]:
        rows = np.flatnonzero((self.part == list(PARTS).index(part)) & (self.kind == kind))
        if not len(rows):
            words = ("signal", "background with nuisance parameter 0", "shifted background")[kind]
            raise InputError(f"the table has no {words} in the part {part}; it needs all three")
        return rows

    def events(self, part: str) -> Simulated:
        """Events of a part."""
        found = {}
        members = 1 if part in SHARED else self.settings.network.members
        for kind, name in enumerate(CLASSES):
            rows = self._rows(part, kind)
            weight = np.repeat(self.weight[rows][:, None], members, axis=1)
            if part == "training":
                for member in range(members):
                    chance = stream(self.seed, "inference", "ratio", "replica", kind, member)
                    weight[:, member] *= chance.poisson(1.0, len(rows))
            found[name] = Events(torch.from_numpy(self.x[rows])[:, None], torch.from_numpy(weight))
            shift = torch.from_numpy(self.nuisance[rows])[:, None].expand(-1, members)
        return Simulated(found["signal"], found["nominal"], found["varied"], shift)

    def templates(self, values: Sequence[float]) -> TemplateEvents:
        """All events that were not trained on; `values` are those of the table, or of groups."""
        held_out = self.part >= list(PARTS).index("calibration")

        def of(rows: npt.NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
            chosen = rows & held_out
            return torch.from_numpy(self.x[chosen]), torch.from_numpy(self.weight[chosen])

        shifts = np.unique(self.nuisance[self.kind == 2])
        group = self.nuisance
        if len(shifts) > MOST_VALUES:
            varied = self.nuisance[self.kind == 2]
            edges = np.quantile(varied, np.linspace(0, 1, GROUPS + 1))[1:-1]
            number = np.searchsorted(edges, self.nuisance)
            means = [
                float(varied[np.searchsorted(edges, varied) == n].mean()) for n in range(GROUPS)
            ]
            group = np.where(self.kind == 2, np.array(means)[number], 0.0)
            shifts = np.unique(group[self.kind == 2])
        background = [(0.0, *of(self.kind == 1))]
        background += [(float(v), *of((self.kind == 2) & (group == v))) for v in shifts]
        return TemplateEvents(of(self.kind == 0), background)

    def experiments(self, nuisance: float, numbers: Sequence[int]) -> Experiments:
        """Draw data sets from events that took no part in training and calibration."""
        model = self.settings.model
        rows = self._rows("check", 1 if nuisance == 0 else 2)
        rows = rows[self.nuisance[rows] == nuisance]
        if not len(rows):
            raise InputError(f"the table has no background with {nuisance:g} in the part check")
        signal = self._rows("check", 0)
        place = self.settings.experiments.nuisance.index(nuisance)
        x, sizes, auxiliary = [], [], []
        for number in numbers:
            chance = stream(self.seed, "inference", "ratio", "experiment", place, number)
            count = 0
            for pool, expected in ((signal, model.signal), (rows, model.background)):
                drawn = chance.poisson(expected)
                share = self.weight[pool] / self.weight[pool].sum()
                x.append(self.x[chance.choice(pool, drawn, p=share)])
                count += drawn
            sizes.append(count)
            auxiliary.append(chance.normal(nuisance, model.constraint))
        return Experiments(
            torch.from_numpy(np.concatenate(x)),
            torch.tensor(sizes),
            torch.tensor(auxiliary).double(),
            nuisance,
        )

    def exact(self, x: Tensor, nodes: Tensor) -> None:
        """Not known."""
        return None


def read_data(paths: Sequence[Path], own: OwnEventsSettings) -> Tensor:
    """Read the features of measured events, (events, features).

    Raises
    ------
    InputError
        A table cannot be read, has no events, lacks a column or has a value that is not finite.
    """
    table = _read(paths, list(own.features))
    x = np.column_stack([table[name] for name in own.features])
    if not len(x) or not np.isfinite(x).all():
        raise InputError(f"{paths[0]}: no events, or features that are not finite numbers")
    return torch.from_numpy(x)


def _read(paths: Sequence[Path], columns: list[str]) -> dict[str, Array]:
    pieces: dict[str, list[Array]] = {name: [] for name in columns}
    for path in paths:
        table = read_columns(path, columns, "table of events")
        for name in columns:
            try:
                pieces[name].append(np.asarray(table[name].to_numpy(), dtype=float))
            except (TypeError, ValueError):
                raise InputError(f"{path}: column {name} is not one of numbers") from None
    return {name: np.concatenate(values) for name, values in pieces.items()}
