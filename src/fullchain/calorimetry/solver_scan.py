"""Quality and time of flow matching against the number of evaluations of its velocity.

All solvers start from the same normal numbers, so that the distance of what they draw to the exact
solution has no statistical error to speak of; what the distance means is seen in separations from
test showers, which the exact solution has too.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fullchain.calorimetry.bespoke import BespokeModel
from fullchain.calorimetry.geometry import Geometry
from fullchain.calorimetry.matching import MatchingModel
from fullchain.calorimetry.matching_parts import Follow, following
from fullchain.calorimetry.matching_settings import SolverSettings
from fullchain.calorimetry.separation import separation
from fullchain.calorimetry.shower_file import Showers
from fullchain.calorimetry.solver_scan_settings import SolverScanSettings
from fullchain.errors import InputError
from fullchain.learning.ode import DifferentiableVelocity
from fullchain.progress import track
from fullchain.seeds import derive

Array = NDArray[Any]

BINS = {"E_tot": 100, "E_layer": 39, "EC_r": 50}


@dataclass(frozen=True)
class _Way:
    """One way to follow both velocities."""

    name: str
    energies: Follow
    shower: Follow
    wanted: float


def scan(
    model: MatchingModel,
    students: Mapping[str, BespokeModel],
    showers: Showers,
    settings: SolverScanSettings,
    seed: int,
) -> dict[str, Any]:
    """Draw showers with each solver and compare them.

    Parameters
    ----------
    model
        The velocities.
    students
        Solvers that were fitted to them, by name.
    showers
        Test showers.

    Returns
    -------
    dict
        `points`: for each solver `method`, `evaluations` of the velocity of voxels, `distance`
        (root mean square of numbers less the exact ones), `separations`, `profile` (sum over voxels
        of the absolute difference of means, over the mean total) and `ms` per shower, each with its
        uncertainty; `exact`: the same of the reference; `showers`, `batch` and `threads`.

    Raises
    ------
    InputError
        A student is one of another model.
    """
    for name, student in students.items():
        _check(name, student, model)
    test = showers.select(slice(0, settings.showers))
    incident = torch.from_numpy(test.energies).float().view(-1, 1)
    random = np.random.default_rng(derive(seed, "solver_scan", "bootstrap"))
    chosen = [random.integers(len(test), size=len(test)) for _ in range(settings.bootstraps)]
    seen = _observables(test, model.preprocessing.geometry)
    exact = None
    points = []
    ways = list(_ways(settings, students))
    for way in track(ways, "solvers", unit="solvers"):
        drawn = _drawn(model, way, incident, settings, seed)
        exact = drawn["numbers"] if exact is None else exact
        missed = ((drawn["numbers"] - exact) ** 2).mean(dim=1).double().numpy()
        generated = Showers(test.energies, drawn["voxels"].numpy())
        found = _observables(generated, model.preprocessing.geometry)
        points.append(
            {
                "method": way.name,
                "evaluations": drawn["evaluations"],
                "setting": way.wanted,
                "distance": _with_error(lambda rows, m=missed: float(np.sqrt(m[rows].mean())),
                                        len(test), chosen),
                "separations": _separations(seen, found, chosen),
                "profile": _with_error(
                    lambda rows, one=generated: _profile(test.voxels[rows], one.voxels[rows]),
                    len(test), chosen,
                ),
                "ms": drawn["ms"],
            }
        )  # fmt: skip
    return {
        "showers": len(test),
        "batch": settings.batch,
        "threads": settings.threads,
        "exact": points[0],
        "points": points[1:],
    }


def _check(name: str, student: BespokeModel, model: MatchingModel) -> None:
    """Check that a student's velocity is that of the model."""
    own, other = student.teacher.state_dict(), model.state_dict()
    if own.keys() != other.keys() or not all(
        torch.equal(value, other[key]) for key, value in own.items()
    ):
        raise InputError(f"the bespoke solver {name} was fitted to another model; fit it again")


