"""Quantile morphing on toys: uniform at each mass, and no jets of one mass change their order."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from fullchain.decorrelation import flow_file
from fullchain.decorrelation.conditions import Conditions
from fullchain.decorrelation.cross_fitting import CrossFitted
from fullchain.decorrelation.flow_file import FittedFlow
from fullchain.decorrelation.marginal import Marginal, chances, logits
from fullchain.decorrelation.method_settings import FlowSettings
from fullchain.decorrelation.quantile_flow import QuantileFlow, fit
from fullchain.errors import InputError

SETTINGS = FlowSettings(layers=(32, 32))

PART = np.arange(5000) % 4 == 0
"""Jets of 5000 that say when to stop."""

EDGES = (50, 65, 80, 95, 115, 150, 300)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def masses(rng: np.random.Generator, jets: int) -> np.ndarray:
    """A falling spectrum between 50 and 300."""
    return 50.0 - 50.0 * np.log(1.0 - rng.random(jets) * (1.0 - np.exp(-5.0)))


def scores_at(mass: np.ndarray, rng: np.random.Generator, shift: float = 0.0) -> np.ndarray:
    """Scores that are highest at a mass of 80, and spread the more the heavier the jet."""
    where = -3.0 + 2.0 * np.exp(-(((mass - 80.0) / 25.0) ** 2)) + shift
    logit = where + (0.7 + 0.003 * mass) * rng.normal(size=len(mass))
    return (1.0 / (1.0 + np.exp(-logit))).astype(np.float32).astype(float)


def toy(seed: int, jets: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores, masses (jets, 1), weights and chances of background jets."""
    rng = np.random.default_rng(seed)
    mass = masses(rng, jets)
    return scores_at(mass, rng), mass[:, None], rng.uniform(0.5, 1.5, jets), rng.random(jets)


@pytest.fixture(scope="module")
def flow() -> QuantileFlow:
    torch.set_num_threads(1)
    return fit(*toy(1, 5000), PART, ["mass"], SETTINGS, seed=3)[0]


def divergence(mass: np.ndarray, passing: np.ndarray) -> float:
    """Jensen-Shannon divergence [bits] of the mass of passing and failing jets."""
    counts = [np.histogram(mass[one], 50, (50, 300))[0] for one in (passing, ~passing)]
    first, second = (one / one.sum() for one in counts)
    middle = 0.5 * (first + second)
    return 0.5 * sum(
        float(np.sum(one[one > 0] * np.log2(one[one > 0] / middle[one > 0])))
        for one in (first, second)
    )


def test_is_uniform_at_each_mass_where_the_score_is_not(flow: QuantileFlow) -> None:
    scores, against, _, chance = toy(2, 30_000)
    quantile = flow.transformed(scores, against, chance)
    mass = against[:, 0]
    before, after = [], []
    for low, high in pairwise(EDGES):
        inside = (mass >= low) & (mass < high)
        before.append(kstest(scores[inside], scores).statistic)
        after.append(kstest(quantile[inside], "uniform").statistic)
    # 3750 jets know a distribution to about 0.05 where a sixth of them or fewer are.
    assert max(before) > 0.25
    assert max(after) < 0.08
    assert np.mean(after) < 0.05
    cuts = [np.quantile(one, 0.9) for one in (scores, quantile)]
    divergences = [
        divergence(mass, one > cut) for one, cut in zip((scores, quantile), cuts, strict=True)
    ]
    assert divergences[0] > 20 * divergences[1]


def test_order_at_one_mass_stays_and_with_it_the_area_under_the_curve(flow: QuantileFlow) -> None:
    rng = np.random.default_rng(5)
    for mass in (50.0, 80.0, 123.0, 299.0):
        here = np.full(2000, mass)
        scores = np.concatenate([scores_at(here, rng), scores_at(here, rng, shift=2.0)])
        against = np.full((4000, 1), mass)
        quantile = flow.transformed(scores, against, np.zeros(4000))
        order = np.argsort(scores, kind="stable")
        steps = np.diff(quantile[order])
        assert (steps >= 0).all()
        assert (steps[np.diff(scores[order]) > 1e-6] > 0).all()
        assert area(quantile) == pytest.approx(area(scores), abs=1e-12)


