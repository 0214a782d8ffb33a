"""Classifiers that are trained together."""

import math
from functools import partial

import numpy as np
import pytest
import torch

from fullchain.errors import InputError
from fullchain.learning.optimisers import Adam
from fullchain.unfolding.classifier_inputs import _multilayer
from fullchain.unfolding.grouped_training import Order, Weights, logits, train
from fullchain.unfolding.multilayer import started
from fullchain.unfolding.omnifold_settings import ClassifierTrainingSettings

ROWS = 4000
BUILD = partial(_multilayer, 1, (16, 16))
HOW = ClassifierTrainingSettings(epochs=8, patience=3, batch_size=250, learning_rate=5e-3)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def rows(seed=3):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(ROWS, 1))).float()


def order(seed=1):
    shuffled = np.random.default_rng(seed).permutation(ROWS)
    return Order(np.sort(shuffled[800:]), np.sort(shuffled[:800]), seed, ("test",))


def tilted(values, slopes):
    """Weights of class 1 that are exp(slope x) times those of class 0, which are not all alike."""
    zero = np.tile(1.0 + (np.arange(ROWS) % 2), (len(slopes), 1))
    one = zero * np.exp(np.outer(slopes, values[:, 0].numpy()))
    return Weights(one, zero)


def fitted(weights, orders, seeds, how=HOW, inputs=None):
    inputs = {"values": rows()} if inputs is None else inputs
    network = started(BUILD, seeds)
    names = [f"m{number}" for number in range(len(seeds))]
    result = train(network, inputs, weights, orders, how, names, "test")
    return logits(network, inputs, 1000) + result.log_prior[:, None], result, network


def test_the_ratio_of_weights_is_learned_with_its_scale():
    values = rows()
    slopes = [0.5, -0.3]
    found, result, _ = fitted(tilted(values, slopes), [order()] * 2, [1, 2])
    middle = np.abs(values[:, 0].numpy()) < 1.5
    for member, slope in enumerate(slopes):
        difference = found[member] - slope * values[:, 0].numpy()
        assert np.abs(difference[middle]).mean() < 0.06
        assert abs(difference[middle].mean()) < 0.04
    assert (result.loss < math.log(2)).all()


@pytest.mark.parametrize("orders", [[order()] * 3, [order(1), order(2), order(3)]])
def test_a_member_learns_the_same_in_company_and_alone(orders):
    weights = tilted(rows(), [0.5, -0.3, 1.0])
    together, losses, _ = fitted(weights, orders, [5, 6, 5])
    for member in range(3):
        own = Weights(weights.one[[member]], weights.zero[[member]])
        alone, loss, _ = fitted(own, [orders[member]], [[5, 6, 5][member]])
        np.testing.assert_array_equal(alone[0], together[member])
        assert loss.epochs[0] == losses.epochs[member]


def test_members_may_see_different_values():
    shifted = torch.stack([rows(), rows() + 1.0])
    weights = tilted(rows(), [0.5, 0.5])
    together, _, _ = fitted(weights, [order()] * 2, [1, 1], inputs={"values": shifted})
    own = Weights(weights.one[[1]], weights.zero[[1]])
    alone, _, _ = fitted(own, [order()], [1], inputs={"values": rows() + 1.0})
    np.testing.assert_array_equal(together[1], alone[0])


def test_a_row_of_both_classes_counts_as_its_two_copies():
    values, weights = rows(), tilted(rows(), [0.5])
    one, _, _ = fitted(weights, [order()], [1])
    nothing = np.zeros((1, ROWS))
    twice = {"values": torch.cat([values, values])}
    first = order()
    both = Order(
        np.concatenate([first.training, ROWS + first.training]),
        np.concatenate([first.validation, ROWS + first.validation]),
        1,
        ("test",),
    )
    copies = Weights(
        np.concatenate([weights.one, nothing], axis=1),
        np.concatenate([nothing, weights.zero], axis=1),
    )
    two, _, _ = fitted(copies, [both], [1], inputs=twice)
    middle = np.abs(values[:, 0].numpy()) < 1.5
    assert np.abs(one[0] - two[0, :ROWS])[middle].mean() < 0.08


def test_a_member_that_stops_keeps_its_best_weights_while_others_go_on():
    values = rows()
    weights = tilted(values, [0.0, 1.0])
    noise = np.random.default_rng(4).exponential(size=ROWS)
    weights.one[0] *= noise
    how = HOW.model_copy(update={"epochs": 12, "tolerance": 0.0})
    found, result, _ = fitted(weights, [order()] * 2, [1, 2], how)
    assert result.epochs[0] < result.epochs[1]
    validation = order().validation
    raw = found[0] - result.log_prior[0]
    ones, zeros = (0.5 * ROWS * each[0] / each[0].sum() for each in (weights.one, weights.zero))
    loss = ones * np.logaddexp(0, -raw) + zeros * np.logaddexp(0, raw)
    assert loss[validation].mean() == pytest.approx(result.loss[0], rel=1e-5)


