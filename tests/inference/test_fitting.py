"""Fits against analytic results, published numbers and other implementations."""

import math

import numpy as np
import pyhf
import pytest
import torch
from scipy import stats

from fullchain.errors import InputError
from fullchain.inference import fitting, likelihood
from fullchain.inference import histfactory as hf
from fullchain.inference.fit_parameters import (
    parameters,
    prefit_covariance,
    prefit_uncertainties,
)
from fullchain.inference.goodness_of_fit import goodness_of_fit
from fullchain.inference.propagation import yields
from fullchain.seeds import stream


def test_published_cls_of_pyhf():
    """The example in pyhf's README, with the numbers printed there."""
    model = pyhf.simplemodels.uncorrelated_background(
        signal=[12.0, 11.0], bkg=[50.0, 52.0], bkg_uncertainty=[3.0, 7.0]
    )
    data = [51, 48, *model.config.auxdata]
    observed, expected = pyhf.infer.hypotest(
        1.0, data, model, test_stat="qtilde", return_expected=True
    )
    assert float(observed) == pytest.approx(0.05251497, abs=1e-8)
    assert float(expected) == pytest.approx(0.06445319, abs=1e-8)


@pytest.mark.parametrize(("n", "s", "b"), [(120, 20, 100), (1000, 50, 900), (80, 20, 100)])
def test_counting_experiment(small, n, s, b):
    """Known background: estimate, error and significance are known in closed form."""
    model, data = small.model([s], [b], [n])
    best = fitting.fit(model, data)
    assert best.values[0] == pytest.approx((n - b) / s, abs=1e-6)
    assert best.uncertainties[0] == pytest.approx(math.sqrt(n) / s, rel=1e-6)
    tested = fitting.discovery(model, data, best)
    q0 = 2 * (n * math.log(n / b) - (n - b)) if n > b else 0.0
    assert tested.q0 == pytest.approx(q0, abs=1e-6)
    assert tested.significance == pytest.approx(math.sqrt(q0), abs=1e-6)
    assert tested.p_value == pytest.approx(stats.norm.sf(math.sqrt(q0)), rel=1e-5)


def test_on_off_experiment(small):
    """Background known from a side region of size tau: eq. 17 of Li and Ma (1983)."""
    n, m, tau, s = 140, 200, 2.0, 30.0
    b = m / tau
    modifiers = [{"name": "side", "type": "shapesys", "data": [b / math.sqrt(m)]}]
    model, data = small.model([s], [b], [n], modifiers=modifiers)
    best = fitting.fit(model, data)
    li_ma = math.sqrt(
        2 * (n * math.log((1 + tau) * n / (n + m)) + m * math.log((1 + 1 / tau) * m / (n + m)))
    )
    assert fitting.discovery(model, data, best).significance == pytest.approx(li_ma, abs=1e-6)
    assert best.uncertainties[best.index("mu")] == pytest.approx(
        math.sqrt(n + m / tau**2) / s, rel=1e-6
    )


@pytest.mark.parametrize("relative", [0.02, 0.1])
def test_background_normalisation_adds_in_quadrature(small, relative):
    s, b = 30.0, 200.0
    model, _ = small.model([s], [b], [s + b], modifiers=[hf.log_normal("norm", relative)])
    best = fitting.fit(model, small.asimov(model, 1.0))
    expected = math.sqrt(s + b + (b * math.log1p(relative)) ** 2) / s
    assert best.uncertainties[best.index("mu")] == pytest.approx(expected, rel=2e-3)


def test_luminosity_limits_the_precision_of_a_large_signal(small):
    model, _ = small.model([1e6], [1.0], [1e6], signal_modifiers=[hf.lumi()])
    best = fitting.fit(model, small.asimov(model, 1.0))
    assert best.uncertainties[best.index("mu")] == pytest.approx(math.hypot(0.02, 1e-3), rel=2e-3)


def test_asimov_gives_back_what_was_put_in(small):
    model, _ = small.rich()
    data = small.asimov(model, 1.0)
    best = fitting.fit(model, data)
    assert best.values[best.index("mu")] == pytest.approx(1.0, abs=1e-6)
    for one in parameters(model, best):
        if one.pull is not None:
            assert one.pull == pytest.approx(0.0, abs=1e-6), one.name
            assert one.constraint <= 1.0 + 1e-9, one.name
    assert goodness_of_fit(model, data, best).p_value > 0.999
    assert best.at_limit == ()


def test_signal_injection_is_linear(small):
    model, _ = small.rich()
    found = []
    for mu in (0.0, 0.5, 1.0, 2.0, 3.0):
        best = fitting.fit(model, small.asimov(model, mu))
        found.append(best.values[best.index("mu")])
    assert found == pytest.approx([0.0, 0.5, 1.0, 2.0, 3.0], abs=1e-5)


