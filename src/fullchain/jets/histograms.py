"""Fill control histograms of all samples, and the numbers of the reference window.

Jets are read some at a time: of a sample, memory holds its histograms and, for the numbers, a few
columns of the nominal jets in the reference window.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import hist
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fullchain.accounting import Account
from fullchain.atomic import atomic, write_text
from fullchain.jets.arrays import Array
from fullchain.jets.columns import SCHEMA
from fullchain.jets.labels import NAMES
from fullchain.jets.observables import (
    AXIS_TITLES,
    LUND_X,
    LUND_Y,
    Observable,
    bootstrap,
    observables,
    weighted_mean,
    weighted_median,
    weighted_width,
)
from fullchain.jets.settings import MeasurementSettings, SelectionSettings
from fullchain.metrics import Metric, write_metrics
from fullchain.parquet_check import read_batches
from fullchain.root_files import recreate
from fullchain.step import Given, Input, Output

ALL = "all"
NOMINAL = "nominal"
_COLUMNS = (
    "run", "luminosityBlock", "event", "variation", "weight", "label", "label_fully_contained",
    "gen_pt", *(name for name in AXIS_TITLES if name != "response"),
)  # fmt: skip

MEASURED = (
    ("mass", "mass_mean", "mean mass", "GeV", weighted_mean),
    ("msoftdrop", "msoftdrop_mean", "mean soft-drop mass", "GeV", weighted_mean),
    ("msoftdrop", "msoftdrop_median", "median soft-drop mass", "GeV", weighted_median),
    ("n_constituents", "n_constituents_mean", "mean number of constituents", "", weighted_mean),
    ("tau21", "tau21_mean", "mean tau21", "", weighted_mean),
    ("tau32", "tau32_mean", "mean tau32", "", weighted_mean),
    ("response", "response_median", "median response in pT", "", weighted_median),
    ("response", "response_width", "width of the response in pT", "", weighted_width),
)
"""Column, name, label, unit, statistic."""

_EVENT = ("run", "luminosityBlock", "event")
_KEPT = (*_EVENT, "weight", "label", "label_fully_contained", *{row[0]: None for row in MEASURED})
"""Columns of the nominal jets in the reference window that the numbers are made of."""

BATCH = 65_536
"""Jets that are read at once."""


def main(
    *,
    jets: Annotated[list[Path], Input("Parquet files of jets: <sample>/<part>.parquet")],
    histograms: Annotated[Path, Output("ROOT file: <sample>/<variation>/<label>/<observable>")],
    metrics: Annotated[Path, Output("numbers of the reference window")],
    accounts: Annotated[Path, Output("jets of each sample that were read and filled, JSON")],
    settings: Given,
) -> None:
    """Fill the histograms and measure.

    Raises
    ------
    InputError
        A file is no table of jets, or not all its jets were filled.
    """
    window = settings.model("jets.measurement", MeasurementSettings)
    selection = settings.model("jets.selection", SelectionSettings)
    binned = observables(selection.pt_min, selection.pt_max)
    radius = float(settings["jets.clustering.radius"])
    filled: dict[str, Any] = {}
    numbers: list[Metric] = []
    counted: dict[str, Any] = {}
    for sample, paths in by_sample(jets).items():
        control = Control(binned, window)
        for path in paths:
            control.add(path)
        filled |= control.named(sample)
        filled |= fill_lund(f"{sample}/{NOMINAL}", paths, radius)
        numbers += measure(sample, control.columns(), window, settings.seed)
        account = Account(sum(map(_number_of_rows, paths)), control.jets)
        counted[sample] = account.check(f"{paths[0].parent}: control histograms").as_dict()
    with atomic(histograms) as temporary, recreate(temporary) as file:
        for name, histogram in filled.items():
            file[name] = histogram
    write_metrics(metrics, "jets", numbers)
    write_text(accounts, json.dumps({"accounts": counted}, indent=1) + "\n")


def by_sample(paths: list[Path]) -> dict[str, list[Path]]:
    """Group files by the name of their folder, the sample."""
    groups: dict[str, list[Path]] = {}
    for path in paths:
        groups.setdefault(path.parent.name, []).append(path)
    return groups


@dataclass
class Control:
    """Histograms of one sample in all variations, and what its numbers need.

    Sums over jets do not depend on how many are read at once: they are added in the order of files
    and rows, one by one.
    """

    binned: tuple[Observable, ...]
    window: MeasurementSettings
    jets: int = 0
    """Rows that were filled, of all variations."""
    filled: dict[str, dict[str, dict[str, Any]]] = field(default_factory=lambda: {NOMINAL: {}})
    """Variation -> label -> observable -> histogram. A sample without any jet has empty ones."""
    kept: list[dict[str, Array]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with the columns of no jets: a sample may have none."""
        self._fill(NOMINAL, _columns(_no_jets()))

    def add(self, path: Path) -> None:
        """Fill the jets of one part."""
        for table in read_jets(path):
            for variation in pc.unique(table["variation"]).to_pylist():
                columns = _columns(table.filter(pc.equal(table["variation"], variation)))
                self._fill(variation, columns)

    def _fill(self, variation: str, columns: dict[str, Array]) -> None:
        self.jets += len(columns["weight"])
        by_label = self.filled.setdefault(variation, {})
        for label, mask in _labelled(columns):
            fill(by_label.setdefault(label, _empty(self.binned)), columns, mask)
        if variation == NOMINAL:
            inside = (
                (columns["pt"] >= self.window.pt_min)
                & (columns["pt"] < self.window.pt_max)
                & (np.abs(columns["eta"]) < self.window.abs_eta_max)
            )
            self.kept.append({name: columns[name][inside] for name in _KEPT})

    def columns(self) -> dict[str, Array]:
        """Give the columns of the nominal jets in the reference window."""
        return {name: np.concatenate([piece[name] for piece in self.kept]) for name in _KEPT}

    def named(self, sample: str) -> dict[str, Any]:
        """Give the histograms by their names in the file."""
        return {
            f"{sample}/{variation}/{label}/{name}": histogram
            for variation, by_label in self.filled.items()
            for label in (ALL, *NAMES.values())
            if label in by_label
            for name, histogram in by_label[label].items()
        }


