"""PUPPI against a plain implementation of its formulas, and where the formulas say nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from fullchain.pileup.association import LEADING, PILEUP, UNKNOWN
from fullchain.pileup.classical_settings import CMS_PUPPI, PuppiSettings
from fullchain.pileup.puppi import _chi_squared_quantile, puppi_weights

CLASSIC = {
    "metric": "pt_over_dr",
    "protected_pt": 0.0,
    "regions": [
        {"abs_eta_min": 0, "abs_eta_max": 2.5, "neighbours": "charged",
         "neutral_pt": 0.1, "neutral_pt_slope": 0.01},
        {"abs_eta_min": 2.5, "abs_eta_max": 5, "neighbours": "all",
         "neutral_pt": 0.5, "neutral_pt_slope": 0.02, "median_factor": 0.9, "rms_factor": 1.2},
    ],
}  # fmt: skip


def event(rng, leading=40, pileup=300, neutral=300):
    n = leading + pileup + neutral
    origin = np.repeat([LEADING, PILEUP, UNKNOWN], [leading, pileup, neutral]).astype(np.int8)
    eta = np.where(origin == UNKNOWN, rng.uniform(-4.9, 4.9, n), rng.uniform(-2.4, 2.4, n))
    eta[:leading] = rng.normal(0, 0.3, leading)
    return rng.exponential(2.0, n) + 0.1, eta, rng.uniform(-np.pi, np.pi, n), origin


def plain(pt, eta, phi, origin, vertices, chosen):
    """The formulas, candidate by candidate."""
    d_phi = (phi[:, None] - phi + np.pi) % (2 * np.pi) - np.pi
    distance = np.hypot(eta[:, None] - eta, d_phi)
    ring = (distance < chosen.cone) & (distance > chosen.inner_cone)
    share = np.where(ring, pt / np.where(ring, distance, 1), 0)
    share = share**2 if chosen.metric == "pt_over_dr_squared" else share
    weight = np.zeros(len(pt))
    for region in chosen.regions:
        sources = origin == LEADING if region.neighbours == "charged" else np.ones(len(pt), bool)
        total = share[:, sources].sum(axis=1)
        with np.errstate(divide="ignore"):
            alpha = np.log(total)
        of_pileup = (origin == PILEUP) & (np.abs(eta) < chosen.median_abs_eta_max)
        known = np.sort(alpha[of_pileup & (total > 0) & (pt >= region.rms_pt_min)])
        median = known[len(known) // 2]
        spread = np.sqrt(np.mean((known[known <= median] - median) ** 2)) * region.rms_factor
        median *= region.median_factor
        significance = (alpha - median) * np.abs(alpha - median) / spread**2
        w = chi2.cdf(significance, 1)
        w[w * pt < region.neutral_pt + region.neutral_pt_slope * vertices] = 0
        w[w < chosen.weight_cut] = 0
        inside = (np.abs(eta) >= region.abs_eta_min) & (np.abs(eta) < region.abs_eta_max)
        weight[inside] = w[inside]
    weight[origin == LEADING], weight[origin == PILEUP] = 1, 0
    return weight


@pytest.mark.parametrize("metric", ["pt_over_dr", "pt_over_dr_squared"])
@pytest.mark.parametrize("seed", range(3))
def test_weights_are_those_of_the_formulas(metric, seed):
    chosen = PuppiSettings.model_validate(CLASSIC | {"metric": metric})
    rng = np.random.default_rng(seed)
    events = [event(rng), event(rng, leading=15)]
    joined = [np.concatenate(columns) for columns in zip(*events, strict=True)]
    offsets = np.cumsum([0] + [len(e[0]) for e in events])
    found = puppi_weights(*joined, offsets, np.array([20, 30]), chosen)
    expected = [plain(*e, n, chosen) for e, n in zip(events, (20, 30), strict=True)]
    assert found == pytest.approx(np.concatenate(expected), abs=1e-9)
    fractions = found[(found > 0) & (found < 1)]
    assert len(fractions) > 10


def weigh(pt, eta, phi, origin, chosen=None, vertices=1):
    columns = [np.asarray(x, float) for x in (pt, eta, phi)]
    offsets = np.array([0, len(columns[0])])
    return puppi_weights(
        *columns, np.asarray(origin), offsets, np.array([vertices]), chosen or PuppiSettings()
    )


def test_without_tracks_of_pileup_everything_above_the_cut_is_kept():
    pt, eta, phi, origin = event(np.random.default_rng(1), pileup=0)
    found = weigh(pt, eta, phi, origin, PuppiSettings.model_validate(CLASSIC))
    cut = np.where(np.abs(eta) < 2.5, 0.11, 0.52)
    assert list(found) == [float(o == LEADING or p >= c) for o, p, c in zip(origin, pt, cut, strict=True)]  # fmt: skip # noqa: E501


def test_without_leading_vertex_alpha_is_that_of_all_candidates():
    rng = np.random.default_rng(2)
    pt, eta, phi, origin = event(rng, leading=0)
    chosen = PuppiSettings.model_validate(CLASSIC)
    both = [{**region, "neighbours": "all"} for region in CLASSIC["regions"]]
    everywhere = PuppiSettings.model_validate(CLASSIC | {"regions": both})
    found = weigh(pt, eta, phi, origin, chosen)
    assert np.any(found > 0)
    assert found == pytest.approx(plain(pt, eta, phi, origin, 1, everywhere), abs=1e-9)


def test_candidates_beyond_all_regions_or_without_numbers_have_no_weight():
    pt, eta, phi, origin = event(np.random.default_rng(3), neutral=20)
    before = weigh(pt, eta, phi, origin)
    pt[-1], eta[-2], phi[-3], eta[-4], pt[-5] = np.nan, np.inf, np.nan, 20000.0, np.inf
    found = weigh(pt, eta, phi, origin)
    assert not found[-5:].any()
    # what is left out changes no other weight by much: it was a neighbour in the forward regions
    central = np.abs(eta[:-5]) < 2.5
    assert found[:-5][central] == pytest.approx(before[:-5][central])


def test_empty_events_pass():
    offsets, nothing = np.zeros(3, int), np.zeros(0)
    assert len(puppi_weights(*[nothing] * 4, offsets, np.ones(2), PuppiSettings())) == 0


def test_hard_neutral_candidates_have_a_floor():
    pt, eta, phi, origin = event(np.random.default_rng(5))
    far = PuppiSettings(protected_pt_start=20, protected_pt=200)
    pt = np.append(pt, [110.0, 500.0, 15.0])
    eta, phi = np.append(eta, [-2.4, -2.4, -2.4]), np.append(phi, [0.0, 1.5, 3.0])
    origin = np.append(origin, [UNKNOWN] * 3)
    without = weigh(pt, eta, phi, origin, far.model_copy(update={"protected_pt": 0.0}))
    found = weigh(pt, eta, phi, origin, far)
    assert without[-3] == 0
    assert list(found[-3:]) == [0.5, 1.0, without[-1]]


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(0, 3), st.integers(0, 3))
def test_weights_are_always_numbers_from_0_to_1(seed, like_cms, leading, pileup):
    rng = np.random.default_rng(seed)
    pt, eta, phi, origin = event(rng, leading, pileup, rng.integers(0, 30))
    eta *= rng.choice([0.01, 1.0, 3.0])
    found = weigh(pt, eta, phi, origin, CMS_PUPPI if like_cms else None, rng.integers(0, 100))
    assert np.all((found >= 0) & (found <= 1))
    assert np.all(found[(origin == PILEUP)] == 0)


@pytest.mark.parametrize("share", [0.0, 1e-4, 0.3, 0.9, 0.999])
def test_quantile_is_that_of_chi_squared(share):
    assert _chi_squared_quantile(share) == pytest.approx(chi2.ppf(share, 1), rel=1e-6)


def test_settings_that_make_no_sense_are_refused():
    region = CLASSIC["regions"][0]
    for wrong in (
        {"cone": 0.2, "inner_cone": 0.3},
        {"protected_pt": 10.0, "protected_pt_start": 20.0},
        {"regions": [region, region | {"abs_eta_min": 2.0, "abs_eta_max": 3.0}]},
        {"regions": [region | {"abs_eta_min": 3.0}]},
    ):
        with pytest.raises(ValueError, match=r"must be|overlap"):
            PuppiSettings.model_validate(wrong)
