"""Samples with their variations into channels of a HistFactory model in pyhf's JSON form."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fullchain.errors import InputError
from fullchain.inference.histfactory import Array, Modifier, Template
from fullchain.inference.notes import Note
from fullchain.inference.systematic_settings import Model
from fullchain.inference.variations import Place, Variation, checked, modifiers_of_variation


@dataclass(frozen=True)
class SampleInput:
    """One process in one region: its nominal template, variations, and further modifiers."""

    name: str
    nominal: Template
    variations: Sequence[Variation] = ()
    modifiers: Sequence[Modifier] = field(default_factory=tuple)


def channel(
    region: str,
    samples: Iterable[SampleInput],
    edges: Array,
    given: Model,
    where: str,
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
    given
        Settings of the model.
    where
        Path of the analysis in the settings, for messages.

    Raises
    ------
    InputError
        A sample is empty, a bin is negative, or no process is expected in a bin at all.
    """
    specification: list[dict[str, Any]] = []
    notes: list[Note] = []
    total = np.zeros(len(edges) - 1)
    for sample in samples:
        place = Place(region, sample.name, edges, where)
        nominal, noted = checked(sample.nominal, place, given)
        notes += noted
        if nominal.values.sum() == 0:
            if given.on_empty == "error":
                raise InputError(
                    f"region {region}, sample {sample.name}: no jet; lower the score cut, generate "
                    f"more events, or set {where}.model.on_empty to drop"
                )
            notes.append(place.note("", "sample", "dropped"))
            continue
        modifiers = list(sample.modifiers)
        for variation in sample.variations:
            made, noted = modifiers_of_variation(variation, nominal, place, given)
            modifiers += made
            notes += noted
        values = nominal.values
        specification.append({"name": sample.name, "data": values.tolist(), "modifiers": modifiers})
        total += values
    for index, value in enumerate(total):
        if not value > 0:
            raise InputError(
                f"region {region}: no process is expected in bin {index} [{edges[index]:g}, "
                f"{edges[index + 1]:g}); merge it with its neighbour in "
                f"{where}.selection.regions.{region}.edges"
            )
    return {"name": region, "samples": specification}, notes
