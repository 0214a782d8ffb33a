"""The likelihood in torch against pyhf; its derivatives against those of torch."""

import copy

import numpy as np
import pyhf
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from fullchain.errors import InputError
from fullchain.inference import interpolation
from fullchain.inference.differentiable import HistFactory
from fullchain.inference.likelihood_derivatives import Deviance

PARAMETERS = [
    {
        "name": "lumi",
        "auxdata": [1.0],
        "sigmas": [0.02],
        "inits": [1.0],
        "bounds": [[0.5, 1.5]],
    }
]


def model_of(channels, **options):
    """A pyhf model with the POI mu."""
    specification = {"channels": channels, "parameters": copy.deepcopy(PARAMETERS)}
    return pyhf.Model(specification, poi_name="mu", **options)


def codes(histosys, normsys):
    return {
        "modifier_settings": {
            "histosys": {"interpcode": histosys},
            "normsys": {"interpcode": normsys},
        }
    }


def by_hand():
    """Two channels with every kind of modifier; `h` and `n` act on shapes and on yields."""
    signal = [
        {"name": "mu", "type": "normfactor", "data": None},
        {"name": "lumi", "type": "lumi", "data": None},
        {"name": "st", "type": "staterror", "data": [1.0, 0.5, 0.2]},
        {"name": "h", "type": "histosys", "data": {"hi_data": [6, 7, 8], "lo_data": [4.5, 5, 7]}},
    ]
    background = [
        {"name": "n", "type": "normsys", "data": {"hi": 1.3, "lo": 0.9}},
        {"name": "st", "type": "staterror", "data": [3.0, 0.5, 4.0]},
        {"name": "ss", "type": "shapesys", "data": [5.0, 3.0, 2.0]},
        {"name": "sf", "type": "shapefactor", "data": None},
    ]
    control = [
        {"name": "n", "type": "normsys", "data": {"hi": 1.2, "lo": 0.7}},
        {
            "name": "n",
            "type": "histosys",
            "data": {"hi_data": [110, 220, 60], "lo_data": [95, 190, 75]},
        },
        {"name": "h", "type": "normsys", "data": {"hi": 1.2, "lo": 0.7}},
        {"name": "sf", "type": "shapefactor", "data": None},
        {"name": "lumi", "type": "lumi", "data": None},
    ]
    return [
        {
            "name": "SR",
            "samples": [
                {"name": "sig", "data": [5.0, 6.0, 7.0], "modifiers": signal},
                {"name": "bkg", "data": [50.0, 60.0, 70.0], "modifiers": background},
            ],
        },
        {
            "name": "CR",
            "samples": [{"name": "bkg", "data": [100.0, 200.0, 70.0], "modifiers": control}],
        },
    ]


def points(model, count, random, spread=1.5):
    """Parameters about the initial ones, wide for interpolated ones, some with a POI of zero."""
    lower, upper = np.transpose(model.config.suggested_bounds())
    scalar = np.array(model.config.suggested_init()) == 0
    width = np.where(scalar, spread, 0.1)
    found = np.array(model.config.suggested_init()) + width * random.normal(
        size=(count, len(lower))
    )
    found[::3, model.config.poi_index] = 0.0
    return np.clip(found, np.maximum(lower, -4.0), upper)


def equal_to_pyhf(model, random, count=5):
    ours = HistFactory(model)
    assert ours.names == tuple(model.config.par_names)
    parameters = points(model, count, random)
    data = np.concatenate([random.integers(0, 150, ours.bins).astype(float), model.config.auxdata])
    together = ours.log_probability(torch.tensor(parameters), torch.tensor(data))
    deviance = Deviance(ours)
    many = torch.tensor(data).expand(count, -1)
    assert torch.isfinite(together).all()
    torch.testing.assert_close(
        deviance.value(torch.tensor(parameters), many) + deviance.offset(many),
        -2.0 * together,
        rtol=1e-11,
        atol=1e-9,
    )
    for row, point in enumerate(parameters):
        expected = np.asarray(model.expected_data(point))
        np.testing.assert_allclose(
            ours.expected_data(torch.tensor(point)), expected, rtol=1e-12, atol=1e-12
        )
        by_sample = model.main_model.expected_data(point, return_by_sample=True)
        np.testing.assert_allclose(
            ours.expected_by_sample(torch.tensor(point)), by_sample, rtol=1e-12, atol=1e-12
        )
        np.testing.assert_allclose(float(together[row]), model.logpdf(point, data)[0], rtol=1e-11)


