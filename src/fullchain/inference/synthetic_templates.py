"""Templates of the synthetic benchmark in the bins of a summary, and what is expected with them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fullchain.inference import fisher_integration, synthetic_model
from fullchain.inference.fisher_integration import STEPS

Array = npt.NDArray[np.float64]

Bins = Callable[[Tensor], Tensor]
"""Give the bin (members, events) of events (3, events)."""

AT_ONCE = 10_000


@dataclass(frozen=True)
class Templates:
    """Parts of all events in each bin, of each member.

    Parameters
    ----------
    signal, background
        (members, bins).
    variations
        Of background with a nuisance moved down and up by its step.
    """

    signal: Array
    background: Array
    variations: dict[str, tuple[Array, Array]]

    def __len__(self) -> int:
        return len(self.signal)

    def uncertainty(self, member: int, case: str) -> float:
        """Expected uncertainty of s."""
        return fisher_integration.binned_uncertainty(
            self.signal[member],
            self.background[member],
            {name: (down[member], up[member]) for name, (down, up) in self.variations.items()},
            synthetic_model.CASES[case],
        )

    def of(self, member: int) -> dict[str, Any]:
        """Give those of one member, for JSON."""
        return {
            "signal": self.signal[member].tolist(),
            "background": self.background[member].tolist(),
            "variations": {
                name: {
                    "step": STEPS[name],
                    "down": down[member].tolist(),
                    "up": up[member].tolist(),
                }
                for name, (down, up) in self.variations.items()
            },
        }


@torch.no_grad()
def templates(bins_of: Bins, bins: int, signal: Array, background: Array) -> Templates:
    """Count events (events, 3) of signal and of nominal background, and of background moved.

    A bin that is empty in the nominal templates tells nothing, also where a moved one fills it.
    """

    def parts(events: Array) -> Array:
        rows = torch.from_numpy(events.T).float()
        counted = sum(_count(bins_of(chunk), bins) for chunk in rows.split(AT_ONCE, dim=1))
        return np.asarray(counted) / len(events)

    moved = {
        "r": [synthetic_model.varied(background, r=sign * STEPS["r"]) for sign in (-1, 1)],
        "rate": [
            synthetic_model.varied(background, rate=synthetic_model.RATE + sign * STEPS["rate"])
            for sign in (-1, 1)
        ],
    }
    return Templates(
        parts(signal),
        parts(background),
        {name: (parts(down), parts(up)) for name, (down, up) in moved.items()},
    )


def _count(found: Tensor, bins: int) -> npt.NDArray[np.int64]:
    members = len(found)
    numbered = found + bins * torch.arange(members)[:, None]
    return torch.bincount(numbered.ravel(), minlength=members * bins).view(members, bins).numpy()


def profile(templates: dict[str, Any], case: str, signals: Array) -> list[float]:
    """Twice the negative log-likelihood of the expectation along s, nuisances profiled, less least.

    Parameters
    ----------
    templates
        As `Templates.of` gives them; between three of them yields are parabolas in the nuisance,
        for two nuisances the changes add up.
    """
    from scipy.optimize import minimize

    chosen = synthetic_model.CASES[case]
    signal, background = np.array(templates["signal"]), np.array(templates["background"])
    filled = synthetic_model.SIGNAL * signal + synthetic_model.BACKGROUND * background > 0
    signal, background = signal[filled], background[filled]
    observed = synthetic_model.SIGNAL * signal + synthetic_model.BACKGROUND * background
    nominal = np.array([synthetic_model.NOMINAL[name] for name in chosen.nuisances])
    # In units of the steps, so that all are of order one.
    units = np.array([STEPS.get(name, 100.0) for name in chosen.nuisances])
    constraint = chosen.precision[1:] * units**2

    def expected(s: float, moved: Array) -> Array:
        part, total = background.copy(), synthetic_model.BACKGROUND
        for name, at, unit in zip(chosen.nuisances, moved, units, strict=True):
            if name == "b":
                total = total + at * unit
                continue
            down = np.array(templates["variations"][name]["down"])[filled]
            up = np.array(templates["variations"][name]["up"])[filled]
            part = part + at * (up - down) / 2 + at**2 * ((up + down) / 2 - background)
        return np.maximum(s * signal + total * part, 1e-9)

    def twice(moved: Array, s: float) -> float:
        mu = expected(s, moved)
        return float(
            2.0 * np.sum(mu - observed - observed * np.log(mu / observed))
            + np.sum(constraint * moved**2)
        )

    found = []
    start = np.zeros_like(nominal)
    for s in signals:
        if not len(nominal):
            found.append(twice(start, s))
            continue
        best = minimize(twice, start, args=(s,), method="BFGS")
        start = best.x
        found.append(float(best.fun))
    return found
