"""Voxels of a calorimeter around the direction of the incident particle.

The geometry is that of the CaloChallenge (C. Krause et al., 2410.21611): layers along the direction
of the particle, divided in radius and in the angle alpha around it, described by an XML file

    <Bins><Bin pid="22" name="photon"><Layer id="0" r_edges="0,5,10" n_bin_alpha="1"/>...

with edges in mm. A layer whose only edge is 0 has no voxels. In the flat array of a shower radius
runs fastest, then alpha, then the layer.
"""

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import write_text
from fullchain.errors import InputError
from fullchain.setting_errors import nearest

Array = NDArray[Any]

PACKAGED = "fullchain.calorimetry.geometries"

__data__ = (
    "geometries/crystal.xml",
    "geometries/set1_photons.xml",
    "geometries/set2_electrons.xml",
)


@dataclass(frozen=True)
class Layer:
    """One layer that has voxels.

    Parameters
    ----------
    identifier
        Its number in the file, which may leave numbers out.
    edges
        Rising radii between voxels [mm], the first one included.
    angles
        Number of divisions in alpha.
    """

    identifier: int
    edges: tuple[float, ...]
    angles: int

    @property
    def rings(self) -> int:
        """Number of divisions in radius."""
        return len(self.edges) - 1

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return self.rings * self.angles


@dataclass(frozen=True)
class Geometry:
    """All layers that have voxels.

    Parameters
    ----------
    particle
        Number of the Particle Data Group that the file is for, and its name in the file.
    layers
        In the order of the array.
    """

    particle: int
    name: str
    layers: tuple[Layer, ...]

    @property
    def voxels(self) -> int:
        """Number of all voxels."""
        return sum(layer.voxels for layer in self.layers)

    @cached_property
    def slices(self) -> tuple[slice, ...]:
        """Place of each layer in the array."""
        ends = np.cumsum([0, *(layer.voxels for layer in self.layers)]).tolist()
        return tuple(slice(first, last) for first, last in pairwise(ends))

    @cached_property
    def layer_of_voxel(self) -> Array:
        """Position of the voxel's layer in `layers`, (voxels)."""
        return np.repeat(np.arange(len(self.layers)), [layer.voxels for layer in self.layers])

    @cached_property
    def radius_of_voxel(self) -> Array:
        """Middle between the radii of each voxel [mm], (voxels)."""
        return np.concatenate(
            [
                np.tile(0.5 * (np.array(layer.edges[1:]) + layer.edges[:-1]), layer.angles)
                for layer in self.layers
            ]
        )

    @cached_property
    def angle_of_voxel(self) -> Array:
        """Middle between the angles of each voxel, from -pi to pi, (voxels).

        Zero in a layer that is not divided in alpha.
        """
        return np.concatenate(
            [np.repeat(_middle_angles(layer.angles), layer.rings) for layer in self.layers]
        )

    def layer_energies(self, showers: Array) -> Array:
        """Sum showers (n, voxels) over the voxels of each layer, (n, layers), in float64."""
        return np.stack([showers[:, own].sum(axis=1, dtype=float) for own in self.slices], axis=1)


def _middle_angles(number: int) -> Array:
    if number == 1:
        return np.zeros(1)
    edges = np.linspace(-math.pi, math.pi, number + 1)
    return 0.5 * (edges[1:] + edges[:-1])


