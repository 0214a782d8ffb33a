"""Iterative Bayesian unfolding of given counts and responses."""

import numpy as np
import pytest

from fullchain.unfolding import ibu


def case(cells=6, seed=1):
    """A response with inefficiency, a spectrum and what is measured of it on average."""
    chance = np.random.default_rng(seed)
    far = np.abs(np.subtract.outer(np.arange(cells), np.arange(cells)))
    response = np.exp(-2.0 * far) * chance.uniform(0.8, 1.2, (cells, cells))
    response *= chance.uniform(0.5, 0.95, cells) / response.sum(axis=0)
    truth = chance.uniform(500, 1500, cells)
    return response, truth, response @ truth


def test_one_iteration_by_hand():
    response = np.array([[0.6, 0.2], [0.2, 0.6]])
    signal, prior = np.array([100.0, 300.0]), np.array([1.0, 3.0])
    # Folded prior: 1.2 and 2.0; ratios 83.33 and 150; efficiency 0.8 in both
    expected = [
        1.0 / 0.8 * (0.6 * 100 / 1.2 + 0.2 * 300 / 2.0),
        3.0 / 0.8 * (0.2 * 100 / 1.2 + 0.6 * 300 / 2.0),
    ]
    np.testing.assert_allclose(ibu.unfold(signal, response, prior, 1), expected)


def test_the_published_formula_cell_by_cell():
    response, _truth, signal = case()
    phi = np.full(6, 1000.0)
    efficiency = response.sum(axis=0)
    expected = phi.copy()
    for _ in range(3):
        phi = expected.copy()
        for j in range(6):
            total = sum(
                response[i, j] * signal[i] / sum(response[i, k] * phi[k] for k in range(6))
                for i in range(6)
            )
            expected[j] = phi[j] / efficiency[j] * total
    np.testing.assert_allclose(ibu.unfold(signal, response, np.full(6, 1000.0), 3), expected)


def test_the_example_of_pyunfold():
    """Four iterations, docstring of `pyunfold.iterative_unfold`, doi:10.21105/joss.00741."""
    response = np.array([[0.9, 0.1], [0.1, 0.9]])
    found = ibu.unfold(np.array([100.0, 150.0]), response, np.ones(2), 4)
    np.testing.assert_allclose(found, [94.32086967, 155.67913033], rtol=1e-9)


def test_a_diagonal_response_is_inverted_at_once():
    efficiency = np.array([0.2, 0.5, 1.0])
    truth = np.array([10.0, 0.0, 30.0])
    found = ibu.unfold(efficiency * truth, np.diag(efficiency), np.array([5.0, 1.0, 2.0]), 1)
    np.testing.assert_allclose(found, truth, atol=1e-12)


def test_with_the_true_prior_nothing_changes():
    response, truth, signal = case()
    for iterations in (1, 10):
        found = ibu.unfold(signal, response, 7 * truth, iterations)
        np.testing.assert_allclose(found, truth, rtol=1e-12)


def test_many_iterations_reach_the_truth_from_any_prior():
    response, truth, signal = case()
    found = ibu.unfold(signal, response, np.ones(6), 5000)
    np.testing.assert_allclose(found, truth, rtol=1e-4)


def test_folded_result_keeps_the_number_of_events():
    response, _, signal = case()
    found = ibu.unfold(signal, response, np.ones(6), 4)
    assert ibu.fold(found, response).sum() == pytest.approx(signal.sum(), rel=1e-12)


@pytest.mark.parametrize("own", [False, True])
def test_replicas_are_unfolded_together(own):
    response, _truth, signal = case()
    chance = np.random.default_rng(3)
    signals = chance.poisson(signal, (8, 6)).astype(float)
    responses = response * chance.uniform(0.8, 1.0, (8, 6, 6)) if own else response
    priors = chance.uniform(1, 2, (8, 6))
    together = ibu.unfold(signals, responses, priors, 4)
    for k in range(8):
        alone = ibu.unfold(signals[k], responses[k] if own else response, priors[k], 4)
        np.testing.assert_allclose(together[k], alone, rtol=1e-12)


