"""Templates and systematic variations into a HistFactory model in pyhf's JSON form.

A variation of the templates becomes a `normsys` (the change of the yield, interpolated
exponentially and therefore never negative) and, where the shape matters, a `histosys` of the same
name (the change of shape at fixed yield): both move with one nuisance parameter, as in
K. Cranmer et al., CERN-OPEN-2012-016. The bin errors are those of R. Barlow and C. Beeston, Comput.
Phys. Commun. 77 (1993) 219, in the form of one parameter per bin.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError

Array = NDArray[np.float64]
Modifier = dict[str, Any]


@dataclass(frozen=True)
class Template:
    """Contents of the bins of a histogram and their variances (sums of squared weights)."""

    values: Array
    variances: Array

    def scaled(self, factor: float) -> "Template":
        """The template times `factor`."""
        return Template(self.values * factor, self.variances * factor**2)

    def plus(self, other: "Template") -> "Template":
        """The sum with an independent template of the same bins."""
        return Template(self.values + other.values, self.variances + other.variances)


@dataclass(frozen=True)
class Note:
    """What was changed or left out in building the model."""

    region: str
    sample: str
    systematic: str
    part: str
    """``normalisation``, ``shape`` or ``sample``."""
    action: str
    """``pruned``, ``mirrored``, ``clipped``, ``same direction`` or ``dropped``."""
    largest: float | None = None
    """Largest relative change, in one bin or of the yield."""


@dataclass(frozen=True)
class Variation:
    """Yields [events per bin] of one sample under a systematic change; None: no such side."""

    name: str
    up: Array | None
    down: Array | None
    shape: bool = True
    """Whether the change of shape counts, or the yield alone."""


@dataclass(frozen=True)
class Thresholds:
    """Relative changes below which a modifier is left out."""

    normalisation: float = 0.0
    shape: float = 0.0


@dataclass(frozen=True)
class SampleInput:
    """One process in one region: its nominal template, variations, and further modifiers."""

    name: str
    nominal: Template
    variations: Sequence[Variation] = ()
    modifiers: Sequence[Modifier] = field(default_factory=tuple)


def normfactor(name: str) -> Modifier:
    """A free factor on the yield."""
    return {"name": name, "type": "normfactor", "data": None}


def lumi() -> Modifier:
    """The luminosity, common to all samples that carry it."""
    return {"name": "lumi", "type": "lumi", "data": None}


def normsys(name: str, up: float, down: float) -> Modifier:
    """A constrained change of the yield: factors at plus and minus one standard deviation."""
    return {"name": name, "type": "normsys", "data": {"hi": up, "lo": down}}


def histosys(name: str, up: Array, down: Array) -> Modifier:
    """A constrained change of the bins: yields at plus and minus one standard deviation."""
    data = {"hi_data": up.tolist(), "lo_data": down.tolist()}
    return {"name": name, "type": "histosys", "data": data}


def staterror(name: str, template: Template) -> Modifier:
    """Limited simulation: absolute standard deviations of the bins."""
    return {"name": name, "type": "staterror", "data": np.sqrt(template.variances).tolist()}


def log_normal(name: str, relative: float) -> Modifier:
    """A change of the yield by 1 + `relative`, downwards by the inverse."""
    return normsys(name, 1.0 + relative, 1.0 / (1.0 + relative))


def split(nominal: Array, varied: Array) -> tuple[float, Array]:
    """Give the ratio of the yields, and the varied bins scaled to the nominal yield.

    Raises
    ------
    ValueError
        One of the yields is not positive.
    """
    total, other = float(nominal.sum()), float(varied.sum())
    if not (total > 0 and other > 0):
        raise ValueError("a ratio needs two positive yields")
    return other / total, varied * (total / other)


def mirror_shape(nominal: Array, shape: Array) -> tuple[Array, bool]:
    """Reflect a shape of equal yield at the nominal one, without going below zero.

    Returns
    -------
    tuple
        The reflected bins at the nominal yield, and whether one had to be clipped at zero.
    """
    reflected = 2.0 * nominal - shape
    clipped = bool(np.any(reflected < 0))
    reflected = np.clip(reflected, 0.0, None)
    return reflected * (nominal.sum() / reflected.sum()), clipped


def largest_change(nominal: Array, varied: Array) -> float:
    """Largest relative change of a bin; where it is empty nominally, relative to the mean bin."""
    scale = np.where(nominal > 0, nominal, nominal.mean())
    return float(np.max(np.abs(varied - nominal) / scale))


def check_yields(values: Array, edges: Array, region: str, sample: str, what: str) -> None:
    """Refuse yields that cannot belong to the bins: wrong number, negative, not finite.

    Raises
    ------
    InputError
        Names region, sample, variation and bin.
    """
    bins = len(edges) - 1
    if len(values) != bins:
        raise InputError(
            f"region {region}, sample {sample}, {what}: {len(values)} bins, but the region has "
            f"{bins}; fill the templates again"
        )
    for index, value in enumerate(values):
        if not np.isfinite(value) or value < 0:
            raise InputError(
                f"region {region}, sample {sample}, {what}: bin {index} "
                f"[{edges[index]:g}, {edges[index + 1]:g}) holds {value:g}; merge it with its "
                "neighbour in inference.selection.regions, or generate more events"
            )


def modifiers_of_variation(
    variation: Variation,
    nominal: Array,
    edges: Array,
    thresholds: Thresholds,
    region: str,
    sample: str,
    drop_empty: bool = False,
) -> tuple[list[Modifier], list[Note]]:
    """Turn a variation into `normsys` and `histosys`, mirrored where it has one side only.

    The yield is mirrored to the inverse ratio, the shape bin by bin. Both are left out where their
    largest change lies below the threshold; all of this is noted.

    Raises
    ------
    InputError
        Both sides are missing, or a side has bad bins or is empty (unless `drop_empty`).
    """

    def note(part: str, action: str, largest: float | None = None) -> Note:
        return Note(region, sample, variation.name, part, action, largest)

    sides = {"up": variation.up, "down": variation.down}
    present = {name: values for name, values in sides.items() if values is not None}
    if not present:
        raise InputError(
            f"region {region}, sample {sample}: there is no template of {variation.name}, up or "
            "down; leave the sample out of this systematic, or make the variation in jets"
        )
    for side, values in present.items():
        check_yields(values, edges, region, sample, f"{variation.name} {side}")
        if values.sum() == 0:
            if drop_empty:
                return [], [note("sample", "dropped")]
            raise InputError(
                f"region {region}, sample {sample}: no jet is left in {variation.name} {side}; "
                "merge regions, generate more events, or set inference.model.on_empty to drop"
            )
    notes = []
    parts = {side: split(nominal, values) for side, values in present.items()}
    if len(parts) == 1:
        ((side, (ratio, shape)),) = parts.items()
        reflected, clipped = mirror_shape(nominal, shape)
        parts["down" if side == "up" else "up"] = (1.0 / ratio, reflected)
        notes.append(note("normalisation", "mirrored"))
        if variation.shape and clipped:
            notes.append(note("shape", "clipped"))
    (ratio_up, shape_up), (ratio_down, shape_down) = parts["up"], parts["down"]
    modifiers = []
    norm = max(abs(ratio_up - 1.0), abs(ratio_down - 1.0))
    if norm < thresholds.normalisation:
        notes.append(note("normalisation", "pruned", norm))
    else:
        modifiers.append(normsys(variation.name, ratio_up, ratio_down))
        if (ratio_up - 1.0) * (ratio_down - 1.0) > 0:
            notes.append(note("normalisation", "same direction", norm))
    if variation.shape and len(nominal) > 1:
        largest = max(largest_change(nominal, shape_up), largest_change(nominal, shape_down))
        if largest < thresholds.shape:
            notes.append(note("shape", "pruned", largest))
        else:
            modifiers.append(histosys(variation.name, shape_up, shape_down))
    return modifiers, notes


def channel(
    region: str,
    samples: Iterable[SampleInput],
    edges: Array,
    thresholds: Thresholds,
    signals: frozenset[str],
    drop_empty: bool = False,
) -> tuple[dict[str, Any], list[Note]]:
    """Build one channel of the specification.

    Parameters
    ----------
    region
        Name of the channel.
    samples
        Processes with yields [events].
    edges
        Bin edges, for messages.
    thresholds
        For pruning.
    signals
        Names of the samples that must not be empty.
    drop_empty
        Leave out backgrounds without a jet, and variations that lose all, instead of refusing them.

    Raises
    ------
    InputError
        A sample is empty, a bin is negative, or no process is expected in a bin at all.
    """
    specification: list[dict[str, Any]] = []
    notes: list[Note] = []
    total = np.zeros(len(edges) - 1)
    for sample in samples:
        values = sample.nominal.values
        check_yields(values, edges, region, sample.name, "nominal")
        if values.sum() == 0:
            if sample.name in signals:
                raise InputError(
                    f"region {region}, sample {sample.name}: the signal has no jet here; lower the "
                    "score cut or generate more events"
                )
            if not drop_empty:
                raise InputError(
                    f"region {region}, sample {sample.name}: no jet; generate more events, or set "
                    "inference.model.on_empty to drop"
                )
            notes.append(Note(region, sample.name, "", "sample", "dropped"))
            continue
        modifiers = list(sample.modifiers)
        for variation in sample.variations:
            made, noted = modifiers_of_variation(
                variation, values, edges, thresholds, region, sample.name, drop_empty
            )
            modifiers += made
            notes += noted
        specification.append({"name": sample.name, "data": values.tolist(), "modifiers": modifiers})
        total += values
    for index, value in enumerate(total):
        if not value > 0:
            raise InputError(
                f"region {region}: no process is expected in bin {index} [{edges[index]:g}, "
                f"{edges[index + 1]:g}); merge it with its neighbour in inference.selection.regions"
            )
    return {"name": region, "samples": specification}, notes


def workspace(
    channels: Sequence[Mapping[str, Any]],
    observations: Mapping[str, Array],
    *,
    poi: str,
    poi_range: tuple[float, float],
    luminosity_uncertainty: float,
) -> dict[str, Any]:
    """Put channels, data and the measurement together as a pyhf workspace.

    Parameters
    ----------
    channels
        As `channel` gives them.
    observations
        Events per bin by region.
    poi
        Name of the signal strength.
    poi_range
        Its limits in the fit.
    luminosity_uncertainty
        Relative standard deviation of the luminosity.

    Raises
    ------
    InputError
        The data of a region have another number of bins than its samples.
    """
    parameters: list[dict[str, Any]] = [{"name": poi, "inits": [1.0], "bounds": [list(poi_range)]}]
    types = {
        modifier["type"]
        for one in channels
        for sample in one["samples"]
        for modifier in sample["modifiers"]
    }
    if "lumi" in types:
        parameters.append(
            {
                "name": "lumi",
                "auxdata": [1.0],
                "sigmas": [luminosity_uncertainty],
                "inits": [1.0],
                "bounds": [
                    [max(1e-3, 1 - 5 * luminosity_uncertainty), 1 + 5 * luminosity_uncertainty]
                ],
            }
        )
    data = []
    for one in channels:
        observed = observations[one["name"]]
        bins = len(one["samples"][0]["data"])
        if len(observed) != bins:
            raise InputError(
                f"region {one['name']}, data: {len(observed)} bins, but the samples have {bins}"
            )
        data.append({"name": one["name"], "data": np.asarray(observed, dtype=float).tolist()})
    return {
        "channels": [dict(one) for one in channels],
        "observations": data,
        "measurements": [{"name": "fit", "config": {"poi": poi, "parameters": parameters}}],
        "version": "1.0.0",
    }
