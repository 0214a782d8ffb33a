"""What is unfolded besides the nominal simulation: shifts, factors, replicas."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fullchain.unfolding import replicas
from fullchain.unfolding.generative_settings import GenerativeSettings
from fullchain.unfolding.sample import NOMINAL, Simulation
from fullchain.unfolding.unfolded import SHIFT, SIMULATION

Array = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Variation:
    """A simulation that differs from the nominal one.

    Parameters
    ----------
    name
        Of the weight in the unfolded sample; `nominal` for none.
    shift
        Name of the detector level that is used.
    factor
        (n) on the weights of the simulated events, none negative.
    ancestors
        Members of the ensemble that it is made for.
    """

    name: str
    shift: str
    factor: Array
    ancestors: tuple[int, ...]


def variations(
    simulation: Simulation,
    settings: GenerativeSettings,
    seed: int,
    measurement: str,
    only_nominal: bool,
) -> list[Variation]:
    """Give the nominal simulation and all that differ from it."""
    ones = np.ones(len(simulation))
    everyone = tuple(range(settings.ensemble))
    found = [Variation(NOMINAL, NOMINAL, ones, everyone)]
    if only_nominal:
        return found
    if settings.variations:
        found += [Variation(f"{SHIFT}_{name}", name, ones, everyone) for name in simulation.shifted]
        found += [
            Variation(f"{SHIFT}_{name}", NOMINAL, factor, everyone)
            for name, factor in simulation.factors.items()
        ]
    for number in range(settings.simulation_replicas):
        factor = replicas.simulation_factors(seed, measurement, number, len(simulation))
        ancestor = number % settings.ensemble
        found.append(Variation(f"{SIMULATION}_{number}", NOMINAL, factor, (ancestor,)))
    return found


@dataclass(frozen=True)
class Levels:
    """The detector levels that variations use, and whose events pass.

    Parameters
    ----------
    names
        Of the shifts, `nominal` first.
    which
        For each variation the number of its level.
    passed
        (events, levels) whether an event passes.
    """

    names: tuple[str, ...]
    which: tuple[int, ...]
    passed: Flags

    @classmethod
    def of(cls, simulation: Simulation, chosen: Sequence[Variation]) -> "Levels":
        """Collect the levels of variations, of which the first is nominal."""
        names = tuple(dict.fromkeys(one.shift for one in chosen))
        passed = np.stack([simulation.level(name).passed for name in names], axis=1)
        return cls(names, tuple(names.index(one.shift) for one in chosen), passed)
