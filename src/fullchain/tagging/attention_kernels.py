r"""Machine code for the attention of the Particle Transformer in training, on CPUs.

torch has a fused attention on CPUs, but without dropout and without the gradient of a bias. What it
does instead writes matrices of (jets, heads, particles, particles) to memory some fifteen times in
a step. Here the matrix of one jet and head stays in the cache of a core, and only results leave it.
Jets stand one after the other without padding, and the bias of a pair is there once, since that of
(a, b) is that of (b, a).

Dropout draws no numbers in advance: whether a weight is dropped is a hash of its position and of a
key, and is found again on the way back.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.compiled import compiled

Array = npt.NDArray[Any]

_FAST = {"contract", "reassoc", "nsz"}
"""Sums may be taken in another order, so that there is one for each lane. NaN stays NaN."""
_LANES = 32
"""Columns are padded to a multiple of it, so that no loop over them has a rest to go through."""
_BLOCK = 4
"""Channels that are gone through at once; they are padded to a multiple of it."""
_NEVER = np.float32(-1e30)
_ONE, _HALF, _ZERO = np.float32(1.0), np.float32(0.5), np.float32(0.0)
_LOG2_E = np.float32(1.44269504)
_LN2_HIGH, _LN2_LOW = np.float32(0.693359375), np.float32(-2.12194440e-4)
_LOWEST = np.float32(-87.0)
_OF_HEAD = np.uint32(0x9E3779B9)


@compiled(fastmath=_FAST, inline="always")
def _exp(x: Any) -> Any:
    """Exponential of x <= 0 in single precision, from a polynomial (that of Cephes) and 2^n."""
    x = _LOWEST if x < _LOWEST else x
    n = np.floor(x * _LOG2_E + _HALF)
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return (p * r * r + r + _ONE) * power


@compiled(inline="always")
def _hash(number: Any, key: Any, other_key: Any) -> Any:
    """32 bits of a number and two keys: the mixer "lowbias32" of C. Wellons, a key inside."""
    x = np.uint32(number ^ key)
    x = np.uint32(x ^ (x >> np.uint32(16)))
    x = np.uint32(x * np.uint32(0x7FEB352D))
    x = np.uint32(x ^ (x >> np.uint32(15)) ^ other_key)
    x = np.uint32(x * np.uint32(0x846CA68B))
    return np.uint32(x ^ (x >> np.uint32(16)))


@compiled
def dropped(
    values: Array, result: Array, below: Any, factor: Any, key: Any, other_key: Any
) -> None:
    """Write `values` times `factor`, or zero where the hash of the position is less than `below`.

    `values` and `result` have shape (n,).
    """
    for i in range(len(values)):
        kept = _hash(np.uint32(i), key, other_key) >= below
        result[i] = values[i] * factor if kept else _ZERO


@compiled
def _rounded_up(size: int, multiple: int) -> int:
    return (size + multiple - 1) // multiple * multiple


@compiled
def _largest(starts: Array) -> int:
    largest = 1
    for jet in range(len(starts) - 1):
        largest = max(largest, starts[jet + 1] - starts[jet])
    return _rounded_up(largest, _LANES)


@compiled
def _columns(
    rows: Array, begin: int, size: int, padded: int, place: int, channels: int, factor: Any,
    columns: Array,
) -> None:  # fmt: skip
    """Copy channels from `place` on to (channels, particles), times a factor, zero for padding."""
    for j in range(size):
        row = rows[begin + j, place : place + channels]
        for c in range(channels):
            columns[c, j] = row[c] * factor
    for c in range(channels):
        for j in range(size, padded):
            columns[c, j] = _ZERO


@compiled
def _whole(bias: Array, head: int, pair: int, size: int, padded: int, matrix: Array) -> None:
    """Copy the biases of all pairs of a jet to both of their places."""
    for i in range(size):
        # Counted from zero here and below, so that no number can mean one from the end.
        of_row = bias[head, pair : pair + i + 1]
        for j in range(i + 1):
            matrix[i, j] = of_row[j]
            matrix[j, i] = of_row[j]
        pair += i + 1
    for i in range(size):
        for j in range(size, padded):
            matrix[i, j] = _NEVER


@compiled(fastmath=_FAST)
def _add_products(
    left: Array, right: Array, channels: int, size: int, padded: int, matrix: Array
) -> None:
    """Add the sum over channels of left[c, i] right[c, j] to matrix[i, j]."""
    for i in range(size):
        for c in range(0, channels, _BLOCK):
            f0, f1, f2, f3 = left[c, i], left[c + 1, i], left[c + 2, i], left[c + 3, i]
            for j in range(padded):
                matrix[i, j] += (
                    f0 * right[c, j]
                    + f1 * right[c + 1, j]
                    + f2 * right[c + 2, j]
                    + f3 * right[c + 3, j]
                )


@compiled(fastmath=_FAST)
def _rows_times(
    matrix: Array, right: Array, channels: int, size: int, padded: int, result: Array
) -> None:
    """Give the sum over j of matrix[i, j] right[c, j] as result[c, i]."""
    for i in range(size):
        for c in range(0, channels, _BLOCK):
            s0 = s1 = s2 = s3 = _ZERO
            for j in range(padded):
                s0 += matrix[i, j] * right[c, j]
                s1 += matrix[i, j] * right[c + 1, j]
                s2 += matrix[i, j] * right[c + 2, j]
                s3 += matrix[i, j] * right[c + 3, j]
            result[c, i], result[c + 1, i], result[c + 2, i], result[c + 3, i] = s0, s1, s2, s3


@compiled(fastmath=_FAST)
def _columns_times(
    matrix: Array, left: Array, channels: int, size: int, padded: int, result: Array
) -> None:
    """Give the sum over i of matrix[i, j] left[c, i] as result[c, j]."""
    result[:channels, :padded] = _ZERO
    # Padding has no products: `left` is zero there.
    for i in range(0, size, _BLOCK):
        for c in range(channels):
            f0, f1, f2, f3 = left[c, i], left[c, i + 1], left[c, i + 2], left[c, i + 3]
            for j in range(padded):
                result[c, j] += (
                    f0 * matrix[i, j]
                    + f1 * matrix[i + 1, j]
                    + f2 * matrix[i + 2, j]
                    + f3 * matrix[i + 3, j]
                )


# Without NaN, or what to do with one, the largest number can be looked for in all lanes at once.
@compiled(fastmath=_FAST | {"nnan"})
def _highest(matrix: Array, size: int, padded: int, highest: Array) -> None:
    for i in range(size):
        found = _NEVER
        for j in range(padded):
            found = max(found, matrix[i, j])
        highest[i] = found


@compiled(fastmath=_FAST)
def _weights(
    matrix: Array, highest: Array, size: int, padded: int, number: int, most: int,
    below: Any, key: Any, other_key: Any, total: Array,
) -> None:  # fmt: skip
    """Make weights of logits, zero where they are dropped, and give the sums without dropout."""
    for i in range(size):
        largest, summed = highest[i], _ZERO
        first = np.uint32((number + i) * most)
        for j in range(padded):
            weight = _exp(matrix[i, j] - largest)
            summed += weight
            kept = _hash(np.uint32(first + np.uint32(j)), key, other_key) >= below
            matrix[i, j] = weight if kept else _ZERO
        total[i] = summed


@compiled(fastmath=_FAST)
def _weights_again(
    matrix: Array, of_weights: Array, logsum: Array, product: Array, size: int, padded: int,
    number: int, most: int, below: Any, factor: Any, key: Any, other_key: Any,
) -> None:  # fmt: skip
    """Make of logits the gradient with respect to them, and of that of the weights the weights."""
    for i in range(size):
        shift, offset = logsum[i], product[i]
        first = np.uint32((number + i) * most)
        for j in range(padded):
            weight = _exp(matrix[i, j] - shift)
            on = _hash(np.uint32(first + np.uint32(j)), key, other_key) >= below
            kept = weight * factor if on else _ZERO
            matrix[i, j] = kept * of_weights[i, j] - weight * offset
            of_weights[i, j] = kept


@compiled(fastmath=_FAST)
def attention_forward(
    projected: Array, bias: Array, starts: Array, pair_starts: Array, first: int, last: int,
    below: Any, factor: Any, key: Any, other_key: Any, result: Array, logsum: Array,
) -> None:  # fmt: skip
    """Attention of the particles of each jet from `first` to `last`.

    Parameters
    ----------
    projected
        Queries, keys and values, shape (particles, 3 width), float32.
    bias
        Of the pairs (0, 0), (1, 0), (1, 1), (2, 0), ... of each jet, shape (heads, pairs).
    starts, pair_starts
        Number of the first particle and pair of each jet, shape (jets + 1,).
    below, factor, key, other_key
        A weight is dropped where its hash is less than `below`, others are multiplied by `factor`.
    result
        Filled: shape (particles, width).
    logsum
        Filled: logarithm of the sum over the weights, shape (heads, particles).
    """
    heads, width = len(bias), result.shape[1]
    channels = width // heads
    blocked = _rounded_up(channels, _BLOCK)
    scale = np.float32(1 / np.sqrt(channels))
    most = _largest(starts)
    # Taken by number: what numba unpacks it does not know to be contiguous.
    columns = np.zeros((4, blocked, most), np.float32)
    query, keys, values, found = columns[0], columns[1], columns[2], columns[3]
    matrix = np.empty((most, most), np.float32)
    highest, total = np.empty(most, np.float32), np.empty(most, np.float32)
    for jet in range(first, last):
        begin, size = starts[jet], starts[jet + 1] - starts[jet]
        padded = _rounded_up(size, _LANES)
        for head in range(heads):
            place = head * channels
            _columns(projected, begin, size, padded, place, channels, scale, query)
            _columns(projected, begin, size, padded, width + place, channels, _ONE, keys)
            _columns(projected, begin, size, padded, 2 * width + place, channels, factor, values)
            _whole(bias, head, pair_starts[jet], size, padded, matrix)
            _add_products(query, keys, blocked, size, padded, matrix)
            _highest(matrix, size, padded, highest)
            of_head = np.uint32(key + np.uint32(head) * _OF_HEAD)
            _weights(matrix, highest, size, padded, begin, most, below, of_head, other_key, total)
            _rows_times(matrix, values, blocked, size, padded, found)
            for i in range(size):
                logsum[head, begin + i] = highest[i] + np.log(total[i])
                for c in range(channels):
                    result[begin + i, place + c] = found[c, i] / total[i]


@compiled(fastmath=_FAST)
def attention_backward(
    projected: Array, bias: Array, starts: Array, pair_starts: Array, first: int, last: int,
    below: Any, factor: Any, key: Any, other_key: Any, result: Array, logsum: Array,
    gradient: Array, projected_gradient: Array, bias_gradient: Array,
) -> None:  # fmt: skip
    """Gradients of `projected` and `bias` from that of `result`; others as in the forward pass.

    The way back through a softmax needs a sum over each row: that of weight times its gradient. It
    is the product of result and gradient, too (2205.14135).
    """
    heads, width = len(bias), result.shape[1]
    channels = width // heads
    blocked = _rounded_up(channels, _BLOCK)
    scale = np.float32(1 / np.sqrt(channels))
    most = _largest(starts)
    columns = np.zeros((5, blocked, most), np.float32)
    query, keys, values, coming, found = columns[0], columns[1], columns[2], columns[3], columns[4]
    # What is in rows beyond the particles is multiplied by zero, and must be finite.
    matrix, weights = np.zeros((most, most), np.float32), np.zeros((most, most), np.float32)
    product = np.empty(most, np.float32)
    for jet in range(first, last):
        begin, size = starts[jet], starts[jet + 1] - starts[jet]
        padded = _rounded_up(size, _LANES)
        for head in range(heads):
            place = head * channels
            _columns(projected, begin, size, padded, place, channels, scale, query)
            _columns(projected, begin, size, padded, width + place, channels, _ONE, keys)
            _columns(projected, begin, size, padded, 2 * width + place, channels, _ONE, values)
            _columns(gradient, begin, size, padded, place, channels, _ONE, coming)
            for i in range(size):
                product[i] = _ZERO
                for c in range(channels):
                    product[i] += coming[c, i] * result[begin + i, place + c]
            _whole(bias, head, pair_starts[jet], size, padded, matrix)
            _add_products(query, keys, blocked, size, padded, matrix)
            weights[:size, :padded] = _ZERO
            _add_products(coming, values, blocked, size, padded, weights)
            of_head = np.uint32(key + np.uint32(head) * _OF_HEAD)
            _weights_again(
                matrix, weights, logsum[head, begin : begin + size], product, size, padded,
                begin, most, below, factor, of_head, other_key,
            )  # fmt: skip
            _columns_times(weights, coming, blocked, size, padded, found)
            _put(found, begin, size, 2 * width + place, channels, _ONE, projected_gradient)
            _columns_times(matrix, query, blocked, size, padded, found)
            _put(found, begin, size, width + place, channels, _ONE, projected_gradient)
            _rows_times(matrix, keys, blocked, size, padded, found)
            _put(found, begin, size, place, channels, scale, projected_gradient)
            _fold(matrix, head, pair_starts[jet], size, bias_gradient)


@compiled
def _put(
    columns: Array, begin: int, size: int, place: int, channels: int, factor: Any, rows: Array
) -> None:
    """Copy (channels, particles) to the channels from `place` on, times a factor."""
    for j in range(size):
        row = rows[begin + j, place : place + channels]
        for c in range(channels):
            row[c] = columns[c, j] * factor


@compiled
def _fold(matrix: Array, head: int, pair: int, size: int, gradient: Array) -> None:
    """Add what came for both places of each pair."""
    for i in range(size):
        of_row = gradient[head, pair : pair + i + 1]
        for j in range(i):
            of_row[j] = matrix[i, j] + matrix[j, i]
        of_row[i] = matrix[i, i]
        pair += i + 1
