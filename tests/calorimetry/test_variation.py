"""Spreads and pulls of generated distributions, their figure and their numbers."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from fullchain.calorimetry import variation, variation_figures, variation_numbers
from fullchain.calorimetry.variation_figure_names import variation_figure_names

NAMES = ("E_tot_over_E_inc", "log10_E_layer_0", "log10_E_layer_1", "occupancy_0")


def content(wobble: float, seed: int = 1) -> dict[str, object]:
    """Samples whose mean moves from draw to draw, and a test whose mean is one of these."""
    random = np.random.default_rng(seed)

    def rows(shift: float) -> dict[str, np.ndarray]:
        return {name: random.normal(shift, 1.0, 20_000) for name in NAMES}

    test = rows(wobble)
    samples = [rows(wobble * value) for value in random.normal(size=30)]
    return {
        "model": "flow",
        "draws": 30,
        "showers": 20_000,
        "observables": variation.compared(test, samples, 20),
    }


def test_pulls_have_width_one_where_only_chance_differs() -> None:
    for found in content(0.0)["observables"].values():  # type: ignore[attr-defined]
        assert found["mean_squared_pull_without_spread"] == pytest.approx(1.0, abs=0.8)
        assert found["mean_squared_pull"] < 1.0


def test_the_spread_covers_what_the_draws_do_not_know() -> None:
    for found in content(0.1)["observables"].values():  # type: ignore[attr-defined]
        assert found["mean_squared_pull_without_spread"] > 2.0
        assert found["mean_squared_pull"] < 2.5


def test_what_lies_beyond_counts_in_the_outer_bins() -> None:
    found = variation.parts(np.array([-5.0, 0.5, 0.5, 9.0]), np.array([0.0, 0.4, 1.0]))
    np.testing.assert_allclose(found, [0.25, 0.75])


def test_figure_and_numbers() -> None:
    one = content(0.1)
    drawn = variation_figures.figures([one])
    models = {"flow": SimpleNamespace(weights=1), "plain": SimpleNamespace(weights=None)}
    assert list(drawn) == variation_figure_names({**models, "vae": object()})
    figure, caption = drawn["variation_flow"]
    assert len(figure.axes) == 6
    assert "30 draws" in caption
    plt.close(figure)
    found = variation_numbers.metrics([one])
    assert len({metric.name for metric in found}) == len(found) == 3 * len(NAMES)
    assert all(metric.uncertainty > 0 for metric in found)
