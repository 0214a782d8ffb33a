"""Random numbers that belong to an event and an object in it, whatever is read before or beside.

The numbers come from a hash of (seed, purpose, run, luminosity block, event, number of the object),
so they do not depend on chunks, jobs or the order of events, as the deterministic seeds of
columnflow. The purpose, (stage, sample, kind of shift), keeps samples whose events have the same
numbers independent, and the shifts of one event too.
"""

import numpy as np
from scipy.special import ndtri

from fullchain.jets.arrays import Array
from fullchain.seeds import stream


def _mix(x: Array) -> Array:
    """Scramble 64-bit words: the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014)."""
    x = (x + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def event_words(
    seed: int, run: Array, luminosity_block: Array, event: Array, *, keys: tuple[str, ...]
) -> Array:
    """Give one 64-bit word per event.

    Parameters
    ----------
    run, luminosity_block, event
        (n) of the events.
    keys
        What the numbers are for, see `fullchain.seeds.stream`.
    """
    word = np.full(len(event), stream(seed, *keys).integers(2**64, dtype=np.uint64), np.uint64)
    for part in (run, luminosity_block, event):
        word = _mix(word ^ _mix(np.asarray(part).astype(np.uint64)))
    return word


def uniform(words: Array, number: Array) -> Array:
    """Give a number in (0, 1) for each object.

    Parameters
    ----------
    words
        (n) word of the event of each object, from `event_words`.
    number
        (n) which object of the event it is.
    """
    bits = _mix(words ^ _mix(np.asarray(number).astype(np.uint64))) >> np.uint64(11)
    return (bits.astype(np.float64) + 0.5) * 2.0**-53


def normal(words: Array, number: Array) -> Array:
    """Give a standard normal number for each object; parameters as `uniform`."""
    return np.asarray(ndtri(uniform(words, number)))
