"""The statistical model of one signal hypothesis from yields, with all that was decided."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyhf

from fullchain.errors import InputError
from fullchain.inference.analysis_settings import Analysis, Sample
from fullchain.inference.channels import channel
from fullchain.inference.histfactory import Array
from fullchain.inference.hypothesis_settings import Hypothesis
from fullchain.inference.notes import Note
from fullchain.inference.systematic_settings import GROUP_OF_KIND, Systematic
from fullchain.inference.yields import Yields, expectation, sample_input
from fullchain.setting_errors import nearest


@dataclass(frozen=True)
class Built:
    """Channels, the expectation that data may be made from, and what was decided."""

    channels: list[dict[str, Any]]
    expected: dict[str, Array]
    notes: list[Note]


def signals(samples: Mapping[str, Sample]) -> list[str]:
    """Names of the processes that the signal strength scales."""
    return [name for name, sample in samples.items() if sample.role == "signal"]


def samples_of(given: Analysis, hypothesis: Hypothesis | None) -> dict[str, Sample]:
    """The processes, with the signal of a hypothesis in the place of the analysis' one."""
    if hypothesis is None:
        return dict(given.samples)
    (name,) = signals(given.samples)
    signal = Sample(
        ntuples=hypothesis.ntuples, role="signal", cross_section_pb=hypothesis.cross_section_pb
    )
    return {**given.samples, name: signal}


def build(yields: Yields, edges: Mapping[str, Array], given: Analysis) -> Built:
    """Build the channels of one hypothesis.

    Parameters
    ----------
    yields
        Yields of its processes, in the bins of the fit.
    edges
        Bin edges by region.
    given
        The analysis.

    Raises
    ------
    InputError
        Templates cannot be used, a systematic changes nothing, regions of one shapefactor differ in
        bins, or the signal is nowhere.
    """
    where = yields.where
    of_signal = frozenset(signals(yields.samples))
    channels, expected = [], {}
    notes: list[Note] = []
    check_regions(given.systematics, edges, where)
    check_shared_bins(given.systematics, edges, where)
    for region, bins in edges.items():
        inputs = []
        for process in yields.samples:
            made, left_out = sample_input(yields, region, process, given.systematics, given.model)
            inputs.append(made)
            notes += left_out
        built, noted = channel(region, inputs, bins, given.model, where)
        channels.append(built)
        notes += noted
        expected[region] = expectation(built, of_signal, given.fitted.mu)
    present = {sample["name"] for one in channels for sample in one["samples"]}
    for name in of_signal - present:
        raise InputError(
            f"sample {name}: the signal {'+'.join(yields.samples[name].ntuples)} has no jet in any "
            f"region; widen the regions in {where}.selection.regions or generate more events"
        )
    notes += _without_effect(channels, notes, given, where)
    return Built(channels, expected, notes)


def check_regions(
    systematics: Mapping[str, Systematic], edges: Mapping[str, Array], where: str
) -> None:
    """Refuse a systematic that names a region without templates."""
    for name, line in systematics.items():
        for region in line.regions:
            if region not in edges:
                raise InputError(
                    f"{where}.systematics.{name}.regions: there are no templates of the region "
                    f"{region!r}{nearest(region, list(edges))}"
                )


def check_shared_bins(
    systematics: Mapping[str, Systematic], edges: Mapping[str, Array], where: str
) -> None:
    """Refuse a shapefactor of regions with different bins: pyhf would pair them by number."""
    for name, line in systematics.items():
        if line.kind != "shapefactor":
            continue
        regions = line.regions or list(edges)
        for region in regions[1:]:
            if not np.array_equal(edges[regions[0]], edges[region]):
                bins = {
                    one: ", ".join(f"{x:g}" for x in edges[one]) for one in (regions[0], region)
                }
                raise InputError(
                    f"{where}.systematics.{name}: a shapefactor has one parameter per bin, and its "
                    f"regions differ in bins after merging: {regions[0]} has {bins[regions[0]]}; "
                    f"{region} has {bins[region]}; give them equal edges, or write one line for "
                    "each with regions: [...]"
                )


def _without_effect(
    channels: list[dict[str, Any]], notes: list[Note], given: Analysis, where: str
) -> list[Note]:
    """Find systematics that no modifier is left of, and refuse those that never had an effect."""
    remaining = {
        modifier["name"]
        for one in channels
        for sample in one["samples"]
        for modifier in sample["modifiers"]
    }
    regions = [one["name"] for one in channels]
    found = []
    for name, line in given.systematics.items():
        names = {f"{name}_{region}" for region in regions} if line.kind == "staterror" else {name}
        if names & remaining:
            continue
        about = [note for note in notes if note.systematic == name]
        if about and all(note.action == "no effect" for note in about):
            places = ", ".join(f"{note.region}/{note.sample}" for note in about)
            if given.model.on_no_effect == "error":
                raise InputError(
                    f"systematic {name}: its templates equal the nominal ones in all bins of all "
                    f"regions and samples ({places}); make the variation, remove "
                    f"{where}.systematics.{name}, or set {where}.model.on_no_effect to drop"
                )
        found.append(Note("", "", name, "systematic", "nothing left"))
    return found


def groups(
    model: pyhf.pdf.Model,
    systematics: Mapping[str, Systematic],
    named: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Group of each parameter of the model but the signal strength, for grouped impacts.

    Parameters
    ----------
    model
        The statistical model.
    systematics
        Lines of the analysis; parameters of none of them are grouped by their kind.
    named
        Groups by name of the parameter, which go before.
    """
    kinds = kinds_of_parameters(model.spec["channels"])
    found: dict[str, str] = {}
    for parameter in model.config.par_order:
        if parameter == model.config.poi_name:
            continue
        lines = [
            line
            for name, line in systematics.items()
            if parameter == name
            or (
                line.kind == "staterror"
                and parameter.removeprefix(f"{name}_") in model.config.channels
            )
        ]
        group = (named or {}).get(parameter) or (
            lines[0].group_name if lines else group_of_kinds(kinds[parameter])
        )
        place = model.config.par_slice(parameter)
        found |= dict.fromkeys(model.config.par_names[place], group)
    return found


def kinds_of_parameters(channels: Iterable[Mapping[str, Any]]) -> dict[str, set[str]]:
    """Types of the modifiers that each parameter acts through."""
    found: dict[str, set[str]] = {}
    for one in channels:
        for sample in one["samples"]:
            for modifier in sample["modifiers"]:
                found.setdefault(modifier["name"], set()).add(modifier["type"])
    return found


def group_of_kinds(kinds: set[str]) -> str:
    """Group of a parameter of which no more is known than the types of its modifiers."""
    if kinds & {"staterror", "shapesys"}:
        return "MC statistics"
    for kind in sorted(kinds):
        if kind in GROUP_OF_KIND:
            return GROUP_OF_KIND[kind]
    return "detector" if "histosys" in kinds else "normalisation"
