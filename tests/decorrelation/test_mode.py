"""MoDe: its definition, its gradient, and what each order leaves free."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from fullchain.decorrelation.method_settings import ModeSettings
from fullchain.decorrelation.mode import Mode
from fullchain.errors import InputError

RNG = np.random.default_rng(1)
MASS = 50.0 + 250.0 * RNG.beta(1.0, 3.0, 3000)
MAPPED = 2.0 * (MASS - MASS.min()) / np.ptp(MASS) - 1.0
WEIGHT = RNG.uniform(0.5, 1.5, 3000)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Many small operations: threads that wait for each other would take most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def penalty(**changes: Any) -> Mode:
    return Mode(ModeSettings(**({"unbiased": False} | changes)), MASS[:, None], WEIGHT)


def value(score: Any, **changes: Any) -> float:
    against, weight = torch.from_numpy(MASS[:, None]).float(), torch.from_numpy(WEIGHT)
    return float(penalty(**changes)(torch.as_tensor(score), against, weight))


def by_definition(score: np.ndarray, order: int, bins: int) -> float:
    """Integral over a fine grid of s; least squares by numpy, with the bins' widths as weights."""
    where = np.argsort(MASS)
    sums = np.cumsum(WEIGHT[where])
    place = np.searchsorted(sums, sums[-1] * np.arange(1, bins) / bins)
    edges = 0.5 * (MAPPED[where][place] + MAPPED[where][place + 1])
    index = np.searchsorted(edges, MAPPED)
    widths = np.diff([-1.0, *edges, 1.0])
    legendre = [np.ones_like(MAPPED), MAPPED, 1.5 * MAPPED**2 - 0.5][: order + 1]
    design = np.array(
        [
            [np.average(one[index == b], weights=WEIGHT[index == b]) for one in legendre]
            for b in range(bins)
        ]
    )
    grid = (np.arange(20_000) + 0.5) / 20_000
    functions = np.empty((bins, len(grid)))
    for b in range(bins):
        mine = np.flatnonzero(index == b)
        mine = mine[np.argsort(score[mine])]
        steps = np.concatenate([[0.0], np.cumsum(WEIGHT[mine])]) / WEIGHT[mine].sum()
        functions[b] = steps[np.searchsorted(score[mine], grid, side="right")]
    root = np.sqrt(widths)[:, None]
    moments = np.linalg.lstsq(root * design, root * functions, rcond=None)[0]
    return float(((functions - design @ moments) ** 2).mean())


@pytest.mark.parametrize("order", [0, 1, 2])
def test_it_is_what_the_definition_says(order: int) -> None:
    score = RNG.uniform(size=3000) ** (1.0 + 2.0 * (MAPPED > -0.3))
    wanted = by_definition(score, order, 8)
    assert value(score, order=order, bins=8) == pytest.approx(wanted, rel=1e-3)


def test_with_narrow_bins_the_moments_are_integrals_over_legendre_polynomials() -> None:
    mass = np.linspace(0.0, 1.0, 4000)[:, None]
    made = Mode(ModeSettings(order=2, bins=400), mass, np.ones(4000))
    functions = torch.sin(3.0 * made.polynomials[1]) + 0.3
    p, widths = made.polynomials, made.widths
    solution = torch.linalg.solve((p * widths) @ p.T, p * widths)
    published = torch.tensor([[0.5], [1.5], [2.5]]) * (p * widths)
    torch.testing.assert_close(solution @ functions, published @ functions, atol=1e-3, rtol=0)


def test_flat_quantiles_of_a_sample_cost_what_statistics_cost() -> None:
    score = RNG.uniform(size=3000)
    # The variance F (1 - F) of n / M jets, integrated over a uniform score, times (M - 1) / M.
    expected = 16 / 3000 / 6 * 15 / 16
    assert value(score, order=0) == pytest.approx(expected, rel=0.25)
    assert value(np.sort(RNG.uniform(size=3000))[np.argsort(np.argsort(MASS))]) > 50 * expected


@pytest.mark.parametrize("order", [0, 2])
def test_without_bias_a_small_batch_measures_what_all_jets_measure(order: int) -> None:
    score = np.clip(0.5 + 0.15 * np.sin(3.0 * MAPPED) + RNG.normal(0, 0.2, 3000), 0, 1)
    made = {kind: penalty(order=order, bins=8, unbiased=kind) for kind in (True, False)}
    tensors = [torch.from_numpy(one) for one in (score, MASS[:, None].astype(np.float32), WEIGHT)]
    everything = {kind: float(one(*tensors)) for kind, one in made.items()}
    small = {kind: [] for kind in made}  # type: ignore[var-annotated]
    for _ in range(300):
        rows = torch.from_numpy(RNG.choice(3000, 100, replace=False))
        for kind, one in made.items():
            small[kind].append(float(one(*(tensor[rows] for tensor in tensors))))
    error = np.std(small[True]) / np.sqrt(300)
    assert np.mean(small[True]) == pytest.approx(everything[True], abs=4 * error)
    assert np.mean(small[False]) > everything[False] + 10 * error