def read_jets(
    path: Path, columns: tuple[str, ...] = _COLUMNS, variation: str | None = None
) -> Iterator[pa.Table]:
    """Read columns of a table of jets, at most `BATCH` rows at once.

    Parameters
    ----------
    variation
        Leave out groups of rows that hold none of this variation; None reads all.

    Raises
    ------
    InputError
        The file cannot be read, lacks a column or has missing values in one.
    """
    return read_batches(path, columns, BATCH, "table of jets", variation)


def _number_of_rows(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def _no_jets(columns: tuple[str, ...] = _COLUMNS) -> pa.Table:
    return pa.schema([one for one in SCHEMA if one.name in columns]).empty_table()


def _columns(table: pa.Table) -> dict[str, Array]:
    columns = {name: table[name].to_numpy() for name in table.column_names if name != "variation"}
    columns["response"] = columns["pt"] / columns["gen_pt"]
    return columns


def _labelled(columns: dict[str, Array]) -> Iterator[tuple[str, Array]]:
    """Give a name and a mask: all jets, then each label that occurs."""
    yield ALL, np.ones(len(columns["label"]), bool)
    for code, name in NAMES.items():
        mask = columns["label"] == code
        if code >= 3:
            mask &= columns["label_fully_contained"]
        if mask.any():
            yield name, mask


def _empty(binned: tuple[Observable, ...]) -> dict[str, Any]:
    return {
        one.name: hist.Hist(
            hist.axis.Regular(one.bins, one.low, one.high, name=one.name),
            storage=hist.storage.Weight(),
        )
        for one in binned
    }


def fill(histograms: dict[str, Any], columns: dict[str, Array], mask: Array) -> None:
    """Fill jets into all observables; NaN is left out, the flow bins hold the rest."""
    weights = columns["weight"][mask]
    for name, histogram in histograms.items():
        values = columns[name][mask]
        known = np.isfinite(values)
        histogram.fill(values[known], weight=weights[known])


def fill_lund(where: str, paths: list[Path], radius: float) -> dict[str, Any]:
    """Fill the primary Lund plane of each label, and how many jets went in (one bin)."""
    planes: dict[str, Any] = {}
    wanted = ("variation", "weight", "label", "label_fully_contained", "lund")
    _fill_planes(planes, where, _no_jets(wanted), radius)
    for path in paths:
        for table in read_jets(path, wanted, NOMINAL):
            nominal = table.filter(pc.equal(table["variation"], NOMINAL))
            _fill_planes(planes, where, nominal, radius)
    return planes


def _fill_planes(planes: dict[str, Any], where: str, table: pa.Table, radius: float) -> None:
    names = ("weight", "label", "label_fully_contained")
    columns = {name: table[name].to_numpy() for name in names}
    lund = table["lund"].combine_chunks()
    counts = pc.list_value_length(lund).to_numpy()
    flat = lund.flatten()
    kt, delta = (pc.struct_field(flat, name).to_numpy() for name in ("kt", "delta"))
    finite = (kt > 0) & (delta > 0)
    jet = np.repeat(np.arange(len(counts)), counts)
    for label, mask in _labelled(columns):
        key = f"{where}/{label}"
        if f"{key}/lund" not in planes:
            planes[f"{key}/lund"] = hist.Hist(
                hist.axis.Regular(LUND_X.bins, LUND_X.low, LUND_X.high, name=LUND_X.name),
                hist.axis.Regular(LUND_Y.bins, LUND_Y.low, LUND_Y.high, name=LUND_Y.name),
                storage=hist.storage.Weight(),
            )
            planes[f"{key}/jets"] = hist.Hist(
                hist.axis.Regular(1, 0, 1, name="jets"), storage=hist.storage.Weight()
            )
        used = mask[jet] & finite
        planes[f"{key}/lund"].fill(
            np.log(radius / delta[used]),
            np.log(kt[used]),
            weight=columns["weight"][jet[used]],
        )
        weights = columns["weight"][mask]
        planes[f"{key}/jets"].fill(np.full(len(weights), 0.5), weight=weights)


def measure(
    sample: str, columns: dict[str, Array], window: MeasurementSettings, seed: int
) -> list[Metric]:
    """Measure the jets of one sample, those in the reference window, for each label."""
    events = _event_numbers(columns)
    metrics = []
    for label, mask in _labelled(columns):
        if np.sum(mask) < window.min_jets:
            continue
        for column, name, text, unit, statistic in MEASURED:
            chosen = mask & np.isfinite(columns[column])
            if np.sum(chosen) < window.min_jets:
                continue
            value, error = bootstrap(
                statistic,
                columns[column][chosen].astype(np.float64),
                columns["weight"][chosen],
                events[chosen],
                window.replicas,
                seed,
                "jets",
                sample,
                label,
                name,
            )
            metrics.append(
                Metric(
                    f"{sample}.{label}.{name}",
                    value,
                    error,
                    "bootstrap",
                    f"{text}, {label} jets of {sample}, pT {window.pt_min:.0f}-"
                    f"{window.pt_max:.0f} GeV",
                    unit,
                )
            )
    return metrics


def _event_numbers(columns: dict[str, Array]) -> Array:
    """Give the same number to jets of the same event."""
    ids = np.stack([columns[name].astype(np.uint64) for name in _EVENT], axis=1)
    _, number = np.unique(ids, axis=0, return_inverse=True)
    return np.asarray(number).ravel()
