"""The methods by name: from events to weights of candidates."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.pileup.association import PILEUP, origins
from fullchain.pileup.classical_settings import ClassicalSettings
from fullchain.pileup.events import Events
from fullchain.pileup.puppi import puppi_weights
from fullchain.pileup.softkiller import softkiller_weights

Array = NDArray[Any]
Method = Callable[[Events, ClassicalSettings], Array]


def origins_of(events: Events, settings: ClassicalSettings) -> Array:
    """Tell the origin of each candidate, see `fullchain.pileup.association`."""
    return origins(
        events.pt, events.eta, events.charge, events.from_pv, events.dz, settings.association
    )


def none(events: Events, settings: ClassicalSettings) -> Array:
    """Keep everything."""
    return np.ones(len(events.pt))


def chs(events: Events, settings: ClassicalSettings) -> Array:
    """Drop tracks of pile-up (charged-hadron subtraction, CMS, arXiv:1706.04965)."""
    return np.where(origins_of(events, settings) == PILEUP, 0.0, 1.0)


def puppi(events: Events, settings: ClassicalSettings) -> Array:
    """PUPPI, see `fullchain.pileup.puppi`."""
    return puppi_weights(
        events.pt,
        events.eta,
        events.phi,
        origins_of(events, settings),
        events.event_offsets,
        events.vertices,
        settings.puppi,
    )


def softkiller(events: Events, settings: ClassicalSettings) -> Array:
    """SoftKiller, see `fullchain.pileup.softkiller`."""
    weights, _ = softkiller_weights(
        events.pt,
        events.eta,
        events.phi,
        origins_of(events, settings),
        events.event_offsets,
        settings.softkiller,
    )
    return weights


CLASSICAL: Mapping[str, Method] = {
    "none": none,
    "chs": chs,
    "puppi": puppi,
    "softkiller": softkiller,
}
"""Methods without training."""


def true_weights(events: Events) -> Array:
    """Give the true part of each candidate's energy from the hard collision: what is aimed at."""
    assert events.truth is not None
    return np.clip(np.nan_to_num(events.truth.hard_fraction), 0.0, 1.0)
