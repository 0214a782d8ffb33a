"""Networks of several members with forward derivatives."""

import numpy as np
import pytest
import torch

from fullchain.inference import synthetic_model as model
from fullchain.inference.inferno import uncertainty_of_poi
from fullchain.inference.synthetic_networks import (
    Expectation,
    Networks,
    classifier_gradients,
    variance_gradients,
    variance_of_parts,
)
from fullchain.inference.synthetic_training import with_derivatives

EVENTS, MEMBERS = 320, 2


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def networks(outputs=4, members=MEMBERS):
    return Networks.drawn(
        [3, 32, 16, outputs], [np.random.default_rng(one) for one in range(members)]
    )


def rows():
    chance = np.random.default_rng(7)
    count = EVENTS * MEMBERS
    both = [model.sample_signal(count, chance), model.sample_background(count, 0.0, 3.0, chance)]
    found = np.stack(both).reshape(2, MEMBERS, EVENTS, 3).transpose(0, 1, 3, 2)
    return torch.from_numpy(np.ascontiguousarray(found)).float()


def expectation(case):
    return Expectation(50.0, 1000.0, torch.from_numpy(case.precision), "b" in case.nuisances, 0.3)


def automatic(start, both, case):
    """The loss, written with the nuisances inside the graph, and its automatic derivatives."""
    weights = [one.double().requires_grad_() for one in start.weights]
    biases = [one.double().requires_grad_() for one in start.biases]
    signal, background = both.double()

    def means(events):
        for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            events = weight @ events + bias
            if number < len(weights) - 1:
                events = events.relu()
        return torch.softmax(events / 0.3, dim=1).mean(dim=-1)

    def moved(r, rate):
        events = (background[:, 0] + r, background[:, 1], background[:, 2] * model.RATE / rate)
        return 1000.0 * means(torch.stack(events, dim=1))

    r, rate = torch.zeros((), dtype=torch.double), torch.tensor(3.0, dtype=torch.double)
    one = torch.ones_like(r)
    derivatives = [means(signal)]
    if "r" in case.nuisances:
        derivatives.append(torch.func.jvp(lambda at: moved(at, rate), (r,), (one,))[1])
    if "rate" in case.nuisances:
        derivatives.append(torch.func.jvp(lambda at: moved(r, at), (rate,), (one,))[1])
    if "b" in case.nuisances:
        derivatives.append(moved(r, rate) / 1000.0)
    yields = 50.0 * means(signal) + moved(r, rate)
    loss = (
        uncertainty_of_poi(
            yields, torch.stack(derivatives, dim=1), torch.from_numpy(case.precision)
        )
        ** 2
    )
    return loss.detach(), torch.autograd.grad(loss.sum(), [*weights, *biases])


@pytest.mark.parametrize("name", model.CASES)
def test_loss_and_gradients_are_those_of_automatic_differentiation(name):
    case, start = model.CASES[name], networks()
    loss, gradients = variance_gradients(
        start, with_derivatives(rows(), case.shapes), expectation(case)
    )
    expected, theirs = automatic(start, rows(), case)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    for ours, other in zip(gradients, theirs, strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-4 * float(other.abs().max()))


def test_parts_together_are_the_whole():
    case, start = model.CASES["B4"], networks()
    whole = with_derivatives(rows(), case.shapes)
    found = variance_of_parts(start, whole.split(EVENTS // 4, dim=-1), expectation(case))
    expected, _ = variance_gradients(start, whole, expectation(case))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_gradients_of_the_cross_entropy():
    start, both = networks(2), torch.cat(list(rows()), dim=-1)
    loss, gradients = classifier_gradients(start, both)
    weights = [one.clone().requires_grad_() for one in start.parameters]
    depth = len(start.weights)
    logits = Networks(weights[:depth], weights[depth:])(both)
    labels = (torch.arange(2 * EVENTS) >= EVENTS).long().expand(MEMBERS, -1)
    each = torch.nn.functional.cross_entropy(logits, labels, reduction="none").mean(dim=1)
    np.testing.assert_allclose(loss, each.detach(), rtol=1e-5)
    for ours, other in zip(gradients, torch.autograd.grad(each.sum(), weights), strict=True):
        np.testing.assert_allclose(ours, other, atol=1e-6)
