"""Event records of Pythia 8 as flat arrays, in blocks that do not depend on each other."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pythia8mc
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.ntuples.processes import SHOWER_VARIATIONS

MB_TO_PB = 1e9
MM_TO_CM = 0.1

Array = NDArray[Any]


@dataclass(frozen=True)
class Records:
    """The complete event records of a block of events.

    All particle arrays have length n = offsets[-1]; those of event i are offsets[i]:offsets[i+1].
    Energies in GeV, vertices in cm. `mother1` and `mother2` are positions in the flat arrays; the
    first entry of an event, which stands for the event as a whole, is its own mother, and so are
    the beams. `weights` has shape (events, 1 + variations): the nominal weight, then relative
    factors in the order of `SHOWER_VARIATIONS`. `info` maps Pythia's names to one value per event.
    """

    offsets: Array
    event: Array
    pdg_id: Array
    status: Array
    mother1: Array
    mother2: Array
    px: Array
    py: Array
    pz: Array
    e: Array
    m: Array
    x: Array
    y: Array
    z: Array
    weights: Array
    info: dict[str, Array]

    @property
    def events(self) -> int:
        """Number of events."""
        return len(self.offsets) - 1


def open_pythia(lines: list[str]) -> Any:
    """Make and initialise a generator.

    Raises
    ------
    InputError
        Pythia does not accept a line, or cannot be initialised with them.
    """
    pythia = pythia8mc.Pythia("", False)
    for line in lines:
        if not pythia.readString(line):
            raise InputError(f"Pythia does not accept the line {line!r}")
    if not pythia.init():
        raise InputError("Pythia cannot be initialised; its log above says why")
    return pythia


def generate(pythia: Any, seed: int, events: int) -> Any:
    """Generate one block of events, as awkward record array, from its own seed.

    Raises
    ------
    RuntimeError
        Pythia gave fewer events than asked for.
    """
    pythia.rndm.init(seed)
    batch = pythia.nextBatch(events)
    if len(batch) != events:
        raise RuntimeError(f"Pythia gave {len(batch)} of {events} events (seed {seed})")
    return batch


def weight_columns(pythia: Any) -> list[int]:
    """Find where the shower variations stand in `info.weights`.

    Pythia lists a variation more than once, by its settings and by its label, and changes both
    to lower case.

    Raises
    ------
    RuntimeError
        Pythia does not list a variation that was asked for.
    """
    info = pythia.infoPython()
    names = [info.weightNameByIndex(index).lower() for index in range(info.numberOfWeights())]
    columns = []
    for label, _ in SHOWER_VARIATIONS:
        if label not in names:
            raise RuntimeError(f"Pythia has no weight {label!r}, only {names}")
        columns.append(names.index(label))
    return columns


def flatten(batch: Any, variations: list[int]) -> Records:
    """Give the arrays of a batch; `variations` are the columns from `weight_columns`, or none."""
    layout = batch.layout
    jagged = layout.content("prt")
    offsets = np.asarray(jagged.offsets, dtype=np.int64)
    particles = jagged.content
    first, last = offsets[0], offsets[-1]
    offsets = offsets - first
    counts = np.diff(offsets)
    event = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    start = np.repeat(offsets[:-1], counts)

    def column(name: str) -> Array:
        return np.asarray(particles.content(name).data)[first:last]

    momentum = particles.content("p")
    px, py, pz, e = (
        np.asarray(momentum.content(k).data)[first:last] for k in ("px", "py", "pz", "e")
    )
    vertices = particles.content("vProd")
    index = np.asarray(vertices.index.data)[first:last]
    x, y, z = (_vertex(vertices.content.content(k), index) for k in ("px", "py", "pz"))

    local = np.arange(first, last) - first
    mother1 = start + column("mother1")
    mother2 = start + column("mother2")
    orphan = column("mother1") == 0
    mother1 = np.where(orphan, local, mother1)
    mother2 = np.where(column("mother2") == 0, mother1, mother2)

    info = layout.content("info")
    table = {
        name: np.asarray(info.content(name).data)[: len(counts)]
        for name in info.fields
        if name != "weights"
    }
    return Records(
        offsets=offsets,
        event=event,
        pdg_id=column("id"),
        status=column("status"),
        mother1=mother1,
        mother2=mother2,
        px=px,
        py=py,
        pz=pz,
        e=e,
        m=column("m"),
        x=x,
        y=y,
        z=z,
        weights=_weights(info.content("weights"), len(counts), variations),
        info=table,
    )


def _vertex(values: Any, index: Array) -> Array:
    """Coordinates [cm] of production vertices; index -1 stands for the origin."""
    known = np.asarray(values.data)
    if len(known) == 0:
        return np.zeros(len(index))
    return np.where(index >= 0, known[index], 0.0) * MM_TO_CM


def _weights(jagged: Any, events: int, variations: list[int]) -> Array:
    """Nominal weight and relative factors of the variations, shape (events, 1 + variations)."""
    starts = np.asarray(jagged.offsets)[:events]
    values = np.asarray(jagged.content.data)
    nominal = values[starts]
    varied = [values[starts + column] for column in variations]
    safe = np.where(nominal == 0, 1.0, nominal)
    return np.stack([nominal, *(weight / safe for weight in varied)], axis=1)


def cross_section(lines: list[str], events: int, seed: int) -> tuple[float, float]:
    """Integrate the cross section of a hard process: value and Monte Carlo error [pb].

    Parameters
    ----------
    lines
        Configuration without showers (`processes.process_level_lines`).
    events
        Number of accepted hard processes; the relative error is about 0.5/sqrt(events).
    """
    pythia = open_pythia(lines)
    pythia.rndm.init(seed)
    for _ in range(events):
        pythia.next()
    info = pythia.infoPython()
    return info.sigmaGen() * MB_TO_PB, info.sigmaErr() * MB_TO_PB