def test_no_signal_gives_no_significance(small):
    model, _ = small.rich()
    for mu, most in ((0.0, 1e-3), (-0.5, 0.0)):
        data = small.asimov(model, mu)
        assert fitting.discovery(model, data, fitting.fit(model, data)).significance <= most


def test_pulls_of_frequentist_toys(small):
    """Main and auxiliary data drawn: mean 0 and width 1 within three of their errors."""
    model, _ = small.model([40.0], [400.0], [440.0], modifiers=[hf.log_normal("norm", 0.05)])
    expected = small.asimov(model, 1.0)
    random = stream(11, "test", "toys")
    pulls = []
    for _ in range(300):
        data = np.array([random.poisson(expected[0]), random.normal(expected[1], 1.0)])
        best = fitting.fit(model, data)
        place = best.index("mu")
        pulls.append((best.values[place] - 1.0) / best.uncertainties[place])
    _check_pulls(pulls)


def test_pulls_of_drawn_data_with_all_uncertainties(small):
    """Nuisance parameters drawn from their constraints: the fit covers them."""
    theirs, nominal = likelihood.load_model(small.rich_specification())
    model, _ = small.rich()
    auxiliary = nominal[model.bins :]
    random = stream(12, "test", "drawn")
    pulls, chi_squared = [], []
    for _ in range(120):
        data = np.append(likelihood.draw_data(theirs, 1.0, random), auxiliary)
        best = fitting.fit(model, data)
        place = best.index("mu")
        pulls.append((best.values[place] - 1.0) / best.uncertainties[place])
        chi_squared.append(goodness_of_fit(model, data, best).chi_squared)
    _check_pulls(pulls)
    degrees = 2
    assert np.mean(chi_squared) == pytest.approx(degrees, abs=3 * math.sqrt(2 * degrees / 120))


def _check_pulls(pulls):
    toys = len(pulls)
    assert np.mean(pulls) == pytest.approx(0.0, abs=3 / math.sqrt(toys))
    assert np.std(pulls, ddof=1) == pytest.approx(1.0, abs=3 / math.sqrt(2 * (toys - 1)))


def test_goodness_of_fit_of_a_known_case(small):
    """One free parameter and two bins without nuisances: compared with the formula."""
    model, data = small.model([10.0, 10.0], [50.0, 50.0], [70.0, 50.0])
    best = fitting.fit(model, data)
    quality = goodness_of_fit(model, data, best)
    n, e = data, 60.0
    assert quality.chi_squared == pytest.approx(2 * np.sum(e - n + n * np.log(n / e)), abs=1e-6)
    assert quality.degrees_of_freedom == 1
    assert quality.p_value == pytest.approx(stats.chi2.sf(quality.chi_squared, 1))


def test_goodness_of_fit_counts_a_pull_of_a_poisson_constraint(small):
    """Background measured aside: chi-squared of the two counts, with bins without events."""
    modifiers = [{"name": "side", "type": "shapesys", "data": [10.0, 10.0]}]
    model, data = small.model([10.0, 0.0], [50.0, 50.0], [0.0, 80.0], modifiers=modifiers)
    data[0] = 60.0
    best = fitting.fit(model, data)
    # The second bin has no signal: 80 observed and 25 = 50^2/10^2 counted aside for 50 expected.
    rate = (80.0 + 25.0) / (50.0 + 25.0)
    saturated = sum(
        2 * (e - n + n * math.log(n / e)) for n, e in ((80, 50 * rate), (25, 25 * rate))
    )
    assert goodness_of_fit(model, data, best).chi_squared == pytest.approx(saturated, abs=1e-6)


def test_goodness_of_fit_needs_degrees_of_freedom(small):
    model, data = small.model([10.0], [50.0], [70.0])
    assert goodness_of_fit(model, data, fitting.fit(model, data)) is None


def test_yields_propagate_the_whole_covariance(small):
    """Signal and background are anticorrelated, so that the sum is known as well as the data."""
    model, data = small.model([30.0], [200.0], [230.0], modifiers=[hf.log_normal("norm", 0.5)])
    best = fitting.fit(model, data)
    after = yields(model, best.values, best.covariance)
    assert after.samples == ("b", "s")
    assert after.values[:, 0] == pytest.approx([200.0, 30.0, 230.0], rel=1e-6)
    assert after.uncertainties[2, 0] == pytest.approx(math.sqrt(230.0), rel=1e-6)
    assert after.uncertainties[0, 0] > 5 * after.uncertainties[2, 0]
    before = yields(model, model.init.numpy(), prefit_covariance(model))
    # The slope of code 4 at zero lies between those of the straight and the exponential line.
    assert before.total_uncertainties[0, 0] == pytest.approx(200 * math.log(1.5), rel=0.05)
    assert before.uncertainties[1, 0] == 0.0