def derivatives_are_right(model, random, count=4):
    """Closed forms against automatic differentiation."""
    ours = HistFactory(model)
    parameters = torch.tensor(points(model, count, random))
    main = torch.tensor(random.integers(0, 150, (count, ours.bins)).astype(float))
    data = torch.cat([main, ours.expected_auxiliary(parameters.flip(0))], dim=1)
    found = Deviance(ours).point(parameters, data)

    def function(point, of_data):
        return -2.0 * ours.log_probability(point, of_data)

    gradient = torch.func.vmap(torch.func.grad(function))(parameters, data)
    hessian = torch.func.vmap(torch.func.hessian(function))(parameters, data)
    torch.testing.assert_close(
        found.gradient, gradient, rtol=1e-9, atol=1e-10 * float(gradient.abs().max())
    )
    torch.testing.assert_close(
        found.hessian, hessian, rtol=1e-9, atol=1e-10 * float(hessian.abs().max())
    )
    return ours, parameters, data, found


@pytest.mark.parametrize("normsys", ["code1", "code4"])
@pytest.mark.parametrize("histosys", ["code0", "code4p"])
@pytest.mark.parametrize(
    "clip", [{}, {"clip_bin_data": 60.0}, {"clip_sample_data": 6.0}, {"clip_bin_data": 1e-10}]
)
def test_every_modifier_equals_pyhf(histosys, normsys, clip):
    model = model_of(by_hand(), **codes(histosys, normsys), **clip)
    equal_to_pyhf(model, np.random.default_rng(1), count=60)
    derivatives_are_right(model, np.random.default_rng(2), count=20)


def test_derivatives_are_those_of_finite_differences():
    model = model_of(by_hand(), **codes("code4p", "code4"))
    ours, parameters, data, found = derivatives_are_right(model, np.random.default_rng(3))
    deviance, step = Deviance(ours), 1e-5
    for place in range(len(ours.names)):
        away = torch.zeros_like(parameters)
        away[:, place] = step
        above = deviance.point(parameters + away, data)
        below = deviance.point(parameters - away, data)
        slope = (above.value - below.value) / (2 * step)
        torch.testing.assert_close(slope, found.gradient[:, place], rtol=1e-5, atol=1e-3)
        rows = (above.gradient - below.gradient) / (2 * step)
        torch.testing.assert_close(rows, found.hessian[:, place], rtol=1e-4, atol=1e-2)


def test_the_expected_hessian_is_the_mean_over_data():
    model = model_of(by_hand(), **codes("code4p", "code4"))
    ours = HistFactory(model)
    truth = ours.init[None]
    at_truth = ours.expected_data(truth)
    deviance = Deviance(ours)
    exact, expected = (deviance.point(truth, at_truth, expected=one) for one in (False, True))
    torch.testing.assert_close(exact.hessian, expected.hessian)
    torch.testing.assert_close(exact.gradient, torch.zeros_like(exact.gradient), atol=1e-9, rtol=0)


def numbers(low, high, bins):
    return st.lists(st.floats(low, high), min_size=bins, max_size=bins)


def counts(bins):
    return st.lists(st.integers(0, 160), min_size=bins, max_size=bins)


@st.composite
def workspaces(draw):
    """Channels, each with a signal, an unmodified rest and a background with any modifiers."""
    channels = []
    for number in range(draw(st.integers(1, 3))):
        bins = draw(st.integers(1, 4))
        samples = [{"name": "rest", "data": draw(numbers(1, 50, bins)), "modifiers": []}]
        for name in ("signal", "background"):
            contents = [0.5 * one for one in draw(counts(bins))]
            kinds = ("n1", "n2", "h1", "h2", "both", "lumi", "st", "ss", "sf", "free")
            chosen = draw(st.sets(st.sampled_from(kinds)))
            modifiers = [{"name": "mu", "type": "normfactor", "data": None}]
            modifiers = modifiers if name == "signal" else []
            for kind in sorted(chosen):
                modifiers += draw(modifier(kind, f"{name}{number}", number, contents))
            samples.append({"name": name, "data": contents, "modifiers": modifiers})
        channels.append({"name": f"channel{number}", "samples": samples})
    return channels