def area(scores: np.ndarray) -> float:
    half = len(scores) // 2
    return float(np.mean(scores[:half, None] < scores[None, half:]))


def test_steps_of_a_discrete_score_are_spread_and_stay_in_order() -> None:
    scores, against, weight, chance = toy(7, 5000)
    coarse = np.round(scores * 12) / 12
    assert len(np.unique(coarse)) < 13
    fitted, _ = fit(
        coarse, against, weight, chance, np.arange(5000) % 4 == 0, ["m"], SETTINGS, seed=3
    )
    scores, against, _, chance = toy(8, 20_000)
    coarse = np.round(scores * 12) / 12
    quantile = fitted.transformed(coarse, against, chance)
    for low, high in pairwise(EDGES):
        inside = (against[:, 0] >= low) & (against[:, 0] < high)
        assert kstest(quantile[inside], "uniform").statistic < 0.09
    at = np.full((len(coarse), 1), 90.0)
    quantile = fitted.transformed(coarse, at, chance)
    for low, high in pairwise(np.unique(coarse)):
        assert quantile[coarse == low].max() < quantile[coarse == high].min()


def test_two_variables_at_once() -> None:
    rng = np.random.default_rng(3)

    def draw(jets: int) -> tuple[np.ndarray, np.ndarray]:
        against = np.stack([masses(rng, jets), rng.uniform(500, 700, jets)], axis=1)
        logit = 0.01 * against[:, 0] * np.where(against[:, 1] > 600, 1, -1)
        return 1 / (1 + np.exp(-logit - rng.normal(size=jets))), against

    scores, against = draw(6000)
    flow, _ = fit(
        scores,
        against,
        np.ones(6000),
        rng.random(6000),
        np.arange(6000) % 4 == 0,
        ["mass", "pt"],
        SETTINGS,
        seed=1,
    )
    scores, against = draw(20_000)
    quantile = flow.transformed(scores, against, rng.random(20_000))
    for heavy in (False, True):
        for fast in (False, True):
            cell = ((against[:, 0] > 100) == heavy) & ((against[:, 1] > 620) == fast)
            assert kstest(scores[cell], scores).statistic > 0.1
            assert kstest(quantile[cell], "uniform").statistic < 0.07


def test_beyond_the_range_a_jet_counts_as_at_the_edge(flow: QuantileFlow) -> None:
    low, high = flow.conditions.knots[0, [0, -1]]
    against = np.array([[low], [-5.0], [np.nan], [high], [1e6]])
    quantile = flow.transformed(np.full(5, 0.2), against, np.full(5, 0.5))
    # Rows of a product round by their place, so not to the last bit.
    np.testing.assert_allclose(quantile, quantile[[0, 0, 0, 3, 3]], rtol=1e-9)
    assert abs(quantile[0] - quantile[3]) > 0.01


def test_extreme_and_missing_scores(flow: QuantileFlow) -> None:
    scores = np.array([0.0, 1e-30, 1e-6, 1 - 1e-7, 1.0, np.nan])
    quantile = flow.transformed(scores, np.full((6, 1), 80.0), np.full(6, 0.5))
    assert np.isnan(quantile[5]) and (np.diff(quantile[:5]) >= 0).all()
    assert quantile[0] > 0 and quantile[4] < 1
    assert quantile[:5].astype(np.float32).max() < 1
    assert flow.transformed(np.empty(0), np.empty((0, 1)), np.empty(0)).shape == (0,)


def test_weights_count() -> None:
    """Half of the jets, of another distribution, have no weight, some a negative one."""
    scores, against, _, chance = toy(1, 4000)
    other = np.arange(4000) % 2 == 0
    scores[other] = np.sqrt(scores[other])
    weight = np.where(other, np.where(np.arange(4000) % 4 == 0, -1.0, 0.0), 1.0)
    flow, _ = fit(
        scores, against, weight, chance, np.arange(4000) % 3 == 0, ["m"], SETTINGS, seed=3
    )
    scores, against, _, chance = toy(2, 10_000)
    assert kstest(flow.transformed(scores, against, chance), "uniform").statistic < 0.03


