"""Fits of many rows at once against Minuit on pyhf's likelihood, at limits, and where they fail."""

import numpy as np
import pyhf
import pytest
import torch
from iminuit import Minuit

from fullchain.errors import InputError
from fullchain.inference import likelihood, minimise, newton
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.toy_data import draw, draw_main, draw_truth


def _model(extra=(), background=(50.0, 60.0, 70.0), **options):
    """Signal and background with shapes, yields and per-bin factors, and a control region."""
    modifiers = [
        {"name": "n", "type": "normsys", "data": {"hi": 1.2, "lo": 0.85}},
        {
            "name": "h",
            "type": "histosys",
            "data": {"hi_data": [54, 61, 69], "lo_data": [45, 60, 72]},
        },
        {"name": "ss", "type": "shapesys", "data": [4.0, 3.0, 3.0]},
        *extra,
    ]
    channels = [
        {
            "name": "SR",
            "samples": [
                {
                    "name": "sig",
                    "data": [5.0, 16.0, 4.0],
                    "modifiers": [{"name": "mu", "type": "normfactor", "data": None}],
                },
                {"name": "bkg", "data": list(background), "modifiers": modifiers},
            ],
        },
        {
            "name": "CR",
            "samples": [
                {
                    "name": "bkg",
                    "data": [100.0, 200.0],
                    "modifiers": [
                        modifiers[0],
                        {"name": "st", "type": "staterror", "data": [5.0, 8.0]},
                    ],
                }
            ],
        },
    ]
    made = pyhf.Model(
        {"channels": channels},
        poi_name="mu",
        modifier_settings=likelihood.INTERPOLATION,
        clip_bin_data=1e-10,
        **options,
    )
    return made, HistFactory(made)


def _by_minuit(made, model, data, fixed=None):
    def function(point):
        return float(-2.0 * made.logpdf(point, data.numpy())[0])

    start = model.init.numpy().copy()
    for place, value in (fixed or {}).items():
        start[place] = value
    minuit = Minuit(function, start)
    minuit.errordef, minuit.strategy, minuit.tol = 1, 2, 1e-4
    minuit.limits = list(zip(model.lower.tolist(), model.upper.tolist(), strict=True))
    minuit.fixed = [bool(one) or place in (fixed or {}) for place, one in enumerate(model.held)]
    minuit.migrad(ncall=50_000)
    return minuit


def _toys(model, mu, rows, seed=1):
    truth = model.init.clone()
    truth[model.poi] = mu
    return draw(model, truth, rows, np.random.default_rng(seed))


@pytest.mark.parametrize("mu", [0.0, 1.0])
def test_minima_are_those_of_minuit(mu):
    made, model = _model()
    data = _toys(model, mu, 12)
    found = minimise.minimise(model, data).require("toys", model.names)
    assert found.at_limit[:, model.poi].any() == (mu == 0.0)
    assert (found.distance < 1e-8).all()
    for row in range(len(data)):
        minuit = _by_minuit(made, model, data[row])
        assert float(found.twice_nll[row]) < minuit.fval + 1e-6
        assert float(found.twice_nll[row]) == pytest.approx(minuit.fval, abs=1e-4)
        if not found.at_limit[row].any():
            np.testing.assert_allclose(found.values[row], np.array(minuit.values), atol=2e-2)
    torch.testing.assert_close(
        found.twice_nll, -2.0 * model.log_probability(found.values, data), rtol=1e-12, atol=1e-9
    )


def test_a_scan_is_rows_of_one_data_set():
    made, model = _model()
    data = _toys(model, 1.0, 1)[0]
    strengths = torch.tensor([0.0, 0.7, 3.0], dtype=torch.float64)
    found = minimise.minimise(model, data, fixed={model.poi: strengths})
    torch.testing.assert_close(found.values[:, model.poi], strengths)
    for row, mu in enumerate(strengths.tolist()):
        minuit = _by_minuit(made, model, data, {model.poi: mu})
        assert float(found.twice_nll[row]) == pytest.approx(minuit.fval, abs=1e-4)


def test_rows_do_not_depend_on_their_company(monkeypatch):
    _, model = _model()
    data = _toys(model, 0.5, 7)
    together = minimise.minimise(model, data)
    monkeypatch.setattr(minimise, "MEMORY", 1.0)
    alone = minimise.minimise(model, data)
    torch.testing.assert_close(together.values, alone.values, rtol=0, atol=1e-9)


def test_what_does_not_converge_goes_to_minuit(monkeypatch):
    _, model = _model()
    data = _toys(model, 1.0, 3)
    expected = minimise.minimise(model, data)
    monkeypatch.setattr(newton, "STEPS", 1)
    found = minimise.minimise(model, data)
    assert found.converged.all()
    torch.testing.assert_close(found.twice_nll, expected.twice_nll, rtol=0, atol=1e-4)


def test_failures_are_counted_and_diagnosed():
    _, model = _model()
    data = _toys(model, 1.0, 3)
    found = minimise.minimise(model, data)
    found.converged[1], found.at_limit[1, model.poi] = False, True
    with pytest.raises(InputError, match=r"toys: 1 of 3 fits do not converge.*limit: mu"):
        found.require("toys", model.names)


def test_limits_can_be_replaced():
    _, model = _model()
    data = _toys(model, 1.0, 20)
    found = minimise.minimise(model, data, limits={model.poi: (0.9, 1.1)})
    poi = found.values[:, model.poi]
    assert ((poi >= 0.9) & (poi <= 1.1)).all() and found.at_limit[:, model.poi].any()
    with pytest.raises(InputError, match="parameter mu"):
        minimise.minimise(model, data, limits={model.poi: (2.0, 1.0)})


