"""From trained networks to weights of all candidates of events: in [0, 1], never NaN."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from fullchain.pileup import pumml_images
from fullchain.pileup.association import LEADING, UNKNOWN
from fullchain.pileup.candidate_events import CandidateEvents
from fullchain.pileup.candidate_features import Features, features
from fullchain.pileup.cloud_graph import Points
from fullchain.pileup.graph_network import GraphNetwork
from fullchain.pileup.graph_settings import GraphSettings
from fullchain.pileup.pumml_network import PummlNetwork
from fullchain.pileup.pumml_settings import PummlSettings
from fullchain.pileup.windows import azimuth, tiles

Array = NDArray[Any]

POINTS = 8192
"""Candidates that go through a network at once, at least one window or event."""

IMAGES = 256
"""Images that go through a network at once."""


def learned_weights(
    network: Any, events: CandidateEvents, settings: GraphSettings | PummlSettings
) -> Array:
    """Weigh all candidates, (n) float32.

    What is not valid (no finite momentum or direction, no positive pT) has weight 0. Tracks have 1
    or 0 by their vertex, except where the settings leave them to the network and where the vertex
    is not known.
    """
    valid = events.valid
    kept = events if valid.all() else events.select(valid)
    if isinstance(settings, GraphSettings):
        found = graph_weights(network, kept, settings)
    else:
        found = pumml_weights(network, kept, settings)
    weights = np.zeros(len(valid), np.float32)
    weights[valid] = found
    return weights


def by_vertex(origin: Array, others: Array) -> Array:
    """Give 1 to tracks of the leading vertex, 0 to those of pile-up, `others` to the rest."""
    found: Array = np.where(origin == UNKNOWN, others, (origin == LEADING).astype(others.dtype))
    return found


@torch.no_grad()
def graph_weights(network: GraphNetwork, events: CandidateEvents, settings: GraphSettings) -> Array:
    """Weigh valid candidates with a network on graphs.

    A network whose output depends on what is near sees whole events. One that takes a mean over a
    window sees windows, of the size that it was trained on, which cover the event.
    """
    told = features(events, settings.tracker_eta, settings.local_sums)
    found = np.zeros(len(events.pt), np.float32)
    for members, core, points in _pieces(events, told, settings, network.sees_whole_groups):
        place = next(network.parameters()).device
        moved = Points(
            points.features.to(place),
            points.place.to(place),
            points.of_group.to(place),
            points.offsets,
        )
        weight = torch.sigmoid(network(moved)).cpu().numpy()
        found[members[core]] = weight[core]
    return by_vertex(events.origin, found) if settings.charged == "fixed" else found


def _pieces(
    events: CandidateEvents, told: Features, settings: GraphSettings, windowed: bool
) -> Any:
    """Give places of candidates, which of them count, and their points, some groups at a time."""
    members: list[Array] = []
    cores: list[Array] = []
    places: list[Array] = []
    numbers: list[int] = []
    for number in range(len(events)):
        for own, core, place in _groups(events, number, settings, windowed):
            members.append(own)
            cores.append(core)
            places.append(place)
            numbers.append(number)
            if sum(map(len, members)) >= POINTS:
                yield _points(told, members, cores, places, numbers)
                members, cores, places, numbers = [], [], [], []
    if members:
        yield _points(told, members, cores, places, numbers)


def _groups(events: CandidateEvents, number: int, settings: GraphSettings, windowed: bool) -> Any:
    first, last = events.offsets[number], events.offsets[number + 1]
    eta, phi = events.eta[first:last], events.phi[first:last]
    if not windowed:
        if last > first:
            yield np.arange(first, last), np.ones(last - first, bool), np.stack([eta, phi], axis=1)
        return
    for window in tiles(eta, phi, settings.windows.core, settings.windows.halo):
        own = window.members
        place = np.stack(
            [eta[own] - window.centre[0], azimuth(phi[own] - window.centre[1])], axis=1
        )
        yield first + own, window.core, place


def _points(
    told: Features,
    members: list[Array],
    cores: list[Array],
    places: list[Array],
    numbers: list[int],
) -> tuple[Array, Array, Points]:
    everyone = np.concatenate(members)
    offsets = np.cumsum([0, *map(len, members)])
    points = Points(
        torch.from_numpy(told.candidates[everyone]),
        torch.from_numpy(np.concatenate(places).astype(np.float32)),
        torch.from_numpy(told.events[numbers]),
        torch.from_numpy(offsets),
    )
    return everyone, np.concatenate(cores), points


@torch.no_grad()
def pumml_weights(network: PummlNetwork, events: CandidateEvents, settings: PummlSettings) -> Array:
    """Weigh valid candidates with PUMML, each by the coarse pixel that it is in."""
    outside = 1.0 if settings.beyond == "keep" else 0.0
    found = np.full(len(events.pt), outside, np.float32)
    channel = pumml_images.channels(events.origin)
    for first, last in zip(events.offsets[:-1], events.offsets[1:], strict=True):
        rest = first + np.flatnonzero(channel[first:last] == pumml_images.REST)
        centres, which = pumml_images.covering(events.eta[rest], events.phi[rest], settings)
        if not len(centres):
            continue
        drawn = pumml_images.images(
            events.pt[first:last],
            events.eta[first:last],
            events.phi[first:last],
            channel[first:last],
            centres,
            settings,
        )
        predicted = _predicted(network, drawn)
        observed = pumml_images.coarsened(drawn[:, pumml_images.REST])
        inside = which >= 0
        own = rest[inside]
        found[own] = pumml_images.pixel_weights(
            predicted, observed, events.eta[own], events.phi[own], which[inside], centres, settings
        )
    return by_vertex(events.origin, found)


def _predicted(network: PummlNetwork, drawn: Array) -> Array:
    place = next(network.parameters()).device
    pieces = [network(piece.to(place)).cpu() for piece in torch.from_numpy(drawn).split(IMAGES)]
    found: Array = torch.cat(pieces).numpy()
    return found