@pytest.mark.parametrize(
    ("tolerance", "learned"), [(0.0, False), (1.0, False), (1000.0, True), (None, True)]
)
def test_a_higher_loss_is_kept_within_the_tolerance_only(tolerance, learned):
    values = rows()[:, 0].numpy()
    weights = tilted(rows(), [0.5])
    # In the validation part all is the other way round, by far more than by chance.
    validation = order().validation
    weights.one[:, validation] *= np.exp(-values[validation])
    how = HOW.model_copy(update={"tolerance": tolerance})
    found, _, _ = fitted(weights, [order()], [1], how)
    assert (np.polyfit(values, found[0], 1)[0] > 0.3) == learned


def test_a_loss_that_is_higher_by_chance_is_tolerated():
    values = rows()[:, 0].numpy()
    weights = tilted(rows(), [0.1])
    weights.one[0] *= np.random.default_rng(4).exponential(size=ROWS)
    few = Order(order().training, order().validation[:40], 1, ("test",))
    slopes = []
    for tolerance in (0.0, 2.0):
        how = HOW.model_copy(update={"tolerance": tolerance, "patience": 8})
        found, result, _ = fitted(weights, [few], [1], how)
        slopes.append((np.polyfit(values, found[0], 1)[0], result.loss[0]))
    assert slopes[0][1] < slopes[1][1]
    assert abs(slopes[1][0] - 0.1) < 0.08


def test_what_goes_on_from_a_good_start_is_no_worse():
    weights = tilted(rows(), [0.7])
    _, before, network = fitted(weights, [order()], [1])
    hard = HOW.model_copy(update={"learning_rate": 1.0, "epochs": 2, "tolerance": 1.0})
    after = train(network, {"values": rows()}, weights, [order()], hard, ["a"], "test")
    assert after.loss[0] <= before.loss[0] * (1 + 1e-6)


def slope_of_slopes(tolerance):
    """Slopes that are learned of ratios whose true slopes rise in small and equal steps."""
    slopes = np.linspace(0.0, 0.1, 21)
    weights = tilted(rows(), slopes)
    weights.one[:] *= np.random.default_rng(4).exponential(size=ROWS)
    # By these rows, as by chance, nothing is to be learned at first.
    few = Order(order().training, order().validation[:400], 1, ("test",))
    weights.one[:, few.validation] *= np.exp(-0.08 * rows()[few.validation, 0].numpy())
    how = HOW.model_copy(update={"tolerance": tolerance, "patience": 8})
    found, _, _ = fitted(weights, [few] * 21, [1] * 21, how)
    return np.diff(np.polyfit(rows()[:, 0].numpy(), found.T, 1)[0])


def test_a_result_changes_little_when_weights_do():
    steps, jumping = slope_of_slopes(None), slope_of_slopes(1.0)
    assert steps.sum() == pytest.approx(0.1, abs=0.02)
    # All nearly 0.005; a rule that keeps or drops what is learned makes jumps.
    assert abs(steps - 0.005).max() < 0.001 and abs(jumping - 0.005).max() > 0.003


def test_results_depend_less_on_chance_with_a_falling_rate():
    weights = tilted(rows(), [0.3] * 6)
    weights.one[:] *= np.random.default_rng(4).exponential(size=ROWS)
    orders = [Order(order().training, order().validation, k, ("test",)) for k in range(6)]
    spread = {}
    for schedule in ("constant", "cosine"):
        update = {"schedule": schedule, "learning_rate": 2e-2}
        found, _, _ = fitted(weights, orders, range(6), HOW.model_copy(update=update))
        spread[schedule] = np.polyfit(rows()[:, 0].numpy(), found.T, 1).std(axis=1)
    # Of the slope, and of the logit in the middle.
    assert (spread["cosine"] < 0.5 * spread["constant"]).all()


def test_the_rate_falls_to_its_last_value_and_no_further(monkeypatch):
    seen = []
    really = Adam.step

    def noted(self, *given):
        seen.append(self.param_groups[0]["lr"])
        return really(self, *given)

    monkeypatch.setattr(Adam, "step", noted)
    how = HOW.model_copy(update={"patience": 8, "learning_rate": 0.1, "final_rate": 0.1})
    fitted(tilted(rows(), [0.3]), [order()], [1], how)
    assert len(seen) == 8 * 13
    assert seen[0] == 0.1
    assert seen == sorted(seen, reverse=True)
    assert seen[len(seen) // 2] == pytest.approx(0.055)
    assert seen[-1] == pytest.approx(0.01, rel=0.01)


def test_equal_seeds_start_equally_whatever_their_place():
    network = started(BUILD, [7, 8, 7])
    for parameter in network.parameters():
        torch.testing.assert_close(parameter[0], parameter[2], rtol=0, atol=0)
    first = network.network.layers[0].weight
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize("part", ["training", "validation"])
def test_an_empty_class_is_named(part):
    weights = tilted(rows(), [0.5, 0.5])
    weights.one[1, getattr(order(), part)] = 0.0
    with pytest.raises(InputError, match=f"test of m1: .*class 1 in the {part} part sum to 0"):
        fitted(weights, [order()] * 2, [1, 2])


def test_a_loss_that_is_not_finite_is_reported():
    values = rows()
    values[order().training[:5]] = torch.nan
    with pytest.raises(InputError, match="m0: the loss is not finite"):
        fitted(tilted(rows(), [0.5]), [order()], [1], inputs={"values": values})
