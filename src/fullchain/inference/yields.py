"""From efficiencies of ntuple samples to expected yields of processes, with their systematics."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fullchain.errors import InputError
from fullchain.inference import histfactory, rebinning
from fullchain.inference.histfactory import Array, SampleInput, Template, Variation
from fullchain.inference.settings import Sample, Systematic
from fullchain.inference.template_file import NOMINAL, shift_name, weight_name

Templates = Mapping[tuple[str, str, str], Template]

PER_FB = 1000.0
"""1/fb in 1/pb."""


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
    """

    def __init__(
        self,
        templates: Templates,
        summaries: Mapping[str, Mapping[str, Any]],
        samples: Mapping[str, Sample],
        luminosity: float,
    ) -> None:
        self.templates = templates
        self.summaries = summaries
        self.samples = samples
        self.luminosity = luminosity

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

    def variation(self, region: str, process: str, name: str, systematic: Systematic) -> Variation:
        """Yields of a process under a systematic change of the templates."""
        up: Array | None
        down: Array | None
        if systematic.sample:
            # The alternative is another model of the same process: it gets the cross section of
            # the nominal one, and only its efficiency differs.
            nominal = self.samples[process].ntuples[0]
            factor = self._events_per_efficiency(process, nominal)
            up = self._template(region, systematic.sample, NOMINAL).values * factor
            down = None
        else:
            made = shift_name if systematic.shift else weight_name
            source = systematic.shift or systematic.weight
            both = [self._sum(region, process, made(f"{source}_{side}")) for side in ("up", "down")]
            up, down = (None if side is None else side.values for side in both)
            if up is None and down is None:
                self._missing(region, process, name, made(f"{source}_up"))
        return Variation(name, up, down, shape=systematic.kind == "histosys")

    def merge_bins(self, region: str, edges: Array, largest_error: float) -> Array:
        """Merge bins of a region in all templates, and give the edges that remain.

        Raises
        ------
        InputError
            As `rebinning.groups`.
        """
        # A signal fills bins but says nothing about how well their background is known.
        backgrounds = [name for name, one in self.samples.items() if one.role == "background"]
        nominal = [self.nominal(region, process) for process in backgrounds or self.samples]
        starts = rebinning.groups(nominal, edges, largest_error, region)
        self.templates = {
            place: rebinning.merged(template, starts) if place[0] == region else template
            for place, template in self.templates.items()
        }
        return rebinning.merged_edges(edges, starts)

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
        cross_section = self.samples[process].cross_section_pb
        if cross_section is None:
            cross_section = self.summaries.get(sample, {}).get("cross_section_pb")
        if cross_section is None:
            raise InputError(
                f"sample {sample!r}: its manifest has no cross section; set "
                f"inference.samples.{process}.cross_section_pb or that of the ntuple sample"
            )
        return float(cross_section) * PER_FB * self.luminosity

    def _missing(self, region: str, process: str, name: str, variation: str) -> None:
        for sample in self.samples[process].ntuples:
            summary = self.summaries.get(sample, {})
            have = [one for one in summary.get("variations", []) if one != NOMINAL]
            if (region, sample, variation) not in self.templates:
                why = (
                    "its weight is one everywhere: the input does not have it"
                    if variation in summary.get("absent", [])
                    else f"it has {', '.join(have) or 'no variation'}"
                )
                raise InputError(
                    f"region {region}, sample {sample}: no template {variation} for the systematic "
                    f"{name} ({why}); leave {process} out of "
                    f"inference.systematics.{name}.samples, or make the variation"
                )


def sample_input(
    yields: Yields,
    region: str,
    process: str,
    systematics: Mapping[str, Systematic],
    poi: str,
) -> SampleInput:
    """Give a process in a region with all modifiers that act on it."""
    nominal = yields.nominal(region, process)
    modifiers: list[histfactory.Modifier] = []
    variations: list[Variation] = []
    if yields.samples[process].role == "signal":
        modifiers.append(histfactory.normfactor(poi))
    for name, line in systematics.items():
        if line.samples and process not in line.samples:
            continue
        if line.kind == "normfactor":
            modifiers.append(histfactory.normfactor(name))
        elif line.kind == "lumi":
            modifiers.append(histfactory.lumi())
        elif line.kind == "staterror":
            modifiers.append(histfactory.staterror(f"{name}_{region}", nominal))
        elif line.value is not None:
            modifiers.append(histfactory.log_normal(name, line.value))
        elif nominal.values.sum() > 0:
            variations.append(yields.variation(region, process, name, line))
    return SampleInput(process, nominal, variations, modifiers)


def expectation(inputs: list[SampleInput], signals: frozenset[str], mu: float) -> Array:
    """Nominal events per bin of all processes at signal strength `mu`."""
    parts = [one.nominal.values * (mu if one.name in signals else 1.0) for one in inputs]
    return np.asarray(np.sum(parts, axis=0))
