"""Uncertainty of a part of events: closed forms, coverage."""

import numpy as np
import pytest
from scipy import stats

from fullchain.binomial import ONE_SIGMA, clopper_pearson


def test_intervals_of_clopper_and_pearson():
    tail = 0.5 * (1 - ONE_SIGMA)
    low, high = clopper_pearson(np.array([0.0, 10.0]), 10.0)
    # Closed forms where none or all pass.
    assert low[0] == 0.0
    assert high[0] == pytest.approx(1 - tail ** (1 / 10))
    assert low[1] == pytest.approx(tail ** (1 / 10))
    assert high[1] == 1.0
    assert [float(one) for one in clopper_pearson(0.0, 0.0)] == [0.0, 1.0]
    # It covers at least as often as it says, by a sum over all outcomes.
    for truth in (0.03, 0.3, 0.5):
        counts = np.arange(31)
        low, high = clopper_pearson(counts.astype(float), 30.0)
        covered = stats.binom.pmf(counts, 30, truth)[(low <= truth) & (truth <= high)].sum()
        assert covered >= ONE_SIGMA
