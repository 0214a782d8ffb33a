"""From efficiencies of ntuple samples to expected yields of processes, with their systematics."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fullchain.errors import InputError
from fullchain.inference import histfactory, pruning, rebinning
from fullchain.inference.analysis_settings import Sample
from fullchain.inference.channels import SampleInput
from fullchain.inference.histfactory import Array, Modifier, Template
from fullchain.inference.notes import Note
from fullchain.inference.systematic_settings import Model, Systematic
from fullchain.inference.template_file import NOMINAL, shift_name, weight_name
from fullchain.inference.variations import Variation

Templates = Mapping[tuple[str, str, str], Template]

PER_FB = 1000.0
"""1/fb in 1/pb."""


class MissingVariationError(InputError):
    """A process has no templates of a systematic uncertainty."""


class Yields:
    """Expected events of each process: efficiency x cross section x luminosity.

    Parameters
    ----------
    templates
        Efficiencies by (region, ntuple sample, variation).
    summaries
        What is known of each ntuple sample: `cross_section_pb`, `variations`, `absent`.
    samples
        Processes by name.
    luminosity
        Integrated luminosity [1/fb].
    where
        Path of the analysis in the settings, for messages.
    """

    def __init__(
        self,
        templates: Templates,
        summaries: Mapping[str, Mapping[str, Any]],
        samples: Mapping[str, Sample],
        luminosity: float,
        where: str,
    ) -> None:
        self.templates = templates
        self.summaries = summaries
        self.samples = samples
        self.luminosity = luminosity
        self.where = where

    def of(self, samples: Mapping[str, Sample]) -> "Yields":
        """The same templates, in the bins that they have by now, for other processes."""
        return Yields(self.templates, self.summaries, samples, self.luminosity, self.where)

    def cross_section(self, process: str, sample: str) -> float:
        """Cross section [pb] of an ntuple sample of a process."""
        found = self.samples[process].cross_section_pb
        if found is None:
            found = self.summaries.get(sample, {}).get("cross_section_pb")
        if found is None:
            raise InputError(
                f"sample {sample!r}: its manifest has no cross section; set "
                f"{self.where}.samples.{process}.cross_section_pb or that of the ntuple sample"
            )
        return float(found)

    def nominal(self, region: str, process: str) -> Template:
        """Nominal yields [events per bin].

        Raises
        ------
        InputError
            An ntuple sample is unknown, or its cross section is.
        """
        total = self._sum(region, process, NOMINAL)
        assert total is not None  # `_template` raises for a nominal template that is not there
        return total

    def variation(
        self, region: str, process: str, name: str, systematic: Systematic, given: Model
    ) -> Variation:
        """Yields of a process under a systematic change of the templates.

        Raises
        ------
        MissingVariationError
            There is neither up nor down.
        """
        up: Template | None
        down: Template | None
        if systematic.sample:
            # The alternative is another model of the same process: it gets the cross section of
            # the nominal one, and only its efficiency differs.
            nominal = self.samples[process].ntuples[0]
            factor = self._events_per_efficiency(process, nominal)
            up = self._template(region, systematic.sample, NOMINAL).scaled(factor)
            down = None
        else:
            made = shift_name if systematic.shift else weight_name
            source = systematic.shift or systematic.weight
            up, down = (
                self._sum(region, process, made(f"{source}_{side}")) for side in ("up", "down")
            )
            if up is None and down is None:
                raise self._missing(region, process, name, made(f"{source}_up"))
        smoothing = systematic.smoothing
        if smoothing is None:
            smoothing = "none" if systematic.weight else given.smoothing
        return Variation(
            name,
            up,
            down,
            shape=systematic.kind == "histosys",
            events=pruning.EVENTS_OF_SOURCE[str(systematic.source)],
            smoothing=smoothing,
            symmetrise=systematic.symmetrise or given.symmetrise,
        )

    def merge_bins(self, region: str, edges: Array, largest_error: float) -> Array:
        """Merge bins of a region in all templates, and give the edges that remain.

        Raises
        ------
        InputError
            As `rebinning.groups`.
        """
        for process in self.samples:
            self._check_bins(region, process, edges)
        # A signal fills bins but says nothing about how well their background is known.
        backgrounds = [name for name, one in self.samples.items() if one.role == "background"]
        nominal = [self.nominal(region, process) for process in backgrounds or self.samples]
        starts = rebinning.groups(nominal, edges, largest_error, region, self.where)
        self.templates = {
            place: rebinning.merged(template, starts) if place[0] == region else template
            for place, template in self.templates.items()
        }
        return rebinning.merged_edges(edges, starts)

    def _check_bins(self, region: str, process: str, edges: Array) -> None:
        """Refuse bins without a number, which merging would hide."""
        template = self.nominal(region, process)
        bad = ~(np.isfinite(template.values) & np.isfinite(template.variances))
        for index in np.flatnonzero(bad).tolist():
            raise InputError(
                f"region {region}, sample {process}, nominal: bin {index} [{edges[index]:g}, "
                f"{edges[index + 1]:g}) holds {template.values[index]:g} with the variance "
                f"{template.variances[index]:g}; look for such weights in the ntuples"
            )

    def _sum(self, region: str, process: str, variation: str) -> Template | None:
        """Sum over the ntuple samples of a process; None where not all have the variation."""
        total: Template | None = None
        for sample in self.samples[process].ntuples:
            if (region, sample, variation) not in self.templates and variation != NOMINAL:
                return None
            part = self._template(region, sample, variation).scaled(
                self._events_per_efficiency(process, sample)
            )
            total = part if total is None else total.plus(part)
        return total

    def _template(self, region: str, sample: str, variation: str) -> Template:
        try:
            return self.templates[region, sample, variation]
        except KeyError:
            known = sorted({name for place, name, _ in self.templates if place == region})
            raise InputError(
                f"region {region}: there is no template of sample {sample!r}; there are "
                f"{', '.join(known) or 'none'}; fill the templates again"
            ) from None

    def _events_per_efficiency(self, process: str, sample: str) -> float:
        return self.cross_section(process, sample) * PER_FB * self.luminosity

    def _missing(self, region: str, process: str, name: str, variation: str) -> InputError:
        for sample in self.samples[process].ntuples:
            summary = self.summaries.get(sample, {})
            have = [one for one in summary.get("variations", []) if one != NOMINAL]
            if (region, sample, variation) not in self.templates:
                break
        why = (
            "its weight is one everywhere: the input does not have it"
            if variation in summary.get("absent", [])
            else f"it has {', '.join(have) or 'no variation'}"
        )
        return MissingVariationError(
            f"region {region}, sample {sample}: no template {variation} for the systematic {name} "
            f"({why}); leave {process} out of {self.where}.systematics.{name}.samples, make the "
            f"variation, or set {self.where}.model.on_missing to drop"
        )


def sample_input(
    yields: Yields,
    region: str,
    process: str,
    systematics: Mapping[str, Systematic],
    given: Model,
) -> tuple[SampleInput, list[Note]]:
    """Give a process in a region with all modifiers that act on it, and what was left out."""
    nominal = yields.nominal(region, process)
    found: list[Modifier] = []
    variations: list[Variation] = []
    notes: list[Note] = []
    if yields.samples[process].role == "signal":
        found.append(histfactory.normfactor(given.poi))
    for name, line in systematics.items():
        if not line.acts_on(region, process):
            continue
        if line.kind == "normfactor":
            found.append(histfactory.normfactor(name))
        elif line.kind == "shapefactor":
            found.append(histfactory.shapefactor(name))
        elif line.kind == "lumi":
            found.append(histfactory.lumi())
        elif line.kind == "staterror":
            found.append(histfactory.staterror(f"{name}_{region}", nominal))
        elif line.value is not None:
            found.append(histfactory.log_normal(name, line.value))
        elif nominal.values.sum() != 0:
            try:
                variations.append(yields.variation(region, process, name, line, given))
            except MissingVariationError:
                if given.on_missing == "error":
                    raise
                notes.append(Note(region, process, name, "systematic", "missing"))
    return SampleInput(process, nominal, variations, found), notes


def expectation(channel: Mapping[str, Any], signals: frozenset[str], mu: float) -> Array:
    """Nominal events per bin of all samples of a channel at signal strength `mu`."""
    parts = [
        np.asarray(one["data"]) * (mu if one["name"] in signals else 1.0)
        for one in channel["samples"]
    ]
    return np.asarray(np.sum(parts, axis=0), dtype=float)
