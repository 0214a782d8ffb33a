"""Unbinned extended fits of many data sets, with the exact densities of the synthetic problem."""

import numpy as np
import pytest
import torch
from iminuit import Minuit

from fullchain.errors import InputError
from fullchain.inference import ratio_expected, ratio_experiments, ratio_methods, unbinned
from fullchain.inference.ratio_methods import Tables
from fullchain.inference.ratio_settings import RatioSettings
from fullchain.inference.ratio_source import SyntheticSource
from fullchain.inference.unbinned import Data, Model

MODEL = Model(1000.0, 0.4, 0.8)
NODES = unbinned.nodes(5, 0.8)


def data(number, nuisance=0.0, seed=5):
    settings = RatioSettings.model_validate({"experiments": {"nuisance": [nuisance]}})
    source = SyntheticSource(settings, seed)
    some = source.experiments(nuisance, range(number))
    return ratio_methods.data(Tables(*source.exact(some.x, NODES)), some)


@pytest.fixture(scope="module")
def many():
    return data(300)


@pytest.fixture(scope="module")
def fits(many):
    return unbinned.fit(MODEL, many, 50.0)


def test_polynomials_go_through_their_nodes():
    values = torch.randn(4, 5, dtype=torch.float64)
    powers = (NODES / 0.8)[:, None] ** torch.arange(5)
    assert torch.allclose(unbinned.polynomial(values) @ powers.T, values)
    assert 0.0 in NODES.tolist()


def test_derivatives_are_those_of_autograd(many):
    some = many.chosen(torch.tensor([2, 7]))
    at = torch.tensor([[40.0, 0.1], [60.0, -0.2]], dtype=torch.float64)

    def value(point):
        return unbinned.terms(MODEL, some, point)[0].sum()

    _, gradient, hessian = unbinned.terms(MODEL, some, at)
    assert torch.allclose(torch.autograd.functional.jacobian(value, at), gradient, atol=1e-8)
    full = torch.autograd.functional.hessian(value, at)
    for row in range(2):
        assert torch.allclose(full[row, :, row], hessian[row], rtol=1e-9)


def test_a_fit_is_that_of_minuit_with_minos(many, fits):
    row = 11
    one = many.chosen(torch.tensor([row]))

    def value(s, r):
        return float(unbinned.terms(MODEL, one, torch.tensor([[s, r]]).double())[0])

    minuit = Minuit(value, s=45.0, r=0.0)
    minuit.errordef = 1
    minuit.strategy = 2
    minuit.tol = 1e-4
    minuit.migrad()
    minuit.minos("s")
    assert float(fits.values[row, 0]) == pytest.approx(minuit.values["s"], abs=5e-3)
    assert float(fits.values[row, 1]) == pytest.approx(minuit.values["r"], abs=2e-4)
    ends = unbinned.intervals(MODEL, one, unbinned.fit(MODEL, one, 50.0))
    error = minuit.merrors["s"]
    assert float(ends.low[0]) == pytest.approx(minuit.values["s"] + error.lower, abs=1e-2)
    assert float(ends.high[0]) == pytest.approx(minuit.values["s"] + error.upper, abs=1e-2)


def test_a_fit_does_not_depend_on_the_others(many, fits):
    alone = unbinned.fit(MODEL, many.chosen(torch.tensor([3])), 50.0)
    assert torch.allclose(alone.values[0], fits.values[3], rtol=1e-6)


def test_the_profile_rises_by_one_at_the_ends(many, fits):
    one = many.chosen(torch.tensor([4]))
    alone = unbinned.fit(MODEL, one, 20.0)
    ends = unbinned.intervals(MODEL, one, alone)
    at = torch.stack([ends.low[0], alone.values[0, 0], ends.high[0]])
    rises = unbinned.profile(MODEL, one, alone, at)
    assert torch.allclose(rises, torch.tensor([1.0, 0.0, 1.0]).double(), atol=1e-4)