def turned_voxels(geometry: Geometry) -> Array:
    """Give the symmetries in alpha: all turns that all layers allow, and their reflections.

    Returns
    -------
    For each symmetry, which voxel comes to each place, (symmetries, voxels), int64; the first one
    changes nothing.
    """
    divided = [layer.angles for layer in geometry.layers if layer.angles > 1]
    steps = math.gcd(*divided) if divided else 1
    found = []
    for reflected in (False, True):
        for turn in range(steps):
            places = []
            for layer, place in zip(geometry.layers, geometry.slices, strict=True):
                own = np.arange(place.start, place.stop).reshape(layer.angles, layer.rings)
                own = own[::-1] if reflected else own
                places.append(np.roll(own, turn * layer.angles // steps, axis=0).reshape(-1))
            found.append(np.concatenate(places))
    return np.unique(np.array(found, dtype=np.int64), axis=0)


def packaged() -> list[str]:
    """Names of the geometries that come with fullchain."""
    return sorted(
        file.name.removesuffix(".xml")
        for file in files(PACKAGED).iterdir()
        if file.name.endswith(".xml")
    )


def load(name: str) -> Geometry:
    """Read a geometry that comes with fullchain, or an XML file.

    Raises
    ------
    InputError
        There is none of the name, or the file is no geometry.
    """
    if name in packaged():
        with (files(PACKAGED) / f"{name}.xml").open(encoding="utf-8") as file:
            return parse(file.read(), name)
    if not name.endswith(".xml"):
        raise InputError(
            f"no geometry is called {name!r}{nearest(name, packaged())}; there are "
            f"{', '.join(packaged())}, or give the path of an XML file"
        )
    try:
        return parse(Path(name).read_text(encoding="utf-8"), name)
    except FileNotFoundError:
        raise InputError(f"{name}: no such file") from None
    except UnicodeDecodeError as problem:
        raise InputError(f"{name}: not an XML file ({problem})") from None


def parse(text: str, where: str, particle: str | None = None) -> Geometry:
    """Read a geometry from XML.

    Parameters
    ----------
    text
        Content of the file.
    where
        Its name, for messages.
    particle
        Name of the particle, where the file has several.

    Raises
    ------
    InputError
        It is not such XML, a layer is impossible or the particle has no number; names it.
    """
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as problem:
        raise InputError(f"{where}: not XML ({problem})") from None
    bins = {bin_.get("name", ""): bin_ for bin_ in root.iter("Bin")}
    if particle is None and len(bins) != 1:
        raise InputError(f"{where}: one <Bin> is needed, it has {len(bins)}: {', '.join(bins)}")
    chosen = next(iter(bins)) if particle is None else particle
    if chosen not in bins:
        raise InputError(f"{where}: no <Bin> has the name {chosen!r}; it has {', '.join(bins)}")
    layers = [_layer(element, where) for element in bins[chosen].iter("Layer")]
    present = tuple(layer for layer in layers if layer is not None)
    identifiers = [layer.identifier for layer in present]
    if not present:
        raise InputError(f"{where}: no layer has voxels")
    if len(set(identifiers)) < len(identifiers):
        raise InputError(f"{where}: a layer stands twice: {identifiers}")
    return Geometry(_particle(bins[chosen], where), chosen, present)


def _particle(element: ElementTree.Element, where: str) -> int:
    number = element.get("pid", "0")
    try:
        return int(number)
    except ValueError:
        raise InputError(
            f"{where}: <Bin pid={number!r}>: a number of the Particle Data Group is needed, such "
            "as 22 for photons, 11 for electrons, 211 for pions"
        ) from None


def _layer(element: ElementTree.Element, where: str) -> Layer | None:
    identifier = element.get("id", "?")
    try:
        edges = tuple(float(edge) for edge in element.get("r_edges", "").split(","))
        layer = Layer(int(identifier), edges, int(element.get("n_bin_alpha", "")))
    except ValueError as problem:
        raise InputError(f"{where}: layer {identifier}: {problem}") from None
    if layer.rings == 0:
        return None
    rising = all(low < high for low, high in pairwise(edges))
    if not rising or edges[0] < 0 or not all(map(math.isfinite, edges)):
        raise InputError(
            f"{where}: layer {identifier}: r_edges must rise from 0 or more: {list(edges)}"
        )
    if layer.angles < 1:
        raise InputError(f"{where}: layer {identifier}: n_bin_alpha must be 1 or more")
    return layer


def write(geometry: Geometry, path: Path) -> None:
    """Write the XML file of a geometry."""
    write_text(path, as_xml(geometry))


def as_xml(geometry: Geometry) -> str:
    """Give the XML of a geometry, with a layer without voxels for each number left out."""
    known = {layer.identifier: layer for layer in geometry.layers}
    lines = [
        "<Bins>",
        f'  <Bin pid="{geometry.particle}" name={quoteattr(geometry.name)}>',
    ]
    for identifier in range(max(known) + 1):
        edges: Sequence[float] = (0.0,)
        angles = 1
        if identifier in known:
            edges, angles = known[identifier].edges, known[identifier].angles
        text = ",".join(f"{edge:.10g}" for edge in edges)
        lines.append(f'    <Layer id="{identifier}" r_edges="{text}" n_bin_alpha="{angles}"/>')
    return "\n".join([*lines, "  </Bin>", "</Bins>", ""])
