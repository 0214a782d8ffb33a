"""Calibration, control, small classifiers, and how a prior follows, against known answers."""

import numpy as np
import pytest
import torch

from fullchain.errors import InputError
from fullchain.learning.settings import TrainingSettings
from fullchain.unfolding import (
    acceptance,
    acceptance_classifier,
    calibration,
    classifier_control,
    prior_iteration,
)
from fullchain.unfolding.generative_settings import ControlSettings, SmallClassifierSettings
from fullchain.unfolding.observable_settings import ObservableSettings
from fullchain.unfolding.preprocessing import measured as measured_scales
from fullchain.unfolding.prior_response import PriorResponse, features
from fullchain.unfolding.sample import Measured

QUICK = SmallClassifierSettings(
    layers=(24,), training=TrainingSettings(epochs=12, batch_size=400, learning_rate=0.02)
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def test_quantiles_under_the_exact_posterior_are_uniform(rng):
    centre = rng.normal(0, 1, (3000, 1))
    truth = centre + rng.normal(0, 1, (3000, 1))
    weight = rng.uniform(0.5, 1.5, 3000)
    for width, bias, uniform in ((1, 0, True), (0.8, 0, False), (1.25, 0, False), (1, 0.2, False)):
        samples = centre[:, None] + rng.normal(bias, width, (3000, 30, 1))
        found = calibration.uniformity(calibration.quantiles(truth, samples, rng)[:, 0], weight)
        assert (found.chi2_probability > 1e-3) == uniform
        assert (found.ks_probability > 1e-3) == uniform
        assert found.counts.mean() == pytest.approx(1)
        pulls = (found.counts - 1) / found.errors
        assert (np.abs(pulls).max() < 4) == uniform


def test_quantiles_of_integers_and_spikes_are_uniform(rng):
    mean = rng.uniform(1, 4, (4000, 1))
    truth = rng.poisson(mean).astype(float)
    samples = rng.poisson(mean[:, None], (4000, 20, 1)).astype(float)
    quantile = calibration.quantiles(truth, samples, rng)[:, 0]
    assert calibration.uniformity(quantile, np.ones(4000)).chi2_probability > 1e-3


@pytest.mark.parametrize(("simulated", "learned"), [(30, False), (1000, True)])
def test_it_is_told_whether_the_background_was_learned(rng, simulated, learned):
    values = np.concatenate([rng.normal(0, 0.5, (400, 1)), rng.normal(3, 0.2, (100, 1))])
    data = Measured(("x",), values, np.ones(500))
    below = rng.normal(3, 0.2, (simulated, 1))
    background = Measured(("x",), below, np.full(simulated, 100 / simulated))
    x = {"x": ObservableSettings(label="x", low=-4, high=4)}
    scales = measured_scales(values, np.ones(500), ("x",), x, "test")
    training = QUICK.training.model_copy(update={"epochs": 60, "patience": 60})
    longer = QUICK.model_copy(update={"training": training})
    kept = acceptance.subtracted(data, background, scales, longer, 1)
    assert kept.learned is learned
    assert (data.weight * kept.part).sum() == pytest.approx(400)
    # The peak goes where it is known; else all events lose alike.
    peak = kept.part[400:].mean()
    assert peak < 0.25 if learned else peak == pytest.approx(0.8)


def test_no_events_for_the_calibration(rng):
    with pytest.raises(InputError, match="no event"):
        calibration.uniformity(np.zeros(0), np.zeros(0))


def test_probabilities_are_right(rng):
    """Two fits of one input: a step of the probability, and the same with doubled weights of 1."""
    values = rng.normal(size=(6000, 1))
    probability = 1 / (1 + np.exp(-2 * values))
    labels = (rng.random((6000, 1)) < probability).astype(float)
    weight = np.concatenate([np.ones((6000, 1)), 1 + labels], axis=1)
    found = acceptance_classifier.fit(
        values, labels, weight, rng.random(6000) < 0.2, QUICK, seed=1, description="test"
    )
    at = np.array([[-1.0], [0.0], [1.0]])
    one, two = found.probabilities(at).T
    np.testing.assert_allclose(one, 1 / (1 + np.exp(-2 * at[:, 0])), atol=0.06)
    np.testing.assert_allclose(two / (1 - two), 2 * np.exp(2 * at[:, 0]), rtol=0.35)
    both = found.probabilities(values)
    np.testing.assert_allclose((weight * both).sum(0), (weight * labels).sum(0), rtol=1e-6)


def test_first_and_second_moments_of_a_prior_are_mended(rng):
    """Logits that know nothing become those of two normal distributions."""
    before, after = rng.normal(0, 1, (20_000, 1)), rng.normal(0.4, 0.9, (20_000, 1))
    part = np.full((20_000, 1), 1 / 20_000)
    phi = features(np.concatenate([before, after]))[:, None]
    at = np.array([[-1.0], [0.0], [1.0]])
    ratio = prior_iteration._mended(np.zeros((40_000, 1)), phi, part, part, features(at))
    exact = at**2 / 2 - (at - 0.4) ** 2 / (2 * 0.9**2) - np.log(0.9)
    np.testing.assert_allclose(ratio, exact, atol=0.06)


def test_one_class_or_hardly_any_of_it(rng):
    values = rng.normal(size=(500, 2))
    held = rng.random(500) < 0.2
    labels = np.ones((500, 3))
    labels[:5, 1] = 0
    labels[:, 2] = 0
    found = acceptance_classifier.fit(values, labels, np.ones((500, 3)), held, QUICK, seed=1)
    assert not found.learned.any()
    one, few, none = found.probabilities(values[:1])[0]
    assert one == pytest.approx(1, abs=1e-8)
    assert few == pytest.approx(0.99)
    assert none == pytest.approx(0, abs=1e-8)


def test_what_cannot_be_told_apart_is_nearly_a_constant(rng):
    values = rng.normal(size=(3000, 2))
    labels = (rng.random((3000, 1)) < 0.3).astype(float)
    held = rng.random(3000) < 0.5
    found = acceptance_classifier.fit(values, labels, np.ones((3000, 1)), held, QUICK, seed=1)
    wrong = found.probabilities(values) - labels.mean()
    assert np.sqrt((wrong**2).mean()) < 0.03


@pytest.mark.parametrize("bad", [np.nan, -1.0])
def test_bad_weights_of_a_classifier(rng, bad):
    weight = np.ones((100, 1))
    weight[3] = bad
    weight = np.concatenate([np.ones((100, 1)), weight], axis=1)
    names = ("nominal", "shift_isr_up")
    with pytest.raises(
        InputError, match=rf"classifier, shift_isr_up: 1 of 100 .*negative \(first: {bad:g}\)"
    ):
        acceptance_classifier.fit(
            np.zeros((100, 1)), weight > 0, weight, np.arange(100) < 20, QUICK, seed=1, names=names
        )


def test_no_weight_for_a_fit(rng):
    weight = np.ones((100, 2))
    weight[:, 1] = 0
    with pytest.raises(InputError, match="no event has a weight"):
        acceptance_classifier.fit(
            np.zeros((100, 1)), np.ones((100, 1)), weight, np.arange(100) < 20, QUICK, seed=1
        )


def test_control_sees_a_wrong_width_and_mends_it(rng):
    detector = rng.normal(size=(5000, 1))
    truth = detector + rng.normal(0, 1, (5000, 1))
    held = rng.random(5000) < 0.3
    judged = {}
    for width in (1.0, 1.5):
        generated = detector[:, None] + rng.normal(0, width, (5000, 1, 1))
        judged[width] = classifier_control.control(
            truth, generated, detector, np.ones(5000), held, ControlSettings(), QUICK, seed=2
        )
    good, bad = judged[1.0].record, judged[1.5].record
    assert abs(good["auc"] - 0.5) < 4 * good["auc_error"]
    assert bad["auc"] - 0.5 > 4 * bad["auc_error"]
    assert good["learned"] and bad["learned"]
    parts = [one["effective_part"] for one in (good, bad)]
    assert parts[0]["value"] > 0.97 > parts[1]["value"] + 4 * parts[1]["error"]
    assert sum(bad["log10_counts"]) == pytest.approx(1)
    assert bad["largest"] >= bad["quantiles"]["0.999"] > bad["quantiles"]["0.99"]
    assert min(bad["quantile_errors"].values()) > 0
    assert bad["quantiles"]["0.01"] < good["quantiles"]["0.01"]
    weight = np.exp(judged[1.5].log_weights(generated[:, 0], detector))
    width = np.sqrt(np.average((generated[:, 0] - detector)[:, 0] ** 2, weights=weight))
    assert width == pytest.approx(1.0, abs=0.1)


def test_errors_of_the_control_are_those_of_its_events(rng):
    """The mean of 2500 weights has the error of any mean."""
    ratio = np.exp(0.3 * rng.normal(size=2500))
    found = classifier_control._spread(ratio, np.ones(2500), np.arange(2500), 3)
    mean = len(classifier_control.TAIL) + classifier_control.SUMMARIES.index("mean")
    assert found[mean] == pytest.approx(ratio.std() / 50, rel=0.25)
    assert (found[: len(classifier_control.TAIL)] > 0).all()
    # Four samples of an event that are alike say no more than one.
    four = np.repeat(np.arange(2500), 4)
    again = classifier_control._spread(np.repeat(ratio, 4), np.ones(10_000), four, 3)
    assert again[mean] == pytest.approx(found[mean], rel=1e-6)


def test_weights_beyond_the_histogram_are_in_its_last_bins(rng):
    labels = np.repeat([1.0, 0.0], 500)
    logits = np.where(labels == 0, 10.0, 12.0)
    weight, event = np.ones(1000), np.tile(np.arange(500), 2)
    found = classifier_control._record(logits, labels, weight, event, 3)
    assert found["log10_counts"][-1] == pytest.approx(1)
    assert found["small_fraction"] == {"value": 0.0, "error": pytest.approx(3.68e-3, rel=1e-2)}
    assert found["events"] == 500 and found["effective_events"] == pytest.approx(500)


def exact_iteration(mean: float, width: float, smearing: float, rounds: int) -> float:
    """Mean that IcINN gives for normal data, prior N(0, 1), by its recursion."""
    prior_mean, prior = 0.0, 1.0
    for _ in range(rounds + 1):
        gain = prior / (prior + smearing**2)
        mean_now = prior_mean + gain * (mean - prior_mean)
        prior = gain * smearing**2 + gain**2 * width**2
        prior_mean = mean_now
    return prior_mean


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_a_replica_follows_the_iterated_prior(rng, rounds):
    """Data are moved by weights: the mean moves as it would if all had been iterated anew."""
    smearing, events = 0.7, 20_000
    seen = rng.normal(0, np.sqrt(1 + smearing**2), events)
    gain = 1 / (1 + smearing**2)
    samples = gain * seen[:, None] + rng.normal(0, np.sqrt(gain) * smearing, (events, 8))
    phi = features(samples[..., None])
    ones = np.ones_like(samples)
    response = PriorResponse.measured(phi.reshape(-1, 2), ones.ravel(), rounds)
    moved = 0.05
    event = np.exp(moved * seen / (1 + smearing**2))
    parts = response.followed(phi, ones / 8, event, ones, np.zeros(2))
    np.testing.assert_allclose(parts.sum(axis=1), 1)
    found = np.average(samples, weights=event[:, None] * parts) - samples.mean()
    width = np.sqrt(1 + smearing**2)
    expected = exact_iteration(moved, width, smearing, rounds)
    assert found == pytest.approx(expected, rel=0.12)
    # Weights of the data alone move it by the gain, whatever the number of iterations.
    alone = np.average(samples, weights=event[:, None] * ones) - samples.mean()
    assert alone == pytest.approx(gain * moved, rel=0.12)