def test_yields_agree_with_finite_differences(small):
    model, data = small.rich()
    best = fitting.fit(model, data)
    after = yields(model, best.values, best.covariance)

    def table(point):
        by_sample = model.expected_by_sample(torch.as_tensor(point)).numpy()
        return np.concatenate([by_sample, by_sample.sum(axis=0, keepdims=True)])

    steps = np.diag(1e-4 * best.uncertainties)
    slopes = np.stack(
        [(table(best.values + h) - table(best.values - h)) / (2 * h.sum()) for h in steps], axis=-1
    )
    variance = np.einsum("sbi,ij,sbj->sb", slopes, best.covariance, slopes)
    assert after.uncertainties == pytest.approx(np.sqrt(variance), rel=1e-6)
    both = np.einsum("si,ij,sj->s", *(slopes.sum(axis=1), best.covariance, slopes.sum(axis=1)))
    assert after.total_uncertainties[:, 0] == pytest.approx(np.sqrt(both), rel=1e-6)


def test_prefit_uncertainties_are_those_of_pyhf(small):
    modifiers = [
        hf.lumi(),
        hf.log_normal("norm", 0.1),
        {"name": "side", "type": "shapesys", "data": [10.0, 5.0]},
        hf.staterror("simulation", hf.Template(np.array([50.0, 40.0]), np.array([4.0, 0.0]))),
        {"name": "free", "type": "shapefactor", "data": None},
    ]
    specification = small.specification([1.0, 2.0], [50.0, 40.0], [50.0, 40.0], modifiers)
    theirs, _ = likelihood.load_model(specification)
    model, _ = small.of(specification)
    expected = likelihood.prefit_uncertainties(theirs)
    for one, other in zip(prefit_uncertainties(model), expected, strict=True):
        assert (one is None) == (other is None)
        assert one is None or one == pytest.approx(other)


def test_covariance_is_that_of_pyhf_differentiated_by_torch(small):
    """pyhf's own likelihood, on its torch backend, differentiated twice."""
    specification = small.rich_specification()
    model, data = small.of(specification)
    best = fitting.fit(model, data)
    pyhf.set_backend("pytorch", precision="64b")
    try:
        theirs, _ = likelihood.load_model(specification)
        seen = torch.as_tensor(data)
        curvature = torch.autograd.functional.hessian(
            lambda point: -theirs.logpdf(point, seen)[0], torch.as_tensor(best.values)
        )
    finally:
        pyhf.set_backend("numpy")
        # pyhf's backend leaves double precision as that of all new tensors.
        torch.set_default_dtype(torch.float32)
    assert best.covariance == pytest.approx(np.linalg.inv(curvature.numpy()), rel=1e-9, abs=1e-14)


def test_cabinetry_reads_the_workspace_and_agrees(small):
    import cabinetry

    specification = small.rich_specification(observed=(110.0, 85.0, 83.0))
    theirs_model, theirs_data = cabinetry.model_utils.model_and_data(specification)
    theirs = cabinetry.fit.fit(
        theirs_model, theirs_data, goodness_of_fit=True, strategy=2, tolerance=1e-4
    )
    model, data = small.of(specification)
    ours = fitting.fit(model, data)
    assert list(ours.names) == theirs.labels
    assert np.abs(ours.values - theirs.bestfit) / theirs.uncertainty == pytest.approx(0, abs=1e-3)
    # Minuit's numerical second derivatives are good to some per mille; the exact ones are compared
    # in the test above.
    assert ours.uncertainties == pytest.approx(theirs.uncertainty, rel=1e-2)
    place = model.poi
    assert ours.uncertainties[place] == pytest.approx(theirs.uncertainty[place], rel=2e-3)
    assert ours.correlation == pytest.approx(theirs.corr_mat, abs=0.01)
    quality = goodness_of_fit(model, data, ours)
    assert quality.p_value == pytest.approx(theirs.goodness_of_fit, abs=1e-4)
    significance = cabinetry.fit.significance(theirs_model, theirs_data)
    assert fitting.discovery(model, data, ours).significance == pytest.approx(
        significance.observed_significance, abs=1e-3
    )


def test_fits_are_deterministic(small):
    model, data = small.rich()
    first, second = fitting.fit(model, data), fitting.fit(model, data)
    assert np.array_equal(first.values, second.values)
    assert np.array_equal(first.covariance, second.covariance)


def test_an_estimate_at_its_limit_is_reported(small):
    model, data = small.model([1.0, 1.0], [10.0, 10.0], [100.0, 100.0])
    assert fitting.fit(model, data, limits_are_errors=True).at_limit == ("mu",)


def test_a_broken_workspace_is_an_input_error(small):
    specification = small.specification([10.0], [50.0], [70.0])
    del specification["channels"][0]["samples"][0]["data"]
    with pytest.raises(InputError, match="not a valid workspace"):
        likelihood.load_model(specification)


def test_drawn_data_with_a_negative_expectation_are_refused(small):
    model, _ = likelihood.load_model(small.specification([10.0], [50.0], [60.0]))
    with pytest.raises(InputError, match="signal strength of -6"):
        likelihood.draw_data(model, -6.0, stream(1, "test"))
