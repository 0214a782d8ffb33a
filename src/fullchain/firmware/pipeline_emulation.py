"""Latency and outputs of a pipeline, measured clock by clock."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.firmware.rtl_ports import Words

WAIT = 256
"""Clocks for which a vector is held; latencies are less."""


@dataclass(frozen=True)
class Emulated:
    """What a pipeline made of vectors that came with each clock.

    Parameters
    ----------
    outputs
        (vectors, words).
    latency
        Rising edges from the one that takes an input to the one after which its output is there.
    held
        Number of vectors that were also held for many clocks.
    disturbed
        How many of these gave another output in the stream, where their neighbours follow at once;
        0 says that the initiation interval is 1.
    """

    outputs: Words
    latency: int
    held: int
    disturbed: int


def emulate(inputs: Words, held: NDArray[np.intp], clocked: Callable[[Words], Words]) -> Emulated:
    """Send vectors through a pipeline, one with each clock.

    Before them some vectors are held, each until nothing changes: the clock at which the output
    changes from that of one to that of the next is the latency. What it should be is not used.

    Parameters
    ----------
    inputs
        (vectors, words).
    held
        Which vectors are held; neighbours should have different outputs.
    clocked
        Gives the output after each rising edge for the inputs before it, both (clocks, words).

    Raises
    ------
    InputError
        All outputs are the same, or those of one vector do not all come with one clock.
    """
    sent = np.concatenate(
        [
            np.repeat(inputs[held], WAIT, axis=0),
            inputs,
            np.repeat(inputs[-1:], WAIT, axis=0),
        ]
    )
    seen = clocked(sent)
    steps = seen[: len(held) * WAIT].reshape(len(held), WAIT, -1)
    latency = _latency(steps)
    begin = len(held) * WAIT + latency
    outputs = seen[begin : begin + len(inputs)]
    disturbed = (outputs[held] != steps[:, -1]).any(axis=1)
    return Emulated(outputs, latency, len(held), int(disturbed.sum()))


def _latency(steps: Words) -> int:
    """Find the clock at which outputs change, from (vectors, clocks, words) of held vectors."""
    last = steps[:, -1]
    changing = np.flatnonzero((last[1:] != last[:-1]).any(axis=1)) + 1
    if not len(changing):
        raise InputError(
            "all vectors give the same output, so that no latency can be measured: train the "
            "network again, or give other vectors"
        )
    found = set()
    for number in changing:
        new = (steps[number] == last[number]).all(axis=1)
        old = (steps[number] == last[number - 1]).all(axis=1)
        clock = int(new.argmax())
        if not (new[clock:].all() and old[:clock].all()):
            raise InputError(
                f"the outputs of a vector that is held change more than once within {WAIT} clocks: "
                "this is no pipeline with one latency; run firmware trace again"
            )
        found.add(clock)
    if len(found) > 1:
        raise InputError(
            f"vectors take {min(found)} to {max(found)} clocks: this is no pipeline with one "
            "latency; run firmware trace again"
        )
    return found.pop()
