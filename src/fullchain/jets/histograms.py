"""Fill control histograms of all samples, and the numbers of the reference window."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import hist
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import uproot

from fullchain.atomic import atomic
from fullchain.errors import InputError
from fullchain.jets.arrays import Array
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


def main(
    *,
    jets: Annotated[list[Path], Input("Parquet files of jets: <sample>/<part>.parquet")],
    histograms: Annotated[Path, Output("ROOT file: <sample>/<variation>/<label>/<observable>")],
    metrics: Annotated[Path, Output("numbers of the reference window")],
    settings: Given,
) -> None:
    """Fill the histograms and measure.

    Raises
    ------
    InputError
        A file is no table of jets.
    """
    window = settings.model("jets.measurement", MeasurementSettings)
    selection = settings.model("jets.selection", SelectionSettings)
    binned = observables(selection.pt_min, selection.pt_max)
    radius = float(settings["jets.clustering.radius"])
    filled: dict[str, Any] = {}
    numbers: list[Metric] = []
    for sample, paths in by_sample(jets).items():
        table = pa.concat_tables([read_jets(path) for path in paths])
        # a sample without any jet has empty histograms: it is not a sample that is missing
        for variation in dict.fromkeys([NOMINAL, *pc.unique(table["variation"]).to_pylist()]):
            columns = _columns(table.filter(pc.equal(table["variation"], variation)))
            filled |= fill(f"{sample}/{variation}", columns, binned)
            if variation == NOMINAL:
                numbers += measure(sample, columns, window, settings.seed)
                filled |= fill_lund(f"{sample}/{variation}", paths, radius)
    with atomic(histograms) as temporary, uproot.recreate(temporary) as file:
        for name, histogram in filled.items():
            file[name] = histogram
    write_metrics(metrics, "jets", numbers)


def by_sample(paths: list[Path]) -> dict[str, list[Path]]:
    """Group files by the name of their folder, the sample."""
    groups: dict[str, list[Path]] = {}
    for path in paths:
        groups.setdefault(path.parent.name, []).append(path)
    return groups


def read_jets(path: Path) -> pa.Table:
    """Read the flat columns of a table of jets.

    Raises
    ------
    InputError
        The file cannot be read or lacks a column.
    """
    try:
        return pq.read_table(path, columns=list(_COLUMNS))
    except (OSError, pa.ArrowException, KeyError) as problem:
        raise InputError(
            f"{path}: not a table of jets ({problem}); run 'jets cluster' again"
        ) from None


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


def fill(where: str, columns: dict[str, Array], binned: tuple[Observable, ...]) -> dict[str, Any]:
    """Fill all observables for each label; NaN is left out, the flow bins hold the rest."""
    filled = {}
    for label, mask in _labelled(columns):
        for observable in binned:
            values, weights = columns[observable.name][mask], columns["weight"][mask]
            known = np.isfinite(values)
            histogram = hist.Hist(
                hist.axis.Regular(
                    observable.bins, observable.low, observable.high, name=observable.name
                ),
                storage=hist.storage.Weight(),
            )
            histogram.fill(values[known], weight=weights[known])
            filled[f"{where}/{label}/{observable.name}"] = histogram
    return filled


def fill_lund(where: str, paths: list[Path], radius: float) -> dict[str, Any]:
    """Fill the primary Lund plane of each label, and how many jets went in (one bin)."""
    planes: dict[str, Any] = {}
    for path in paths:
        table = pq.read_table(
            path,
            columns=["weight", "label", "label_fully_contained", "lund"],
            filters=[("variation", "==", "nominal")],
        )
        columns = {n: table[n].to_numpy() for n in table.column_names if n != "lund"}
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
    return planes


def measure(
    sample: str, columns: dict[str, Array], window: MeasurementSettings, seed: int
) -> list[Metric]:
    """Measure the jets of one sample in the reference window, for each label."""
    inside = (
        (columns["pt"] >= window.pt_min)
        & (columns["pt"] < window.pt_max)
        & (np.abs(columns["eta"]) < window.abs_eta_max)
    )
    events = _event_numbers(columns)
    metrics = []
    for label, mask in _labelled(columns):
        mask = mask & inside
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
    names = ("run", "luminosityBlock", "event")
    ids = np.stack([columns[name].astype(np.uint64) for name in names], axis=1)
    _, number = np.unique(ids, axis=0, return_inverse=True)
    return np.asarray(number).ravel()