@pytest.mark.parametrize(
    ("shape", "order", "left"),
    [("linear", 0, True), ("linear", 1, False), ("quadratic", 1, True), ("quadratic", 2, False)],
)
def test_each_order_leaves_its_polynomial_free_and_no_higher_one(
    shape: str, order: int, left: bool
) -> None:
    slope = {"linear": MAPPED, "quadratic": 1.5 * MAPPED**2 - 0.5}[shape]
    # P(s < S | m) = S for one kind of jets and one for the other, whose part is a polynomial of m.
    part = 0.4 + 0.35 * slope
    score = np.where(RNG.uniform(size=3000) < part, RNG.uniform(size=3000), 0.0)
    flat = np.where(RNG.uniform(size=3000) < 0.4, RNG.uniform(size=3000), 0.0)
    floor = value(flat, order=order, bins=12)
    found = value(score, order=order, bins=12)
    assert (found > 4 * floor) if left else (found < 2 * floor)


@pytest.mark.parametrize(
    "changes",
    [
        {"order": 0},
        {"order": 1},
        {"order": 1, "unbiased": True},
        {"order": 2},
        {"order": 2, "monotonic": True},
        {"order": 1, "largest_slope": 0.2},
        {"order": 2, "monotonic": True, "largest_slope": 0.2},
    ],
)
def test_the_gradient_is_that_of_finite_differences(changes: dict[str, Any]) -> None:
    number = 24
    made = penalty(bins=5, **changes)
    against = torch.from_numpy(MASS[:number, None]).float()
    weight = torch.from_numpy(WEIGHT[:number])
    score = torch.rand(number, dtype=torch.double, generator=torch.Generator().manual_seed(3))
    score.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda values: made(values, against, weight), [score], eps=1e-7, atol=1e-8
    )


def test_at_order_zero_the_gradient_is_the_one_of_the_authors() -> None:
    """-2 w/M times the residual, less its mean over bins by width, at the middle of the step."""
    made = penalty(bins=4)
    number = 50
    against = torch.from_numpy(MASS[:number, None]).float()
    score = torch.rand(number, dtype=torch.double, requires_grad=True)
    made(score, against, torch.ones(number)).backward()
    index = torch.searchsorted(made.edges, against[:, 0].contiguous(), right=True)
    in_bin = (index == torch.arange(4)[:, None]).double()
    part = in_bin / in_bin.sum(1, keepdim=True)
    step = (torch.sign(score[None, :] - score[:, None]) + 1.0).detach() / 2.0
    functions = part @ step
    residual = functions - made.widths @ functions / 2.0
    change = in_bin - made.widths[:, None][index, 0] / 2.0
    by_hand = -2.0 / 4.0 * part.sum(0) * (residual * change).sum(0)
    torch.testing.assert_close(score.grad, by_hand)


def test_the_slope_is_capped_and_the_dependence_stays_monotonic() -> None:
    moments = torch.tensor([[0.5, 0.4, 0.6], [0.5, -0.4, 0.6], [0.0, 0.0, 0.1]]).double()
    capped = penalty(order=2, monotonic=True, largest_slope=0.3)._limited(moments)
    assert (capped[:, 1].abs() <= 0.3 * moments[:, 0]).all()
    mass = torch.linspace(-1.0, 1.0, 50).double()
    slope = capped[:, 1, None] + 3.0 * capped[:, 2, None] * mass
    assert (slope[0] >= 0).all() and (slope[1] <= 0).all() and (capped[2] == 0).all()
    free = penalty(order=2)._limited(moments)
    torch.testing.assert_close(free, moments)


def test_options_of_another_order_are_refused() -> None:
    with pytest.raises(ValueError, match="take order: 2"):
        ModeSettings(order=1, monotonic=True)
    with pytest.raises(ValueError, match="no slope is free"):
        ModeSettings(order=0, largest_slope=0.5)


def test_several_variables_are_refused() -> None:
    with pytest.raises(InputError, match=r"one variable.*has 2"):
        Mode(ModeSettings(), np.stack([MASS, MASS**2], axis=1), WEIGHT)


def test_too_few_different_masses_for_the_bins_are_refused() -> None:
    mass = np.repeat([60.0, 80.0, 100.0], 50)[:, None]
    with pytest.raises(InputError, match="3 different values among 150"):
        Mode(ModeSettings(bins=16), mass, np.ones(150))


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_a_rest_of_a_few_jets_has_a_finite_penalty(number: int) -> None:
    score = torch.linspace(0.1, 0.9, 5)[:number].clone().requires_grad_()
    against = torch.from_numpy(MASS[:number, None]).float()
    found = penalty()(score, against, torch.ones(number))
    found.backward()
    assert torch.isfinite(found.detach())