def test_repeats_to_the_bit_and_comes_back_from_a_file(tmp_path: Path) -> None:
    short = SETTINGS.model_copy(
        update={"training": SETTINGS.training.model_copy(update={"epochs": 2})}
    )
    jets = (*toy(1, 800), np.arange(800) % 4 == 0, ["mass"], short)
    first, again, other = (fit(*jets, seed=seed)[0] for seed in (1, 1, 2))
    probe = toy(2, 500)
    found = [one.transformed(probe[0], probe[1], probe[3]) for one in (first, again, other)]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()
    path = tmp_path / "flow.pt"
    both = CrossFitted((first, other))
    flow_file.save(path, FittedFlow(both, short, "t", "mean", ("W", "qcd"), ("mass",), 9, ("qcd",)))
    back = flow_file.load(path)
    for fold in range(2):
        folds = np.full(len(probe[0]), fold)
        again = back.flow.transformed(probe[0], probe[1], probe[3], folds)
        np.testing.assert_array_equal(again, found[2 * fold])
    assert (back.tagger, back.member, back.against) == ("t", "mean", ("mass",))
    assert back.samples == ("qcd",)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match="not a flow"):
        flow_file.load(path)


def test_bad_input_is_refused() -> None:
    scores, against, weight, chance = toy(1, 400)
    part = np.arange(400) % 4 == 0

    def refused(match: str, **changes: np.ndarray) -> None:
        given = {"scores": scores, "against": against, "weights": weight, "chance": chance}
        with pytest.raises(InputError, match=match):
            fit(
                **{**given, **changes},  # type: ignore[arg-type]
                validation=changes.pop("validation", part),
                names=["msoftdrop"],
                settings=SETTINGS,
                seed=1,
            )

    refused("msoftdrop is 80 for all", against=np.full((400, 1), 80.0))
    refused(
        "msoftdrop of 1 background", against=np.where(np.arange(400) == 3, np.inf, 80.0)[:, None]
    )
    refused("sum to zero", weights=np.zeros(400))
    refused("100 background jets for the validation", weights=np.where(part, 0.0, 1.0))
    refused("1 of 400 .* no finite score", scores=np.where(np.arange(400) == 3, np.nan, scores))
    refused("same score", scores=np.full(400, 0.3))


def test_ranks_of_the_marginal_are_logistic_and_rise() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.normal(size=3000), np.full(1000, 0.25)])
    marginal = Marginal.measured(values, np.ones(4000))
    ranks = marginal.logistic(values, rng.random(4000))
    assert kstest(ranks, "logistic").statistic < 0.01
    probe = np.sort(np.concatenate([np.linspace(-9, 9, 5001), [np.nextafter(0.25, 1)]]))
    assert (np.diff(marginal.logistic(probe, np.full(len(probe), 0.5))) > 0).all()


def test_the_chance_of_a_jet_is_its_own() -> None:
    event = np.arange(2000, dtype=np.uint64)
    run = np.ones(2000, dtype=np.uint32)
    first, second = (chances(run, run, event, np.full(2000, jet), 5) for jet in (0, 1))
    assert kstest(first, "uniform").pvalue > 1e-3 and kstest(second, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
    shuffled = np.random.default_rng(1).permutation(2000)
    again = chances(run, run, event[shuffled], (shuffled % 2), 5)
    np.testing.assert_array_equal(again, np.where(shuffled % 2, second[shuffled], first[shuffled]))


def test_logits_of_single_precision() -> None:
    found = logits(np.array([0.0, 1e-38, 0.5, 1.0], dtype=np.float32))
    assert np.isfinite(found).all() and (np.diff(found) >= 0).all()


def test_tied_quantiles_of_a_variable_have_one_rank() -> None:
    column = np.concatenate([np.zeros(500), np.linspace(1, 2, 500)])
    context = Conditions.measured(column[:, None], np.ones(1000), ["m"]).context(column[:, None])
    assert len(np.unique(context[:500, 0])) == 1 and (np.diff(context[500:, 0]) >= 0).all()
    assert context.min() >= -1 and context.max() <= 1
