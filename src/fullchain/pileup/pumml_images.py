"""Images of candidates for PUMML, and from its output back to weights.

Three images of one region in eta and phi, pT per pixel [GeV]: tracks of the leading vertex, tracks
of pile-up, and the rest (neutral candidates, and tracks whose vertex is not known). The third is of
coarse pixels, each divided evenly among the 4 x 4 fine ones that it covers, as a calorimeter would
have it; the sum is that of the candidates.

A candidate of the third image in a coarse pixel with predicted pT p' and observed pT p gets the
weight min(1, p' / p): PUMML does not tell the candidates of a pixel apart, and cannot add any.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.compiled import compiled
from fullchain.pileup.association import LEADING, PILEUP
from fullchain.pileup.pumml_settings import PummlSettings

Array = NDArray[Any]

COARSE = 4
"""Fine pixels along the side of a coarse one."""

REST = 2
"""Channel of neutral candidates."""


def channels(origin: Array) -> Array:
    """Give the image that each candidate is in: 0, 1 or `REST`."""
    found: Array = np.where(origin == LEADING, 0, np.where(origin == PILEUP, 1, REST))
    return found


def images(
    pt: Array, eta: Array, phi: Array, channel: Array, centres: Array, settings: PummlSettings
) -> Array:
    """Draw images around `centres` (m, 2); candidates beyond `abs_eta_max` are in none.

    Returns
    -------
    (m, 3, pixels, pixels) float32 [GeV].
    """
    fine = _histograms(
        *_plain(pt, eta, phi),
        np.ascontiguousarray(channel, np.int64),
        np.ascontiguousarray(centres, np.float64),
        settings.pixels,
        settings.fine_pixel,
        settings.abs_eta_max,
        3,
    )
    coarse = coarsened(fine[:, REST])
    fine[:, REST] = np.repeat(np.repeat(coarse, COARSE, 1), COARSE, 2) / COARSE**2
    return fine.astype(np.float32)


def targets(pt: Array, eta: Array, phi: Array, centres: Array, settings: PummlSettings) -> Array:
    """Draw the pT given in coarse pixels, (m, pixels / 4, pixels / 4) float32 [GeV]."""
    fine = _histograms(
        *_plain(pt, eta, phi),
        np.zeros(len(pt), np.int64),
        np.ascontiguousarray(centres, np.float64),
        settings.pixels,
        settings.fine_pixel,
        settings.abs_eta_max,
        1,
    )
    return coarsened(fine[:, 0]).astype(np.float32)


def coarsened(fine: Array) -> Array:
    """Sum the fine pixels of each coarse one: (m, p, p) to (m, p / 4, p / 4)."""
    m, p = fine.shape[:2]
    blocks = fine.reshape(m, p // COARSE, COARSE, p // COARSE, COARSE)
    found: Array = blocks.sum(axis=(2, 4))
    return found


def covering(eta: Array, phi: Array, settings: PummlSettings) -> tuple[Array, Array]:
    """Cover the candidates of an event with images.

    Returns
    -------
    centres
        (m, 2) of the images whose centre is nearest to at least one of the candidates.
    which
        (n) the image of each candidate; -1 beyond `abs_eta_max`.
    """
    columns = math.ceil(2.0 * math.pi / settings.step)
    width = 2.0 * math.pi / columns
    inside = np.abs(eta) < settings.abs_eta_max
    row = np.floor(np.where(inside, eta, 0.0) / settings.step).astype(np.int64)
    column = np.floor((phi % (2.0 * math.pi)) / width).astype(np.int64) % columns
    place = row * columns + column
    used, position = np.unique(place[inside], return_inverse=True)
    which = np.full(len(eta), -1)
    which[inside] = position
    centres = np.stack(
        [(used // columns + 0.5) * settings.step, (used % columns + 0.5) * width], axis=1
    )
    return centres, which


def pixel_weights(
    predicted: Array,
    observed: Array,
    eta: Array,
    phi: Array,
    which: Array,
    centres: Array,
    settings: PummlSettings,
) -> Array:
    """Turn predictions into weights of candidates of the third image.

    Parameters
    ----------
    predicted, observed
        (m, pixels / 4, pixels / 4) pT of the third image [GeV].
    which
        (n) the image from which each candidate takes its weight; not negative.

    Returns
    -------
    (n) in [0, 1].
    """
    rows = _pixel(eta - centres[which, 0], settings)
    columns = _pixel((phi - centres[which, 1] + np.pi) % (2.0 * np.pi) - np.pi, settings)
    above = np.maximum(predicted[which, rows, columns].astype(np.float64), 0.0)
    below = observed[which, rows, columns].astype(np.float64)
    ratio = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    found: Array = np.minimum(ratio, 1.0)
    return found


def _pixel(difference: Array, settings: PummlSettings) -> Array:
    # By way of the fine pixel, as the images are drawn: at an edge, rounding must not differ.
    fine = np.floor(difference / settings.fine_pixel + 0.5 * settings.pixels).astype(np.int64)
    return np.clip(fine, 0, settings.pixels - 1) // COARSE


def _plain(*arrays: Array) -> list[Array]:
    return [np.ascontiguousarray(array, np.float64) for array in arrays]


@compiled
def _histograms(
    pt: Array,
    eta: Array,
    phi: Array,
    channel: Array,
    centres: Array,
    pixels: int,
    size: float,
    abs_eta_max: float,
    number: int,
) -> Array:
    found = np.zeros((len(centres), number, pixels, pixels))
    for m in range(len(centres)):
        for i in range(len(pt)):
            if abs(eta[i]) >= abs_eta_max:
                continue
            row = math.floor((eta[i] - centres[m, 0]) / size + 0.5 * pixels)
            if row < 0 or row >= pixels:
                continue
            turn = (phi[i] - centres[m, 1] + math.pi) % (2.0 * math.pi) - math.pi
            column = math.floor(turn / size + 0.5 * pixels)
            if 0 <= column < pixels:
                found[m, channel[i], row, column] += pt[i]
    return found
