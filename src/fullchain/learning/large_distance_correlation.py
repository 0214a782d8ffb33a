r"""Distance correlation of many rows, without holding all pairs of them.

It is the estimate of `distance_correlation`. With weights that sum to one,

    dCov^2 = sum_ij w_i w_j a_ij b_ij - 2 sum_i w_i a_i b_i + a b,

where a_i = sum_j w_j a_ij and a = sum_i w_i a_i. `by_sorting` is for one column on each side and
the distance itself: the means follow from cumulative sums over sorted rows, and the first sum, for

    |y_j - y_i| = (y_j - y_i) (2 [y_i < y_j] - 1),

from what lies below and to the left of each row, in O(N log N) operations and O(N) memory (Huo and
Szekely 1410.1503, Chaudhuri and Hu 1810.11332). `by_blocks` is for any number of columns and any
exponent: O(N^2) operations, some rows against all at a time.

Both give the exact gradient of the estimate with respect to `y` and none for `x` and the weights.
With \sigma_ij = d b_ij / d y_i it is 2 w_i sum_j w_j A_ij \sigma_ij for dCov^2 and
4 w_i sum_j w_j B_ij \sigma_ij for the distance variance of y. Rows that are equal do not pull at
each other. All is calculated in double precision, because the three terms nearly cancel.
"""

from typing import Any

import torch
from torch import Tensor

from fullchain.learning.distance_correlation import powered, ratio


