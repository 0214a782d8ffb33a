"""Summaries of a case with known answer: Gaussians, one of which a nuisance parameter shifts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fullchain.inference import summary_evaluation as evaluation
from fullchain.inference.summaries_settings import SummariesSettings, SummaryTraining
from fullchain.inference.summarise import Evaluator, _binned_network
from fullchain.inference.summary_events import Events, read_events, write_events
from fullchain.inference.summary_nuisances import Nuisance
from fullchain.inference.summary_rows import base_features, rows
from fullchain.inference.summary_training import quantile_edges, train

SIGNAL, BACKGROUND = 50.0, 1000.0
CENTRE = (2.0, 1.0)
WIDTH = 0.5
"""The background's first coordinate moves by this for one standard deviation."""

SHIFT = Nuisance("scale", "detector", "shift", ("background",), "scale")
CHOICES = evaluation.Choices(
    "mu", (-10.0, 10.0), frozenset({"signal"}), (0.0, 0.0), 0.01, 0.4, True
)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def toy(events=20_000, seed=1):
    """Signal at the origin, background beside it; the better coordinate is the uncertain one."""
    chance = np.random.default_rng(seed)
    is_signal = np.arange(events) < events // 2
    values = chance.normal(size=(events, 2)) + np.where(is_signal[:, None], 0.0, CENTRE)
    moved = np.where(is_signal, 0.0, WIDTH)[:, None] * np.array([1.0, 0.0])
    weight = np.where(is_signal, SIGNAL, BACKGROUND) / (events // 2)
    everywhere = np.ones(events, dtype=bool)
    features = {"nominal": values, "scale_up": values + moved, "scale_down": values - moved}
    return Events(
        np.where(is_signal, "signal", "background"),
        np.full(events, ""),
        chance.choice(["train", "validation", "test"], size=events, p=[0.5, 0.15, 0.35]),
        weight,
        {},
        dict.fromkeys(features, everywhere),
        {name: one.astype(np.float32) for name, one in features.items()},
        {},
    )


def bound():
    """Expected uncertainty of the unbinned likelihood, by integration."""
    x, y = np.meshgrid(np.linspace(-6, 10, 400), np.linspace(-6, 8, 300), indexing="ij")
    area = (16 / 399) * (14 / 299)
    signal = SIGNAL * np.exp(-0.5 * (x**2 + y**2)) / (2 * np.pi)
    background = np.exp(-0.5 * ((x - CENTRE[0]) ** 2 + (y - CENTRE[1]) ** 2)) / (2 * np.pi)
    background *= BACKGROUND
    slopes = np.stack([signal, background * (x - CENTRE[0]) * WIDTH]).reshape(2, -1)
    information = (slopes / (signal + background).reshape(-1)) @ slopes.T * area
    information[1, 1] += 1.0
    return float(np.sqrt(np.linalg.inv(information)[0, 0]))


@pytest.fixture(scope="module")
def trained():
    """Expected uncertainties of all members, by loss."""
    torch.set_num_threads(1)
    events = toy()
    parts = {
        "train": events.of_parts("train"),
        "validation": events.of_parts("validation"),
        "test": events.of_parts("test"),
        "seen": events.of_parts("train", "validation"),
    }
    settings = SummariesSettings(seeds=3, replicas=10)
    evaluator = Evaluator(parts, [SHIFT], CHOICES, settings, 5)
    found = {}
    for loss, given in {
        "cross_entropy": SummaryTraining(batches=8, epochs=12, learning_rate=0.01),
        "inferno": SummaryTraining(batches=5, epochs=20, learning_rate=0.01, temperature=0.3),
        "likelihood": SummaryTraining(
            batches=5, epochs=20, learning_rate=0.01, temperature=0.2, warm_up=3
        ),
        "significance": SummaryTraining(batches=5, epochs=20, learning_rate=0.01),
    }.items():
        summary, history = train(
            loss,
            rows(parts["train"], [SHIFT], CHOICES.signals),
            rows(parts["validation"], [SHIFT], CHOICES.signals),
            [1.0],
            given,
            members=3,
            layers=(32, 32),
            bins=10,
            simulation=True,
            seed=7,
        )
        assert history.validation.shape[1] == 3
        found[loss] = evaluator.evaluate(_binned_network(loss, summary, parts, CHOICES, 10))
    return {name: one["members"] for name, one in found.items()}


def median(members, part="test", what="all"):
    return float(np.median([one[part][what] for one in members]))


def test_inferno_beats_cross_entropy(trained):
    entropy, inferno = median(trained["cross_entropy"]), median(trained["inferno"])
    assert inferno < 0.97 * entropy
    assert bound() < inferno < 1.12 * bound()


def test_cross_entropy_is_the_best_without_nuisances(trained):
    entropy = median(trained["cross_entropy"], what="statistical")
    assert entropy < 1.02 * median(trained["inferno"], what="statistical")


def test_other_losses_are_no_worse_than_possible(trained):
    for name in ("likelihood", "significance"):
        assert bound() < median(trained[name]) < 1.6 * bound()


def test_quick_uncertainty_is_that_of_the_model(trained):
    for members in trained.values():
        for one in members:
            assert one["quick"] == pytest.approx(one["test"]["all"], rel=0.02)
            assert np.mean(one["replicas"]) == pytest.approx(one["quick"], rel=0.1)


def test_training_events_do_not_look_much_better(trained):
    for members in trained.values():
        assert median(members, "train") == pytest.approx(median(members), rel=0.08)


def test_groups_only_help(trained):
    one = trained["inferno"][0]["test"]
    assert one["statistical"] < one["without detector"] < one["all"]
    assert one["without MC statistics"] < one["all"]


def test_members_do_not_depend_on_how_many_there_are():
    events = toy(2000)
    given = rows(events, [SHIFT], CHOICES.signals)
    assert given.batch(4, "tangent").features.shape[0] == 4
    assert len(np.unique(given.stratum)) == 2
    assert given.unseen == pytest.approx((BACKGROUND / 1000) ** 2)


def test_events_that_enter_and_leave():
    """Loss and gain under a shift are in the rates; features that are missing are not moved."""
    events = toy(4)
    events.member["scale_up"] = np.array([True, True, False, True])
    events.member["nominal"] = np.array([True, True, True, False])
    events.features["scale_up"][2] = 0.0
    events.features["nominal"][3] = 0.0
    weight = events.weight
    given = rows(events, [SHIFT], CHOICES.signals)
    rates = given.rates[0].numpy()
    assert rates[:2] == pytest.approx([0.0, 0.0])
    # Not selected upwards: half the weight is lost. Not nominally, but on both sides: no change.
    assert rates[2] == pytest.approx(-0.5 * weight[2])
    assert rates[3] == pytest.approx(0.0)
    assert given.weight[3] == 0.0
    nominal = base_features(events)
    down = events.features["scale_down"]
    assert given.tangents[0, 2].numpy() == pytest.approx(0.5 * (nominal[2] - down[2]))
    assert nominal[3] == pytest.approx(events.features["scale_up"][3])


def test_one_sided_shift_is_mirrored():
    events = toy(4)
    one = replace(SHIFT, sides=("down",))
    both = rows(events, [SHIFT], CHOICES.signals)
    mirrored = rows(events, [one], CHOICES.signals)
    assert mirrored.tangents.numpy() == pytest.approx(both.tangents.numpy(), abs=1e-6)
    factors = mirrored.varied_weight.numpy().sum(axis=1)
    assert factors == pytest.approx(np.zeros_like(factors), abs=1e-6)


def test_parts_keep_the_expected_yields():
    events = toy(4000)
    for names in (("train",), ("validation",), ("test",), ("train", "validation")):
        part = events.of_parts(*names)
        assert part.weight[part.process == "signal"].sum() == pytest.approx(SIGNAL)
        assert part.weight[part.process == "background"].sum() == pytest.approx(BACKGROUND)


def test_events_survive_the_file(tmp_path):
    events = toy(200)
    events.scores["bdt"] = {name: one[:, 0] for name, one in events.features.items()}
    write_events(tmp_path / "events.parquet", events)
    read = read_events(tmp_path / "events.parquet")
    assert (read.process == events.process).all()
    for name, one in events.features.items():
        assert read.features[name] == pytest.approx(one)
        assert read.scores["bdt"][name] == pytest.approx(one[:, 0])


def test_quantile_edges_divide_the_signal_equally():
    chance = np.random.default_rng(1)
    scores, weights = chance.uniform(size=10_000), chance.uniform(size=10_000)
    edges = quantile_edges(scores, weights, 10)
    content = np.bincount(np.searchsorted(edges, scores, "right"), weights) / weights.sum()
    assert content == pytest.approx(np.full(10, 0.1), abs=1e-3)