@st.composite
def modifier(draw, kind, where, channel, contents):
    bins = len(contents)
    if kind in ("n1", "n2", "both"):
        factor = st.floats(0.7, 1.4)
        found = [
            {"name": kind, "type": "normsys", "data": {"hi": draw(factor), "lo": draw(factor)}}
        ]
        return found if kind != "both" else found + draw(modifier("h3", where, channel, contents))
    if kind in ("h1", "h2", "h3"):
        varied = [
            [c * f for c, f in zip(contents, draw(numbers(0.85, 1.15, bins)), strict=True)]
            for _ in range(2)
        ]
        name = "both" if kind == "h3" else kind
        data = {"hi_data": varied[0], "lo_data": varied[1]}
        return [{"name": name, "type": "histosys", "data": data}]
    if kind == "lumi":
        return [{"name": "lumi", "type": "lumi", "data": None}]
    if kind == "st":
        data = draw(numbers(0.1, 5.0, bins))
        return [{"name": f"st{channel}", "type": "staterror", "data": data}]
    if kind == "ss":
        data = draw(numbers(0.1, 5.0, bins))
        return [{"name": f"ss_{where}", "type": "shapesys", "data": data}]
    if kind == "sf":
        return [{"name": f"sf{channel}", "type": "shapefactor", "data": None}]
    return [{"name": "free", "type": "normfactor", "data": None}]


# Without the phase that makes a counterexample smaller, which takes minutes.
@settings(max_examples=40, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(
    workspaces(),
    st.sampled_from(["code0", "code4p"]),
    st.sampled_from(["code1", "code4"]),
    st.sampled_from([{}, {"clip_bin_data": 5.0}, {"clip_sample_data": 1.0}]),
    st.integers(0, 1000),
)
def test_random_workspaces_equal_pyhf(channels, histosys, normsys, clip, seed):
    model = model_of(channels, **codes(histosys, normsys), **clip)
    equal_to_pyhf(model, np.random.default_rng(seed))
    derivatives_are_right(model, np.random.default_rng(seed))


@pytest.mark.parametrize("code", ["code0", "code4p"])
def test_weights_of_changes_are_the_change(code):
    parameter = torch.linspace(-2.5, 2.5, 41).double()
    up, down = interpolation.change_weights(code, parameter)
    a, b = torch.tensor(3.0).double(), torch.tensor(-1.0).double()
    expected = interpolation.change(code, parameter, a, b)
    torch.testing.assert_close(up.value * a + down.value * b, expected)


def test_an_unknown_interpolation_is_named():
    with pytest.raises(InputError, match="code2"):
        HistFactory(model_of(by_hand(), **codes("code2", "code4")))


def test_a_shapefactor_of_more_bins_is_named():
    channels = by_hand()
    channels[0]["samples"][1]["data"] += [10.0]
    channels[0]["samples"][0]["data"] += [1.0]
    for sample in channels[0]["samples"]:
        sample["modifiers"] = [m for m in sample["modifiers"] if m["type"] != "staterror"]
        sample["modifiers"] = [m for m in sample["modifiers"] if m["type"] != "histosys"]
        sample["modifiers"] = [m for m in sample["modifiers"] if m["type"] != "shapesys"]
    try:
        model = model_of(channels)
    except (pyhf.exceptions.InvalidModel, ValueError):
        pytest.skip("this pyhf refuses it itself")
    with pytest.raises(InputError, match="channel SR, modifier sf"):
        HistFactory(model)


@pytest.mark.parametrize(
    ("high", "low", "message"),
    [(1.2, 0.0, "not both positive"), (-0.5, 0.7, "not both positive"), (40.0, 0.4, "below zero")],
)
def test_yields_that_become_negative_are_named(high, low, message):
    channels = by_hand()
    channels[1]["samples"][0]["modifiers"][0]["data"] = {"hi": high, "lo": low}
    with pytest.raises(InputError, match=f"CR, sample bkg, modifier n.*{message}"):
        HistFactory(model_of(channels, **codes("code4p", "code4")))