def test_covariance_is_that_of_minuit():
    made, model = _model()
    data = _toys(model, 1.0, 1)
    found = minimise.minimise(model, data)
    matrix = minimise.covariance(model, found.values, data)[0]
    minuit = _by_minuit(made, model, data[0])
    minuit.hesse()
    np.testing.assert_allclose(
        matrix.diagonal().sqrt(), np.array(minuit.errors), rtol=2e-2, atol=1e-9
    )
    held = minimise.covariance(model, found.values, data, fixed=[model.poi])[0]
    assert (held[model.poi] == 0).all() and (held[:, model.poi] == 0).all()
    # Holding a parameter gives the conditional covariance.
    other = model.index("n")
    schur = matrix[other, other] - matrix[other, model.poi] ** 2 / matrix[model.poi, model.poi]
    assert float(held[other, other]) == pytest.approx(float(schur), rel=1e-8)


def test_counting_has_a_closed_form():
    made = pyhf.Model(
        {
            "channels": [
                {
                    "name": "one",
                    "samples": [
                        {
                            "name": "s",
                            "data": [10.0],
                            "modifiers": [{"name": "mu", "type": "normfactor", "data": None}],
                        },
                        {"name": "b", "data": [50.0], "modifiers": []},
                    ],
                }
            ]
        },
        poi_name="mu",
    )
    model = HistFactory(made)
    counts = torch.tensor([[70.0], [50.0], [45.0], [0.0]], dtype=torch.float64)
    found = minimise.minimise(model, counts)
    torch.testing.assert_close(
        found.values[:, 0], torch.tensor([2.0, 0.0, 0.0, 0.0]).double(), atol=1e-6, rtol=0
    )
    assert found.at_limit[:, 0].tolist() == [False, False, True, True] or found.at_limit[1, 0]
    width = minimise.covariance(model, found.values[:1], counts[:1]).sqrt()
    assert float(width) == pytest.approx(np.sqrt(70.0) / 10.0)


def test_parameters_that_are_not_determined_are_named():
    twice = [
        {"name": "a", "type": "normfactor", "data": None},
        {"name": "b", "type": "normfactor", "data": None},
    ]
    _, model = _model(extra=twice)
    data = _toys(model, 1.0, 2)
    found = minimise.minimise(model, data)
    with pytest.raises(InputError, match=r"not positive definite.*do not determine (a, b|b, a)"):
        minimise.covariance(model, found.values, data)
    _, definite = minimise.covariance_where_definite(model, found.values, data)
    assert not definite.any()
    minimise.covariance(model, found.values, data, fixed=[model.index("b")])


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [(1, -3.0, "region CR, bin 1: -3 events"), (3, np.nan, "region SR, bin 1: nan")],
)
def test_data_that_cannot_be_fitted_are_named(place, value, message):
    _, model = _model()
    data = _toys(model, 1.0, 2)
    data[1, place] = value
    with pytest.raises(InputError, match=message):
        minimise.minimise(model, data)
    with pytest.raises(InputError, match="bins and auxiliary data, not 3"):
        minimise.minimise(model, data[:, :3])


def test_numbers_of_rows_must_fit():
    _, model = _model()
    with pytest.raises(InputError, match=r"equal numbers of rows, not \[2, 3\]"):
        minimise.minimise(model, _toys(model, 1.0, 2), start=model.init.expand(3, -1))


def test_the_lowest_of_several_minima_is_kept():
    _, model = _model()
    data = _toys(model, 1.0, 5)
    away = model.init.clone()
    away[model.index("h")] = -4.0
    one = minimise.minimise(model, data, start=away)
    both = minimise.lowest(model, data, [away, model.init])
    assert (both.twice_nll <= one.twice_nll + 1e-9).all() and both.converged.all()


def test_toys_scatter_as_the_model_says():
    _, model = _model()
    random = np.random.default_rng(3)
    truth = model.init.clone()
    truth[model.poi] = 2.0
    rows = 20_000
    drawn = draw(model, truth, rows, random)
    expected = model.expected_data(truth)
    widths = torch.cat([expected[: model.bins].sqrt(), model.auxiliary_scale])
    counted = torch.cat([torch.zeros(model.bins, dtype=torch.bool), model.auxiliary_poisson])
    widths = torch.where(counted, expected.sqrt(), widths)
    assert ((drawn.mean(dim=0) - expected).abs() < 4.5 * widths / rows**0.5).all()
    torch.testing.assert_close(drawn.std(dim=0), widths, rtol=0.03, atol=0)
    truths = draw_truth(model, truth, rows, random)
    place = model.index("n")
    assert abs(float(truths[:, place].mean())) < 0.04
    assert float(truths[:, place].std()) == pytest.approx(1.0, rel=0.03)
    assert (truths[:, model.poi] == 2.0).all()
    gammas = model.index("ss[0]")
    assert float(truths[:, gammas].std()) == pytest.approx(4.0 / 50.0, rel=0.05)
    averaged = draw_main(model, truths, rows, random)
    assert (averaged[:, model.bins :].std(dim=0) == 0).all()
    assert (averaged[:, 0].std() > drawn[:, 0].std()).item()


def test_toys_of_impossible_rates_are_refused():
    _, model = _model()
    truth = model.init.clone()
    truth[model.poi] = 1e18
    with pytest.raises(InputError, match="region SR, bin"):
        draw(model, truth, 3, np.random.default_rng(1))