def _ways(settings: SolverScanSettings, students: Mapping[str, BespokeModel]) -> Iterator[_Way]:
    exact = following(settings.reference)
    yield _Way(settings.reference.method, exact, exact, settings.reference.evaluations)
    for method, several in settings.evaluations.items():
        for number in several:
            follow = following(SolverSettings(method=method, evaluations=number))
            yield _Way(method, follow, follow, number)
    for tolerance in settings.tolerances:
        follow = following(SolverSettings(method="dopri5", tolerance=tolerance))
        yield _Way("dopri5", follow, follow, tolerance)
    for name, student in students.items():
        yield _Way(f"bespoke:{name}", student.ratios, student.voxels, student.voxels.evaluations)


class _Counted:
    """Counts the evaluations."""

    def __init__(self, follow: Follow) -> None:
        self.follow = follow
        self.evaluations = 0

    def __call__(self, velocity: DifferentiableVelocity, state: Tensor) -> Tensor:
        def counted(at: float | Tensor, position: Tensor) -> Tensor:
            self.evaluations += 1
            return velocity(at, position)

        return self.follow(counted, state)


@torch.no_grad()
def _drawn(
    model: MatchingModel, way: _Way, incident: Tensor, settings: SolverScanSettings, seed: int
) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(derive(seed, "solver_scan", "noise"))
    counted = _Counted(way.shower)
    numbers, voxels, times = [], [], []
    batches = incident.split(settings.batch)
    for batch in batches:
        start = time.process_time()
        condition = model.preprocessing.condition(batch)
        numbers.append(model.drawn(condition, generator, way.energies, counted))
        voxels.append(model.preprocessing.inverse(numbers[-1], batch))
        times.append(1e3 * (time.process_time() - start) / len(batch))
    spread = float(np.std(times, ddof=1) / np.sqrt(len(times))) if len(times) > 1 else 0.0
    return {
        "numbers": torch.cat(numbers),
        "voxels": torch.cat(voxels),
        "evaluations": counted.evaluations / len(batches),
        "ms": [float(np.mean(times)), spread],
    }


def _observables(showers: Showers, geometry: Geometry) -> dict[str, Array]:
    """E_tot/E_inc (n), energies of layers [MeV] and their mean radii [mm], (n, layers)."""
    layers = geometry.layer_energies(showers.voxels)
    radius = np.stack(
        [showers.voxels[:, place] @ geometry.radius_of_voxel[place] for place in geometry.slices],
        axis=1,
    )
    return {
        "E_tot": layers.sum(axis=1, keepdims=True) / showers.energies[:, None],
        "E_layer": np.log(np.maximum(layers, 1e-3)),
        "EC_r": np.divide(radius, layers, out=np.full_like(radius, -1.0), where=layers > 0),
    }


def _separations(
    test: Mapping[str, Array], found: Mapping[str, Array], chosen: list[Array]
) -> dict[str, list[float]]:
    """Mean separations over layers, with bootstrap errors."""
    result = {}
    for name, values in test.items():
        low, high = (0.5, 1.5) if name == "E_tot" else (None, None)
        edges = []
        for column in values.T:
            inside = column[column > -1.0] if name != "E_tot" else column
            inside = inside if len(inside) else np.zeros(1)
            first = float(inside.min()) if low is None else low
            last = float(inside.max()) if high is None else high
            edges.append(np.linspace(first, max(last, first + 1e-6), BINS[name] + 1))

        def mean(rows: Array | slice, key: str = name, bins: list[Array] = edges) -> float:
            return float(
                np.mean(
                    [
                        separation(one[rows], other[rows], own)
                        for one, other, own in zip(test[key].T, found[key].T, bins, strict=True)
                    ]
                )
            )

        result[name] = _with_error(mean, len(values), chosen)
    return result


def _profile(test: Array, generated: Array) -> float:
    first, second = test.mean(axis=0, dtype=float), generated.mean(axis=0, dtype=float)
    return float(np.abs(first - second).sum() / first.sum())


def _with_error(value: Any, number: int, chosen: list[Array]) -> list[float]:
    """Of a function of rows: its value, and its spread over bootstrap samples."""
    replicas = [value(rows) for rows in chosen]
    return [value(np.arange(number)), float(np.std(replicas, ddof=1))]
