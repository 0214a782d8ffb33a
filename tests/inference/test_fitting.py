"""Fits against analytic results, published numbers and another implementation."""

import math

import numpy as np
import pyhf
import pytest
from scipy import stats

from fullchain.errors import InputError
from fullchain.inference import fitting, likelihood
from fullchain.inference import histfactory as hf
from fullchain.seeds import stream


def _specification(signal, background, observed, modifiers=(), signal_modifiers=()):
    signal, background = list(map(float, signal)), list(map(float, background))
    samples = [
        {"name": "s", "data": signal, "modifiers": [hf.normfactor("mu"), *signal_modifiers]},
        {"name": "b", "data": background, "modifiers": list(modifiers)},
    ]
    return hf.workspace(
        [{"name": "region", "samples": samples}],
        {"region": np.array(observed, dtype=float)},
        poi="mu",
        poi_range=(-20.0, 20.0),
        luminosity_uncertainty=0.02,
    )


def _model(*arguments, **options):
    return likelihood.load_model(_specification(*arguments, **options))


def _rich():
    """Two bins of signal on background with every kind of modifier."""
    background = hf.Template(np.array([100.0, 60.0, 40.0]), np.array([25.0, 16.0, 9.0]))
    modifiers = [
        hf.lumi(),
        hf.log_normal("normalisation", 0.1),
        hf.normsys("scale", 1.05, 0.96),
        hf.histosys("scale", np.array([95.0, 62.0, 43.0]), np.array([105.0, 58.0, 37.0])),
        hf.staterror("simulation", background),
    ]
    return _model(
        [5.0, 30.0, 40.0],
        background.values,
        [105.0, 90.0, 80.0],
        modifiers=modifiers,
        signal_modifiers=[hf.lumi()],
    )


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
def test_counting_experiment(n, s, b):
    """Known background: estimate, error and significance are known in closed form."""
    model, data = _model([s], [b], [n])
    best = fitting.fit(model, data)
    assert best.values[0] == pytest.approx((n - b) / s, abs=1e-3)
    assert best.uncertainties[0] == pytest.approx(math.sqrt(n) / s, rel=1e-3)
    tested = fitting.discovery(model, data, best)
    q0 = 2 * (n * math.log(n / b) - (n - b)) if n > b else 0.0
    assert tested.q0 == pytest.approx(q0, abs=1e-4)
    assert tested.significance == pytest.approx(math.sqrt(q0), abs=1e-4)
    assert tested.p_value == pytest.approx(stats.norm.sf(math.sqrt(q0)), rel=1e-3)


def test_on_off_experiment():
    """Background known from a side region of size tau: eq. 17 of Li and Ma (1983)."""
    n, m, tau, s = 140, 200, 2.0, 30.0
    b = m / tau
    modifiers = [{"name": "side", "type": "shapesys", "data": [b / math.sqrt(m)]}]
    model, data = _model([s], [b], [n], modifiers=modifiers)
    tested = fitting.discovery(model, data)
    li_ma = math.sqrt(
        2 * (n * math.log((1 + tau) * n / (n + m)) + m * math.log((1 + 1 / tau) * m / (n + m)))
    )
    assert tested.significance == pytest.approx(li_ma, abs=1e-3)
    best = fitting.fit(model, data)
    assert best.uncertainties[best.index("mu")] == pytest.approx(
        math.sqrt(n + m / tau**2) / s, rel=1e-3
    )


@pytest.mark.parametrize("relative", [0.02, 0.1])
def test_background_normalisation_adds_in_quadrature(relative):
    s, b = 30.0, 200.0
    model, _ = _model([s], [b], [s + b], modifiers=[hf.log_normal("norm", relative)])
    best = fitting.fit(model, likelihood.asimov(model, 1.0))
    expected = math.sqrt(s + b + (b * math.log1p(relative)) ** 2) / s
    assert best.uncertainties[best.index("mu")] == pytest.approx(expected, rel=2e-3)


