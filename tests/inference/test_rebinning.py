"""Bins are merged until the simulation in them says enough."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fullchain.errors import InputError
from fullchain.inference import rebinning
from fullchain.inference.histfactory import Template


def _template(jets, weight):
    jets = np.array(jets, dtype=float)
    return Template(jets * weight, jets * weight**2)


def test_a_bin_without_the_frequent_background_is_not_free_of_it():
    """One simulated QCD jet stands for 20 events: a bin of 2 signal events is not known."""
    signal, background = _template([40, 400, 40], 0.05), _template([0, 36, 16], 20.0)
    starts = rebinning.groups(
        [signal, background], np.arange(4.0), 0.3, "pass", "inference.analyses.search"
    )
    assert starts.tolist() == [0, 2]
    assert rebinning.merged(background, starts).values.tolist() == [720.0, 320.0]
    assert rebinning.merged_edges(np.arange(4.0), starts).tolist() == [0.0, 2.0, 3.0]
    empty = Template(np.array([0.0, 1040.0]), np.array([0.0, 1040.0 * 20]))
    two = Template(np.array([2.0, 24.0]), np.array([0.1, 1.2]))
    assert rebinning.simulation_error([two, empty]) == pytest.approx(np.hypot(20, 0.1**0.5) / 2)


def test_a_rare_background_without_a_jet_does_not_matter():
    signal, rare = _template([400, 400], 0.05), _template([0, 30], 0.01)
    assert rebinning.groups(
        [signal, rare], np.arange(3.0), 0.2, "pass", "inference.analyses.search"
    ).tolist() == [0, 1]


def test_what_is_left_over_joins_the_last_group():
    background = _template([30, 30, 30, 1], 1.0)
    starts = rebinning.groups(
        [background], np.arange(5.0), 0.3, "pass", "inference.analyses.search"
    )
    assert starts.tolist() == [0, 1, 2]


def test_too_little_simulation_is_an_error():
    with pytest.raises(
        InputError, match=r"region pass: in one bin .* error of 50 %.*search.model.lar"
    ):
        rebinning.groups(
            [_template([1, 3], 20.0)], np.arange(3.0), 0.3, "pass", "inference.analyses.search"
        )


@given(
    hnp.arrays(int, (2, 8), elements=st.integers(0, 60)),
    st.floats(0.1, 0.6),
)
def test_merging_conserves_yields_and_keeps_the_limit(jets, limit):
    templates = [_template(jets[0], 0.1), _template(jets[1], 5.0)]
    edges = np.arange(9.0)
    try:
        starts = rebinning.groups(templates, edges, limit, "pass", "inference.analyses.search")
    except InputError:
        whole = [
            Template(np.full(2, t.values.sum()), np.full(2, t.variances.sum())) for t in templates
        ]
        assert rebinning.simulation_error(whole) > limit
        return
    for template in templates:
        merged = rebinning.merged(template, starts)
        assert merged.values.sum() == pytest.approx(template.values.sum())
        assert merged.variances.sum() == pytest.approx(template.variances.sum())
    for index in range(len(starts)):
        asked = [
            Template(
                np.array([rebinning.merged(t, starts).values[index], t.values.sum()]),
                np.array([rebinning.merged(t, starts).variances[index], t.variances.sum()]),
            )
            for t in templates
        ]
        assert rebinning.simulation_error(asked) <= limit
