"""Fill the templates of the fit from jets and tagger scores."""

import itertools
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import hist
import numpy as np

from fullchain.accounting import Account
from fullchain.atomic import atomic, write_text
from fullchain.errors import InputError
from fullchain.inference.events import Events, all_events, observable, select
from fullchain.inference.filling import (
    efficiency_above,
    fill,
    kept_fraction,
    threshold_at_efficiency,
)
from fullchain.inference.jet_tables import TRAINING, JetTable, group_by_sample, read_parts
from fullchain.inference.observable_names import DIJET_MASS
from fullchain.inference.selection_settings import Region, Selection, WorkingPoint
from fullchain.inference.template_file import NOMINAL, key, read_manifests, shift_name, weight_name
from fullchain.progress import track
from fullchain.root_files import recreate
from fullchain.step import Given, Input, Option, Output

Files = Mapping[str, tuple[list[Path], Path]]
Histograms = dict[str, hist.Hist]


def main(
    *,
    jets: Annotated[list[Path], Input("Parquet files of jets, in folders named by sample")],
    scores: Annotated[list[Path], Input("Parquet files of scores, named by sample")],
    manifests: Annotated[list[Path], Input("manifests of the ntuple samples")],
    analysis: Annotated[str, Option("name of the analysis in inference.analyses")],
    templates: Annotated[Path, Output("histograms: <region>/<sample>/<variation>")],
    summary: Annotated[Path, Output("score cut, normalisation and content of the templates")],
    settings: Given,
) -> None:
    """Fill efficiencies per bin: weights divided by the sum of weights of the generated events.

    Cross section and luminosity are left to the workspace, so that a change of either does not
    read the jets again. A sample that the tagger was trained on enters with the events outside the
    training split only, scaled for those left out. All shifts and weights that the jets have are
    filled. Memory holds one part of a sample at a time.
    """
    where = f"inference.analyses.{analysis}"
    selection = settings.model(f"{where}.selection", Selection)
    files = group_by_sample(jets, scores)
    normalisation = read_manifests(manifests, list(files))
    data = _recorded(settings[where], files, where)
    # One tagger: that of the score, or the one it was before it was decorrelated.
    (classes,) = (one["classes"] for one in settings["tagging.taggers"].values())
    trained_on = {name for wanted in classes.values() for name in wanted["samples"]}
    cut, found = _working_point(files, selection, selection.working_point, where)
    histograms: Histograms = {}
    samples: dict[str, Any] = {}
    accounts: dict[str, Any] = {}
    units: dict[str, str] = {}
    for name in track(files, "templates", unit="samples"):
        filled = _Filled(name, selection, cut, name == data, name in trained_on)
        for table in read_parts(name, *files[name], selection.columns()):
            filled.add(table)
            units |= table.units
        total = 1.0 if name == data else normalisation[name]["sum_of_weights"]
        summed, contents = filled.finish()
        histograms |= {path: one * (1.0 / total) for path, one in summed.items()}
        samples[name] = {**normalisation[name], "is_data": name == data, **contents}
        accounts[name] = filled.account().check(f"templates of sample {name}").as_dict()
    with atomic(templates) as temporary, recreate(temporary) as root:
        for path, histogram in histograms.items():
            root[path] = histogram
    content = {
        "working_point": found,
        "observable": {
            name: {"name": region.observable, "unit": _unit(region, units)}
            for name, region in selection.regions.items()
        },
        "regions": {name: region.model_dump() for name, region in selection.regions.items()},
        "samples": samples,
        "accounts": accounts,
    }
    write_text(summary, json.dumps(content, indent=1, allow_nan=False) + "\n")