def test_luminosity_limits_the_precision_of_a_large_signal():
    model, _ = _model([1e6], [1.0], [1e6], signal_modifiers=[hf.lumi()])
    best = fitting.fit(model, likelihood.asimov(model, 1.0))
    assert best.uncertainties[best.index("mu")] == pytest.approx(math.hypot(0.02, 1e-3), rel=2e-3)


def test_asimov_gives_back_what_was_put_in():
    model, _ = _rich()
    best = fitting.fit(model, likelihood.asimov(model, 1.0))
    assert best.values[best.index("mu")] == pytest.approx(1.0, abs=1e-3)
    for one in fitting.parameters(model, best):
        if one.pull is not None:
            assert one.pull == pytest.approx(0.0, abs=1e-3), one.name
            assert one.constraint <= 1.0 + 1e-3, one.name
    assert fitting.goodness_of_fit(model, likelihood.asimov(model, 1.0), best).p_value > 0.999
    assert best.at_limit == ()


def test_signal_injection_is_linear():
    model, _ = _rich()
    found = []
    for mu in (0.0, 0.5, 1.0, 2.0, 3.0):
        best = fitting.fit(model, likelihood.asimov(model, mu), covariance=False)
        found.append(best.values[best.index("mu")])
    assert found == pytest.approx([0.0, 0.5, 1.0, 2.0, 3.0], abs=2e-3)


def test_no_signal_gives_no_significance():
    model, _ = _rich()
    assert fitting.discovery(model, likelihood.asimov(model, 0.0)).significance < 0.02
    assert fitting.discovery(model, likelihood.asimov(model, -0.5)).significance == 0.0


def test_pulls_of_frequentist_toys():
    """Main and auxiliary data drawn: mean 0 and width 1 within three of their errors."""
    model, _ = _model([40.0], [400.0], [440.0], modifiers=[hf.log_normal("norm", 0.05)])
    expected = likelihood.asimov(model, 1.0)
    random = stream(11, "test", "toys")
    pulls = []
    for _ in range(300):
        data = np.array([random.poisson(expected[0]), random.normal(expected[1], 1.0)])
        best = fitting.fit(model, data)
        place = best.index("mu")
        pulls.append((best.values[place] - 1.0) / best.uncertainties[place])
    _check_pulls(pulls)


def test_pulls_of_drawn_data_with_all_uncertainties():
    """Nuisance parameters drawn from their constraints: the fit covers them."""
    model, nominal = _rich()
    auxiliary = nominal[model.config.nmaindata :]
    random = stream(12, "test", "drawn")
    pulls, chi_squared = [], []
    for _ in range(120):
        data = np.append(likelihood.draw_data(model, 1.0, random), auxiliary)
        best = fitting.fit(model, data)
        place = best.index("mu")
        pulls.append((best.values[place] - 1.0) / best.uncertainties[place])
        chi_squared.append(fitting.goodness_of_fit(model, data, best).chi_squared)
    _check_pulls(pulls)
    degrees = 2
    assert np.mean(chi_squared) == pytest.approx(degrees, abs=3 * math.sqrt(2 * degrees / 120))


def _check_pulls(pulls):
    toys = len(pulls)
    assert np.mean(pulls) == pytest.approx(0.0, abs=3 / math.sqrt(toys))
    assert np.std(pulls, ddof=1) == pytest.approx(1.0, abs=3 / math.sqrt(2 * (toys - 1)))


def test_goodness_of_fit_of_a_known_case():
    """One free parameter and two bins without nuisances: compared with the formula."""
    model, data = _model([10.0, 10.0], [50.0, 50.0], [70.0, 50.0])
    best = fitting.fit(model, data)
    quality = fitting.goodness_of_fit(model, data, best)
    n, e = data, 60.0
    assert quality.chi_squared == pytest.approx(2 * np.sum(e - n + n * np.log(n / e)), abs=1e-4)
    assert quality.degrees_of_freedom == 1
    assert quality.p_value == pytest.approx(stats.chi2.sf(quality.chi_squared, 1))


