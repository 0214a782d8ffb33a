"""Impacts by refit, by covariance and of groups, against cabinetry and closed forms."""

import math

import numpy as np
import pytest

from fullchain.inference import fitting, grouped_impacts, parameter_impacts
from fullchain.inference import histfactory as hf
from fullchain.inference.grouped_impacts import STATISTICAL


def _members(model, specification):
    kinds = grouped_impacts.modifier_kinds(specification["channels"])
    return grouped_impacts.groups(model, None, kinds)


def test_covariance_and_refits_agree_where_the_likelihood_is_gaussian(small):
    """With many events the log-likelihood is a parabola: equal within 5 % of the largest."""
    model, _ = small.rich(scale=1000.0)
    data = small.asimov(model, 1.0)
    best = fitting.fit(model, data)
    quick = parameter_impacts.by_covariance(model, best)
    slow = parameter_impacts.by_refit(model, data, best)
    assert set(quick) == set(slow) == set(parameter_impacts.nuisances(model))
    largest = max(abs(one.up) for one in slow.values())
    for index, one in slow.items():
        assert one.up == pytest.approx(quick[index].up, abs=0.05 * largest), model.names[index]
        assert one.down == pytest.approx(quick[index].down, abs=0.05 * largest)
    assert largest > 0.1 * best.uncertainties[model.poi]


def test_refits_are_the_ranking_of_cabinetry(small):
    import cabinetry

    specification = small.rich_specification()
    theirs_model, theirs_data = cabinetry.model_utils.model_and_data(specification)
    # To its default precision of some per cent of a standard deviation shifts would differ by that.
    theirs = cabinetry.fit.ranking(theirs_model, theirs_data, strategy=2, tolerance=1e-4)
    model, data = small.of(specification)
    best = fitting.fit(model, data)
    width = best.uncertainties[model.poi]
    found = parameter_impacts.by_refit(model, data, best)
    assert [model.names[one] for one in found] == list(theirs.labels)
    for row, one in enumerate(found.values()):
        expected = (
            theirs.postfit_up[row],
            theirs.postfit_down[row],
            theirs.prefit_up[row],
            theirs.prefit_down[row],
        )
        ours = (one.up, one.down, one.prefit_up, one.prefit_down)
        # cabinetry's uncertainties, which the parameters are moved by, are good to some per mille.
        assert ours == pytest.approx(expected, abs=5e-3 * width)


def test_a_free_parameter_has_no_impact_before_the_fit(small):
    free = [{"name": "free", "type": "normfactor", "data": None}]
    model, data = small.model([10.0, 1.0], [50.0, 50.0], [60.0, 55.0], modifiers=free)
    best = fitting.fit(model, data)
    (refit,) = parameter_impacts.by_refit(model, data, best).values()
    (quick,) = parameter_impacts.by_covariance(model, best).values()
    for one in (refit, quick):
        assert one.prefit_up is None
        assert one.prefit_down is None
        assert one.up < 0 < one.down


def test_moves_beyond_a_limit_stop_there(small):
    """A constraint so weak that one standard deviation down lies below the range."""
    side = [{"name": "side", "type": "shapesys", "data": [60.0]}]
    model, data = small.model([10.0], [50.0], [60.0], modifiers=side)
    best = fitting.fit(model, data)
    (impact,) = parameter_impacts.by_refit(model, data, best).values()
    assert all(np.isfinite([impact.up, impact.down, impact.prefit_up, impact.prefit_down]))
    # Without background all events are signal.
    assert best.values[model.poi] + impact.prefit_down == pytest.approx(6.0, abs=1e-3)


def test_groups_of_uncorrelated_parameters_add_in_quadrature(small):
    """Two normalisations of one count: the impact of each is its own error over the signal."""
    modifiers = [hf.log_normal("one", 0.01), hf.log_normal("other", 0.02)]
    s, b = 1e4, 1e5
    specification = small.specification([s], [b], [s + b], modifiers=modifiers)
    model, data = small.of(specification)
    best = fitting.fit(model, data)
    members = grouped_impacts.groups(model, {"one": "theory", "other": "detector"}, {})
    assert list(members) == ["theory", "detector"]
    found = grouped_impacts.by_covariance(model, best, members)
    total, refitted = grouped_impacts.by_refit(model, data, best, members)
    expected = {
        STATISTICAL: math.sqrt(s + b) / s,
        "theory": b * math.log(1.01) / s,
        "detector": b * math.log(1.02) / s,
    }
    for group, width in expected.items():
        assert found[group]["up"] == pytest.approx(width, rel=1e-3)
        assert refitted[group]["up"] == pytest.approx(width, rel=0.02)
        assert refitted[group]["down"] == pytest.approx(-width, rel=0.02)
    together = math.sqrt(sum(one**2 for one in expected.values()))
    assert best.uncertainties[model.poi] == pytest.approx(together, rel=1e-3)
    assert total["up"] == pytest.approx(together, rel=0.02)