def test_cells_without_efficiency_keep_the_prior_shape():
    response, truth, signal = case()
    response[:, 4] = 0
    signal = response @ truth
    found = ibu.unfold(signal, response, truth / 10, 3)
    np.testing.assert_allclose(found, truth)


def test_the_derivative_is_that_of_finite_differences():
    response, _, signal = case()
    response[:, 4] = 0
    prior = np.linspace(1, 2, 6)
    slope = ibu.derivative(signal, response, prior, 4)
    for i in range(6):
        step = np.zeros(6)
        step[i] = 1e-3 * signal[i]
        up, down = (ibu.unfold(signal + sign * step, response, prior, 4) for sign in (1, -1))
        np.testing.assert_allclose(slope[:, i], (up - down) / (2 * step[i]), rtol=1e-5, atol=1e-9)


def test_propagated_covariance_is_that_of_toys():
    response, _, signal = case()
    prior, signal = np.full(6, 900.0), 10 * signal
    slope = ibu.derivative(signal, response, prior, 4)
    expected = (slope * signal) @ slope.T
    toys = np.random.default_rng(5).poisson(signal, (20_000, 6)).astype(float)
    found = np.cov(ibu.unfold(toys, response, prior, 4), rowvar=False)
    errors = np.sqrt(np.diag(expected))
    # Standard error of a correlation from 20 000 toys: 0.007
    np.testing.assert_allclose(
        found / np.outer(errors, errors), expected / np.outer(errors, errors), atol=0.04
    )


def detector(data, **changes):
    values = {
        "data": data,
        "background": np.zeros_like(data),
        "background_variance": np.zeros_like(data),
        "acceptance": np.ones_like(data),
        "scale": 1.0,
    }
    return ibu.Detector(**(values | changes))


def test_iterating_is_unfolding():
    response, _, signal = case()
    steps, why = ibu.iterate(detector(signal), response, np.ones(6), ibu.Stopping(4))
    assert (len(steps), why) == (4, "after 4 iterations, as set")
    for number, step in enumerate(steps, 1):
        expected = ibu.unfold(signal, response, np.ones(6), number)
        np.testing.assert_allclose(step.counts, expected)
    changes = [step.change for step in steps]
    assert changes == sorted(changes, reverse=True)


def test_background_and_fakes_are_taken_off_and_put_back():
    response, truth, signal = case()
    acceptance, background = np.linspace(0.5, 0.9, 6), np.linspace(10.0, 60.0, 6)
    data = signal / acceptance + background
    one = detector(data, background=background, acceptance=acceptance)
    np.testing.assert_allclose(one.signal, signal)
    np.testing.assert_allclose(one.refolded(response @ truth), data)
    assert one.chi_squared(response @ truth) == (pytest.approx(0, abs=1e-20), 6)
    assert detector(data, background=2 * data).signal.tolist() == [0.0] * 6


def test_chi_squared_by_hand():
    one = detector(np.array([110.0, 90.0, 0.0]), background_variance=np.array([0.0, 44.0, 0.0]))
    # The third cell expects less than an event
    found = one.chi_squared(np.array([100.0, 100.0, 0.5]))
    assert found == (pytest.approx(100 / 100 + 100 / 144), 2)


def test_rules_stop():
    response, _truth, signal = case()
    many = detector(np.random.default_rng(4).poisson(signal).astype(float))
    prior = np.linspace(1, 9, 6)
    steps, why = ibu.iterate(many, response, prior, ibu.Stopping(50, "change", 0.01))
    assert "change below 0.01" in why
    assert steps[-1].change < 0.01 < steps[-2].change
    steps, why = ibu.iterate(many, response, prior, ibu.Stopping(50, "refolding", 1.0))
    assert "chi squared below 1" in why
    assert steps[-1].chi_squared < steps[-1].cells
    assert all(step.chi_squared >= step.cells for step in steps[:-1])
    steps, why = ibu.iterate(many, response, prior, ibu.Stopping(2, "change", 1e-9))
    assert (len(steps), why) == (2, "the rule was not fulfilled within 2 iterations")