def test_goodness_of_fit_needs_degrees_of_freedom():
    model, data = _model([10.0], [50.0], [70.0])
    assert fitting.goodness_of_fit(model, data, fitting.fit(model, data)) is None


def test_yields_propagate_the_whole_covariance():
    """Signal and background are anticorrelated, so that the sum is known as well as the data."""
    model, data = _model([30.0], [200.0], [230.0], modifiers=[hf.log_normal("norm", 0.5)])
    best = fitting.fit(model, data)
    after = fitting.yields(model, best.values, best.covariance)
    assert after.samples == ("b", "s")
    assert after.values[:, 0] == pytest.approx([200.0, 30.0, 230.0], rel=2e-3)
    assert after.uncertainties[2, 0] == pytest.approx(math.sqrt(230.0), rel=0.02)
    assert after.uncertainties[0, 0] > 5 * after.uncertainties[2, 0]
    before = fitting.yields(
        model, np.array(model.config.suggested_init()), likelihood.prefit_covariance(model)
    )
    assert before.total_uncertainties[0, 0] == pytest.approx(200 * math.log(1.5), rel=0.05)
    assert before.uncertainties[1, 0] == 0.0


def test_cabinetry_reads_the_workspace_and_agrees():
    import cabinetry

    specification = _specification(
        [5.0, 30.0, 40.0],
        [100.0, 60.0, 40.0],
        [110.0, 85.0, 83.0],
        modifiers=[
            hf.lumi(),
            hf.log_normal("normalisation", 0.1),
            hf.histosys("scale", np.array([95.0, 62.0, 43.0]), np.array([105.0, 58.0, 37.0])),
            hf.staterror("simulation", hf.Template(np.ones(3), np.array([25.0, 16.0, 9.0]))),
        ],
    )
    theirs_model, theirs_data = cabinetry.model_utils.model_and_data(specification)
    theirs = cabinetry.fit.fit(theirs_model, theirs_data, goodness_of_fit=True)
    model, data = likelihood.load_model(specification)
    ours = fitting.fit(model, data)
    assert list(ours.names) == theirs.labels
    assert np.abs(ours.values - theirs.bestfit) / theirs.uncertainty == pytest.approx(0, abs=0.01)
    assert ours.uncertainties == pytest.approx(theirs.uncertainty, rel=0.01)
    assert ours.correlation == pytest.approx(theirs.corr_mat, abs=0.02)
    quality = fitting.goodness_of_fit(model, data, ours)
    assert quality.p_value == pytest.approx(theirs.goodness_of_fit, abs=1e-3)
    significance = cabinetry.fit.significance(theirs_model, theirs_data)
    assert fitting.discovery(model, data, ours).significance == pytest.approx(
        significance.observed_significance, abs=0.01
    )


def test_fits_are_deterministic():
    model, data = _rich()
    first, second = fitting.fit(model, data), fitting.fit(model, data)
    assert np.array_equal(first.values, second.values)
    assert np.array_equal(first.covariance, second.covariance)


def test_an_estimate_at_its_limit_is_reported():
    specification = _specification([1.0, 1.0], [10.0, 10.0], [100.0, 100.0])
    model, data = likelihood.load_model(specification)
    assert fitting.fit(model, data).at_limit == ("mu",)


def test_a_broken_workspace_is_an_input_error():
    specification = _specification([10.0], [50.0], [70.0])
    del specification["channels"][0]["samples"][0]["data"]
    with pytest.raises(InputError, match="not a valid workspace"):
        likelihood.load_model(specification)


def test_drawn_data_with_a_negative_expectation_are_refused():
    model, _ = _model([10.0], [50.0], [60.0])
    with pytest.raises(InputError, match="signal strength of -6"):
        likelihood.draw_data(model, -6.0, stream(1, "test"))