def test_exact_densities_cover_and_have_the_expected_uncertainty(many):
    found = ratio_experiments.fitted(MODEL, many, 50.0, "exact")
    numbers = ratio_experiments.summary(found, None, 50.0, 0.0)
    assert numbers["failed"] == 0
    fraction, error = numbers["coverage"]
    assert abs(fraction - 0.683) < 3 * error
    mean, error = numbers["pull_mean"]
    assert abs(mean) < 3.5 * error
    width, error = numbers["pull_width"]
    assert abs(width - 1) < 3.5 * error
    width, error = numbers["nuisance_pull_width"]
    assert abs(width - 1) < 3.5 * error
    expected = ratio_expected.of_densities(50.0, 1000.0, 0.4)
    mean, error = numbers["uncertainty"]
    assert abs(mean - expected.signal) < 4 * error
    assert error < 0.01 * mean


def test_the_integrated_information_is_that_of_the_published_table():
    # Analytic likelihood of 1806.04743: 14.71 without nuisance parameter, 15.52 with a free r.
    free = ratio_expected.of_densities(50.0, 1000.0, 1e6)
    assert free.without_nuisance == pytest.approx(14.71, rel=1e-3)
    assert free.signal == pytest.approx(15.52, rel=2e-3)
    held = ratio_expected.of_densities(50.0, 1000.0, 0.4)
    assert free.without_nuisance < held.signal < free.signal
    coarse = ratio_expected.of_densities(50.0, 1000.0, 0.4, nodes=61)
    assert coarse.signal == pytest.approx(held.signal, rel=1e-6)


def test_bins_are_points_with_counts():
    """A counting experiment in one bin, whose answer is known."""
    one = torch.ones(1, 1, dtype=torch.float64)
    counts = Data(1100 * one, one, torch.zeros(1, 1, 1).double(), torch.zeros(1).double())
    found = unbinned.fit(MODEL, counts, 50.0)
    assert float(found.values[0, 0]) == pytest.approx(100.0, abs=1e-3)
    assert float(found.uncertainty[0]) == pytest.approx(np.sqrt(1100), rel=1e-6)
    assert float(found.nuisance_uncertainty[0]) == pytest.approx(0.4)


def test_a_nuisance_parameter_at_its_limit_is_reported(many):
    pulled = Data(many.weight, many.signal, many.background, many.auxiliary + 30.0)
    found = unbinned.fit(MODEL, pulled.chosen(torch.arange(5)), 50.0)
    assert found.at_limit.any()
    assert found.converged.all()
    assert found.values[:, 1].abs().max() <= MODEL.reach


def test_a_ratio_that_is_not_finite_is_named(many):
    signal = many.signal.clone()
    signal[6, 3] = torch.nan
    bad = Data(many.weight, signal, many.background, many.auxiliary)
    with pytest.raises(InputError, match="event 3 of data set 6 is not finite"):
        ratio_experiments.fitted(MODEL, bad, 50.0, "method")
    nothing = Data(0 * many.weight, many.signal, many.background, many.auxiliary)
    with pytest.raises(InputError, match="data set 0 has no events"):
        ratio_experiments.fitted(MODEL, nothing, 50.0, "method")


def test_a_fit_that_does_not_converge_has_a_diagnosis(many, monkeypatch):
    # Without signal anywhere the data do not determine it.
    some = many.chosen(torch.arange(3))
    flat = Data(some.weight, 0 * some.signal, some.background, some.auxiliary)
    with pytest.raises(InputError, match=r"3 of 3 fits did not converge.*Hessian is not positive"):
        unbinned.require(unbinned.fit(MODEL, flat, 50.0), "flat")
    monkeypatch.setattr(unbinned, "STEPS", 1)
    with pytest.raises(InputError, match=r"one step: 3 of 3 fits .* data set 0, which ends at"):
        unbinned.require(unbinned.fit(MODEL, some, 20.0), "one step")