def by_sorting(x: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
    """Squared distance correlation of two columns, a scalar of the type of `y`.

    `x`, `y` and `weights` have shape (rows,); weights are not negative, None for equal ones.
    """
    covariance, variance_y = _Sorted.apply(*_doubles(x, y, weights))
    x, own = _doubles(x, x, weights)[::2]
    marginal = _Marginal(x, own)
    return ratio(covariance, marginal.variance(x, own), variance_y).to(y.dtype)


def by_blocks(
    x: Tensor,
    y: Tensor,
    weights: Tensor | None = None,
    *,
    power: float = 1.0,
    rows_at_once: int = 64,
) -> Tensor:
    """Squared distance correlation of (rows, k) and (rows, m), a scalar of the type of `y`.

    `weights` has shape (rows,), see `by_sorting`; `power` is the exponent of the distances. The
    memory is that of `rows_at_once` rows against all others.
    """
    tensors = _doubles(x, y, weights)
    covariance, variance_x, variance_y = _Blocked.apply(*tensors, power, rows_at_once)
    return ratio(covariance, variance_x, variance_y).to(y.dtype)


def _doubles(x: Tensor, y: Tensor, weights: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    own = torch.ones_like(y[..., 0] if y.ndim > 1 else y) if weights is None else weights
    own = own.detach().double()
    own = own / own.sum()
    # Far from zero, products of coordinates would lose the digits that distances have.
    x, y = x.detach().double(), y.double()
    return x - x.mean(0), y - y.detach().mean(0), own


class _Marginal:
    """Sums over one sorted column: mean distances, and weights on either side of each row."""

    def __init__(self, values: Tensor, weights: Tensor) -> None:
        self.ordered, order = torch.sort(values)
        self.order = order
        self.below = torch.searchsorted(self.ordered, values)
        self.up_to = torch.searchsorted(self.ordered, values, right=True)
        left, right = self._around(weights[order])
        self.sign = left - right
        moment_left, moment_right = self._around((weights * values)[order])
        self.mean_distance = values * self.sign - moment_left + moment_right
        self.grand_mean = weights @ self.mean_distance

    def signed(self, summands: Tensor) -> Tensor:
        """Give sum_j v_j sign(x_i - x_j) of v (rows,)."""
        left, right = self._around(summands[self.order])
        return left - right

    def variance(self, values: Tensor, weights: Tensor) -> Tensor:
        """Squared distance variance."""
        mean = weights @ values
        square = 2.0 * (weights @ (values - mean).square())
        return square - 2.0 * (weights @ self.mean_distance.square()) + self.grand_mean.square()

    def _around(self, ordered: Tensor) -> tuple[Tensor, Tensor]:
        """Sums of what is below and above each row, from summands in the order of the column."""
        sums = torch.cat([ordered.new_zeros(1), ordered.cumsum(0)])
        return sums[self.below], sums[-1] - sums[self.up_to]


class _Sorted(torch.autograd.Function):
    """dCov^2 of x and y, and dVar of y."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
        of_x, of_y = _Marginal(x, w), _Marginal(y, w)
        # sum_j w_j |x_i - x_j| sign(y_i - y_j), and the same of w_j y_j.
        pull, moment = _signed_distances(x, y, torch.stack([w, w * y], dim=1)).unbind(1)
        products = w @ (y * pull - moment)
        centre = of_x.grand_mean * of_y.grand_mean
        covariance = products - 2.0 * (w @ (of_x.mean_distance * of_y.mean_distance)) + centre
        by_x = _gradient(w, pull, of_x, of_y)
        own_distance = y - w @ y
        by_y = 2.0 * _gradient(w, own_distance, of_y, of_y)
        ctx.save_for_backward(by_x, by_y)
        return covariance, of_y.variance(y, w)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        by_x, by_y = ctx.saved_tensors
        return None, gradients[0] * by_x + gradients[1] * by_y, None


def _gradient(w: Tensor, pull: Tensor, other: _Marginal, own: _Marginal) -> Tensor:
    """2 w_i sum_j w_j A_ij sign(y_i - y_j), where `pull` is the same of the a_ij alone."""
    means = (other.mean_distance - other.grand_mean) * own.sign
    return 2.0 * w * (pull - means - own.signed(w * other.mean_distance))


def _signed_distances(x: Tensor, y: Tensor, summands: Tensor) -> Tensor:
    """sum_j v_j |x_i - x_j| sign(y_i - y_j) of summands v (rows, m), shape (rows, m)."""
    order = torch.argsort(x)
    back = torch.empty_like(order)
    back[order] = torch.arange(len(order), device=order.device)
    x, y, v = x[order], y[order], summands[order]
    both = torch.cat([v, v * x[:, None]], dim=1)
    before = _signed_before(y, both)
    of_v, of_vx = before.split(v.shape[1], dim=1)
    # All rows less those before are those after, whose distance in x has the other sign.
    all_of_v, all_of_vx = _signed(y, both).split(v.shape[1], dim=1)
    found = 2.0 * (x[:, None] * of_v - of_vx) + all_of_vx - x[:, None] * all_of_v
    return found[back]


def _signed(y: Tensor, summands: Tensor) -> Tensor:
    """sum_j u_j sign(y_i - y_j) of summands u (rows, m)."""
    ordered, order = torch.sort(y)
    sums = torch.cat([summands.new_zeros(1, summands.shape[1]), summands[order].cumsum(0)])
    below = sums[torch.searchsorted(ordered, y)]
    return below + sums[torch.searchsorted(ordered, y, right=True)] - sums[-1]


def _signed_before(y: Tensor, summands: Tensor) -> Tensor:
    """sum_{j < i} u_j sign(y_i - y_j) of summands u (rows, m)."""
    ordered, order = torch.sort(y, stable=True)
    below = _below_before(order, summands)
    # Of equal values the stable order has the earlier one below. They shall count nothing.
    first = torch.searchsorted(ordered, ordered)
    listed = summands[order]
    sums = listed.cumsum(0) - listed
    equal = torch.empty_like(sums)
    equal[order] = sums - sums[first]
    return 2.0 * below - equal - (summands.cumsum(0) - summands)


def _below_before(order: Tensor, summands: Tensor) -> Tensor:
    """Sums of the summands (rows, m) of those before each row that `order` has before it, too.

    `order` (rows,) lists the rows from the lowest to the highest. A merge sort backwards: from the
    list of all rows to those of halves, quarters and so on. In each list that is halved, every row
    of the second half gets the sum of those of the first half that are listed before it.
    """
    rows, width = summands.shape
    size = 1 << max(rows - 1, 1).bit_length()
    # Up to a power of two: rows after all others and above them, which add nothing.
    lists = torch.cat([order, torch.arange(rows, size, device=order.device)])
    values = torch.cat([summands, summands.new_zeros(size - rows, width)])
    result = torch.zeros_like(values)
    values = values[lists]
    half = size // 2
    while half:
        is_first = (lists & half) == 0
        sums = (values * is_first[:, None]).view(-1, 2 * half, width).cumsum(1).view(-1, width)
        first, second = is_first.nonzero()[:, 0], (~is_first).nonzero()[:, 0]
        result[lists[second]] += sums[second]
        halves = torch.stack([first.view(-1, half), second.view(-1, half)], dim=1).view(-1)
        lists, values = lists[halves], values[halves]
        half //= 2
    return result[:rows]


class _Blocked(torch.autograd.Function):
    """dCov^2 of x and y, dVar of x, dVar of y."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, y: Tensor, w: Tensor, power: float, rows_at_once: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        means = torch.empty(2, len(y), dtype=y.dtype, device=y.device)
        sums = [y.new_zeros(()) for _ in range(3)]
        for rows in _slices(len(y), rows_at_once):
            a, b = _between(x, rows, power), _between(y, rows, power)
            means[0, rows], means[1, rows] = a @ w, b @ w
            for index, product in enumerate((a * b, a * a, b * b)):
                sums[index] += w[rows] @ product @ w
        grand = means @ w
        ctx.save_for_backward(x, y, w, means, grand)
        ctx.power, ctx.rows_at_once = power, rows_at_once
        found = [
            total - 2.0 * (w @ (means[i] * means[j])) + grand[i] * grand[j]
            for total, (i, j) in zip(sums, ((0, 1), (0, 0), (1, 1)), strict=True)
        ]
        return found[0], found[1], found[2]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, y, w, means, grand = ctx.saved_tensors
        by_covariance, _, by_variance = gradients
        result = torch.empty_like(y)
        for rows in _slices(len(y), ctx.rows_at_once):
            a, b = _between(x, rows, ctx.power), _between(y, rows, ctx.power)
            centred_a = a - means[0, rows, None] - means[0] + grand[0]
            centred_b = b - means[1, rows, None] - means[1] + grand[1]
            pull = (by_covariance * centred_a + 2.0 * by_variance * centred_b) * w
            # d b_ij / d y_i = power b_ij (y_i - y_j) / |y_i - y_j|^2, and zero for equal rows.
            square = _squares(y, rows)
            pull = torch.where(square > 0, pull * ctx.power * b / square, 0.0)
            result[rows] = 2.0 * w[rows, None] * (pull.sum(1, keepdim=True) * y[rows] - pull @ y)
        return None, result, None, None, None


def _slices(rows: int, at_once: int) -> list[slice]:
    return [slice(start, min(start + at_once, rows)) for start in range(0, rows, at_once)]


def _squares(values: Tensor, rows: slice) -> Tensor:
    result = (values[rows, 0, None] - values[:, 0]).square()
    for column in values.T[1:]:
        result = result + (column[rows, None] - column).square()
    return result


def _between(values: Tensor, rows: slice, power: float) -> Tensor:
    """Powers of distances of some rows to all, shape (some, rows)."""
    if values.shape[1] == 1 and power == 1:
        return (values[rows] - values.T).abs()
    return powered(_squares(values, rows), power)
