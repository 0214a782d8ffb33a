"""How flat any cut on one score can be, at a rejection: thresholds that are free at each mass.

    python benchmarks/decorrelation_limit.py --configfile config/config.yaml config/benchmark.yaml \
        --tagger w_mlp --rejections 88 44 33 22

A decorrelated score is the score with another threshold at each mass, as far as its training
finds the same classifier at one mass. So the background efficiencies in bins of the mass, at a
given efficiency of the signal and rejection, for which passing and failing background differ
least, tell what strength a method can hope for. The divergence is the expected one: that of a
finite number of jets is larger.

The thresholds are found on the jets that they are measured on, of trainings that did not see
them. With 25 bins and tens of thousands of jets this favours the limit by little. The search is
numerical, from three starts, and may miss what is better.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator
from scipy.optimize import minimize

from fullchain.decorrelation import measured_jets
from fullchain.decorrelation.divergence import jensen_shannon
from fullchain.learning.bootstrap import event_factors
from fullchain.settings import Settings, load
from fullchain.tagging import comparisons
from fullchain.tagging.performance import Sample

Array = npt.NDArray[np.float64]

GRID = np.linspace(np.log(1e-4), 0.0, 40)
"""Logarithms of background efficiencies at which the efficiency of the signal is tabulated."""

FLAT = 1e-6
"""Divergence [bits] below which the search has found none."""


@dataclass(frozen=True)
class Window:
    """Signal and background in bins of the mass.

    Parameters
    ----------
    signal, background
        Parts of each in the bins, (bins).
    curves
        Efficiency of the signal in a bin against the logarithm of that of the background.
    """

    signal: Array
    background: Array
    curves: Sequence[PchipInterpolator]

    @classmethod
    def of(cls, sample: Sample, mass: Array, edges: Array, factor: Array | float) -> "Window":
        """Of jets whose weights have a factor."""
        place = np.clip(np.digitize(mass, edges) - 1, 0, len(edges) - 2)
        weight, signal = sample.weight * factor, sample.is_signal
        total = [
            np.bincount(place[of], weight[of], len(edges) - 1) / weight[of].sum()
            for of in (signal, ~signal)
        ]
        curves = [
            _curve(sample.score, weight, signal, place == number)
            for number in range(len(edges) - 1)
        ]
        return cls(total[0], total[1], curves)

    def flattest(self, efficiency: float, rejection: float) -> float:
        """Least divergence [bits] at an efficiency of the signal and a rejection; NaN: neither."""

        def passing(logs: Array) -> Array:
            found: Array = self.background * np.exp(logs)
            return found

        def divergence(logs: Array) -> float:
            one = passing(logs)
            return float(jensen_shannon(one, self.background - one))

        def kept(logs: Array) -> float:
            found = [curve(log) for curve, log in zip(self.curves, logs, strict=True)]
            return float(self.signal @ np.array(found))

        # From the mass of the signal outwards, so that the start is near what is possible.
        shape = np.log(self.signal / self.background + 1e-3)
        best = np.inf
        for strength in (0.0, 0.5, 1.0):
            start = np.clip(strength * shape - np.log(rejection), GRID[0], -1e-3)
            found = minimize(
                divergence,
                start,
                method="SLSQP",
                bounds=[(GRID[0], -1e-4)] * len(start),
                constraints=[
                    {"type": "ineq", "fun": lambda logs: kept(logs) - efficiency},
                    {"type": "ineq", "fun": lambda logs: 1.0 - rejection * passing(logs).sum()},
                ],
                options={"maxiter": 500, "ftol": 1e-9},
            )
            if found.success and kept(found.x) > efficiency - 1e-4:
                best = min(best, found.fun)
        return best if np.isfinite(best) else float("nan")


def _curve(score: Array, weight: Array, signal: Array, here: Array) -> PchipInterpolator:
    order = np.argsort(-score[here])
    of_signal = signal[here][order]
    each = weight[here][order]
    passed = [np.cumsum(each * of) for of in (~of_signal, of_signal)]
    background = passed[0] / max(passed[0][-1], 1e-300)
    kept = passed[1] / passed[1][-1] if passed[1][-1] > 0 else np.zeros_like(background)
    # Just before the next background jet passes.
    last = np.searchsorted(background, np.exp(GRID), side="right") - 1
    values = np.where(last >= 0, kept[np.maximum(last, 0)], 0.0)
    return PchipInterpolator(GRID, np.maximum.accumulate(values))


def scored(chosen: Settings, results: Path, name: str) -> tuple[Sample, Array, tuple[float, float]]:
    """Scores and masses of the jets that a tagger is measured on, and the window of the mass."""
    assert chosen.tagging is not None and chosen.decorrelation is not None
    tagger = chosen.tagging.taggers[name]
    selection = tagger.selection or chosen.tagging.selection
    column = chosen.decorrelation.against[0]
    files = {
        sample: (
            sorted((results / "jets" / sample).glob("[0-9]*.parquet")),
            results / "tagging" / name / "scores" / f"{sample}.parquet",
        )
        for sample in tagger.samples
    }
    jets = measured_jets.read(files, tagger, selection, (column,))
    jets = jets.where(measured_jets.measured(jets, tagger.folds))
    names = tagger.class_names
    sample = comparisons.sample(jets, 0, range(1, len(names)), names, seed=None)
    return sample, np.asarray(jets.columns[column], dtype=float), selection.ranges[column]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--configfile", type=Path, nargs="+", required=True)
    parser.add_argument("--tagger", required=True)
    parser.add_argument("--rejections", type=float, nargs="+", required=True)
    parser.add_argument("--bins", type=int, default=25)
    parser.add_argument("--efficiency", type=float, default=0.5)
    parser.add_argument("--replicas", type=int, default=10, help="of the bootstrap over events")
    given = parser.parse_args()
    chosen = load(*given.configfile)
    sample, mass, ends = scored(chosen, Path("results") / chosen.run, given.tagger)
    edges = np.linspace(*ends, given.bins + 1)
    factors = [1.0, *event_factors(sample.event, given.replicas, chosen.seed)]
    windows = [Window.of(sample, mass, edges, factor) for factor in factors]
    print("| R50 | least JSD [bits] | largest 1/JSD |\n| --- | --- | --- |")
    for rejection in given.rejections:
        found = np.array([one.flattest(given.efficiency, rejection) for one in windows])
        spread = np.nanstd(found[1:], ddof=1)
        gain = f"{1 / found[0]:.3g} ± {spread / found[0] ** 2:.2g}" if found[0] > FLAT else "none"
        print(f"| {rejection:g} | {found[0]:.4f} ± {spread:.4f} | {gain} |", flush=True)


if __name__ == "__main__":
    main()
