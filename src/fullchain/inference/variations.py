"""Varied templates into modifiers: checked, smoothed, made symmetric, and pruned, all of it noted.

A variation becomes a `normsys` (the change of the yield, interpolated exponentially and therefore
never negative) and, where the shape matters, a `histosys` of the same name (the change of shape at
fixed yield): both move with one nuisance parameter, as in K. Cranmer et al., CERN-OPEN-2012-016.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.inference import pruning
from fullchain.inference.histfactory import Modifier, Template, histosys, normsys
from fullchain.inference.notes import Note
from fullchain.inference.pruning import Events, Significance
from fullchain.inference.smoothing import SHORTEST, smooth_shape
from fullchain.inference.symmetrisation import Sides, symmetrise_shapes, symmetrise_yields
from fullchain.inference.systematic_settings import Model, Smoothing, Symmetrise

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Variation:
    """Yields [events per bin] of one sample under a systematic change; None: no such side."""

    name: str
    up: Template | None
    down: Template | None
    shape: bool = True
    """Whether the change of shape counts, or the yield alone."""
    events: Events = "independent"
    """Events in common with the nominal template."""
    smoothing: Smoothing = "none"
    symmetrise: Symmetrise = "mirror"


@dataclass(frozen=True)
class Place:
    """Where a template belongs, for messages: region with its bin edges, sample, settings."""

    region: str
    sample: str
    edges: Array
    where: str
    """Path of the analysis in the settings."""

    def bin_text(self, index: int) -> str:
        """A bin in words."""
        return f"bin {index} [{self.edges[index]:g}, {self.edges[index + 1]:g})"

    def note(self, systematic: str, part: str, action: str, **numbers: float) -> Note:
        """A decision about this sample in this region."""
        return Note(self.region, self.sample, systematic, part, action, numbers)


def checked(
    template: Template, place: Place, given: Model, systematic: str = "", side: str = ""
) -> tuple[Template, list[Note]]:
    """Refuse bins that cannot be yields, or clip them where the settings say so.

    Raises
    ------
    InputError
        A bin is not finite or is negative, or there is another number of bins than the region has;
        region, sample, systematic and bin are named.
    """
    what = f"{systematic} {side}".strip() or "nominal"
    start = f"region {place.region}, sample {place.sample}, {what}:"
    values, bins = template.values, len(place.edges) - 1
    if len(values) != bins:
        raise InputError(
            f"{start} {len(values)} bins, but the region has {bins}; fill the templates again"
        )
    bad = ~(np.isfinite(values) & np.isfinite(template.variances))
    for index in np.flatnonzero(bad).tolist():
        raise InputError(
            f"{start} {place.bin_text(index)} holds {values[index]:g} with the variance "
            f"{template.variances[index]:g}; look for such weights in the ntuples"
        )
    negative = np.flatnonzero(values < 0)
    if not len(negative):
        return template, []
    worst = int(np.argmin(values))
    total = float(values.sum())
    clipped = np.clip(values, 0.0, None)
    if given.on_negative == "error" or not total > 0:
        raise InputError(
            f"{start} {place.bin_text(worst)} holds {values[worst]:g}; merge it with its neighbour "
            f"in {place.where}.selection.regions.{place.region}.edges, generate more events"
            + (
                f", or set {place.where}.model.on_negative to clip"
                if total > 0
                else "; the yield of the whole region is not positive either"
            )
        )
    note = place.note(
        systematic, side or "sample", "clipped", bin=worst, value=values[worst], bins=len(negative)
    )
    kept = Template(clipped * (total / clipped.sum()), template.variances)
    return kept, [note]


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


def modifiers_of_variation(
    variation: Variation, nominal: Template, place: Place, given: Model
) -> tuple[list[Modifier], list[Note]]:
    """Turn a variation into `normsys` and `histosys`.

    Parameters
    ----------
    variation
        Templates up and down; one of them may be missing.
    nominal
        The nominal template, checked and not empty.
    place
        Region and sample.
    given
        Settings: smoothing, thresholds, and what is an error.

    Raises
    ------
    InputError
        Both sides are missing, a side has bad bins or is empty, or, where the settings say so, both
        sides change the yield or the shape the same way.
    """
    present = {"up": variation.up, "down": variation.down}
    sides = {name: side for name, side in present.items() if side is not None}
    if not sides:
        raise InputError(
            f"region {place.region}, sample {place.sample}: there is no template of "
            f"{variation.name}, up or down; leave the sample out of "
            f"{place.where}.systematics.{variation.name}.samples, or make the variation in jets"
        )
    notes: list[Note] = []
    unchanged = []
    for side, template in sides.items():
        sides[side], noted = checked(template, place, given, variation.name, side)
        notes += noted
        if sides[side].values.sum() == 0:
            if given.on_empty == "drop":
                return [], [*notes, place.note(variation.name, side, "dropped")]
            raise InputError(
                f"region {place.region}, sample {place.sample}: no jet is left in "
                f"{variation.name} {side}; merge regions, generate more events, or set "
                f"{place.where}.model.on_empty to drop"
            )
        if np.allclose(sides[side].values, nominal.values, rtol=1e-12, atol=0.0):
            unchanged.append(side)
    if len(unchanged) == len(sides):
        return [], [*notes, place.note(variation.name, "systematic", "no effect")]
    notes += [place.note(variation.name, side, "no effect") for side in unchanged]
    norm, noted = _yield(variation, sides, nominal, place, given)
    notes += noted
    modifiers = norm
    if variation.shape and len(nominal.values) > 1:
        shape, noted = _shape(variation, sides, nominal, place, given)
        modifiers = modifiers + shape
        notes += noted
    return modifiers, notes


def _yield(
    variation: Variation,
    sides: Mapping[str, Template],
    nominal: Template,
    place: Place,
    given: Model,
) -> tuple[list[Modifier], list[Note]]:
    ratios = {side: split(nominal.values, one.values)[0] for side, one in sides.items()}
    tests = [
        pruning.significance(
            change,
            pruning.variance_of_change(
                change,
                nominal.variances.sum(keepdims=True),
                one.variances.sum(keepdims=True),
                nominal.variances.sum(keepdims=True) / nominal.values.sum(),
                variation.events,
            ),
        )
        for one in sides.values()
        for change in [np.atleast_1d(one.values.sum() - nominal.values.sum())]
    ]
    made = symmetrise_yields(ratios.get("up"), ratios.get("down"), variation.symmetrise)
    up, down = float(made.up), float(made.down)
    numbers = {f"given_{side}": ratio - 1.0 for side, ratio in ratios.items()}
    numbers |= {"up": up - 1.0, "down": down - 1.0}
    notes = _symmetrised(variation.name, "normalisation", made, numbers, place, given)
    largest = max(abs(up - 1.0), abs(down - 1.0))
    pruned = _pruned(largest, given.prune_normalisation, tests, given.prune_normalisation_p_value)
    if pruned is not None:
        notes.append(place.note(variation.name, "normalisation", "pruned", **pruned))
        return [], notes
    return [normsys(variation.name, up, down)], notes


def _shape(
    variation: Variation,
    sides: Mapping[str, Template],
    nominal: Template,
    place: Place,
    given: Model,
) -> tuple[list[Modifier], list[Note]]:
    values = nominal.values
    weight = pruning.jet_weights(values, nominal.variances)
    shapes: dict[str, Array] = {}
    variances: dict[str, Array | None] = {}
    for side, template in sides.items():
        ratio, shapes[side] = split(values, template.values)
        variance = pruning.variance_of_change(
            shapes[side] - values,
            nominal.variances,
            template.variances / ratio**2,
            weight,
            variation.events,
        )
        both_bins = 2.0 if variation.events == "moved" else 1.0
        variances[side] = None if variance is None else both_bins * variance
    tests = [
        pruning.significance(shape - values, variances[side], constraints=1)
        for side, shape in shapes.items()
    ]
    notes: list[Note] = []
    if variation.smoothing != "none":
        shapes, notes = _smoothed(variation.name, shapes, nominal, variances, place, given)
    made = symmetrise_shapes(shapes.get("up"), shapes.get("down"), values, variation.symmetrise)
    changes = {
        side: pruning.largest_change(values, shape)
        for side, shape in (("up", made.up), ("down", made.down))
    }
    largest, index = max(changes.values())
    given_changes = {
        f"given_{side}": pruning.largest_change(values, shape)[0] for side, shape in shapes.items()
    }
    numbers = {**given_changes, "up": changes["up"][0], "down": changes["down"][0], "bin": index}
    notes += _symmetrised(variation.name, "shape", made, numbers, place, given)
    pruned = _pruned(largest, given.prune_shape, tests, given.prune_shape_p_value)
    if pruned is not None:
        notes.append(place.note(variation.name, "shape", "pruned", **pruned, bin=index))
        return [], notes
    return [histosys(variation.name, made.up, made.down)], notes


def _smoothed(
    name: str,
    shapes: dict[str, Array],
    nominal: Template,
    variances: Mapping[str, Array | None],
    place: Place,
    given: Model,
) -> tuple[dict[str, Array], list[Note]]:
    """Smooth the shapes, unless that takes away more of one than limited simulation explains."""
    if np.count_nonzero(nominal.values > 0) < SHORTEST:
        bins = float(len(nominal.values))
        return shapes, [place.note(name, "shape", "too few bins to smooth", bins=bins)]
    smooth, notes = {}, []
    kept = False
    for side, shape in shapes.items():
        smooth[side] = smooth_shape(nominal.values, shape)
        numbers = {
            f"{side}_before": pruning.largest_change(nominal.values, shape)[0],
            f"{side}_after": pruning.largest_change(nominal.values, smooth[side])[0],
        }
        taken = pruning.significance(shape - smooth[side], variances[side], constraints=1)
        if taken is not None:
            numbers |= {"chi_squared": taken.chi_squared, "p_value": taken.p_value}
            kept = kept or taken.p_value < given.smoothing_p_value
        notes.append(numbers)
    action = "not smoothed" if kept else "smoothed"
    return (shapes if kept else smooth), [
        place.note(name, "shape", action, **numbers) for numbers in notes
    ]


def _symmetrised(
    name: str, part: str, made: Sides, numbers: dict[str, float], place: Place, given: Model
) -> list[Note]:
    """Notes of what was made symmetric; an error for one side that the settings do not allow."""
    if "same side" in made.actions and given.on_same_side == "error":
        at = f" (most in {place.bin_text(int(numbers['bin']))})" if "bin" in numbers else ""
        up, down = (numbers.get(f"given_{side}", numbers[side]) for side in ("up", "down"))
        raise InputError(
            f"region {place.region}, sample {place.sample}, {name}: up and down change the {part} "
            f"the same way, by {100 * up:.2g} % and {100 * down:.2g} %{at}; look at the "
            f"variation, or set {place.where}.model.on_same_side to note and "
            f"{place.where}.systematics.{name}.symmetrise to average or max"
        )
    return [place.note(name, part, action, **numbers) for action in made.actions]


def _pruned(
    largest: float,
    threshold: float,
    tests: list[Significance | None],
    highest_p_value: float,
) -> dict[str, float] | None:
    """Numbers by which a change is left out, or None where it is kept."""
    if largest < threshold:
        return {"largest": largest, "threshold": threshold}
    p_values = [one.p_value for one in tests if one is not None]
    # One side that is no accident is enough.
    if p_values and min(p_values) > highest_p_value:
        return {"largest": largest, "p_value": min(p_values), "threshold": highest_p_value}
    return None