def test_components_add_up_where_impacts_do_not(small):
    """Groups that the data correlate: the quadrature sum fails, that of components does not."""
    background = np.array([1000.0, 1000.0])
    modifiers = [
        hf.log_normal("norm", 0.2),
        hf.histosys("slope", background * [1.2, 1.22], background * [0.8, 0.78]),
    ]
    specification = small.specification([0.0, 300.0], background, [0, 0], modifiers=modifiers)
    model, _ = small.of(specification)
    data = small.asimov(model, 1.0)
    best = fitting.fit(model, data)
    members = grouped_impacts.groups(model, {"norm": "theory", "slope": "detector"}, {})
    total = best.uncertainties[model.poi]
    impacts = grouped_impacts.by_covariance(model, best, members)
    parts = grouped_impacts.components(model, best, members)
    assert math.sqrt(sum(one**2 for one in parts.values())) == pytest.approx(total, rel=1e-6)
    assert abs(math.sqrt(sum(one["up"] ** 2 for one in impacts.values())) / total - 1) > 0.05


def test_components_of_counted_constraints_add_up(small):
    side = [{"name": "side", "type": "shapesys", "data": [10.0, 5.0]}, hf.log_normal("norm", 0.1)]
    specification = small.specification([10.0, 5.0], [50.0, 60.0], [60.0, 65.0], modifiers=side)
    model, _ = small.of(specification)
    data = small.asimov(model, 1.0)
    best = fitting.fit(model, data)
    parts = grouped_impacts.components(model, best, _members(model, specification))
    assert set(parts) == {STATISTICAL, "shapesys", "normsys"}
    together = math.sqrt(sum(one**2 for one in parts.values()))
    assert together == pytest.approx(best.uncertainties[model.poi], rel=1e-6)


def test_components_are_shifts_with_the_measurements(small):
    """Fit again with an auxiliary measurement, and a bin, moved a little."""
    specification = small.rich_specification()
    model, _ = small.of(specification)
    data = small.asimov(model, 1.0)
    best = fitting.fit(model, data)
    members = grouped_impacts.groups(model, {"normalisation": "theory"}, {})
    parts = grouped_impacts.components(model, best, members)
    moved = data.copy()
    parameters = model.auxiliary_parameter.tolist()
    moved[model.bins + parameters.index(model.index("normalisation"))] += 1e-3
    shift = fitting.fit(model, moved).values[model.poi] - best.values[model.poi]
    assert parts["theory"] == pytest.approx(abs(shift) / 1e-3, rel=1e-3)
    shifts = []
    for position in range(model.bins):
        moved = data.copy()
        moved[position] += 1e-3
        slope = (fitting.fit(model, moved).values[model.poi] - best.values[model.poi]) / 1e-3
        shifts.append(slope * math.sqrt(data[position]))
    assert parts[STATISTICAL] == pytest.approx(np.linalg.norm(shifts), rel=1e-3)


def test_groups_by_default_are_kinds_and_simulation(small):
    specification = small.rich_specification()
    model, _ = small.of(specification)
    members = _members(model, specification)
    names = {group: [model.names[one] for one in found] for group, found in members.items()}
    assert names == {
        "luminosity": ["lumi"],
        "normsys": ["normalisation"],
        "histosys": ["scale"],
        "MC statistics": [f"simulation[{one}]" for one in range(3)],
    }


def test_groups_may_be_named_for_one_or_all_bins(small):
    given = {"simulation": "MC statistics", "simulation[1]": "other bin", "scale": "detector"}
    model, _ = small.rich()
    members = grouped_impacts.groups(model, given, {"lumi": "lumi"})
    assert members["MC statistics"] == (model.index("simulation[0]"), model.index("simulation[2]"))
    assert members["other bin"] == (model.index("simulation[1]"),)
    assert members["luminosity"] == (model.index("lumi"),)
    assert members["other"] == (model.index("normalisation"),)


def test_statistical_part_of_a_count(small):
    model, data = small.model([30.0], [200.0], [250.0], modifiers=[hf.log_normal("norm", 0.2)])
    best = fitting.fit(model, data)
    found = grouped_impacts.by_covariance(model, best, {})
    assert found[STATISTICAL]["up"] == pytest.approx(math.sqrt(250.0) / 30.0, rel=1e-6)