def _recorded(chosen: Mapping[str, Any], files: Files, where: str) -> str | None:
    """Name of the sample of recorded data; a blind analysis must not even be given it.

    The rule passes the data's settings only where they name a sample that is read: anything else
    does not matter here.
    """
    data: str | None = (chosen.get("data") or {}).get("sample")
    if data is None or not chosen.get("blind", False):
        return data
    if data in files:
        raise InputError(
            f"{where}.blind is true, but jets of the data sample {data!r} are given; leave them "
            "out, or set blind to false"
        )
    return None


def _unit(region: Region, units: Mapping[str, str]) -> str:
    return "GeV" if region.observable == DIJET_MASS else units.get(region.observable, "")


def _working_point(
    files: Files, selection: Selection, point: WorkingPoint, where: str
) -> tuple[float, dict[str, Any]]:
    """Set the score cut on validation jets, and say how it does on them and on test jets."""
    if point.sample not in files:
        raise InputError(
            f"{where}.selection.working_point.sample: there are no jets of {point.sample!r}"
        )
    low = min(region.pt_min for region in selection.regions.values())
    high = max(region.pt_max for region in selection.regions.values())
    scores: dict[str, list[Any]] = {"validation": [], "test": []}
    weights: dict[str, list[Any]] = {"validation": [], "test": []}
    for table in read_parts(point.sample, *files[point.sample]):
        mask = (table["variation"] == NOMINAL) & (table["pt"] >= low) & (table["pt"] < high)
        if point.labels:
            mask &= np.isin(table["label"], point.labels)
        for split in scores:
            here = mask & (table.split == split)
            scores[split].append(table.score[here])
            weights[split].append(table["weight"][here])
    cut = threshold_at_efficiency(
        np.concatenate(scores["validation"]),
        np.concatenate(weights["validation"]),
        point.efficiency,
        f"validation jets of {point.sample} with pT in {low:g}-{high:g} GeV",
    )
    found: dict[str, Any] = {
        "sample": point.sample,
        "labels": point.labels,
        "target_efficiency": point.efficiency,
        "threshold": cut,
    }
    for split in scores:
        score, weight = np.concatenate(scores[split]), np.concatenate(weights[split])
        if weight.sum() > 0:
            measured = efficiency_above(score, weight, cut)
            found[split] = {
                "efficiency": measured.value,
                "uncertainty": measured.uncertainty,
                "jets": measured.jets,
            }
    return cut, found


