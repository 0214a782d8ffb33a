"""The mass fit: its minimum and uncertainty, closure on toys, and signals that sculpting fakes."""

import numpy as np
import pytest
from iminuit import Minuit

from fullchain.decorrelation import (
    expected_yields,
    mass_fit,
    signal_strength,
    smoothing,
    spurious_signal,
)
from fullchain.decorrelation.evaluation_settings import MassFitSettings
from fullchain.errors import InputError

BINS = 25
X = np.linspace(-1.0, 1.0, BINS)
FAILING = 1200.0 * np.exp(-1.5 * X)
SIGNAL = 60.0 * np.exp(-0.5 * ((X + 0.7) / 0.1) ** 2)
SIGNAL_FAILING = 0.8 * SIGNAL


def transfer(slope: float = 0.3, bump: float = 0.0) -> np.ndarray:
    return np.asarray(
        0.05 * np.exp(slope * X) * (1 + bump * np.exp(-0.5 * ((X + 0.7) / 0.25) ** 2))
    )


def toys(
    number: int, mu: float, factor: np.ndarray, seed: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    passing = generator.poisson(factor * FAILING + mu * SIGNAL, (number, BINS)).astype(float)
    failing = generator.poisson(FAILING + mu * SIGNAL_FAILING, (number, BINS)).astype(float)
    return passing, failing


@pytest.mark.parametrize("mu", [0.0, 1.0])
def test_closure_on_toys(mu: float) -> None:
    sets = (*toys(800, mu, transfer()), SIGNAL, SIGNAL_FAILING, 1)
    summary = signal_strength.toy_summary(*sets, truth=mu)
    assert summary["number"] == 800 and summary["failed"] == 0
    assert abs(summary["mu"]["value"]) < 4 * summary["mu"]["deviation"]
    assert abs(summary["pull"]["value"]) < 4 * summary["pull"]["deviation"]
    assert abs(summary["width"]["value"] - 1.0) < 4 * summary["width"]["deviation"]
    found = mass_fit.fit(*sets)
    pull = (found.mu - mu) / found.uncertainty
    assert abs(pull.mean()) < 4 / np.sqrt(800) and abs(pull.std() - 1.0) < 4 / np.sqrt(1600)
    # Bins and free parameters: 2 x 25 numbers, 25 backgrounds, mu, two coefficients
    assert found.twice_nll.mean() == pytest.approx(BINS - 3, abs=1.0)


def test_spurious_signal_where_the_order_is_too_low() -> None:
    passing, failing = toys(200, 0.0, transfer(bump=0.5))
    templates = SIGNAL, SIGNAL_FAILING
    low = signal_strength.toy_summary(passing, failing, *templates, 1)
    high = signal_strength.toy_summary(passing, failing, *templates, 8)
    assert low["pull"]["value"] > 10 * low["pull"]["deviation"] > 0
    assert abs(high["mu"]["value"]) < 0.5 * low["mu"]["value"]
    flat = signal_strength.toy_summary(*toys(200, 0.0, transfer(0.0)), *templates, 0)
    assert abs(flat["pull"]["value"]) < 4 * flat["pull"]["deviation"]


@pytest.mark.parametrize("order", [0, 2])
def test_same_minimum_and_uncertainty_as_minuit(order: int) -> None:
    """Minuit varies all background numbers, which the fit solves for."""
    passing, failing = toys(1, 0.7, transfer(), seed=5)
    found = mass_fit.fit(passing, failing, SIGNAL, SIGNAL_FAILING, order)
    design = smoothing.legendre(BINS, order)

    def twice_nll(values: np.ndarray) -> float:
        mu, coefficients, background = values[0], values[1 : order + 2], values[order + 2 :]
        above = np.exp(design @ coefficients) * background + mu * SIGNAL
        below = background + mu * SIGNAL_FAILING
        terms = above - passing[0] * np.log(above) + below - failing[0] * np.log(below)
        return 2.0 * float(terms.sum())

    start = np.concatenate([[0.5, np.log(0.05)], np.zeros(order), failing[0]])
    minuit = Minuit(twice_nll, start)
    minuit.errordef = Minuit.LEAST_SQUARES
    minuit.limits = [(-5, 5)] + [(-10, 10)] * (order + 1) + [(1, None)] * BINS
    minuit.migrad(ncall=100_000)
    minuit.hesse()
    assert minuit.valid
    assert found.mu[0] == pytest.approx(minuit.values[0], abs=2e-3)
    # The expected information instead of the observed one
    assert found.uncertainty[0] == pytest.approx(minuit.errors[0], rel=0.03)
    best = twice_nll(np.array(minuit.values))
    background = mass_fit.best_background(
        passing, failing, found.mu[0] * SIGNAL[None], found.mu[0] * SIGNAL_FAILING[None],
        np.exp(found.transfer @ design.T),
    )  # fmt: skip
    ours = twice_nll(np.concatenate([found.mu, found.transfer[0], background[0]]))
    assert ours == pytest.approx(best, abs=1e-2)


def test_a_held_signal_strength_costs_likelihood() -> None:
    passing, failing = (np.asarray(one)[None] for one in
                        (transfer() * FAILING + SIGNAL, FAILING + SIGNAL_FAILING))  # fmt: skip
    free = mass_fit.fit(passing, failing, SIGNAL, SIGNAL_FAILING, 1)
    held = mass_fit.fit(passing, failing, SIGNAL, SIGNAL_FAILING, 1, mu=0.0)
    assert free.mu[0] == pytest.approx(1.0, abs=1e-3) and free.twice_nll[0] < 1e-4
    assert held.mu[0] == 0.0 and held.uncertainty[0] == 0.0
    # Near the minimum, the likelihood is a parabola of that width.
    near = mass_fit.fit(
        passing, failing, SIGNAL, SIGNAL_FAILING, 1, mu=1.0 + 0.1 * float(free.uncertainty[0])
    )
    assert near.twice_nll[0] == pytest.approx(0.01, rel=0.05)
    assert held.twice_nll[0] > 9.0


def test_gradient_also_where_a_negative_signal_leaves_nothing() -> None:
    passing = np.array([[0.0, 5.0, 0.0, 9.0]])
    failing = np.array([[20.0, 0.0, 30.0, 40.0]])
    up, down = np.array([[3.0, 1.0, 0.5, 2.0]]), np.array([[1.0, 30.0, 1.0, 1.0]])
    likelihood = mass_fit._Likelihood(passing, failing, up, down, smoothing.legendre(4, 1), None)
    rows = np.zeros(1, dtype=np.intp)
    for point in ([-1.2, -0.5, 0.2], [0.8, -1.5, 0.1], [-0.3, -1.0, 0.0]):
        start = np.array([point])
        gradient = likelihood(start, rows)[1][0]
        for k in range(3):
            step = np.zeros((1, 3))
            step[0, k] = 1e-5
            numeric = (likelihood(start + step, rows)[0] - likelihood(start - step, rows)[0]) / 2e-5
            assert gradient[k] == pytest.approx(numeric[0], rel=1e-4, abs=1e-4)


def test_smooth_spectrum_and_efficiency() -> None:
    generator = np.random.default_rng(7)
    total = generator.poisson(FAILING).astype(float)
    efficiency = transfer() / (1 + transfer())
    passing = generator.binomial(total.astype(int), efficiency).astype(float)
    smooth, _ = smoothing.fit_spectrum(total[None], 1)
    np.testing.assert_allclose(smooth[0], FAILING, rtol=0.03)
    assert smooth.sum() == pytest.approx(total.sum(), rel=1e-5)
    logit, fitted = smoothing.fit_efficiency(passing[None], (total - passing)[None], 1)
    np.testing.assert_allclose(np.exp(logit[0]), transfer(), rtol=0.15)
    assert 2 * fitted.value[0] == pytest.approx(BINS - 2, abs=4 * np.sqrt(2 * BINS))
    values = [float(smoothing.fit_spectrum(total[None], order)[1].value[0]) for order in range(6)]
    assert smoothing.lowest_order(values, 0.05) == 1
    assert (np.diff(values) <= 1e-6).all()


def test_expected_fits_find_what_a_bump_of_the_efficiency_fakes() -> None:
    how = MassFitSettings(truth_order=6, largest_order=6, toys=10, replicas=10)
    factor = transfer(0.0, bump=0.6)
    one = signal_strength.Spectra(
        SIGNAL[None], SIGNAL_FAILING[None], (factor * FAILING)[None], FAILING[None]
    )
    truth = signal_strength.orders_of(one, 20.0, how)
    assert truth.efficiency > 2
    passing, failing = signal_strength.smooth_background(one, 20.0, truth)
    np.testing.assert_allclose(passing[0, :12], (factor * FAILING)[:12], rtol=0.12)
    low = signal_strength.expectation(one, passing, failing, 0)
    exact = signal_strength.expectation(one, passing, failing, truth.efficiency)
    assert low.bias[0] > 2 * low.uncertainty[0] and low.misfit[0] > 20
    assert abs(exact.bias[0]) < 1e-3 and exact.misfit[0] < 1e-3
    assert exact.uncertainty[0] > low.uncertainty[0]
    assert exact.significance[0] == pytest.approx(1.0 / exact.uncertainty[0], rel=0.5)


def falling_with_a_peak(height: float) -> signal_strength.Spectra:
    """190 000 jets of a falling mass [GeV], an efficiency of 2 % with a peak; 600 signal jets."""
    mass = np.linspace(55.0, 295.0, BINS)
    falling, peak = np.exp(-mass / 60.0), np.exp(-0.5 * ((mass - 82.0) / 9.0) ** 2)
    falling, peak = 190_000.0 * falling / falling.sum(), 300.0 * peak / peak.sum()
    efficiency = 0.02 * (1.0 + height * np.exp(-0.5 * ((mass - 90.0) / 15.0) ** 2))
    numbers = peak, peak, efficiency * falling, (1.0 - efficiency) * falling
    return signal_strength.Spectra(*(one[None] for one in numbers))


@pytest.mark.parametrize(("height", "described"), [(1.5, False), (0.0, True)])
def test_an_order_that_does_not_describe_the_background_says_so(
    height: float, described: bool
) -> None:
    how = MassFitSettings(toys=20, replicas=10)
    nominal = falling_with_a_peak(height)
    generator = np.random.default_rng(3)
    draws = signal_strength.Spectra(
        np.repeat(nominal.signal_passing, 10, axis=0),
        np.repeat(nominal.signal_failing, 10, axis=0),
        generator.poisson(nominal.passing, (10, BINS)).astype(float),
        generator.poisson(nominal.failing, (10, BINS)).astype(float),
    )
    nothing = signal_strength.Spectra(*(np.zeros((0, BINS)) for _ in range(4)))
    entry = signal_strength._Point(nominal, draws, nothing, 1.0, how, 1, 0).entry(0.5)
    row, problem = spurious_signal.quoted(entry), spurious_signal.complaint(entry)
    assert row["describes"] == described
    if described:
        assert entry["order"] == 0 and problem is None
        assert row["misfit"]["value"] < 1e-3 and row["misfit_probability"] > 0.99
        return
    assert entry["order"] == how.largest_order < entry["truth_orders"]["efficiency"]
    # The likelihood that the signal takes over is part of what is missing.
    assert 3.0 < row["pull"]["value"] <= np.sqrt(row["misfit"]["value"]) + 1e-3
    assert row["misfit_probability"] < 1e-6 and row["misfit"]["deviation"] > 0
    assert problem is not None and "order 4 does not describe" in problem


def test_given_yields_have_to_name_the_classes() -> None:
    target = np.array([0, 0, 1])
    found = expected_yields.from_numbers(
        np.array([1.0, 3.0, 2.0]), target, ["W", "qcd"], {"W": 8.0, "qcd": 50.0}
    )
    np.testing.assert_allclose(found, [2.0, 6.0, 50.0])
    with pytest.raises(InputError, match="expected names the classes top"):
        expected_yields.from_numbers(np.ones(3), target, ["W", "qcd"], {"top": 8.0})
    with pytest.raises(InputError, match=r"weights of the qcd jets .* sum to 0"):
        expected_yields.from_numbers(
            np.array([1.0, 1.0, 0.0]), target, ["W", "qcd"], {"W": 8.0, "qcd": 50.0}
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"order": 5}, "above largest_order"),
        ({"bins": 8}, "at least 11"),
        ({"expected": {"W": 0.0}}, "above zero"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MassFitSettings.model_validate(changes)
