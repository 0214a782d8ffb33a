"""Rows to train learned weights on: windows for graphs, images for PUMML."""

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.pileup import pumml_images
from fullchain.pileup.association import UNKNOWN
from fullchain.pileup.candidate_events import CandidateEvents
from fullchain.pileup.candidate_features import features
from fullchain.pileup.graph_settings import GraphSettings
from fullchain.pileup.learned_settings import LearnedSettings
from fullchain.pileup.pumml_settings import PummlSettings
from fullchain.pileup.windows import azimuth, seeds, window_at
from fullchain.seeds import stream

Array = NDArray[Any]
Columns = dict[str, Array]


def places(
    events: CandidateEvents, settings: LearnedSettings, seed: int, sample: str
) -> Iterator[tuple[int, slice, list[tuple[float, float]]]]:
    """Draw where to look in each event: its number, its candidates, directions.

    The draw depends on the seed, the sample and the identity of the event only.
    """
    fraction = _truth(events)
    limits = events.offsets.tolist()
    for number, (first, last) in enumerate(itertools.pairwise(limits)):
        inside = slice(first, last)
        identity = (int(word) for word in events.identity[number])
        found = seeds(
            events.eta[inside],
            events.phi[inside],
            events.pt[inside] * fraction[inside],
            settings.seeding.per_event,
            settings.seeding.hard,
            stream(seed, "pileup", "places", sample, *identity),
        )
        yield number, inside, found


def graph_rows(
    events: CandidateEvents, settings: GraphSettings, seed: int, sample: str
) -> Columns | None:
    """Cut windows out of events, padded to the same number of points.

    Parameters
    ----------
    events
        Valid candidates with truth.

    Returns
    -------
    `features` (windows, points, features), `of_event` (windows, globals), `place` (windows, points,
    2), `mask` (windows, points), `target` and `weight` (windows, points), in float32 but for the
    mask; None where no window has anything to learn.
    """
    told = features(events, settings.tracker_eta, settings.local_sums)
    counts = learning_weights(events, settings)
    fraction = _truth(events)
    limits = settings.windows
    rows: list[Columns] = []
    for number, inside, found in places(events, settings, seed, sample):
        for centre in found:
            window = window_at(
                events.eta[inside],
                events.phi[inside],
                centre,
                limits.core,
                limits.halo,
                limits.points,
            )
            members = inside.start + window.members
            weight = np.where(window.core, counts[members], 0.0)
            if not weight.any():
                continue
            place = np.stack(
                [events.eta[members] - centre[0], azimuth(events.phi[members] - centre[1])], axis=1
            )
            rows.append(
                {
                    "features": _padded(told.candidates[members], limits.points),
                    "place": _padded(place, limits.points),
                    "mask": _padded(np.ones(len(members), bool), limits.points),
                    "target": _padded(fraction[members], limits.points),
                    "weight": _padded(weight, limits.points),
                    "of_event": told.events[number],
                }
            )
    if not rows:
        return None
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def learning_weights(events: CandidateEvents, settings: GraphSettings) -> Array:
    """Give what each candidate counts in the loss; tracks whose weight is fixed count nothing."""
    counts: Array = np.minimum(events.pt, settings.pt_limit) ** settings.pt_power
    if settings.charged == "fixed":
        counts = np.where(events.origin == UNKNOWN, counts, 0.0)
    return counts


def pumml_rows(
    events: CandidateEvents, settings: PummlSettings, seed: int, sample: str
) -> Columns | None:
    """Draw images: `image` (images, 3, pixels, pixels), `target` (images, pixels/4, pixels/4).

    Images without neutral candidates are left out; None where there are no others.
    """
    channel = pumml_images.channels(events.origin)
    rest = channel == pumml_images.REST
    hard = np.where(rest, events.pt * _truth(events), 0.0)
    found = []
    for _, inside, directions in places(events, settings, seed, sample):
        if not directions:
            continue
        centres = np.array(directions)
        drawn = pumml_images.images(
            events.pt[inside],
            events.eta[inside],
            events.phi[inside],
            channel[inside],
            centres,
            settings,
        )
        aim = pumml_images.targets(
            hard[inside], events.eta[inside], events.phi[inside], centres, settings
        )
        some = drawn[:, pumml_images.REST].any(axis=(1, 2))
        found.append((drawn[some], aim[some]))
    if not sum(len(drawn) for drawn, _ in found):
        return None
    return {
        "image": np.concatenate([drawn for drawn, _ in found]),
        "target": np.concatenate([aim for _, aim in found]),
    }


def _truth(events: CandidateEvents) -> Array:
    if events.hard_fraction is None:
        raise ValueError("these events were read without truth")
    return events.hard_fraction


def _padded(values: Array, points: int) -> Array:
    kind = values.dtype if values.dtype == bool else np.float32
    found = np.zeros((points, *values.shape[1:]), kind)
    found[: len(values)] = values
    return found