@dataclass
class _Filled:
    """Histograms of one sample in all regions and variations, and what went into them."""

    name: str
    selection: Selection
    cut: float
    is_data: bool
    trained_on: bool
    histograms: Histograms = field(default_factory=dict)
    sums: Any = field(default_factory=lambda: np.zeros(2))
    """Weights of all events, and of those outside the training split."""
    events: Any = field(default_factory=lambda: np.zeros(2, dtype=np.int64))
    """Numbers of all events, and of those in the training split."""
    nowhere: int = 0
    """Events outside the training split that no region takes."""
    entries: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Events without a shift that were filled, by region."""
    alone: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    weight_names: set[str] = field(default_factory=set)
    moved_by_weight: set[str] = field(default_factory=set)

    def add(self, table: JetTable) -> None:
        """Fill the jets of one part."""
        self.weight_names |= set(table.weight_names())
        for variation in dict.fromkeys(table["variation"].tolist()):
            jets = table.where(table["variation"] == variation)
            outside = self._outside_training(jets)
            if variation == NOMINAL:
                every = all_events(jets)
                rows = every.first
                weight = jets["weight"][rows]
                self.sums += weight.sum(), weight[outside[rows]].sum()
                self.events += len(rows), np.count_nonzero(~outside[rows])
            identities = {}
            for name, region in self.selection.regions.items():
                events, lost = select(jets, region, self.cut)
                events = events.where(outside[events.first])
                if variation == NOMINAL:
                    self.alone[name] += int(np.count_nonzero(outside[lost]))
                    identities[name] = events.identity()
                self._fill(name, region, events, variation)
            if variation == NOMINAL:
                _check_apart(identities, jets)
                self.nowhere += _in_none(identities, every.where(outside[rows]))

    def _outside_training(self, jets: JetTable) -> Any:
        if self.is_data or not self.trained_on:
            return np.ones(len(jets.score), dtype=bool)
        return jets.split != TRAINING

    def _fill(self, name: str, region: Region, events: Events, variation: str) -> None:
        values = observable(events, region)
        for what, weight in self._weights(events, variation).items():
            if what == NOMINAL:
                self.entries[name] += len(values)
            path = key(name, self.name, what)
            filled = fill(
                values,
                weight,
                region.edges,
                underflow=self.selection.underflow,
                overflow=self.selection.overflow,
                where=f"region {name}, sample {self.name}, {what} ({events.table.path})",
            )
            known = self.histograms.get(path)
            self.histograms[path] = filled if known is None else known + filled

    def _weights(self, events: Events, variation: str) -> dict[str, Any]:
        """Weights of each template that the events of one variation go into."""
        if self.is_data:
            return {NOMINAL: np.ones(len(events.first))} if variation == NOMINAL else {}
        weight = events.of_first("weight")
        if variation != NOMINAL:
            return {shift_name(variation): weight}
        found = {NOMINAL: weight}
        for name in events.table.weight_names():
            factor = events.of_first(name)
            if np.any(factor != 1.0):
                self.moved_by_weight.add(name)
            found[weight_name(name)] = weight * factor
        return found

    def account(self) -> Account:
        """Say what became of the events without a shift: no event is in two regions."""
        everything, trained_on = self.events.tolist()
        chosen = sum(self.entries.values())
        left_out = {"trained on": trained_on, "in no region": self.nowhere}
        return Account(everything, chosen, left_out, sum_read=float(self.sums[0]))

    def finish(self) -> tuple[Histograms, dict[str, Any]]:
        """Scale for the events of the training split, and say what was filled."""
        fraction = 1.0
        if self.trained_on and not self.is_data:
            try:
                fraction = kept_fraction(*self.sums.tolist())
            except InputError as problem:
                raise InputError(f"sample {self.name}: {problem}") from None
        for name, region in self.selection.regions.items():
            # A sample without a jet is empty everywhere, and not unknown.
            self.histograms.setdefault(
                key(name, self.name, NOMINAL), fill(np.empty(0), np.empty(0), region.edges)
            )
        # A weight that is one everywhere is one that the input does not have; its template would
        # pass for a systematic uncertainty of zero.
        absent = {weight_name(one) for one in self.weight_names - self.moved_by_weight}
        scaled = {
            path: histogram * (1.0 / fraction)
            for path, histogram in self.histograms.items()
            if path.split("/")[-1] not in absent
        }
        dijets = [name for name, region in self.selection.regions.items() if region.is_dijet]
        return scaled, {
            "kept_fraction": fraction,
            "events_selected": {name: self.entries[name] for name in self.selection.regions},
            "without_second_jet": {name: self.alone[name] for name in dijets},
            "variations": sorted({path.split("/")[-1] for path in scaled}),
            "absent": sorted(absent),
        }


def _check_apart(identities: Mapping[str, Any], jets: JetTable) -> None:
    """Refuse regions that share events: a likelihood of both would count these twice."""
    for (one, mine), (other, theirs) in itertools.combinations(identities.items(), 2):
        shared = np.intersect1d(mine, theirs)
        if len(shared):
            number = ":".join(str(part) for part in shared[0].tolist())
            raise InputError(
                f"regions {one} and {other} share {len(shared)} events of {jets.path}, such as "
                f"{number}; change score, tagged, pt_min, pt_max or mass_window so that no event "
                "lies in both"
            )


def _in_none(identities: Mapping[str, Any], events: Events) -> int:
    """Count the events that are in no region, one by one: not those that are left."""
    inside = np.concatenate(list(identities.values()))
    return int(np.count_nonzero(~np.isin(events.identity(), inside)))
