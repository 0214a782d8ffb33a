"""Bins of the observables."""

import numpy as np
import pytest

from fullchain.unfolding.binning import edges_of
from fullchain.unfolding.observable_settings import ObservableSettings


def observable(**changes):
    return ObservableSettings.model_validate({"label": "x", "low": 0.0, "high": 80.0} | changes)


def test_metric_bins_are_equal():
    np.testing.assert_allclose(edges_of(observable(), "metric"), np.linspace(0, 80, 51))


def test_published_bins_are_those_given():
    found = edges_of(observable(edges=(0.0, 1.0, 5.0)), "published")
    assert found.tolist() == [0.0, 1.0, 5.0]
    assert len(edges_of(observable(edges=(0.0, 1.0, 5.0)), "metric")) == 51


@pytest.mark.parametrize(("bins", "number"), [(80, 20), (50, 12), (40, 10), (16, 10), (6, 6)])
def test_published_bins_are_merged_of_equal_ones(bins, number):
    one = observable(bins=bins)
    found = edges_of(one, "published")
    assert len(found) == number + 1
    assert set(found) <= set(edges_of(one, "metric"))
    assert (found[0], found[-1]) == (0.0, 80.0)
    widths = np.round(np.diff(found) / (80.0 / bins)).astype(int)
    assert widths.max() - widths.min() <= 1


def test_another_binning_is_refused():
    with pytest.raises(ValueError, match="not 'other'"):
        edges_of(observable(), "other")
