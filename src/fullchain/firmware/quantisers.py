"""Rounding to fixed point in torch, with gradients for values and for bit widths.

As in HGQ (Sun et al., arXiv:2405.00645): widths are trained real numbers that are rounded where
they are used. Rounding passes the gradient of values unchanged (straight through). For the
fractional bits f the rounding error d = x - x_q falls on average by half with each bit, d|d|/df =
-log(2) |d|, so that dx_q/df = log(2) d. Integer bits get the gradient of the limits where values
saturate.

Bits are what `fixed_point.Format` calls them: integer ones without the sign.
"""

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fullchain.firmware.fixed_point import Format
from fullchain.firmware.point_settings import PointSettings

LOG2 = math.log(2.0)

LOWEST_INTEGER = -24
"""Integer bits of a channel in which nothing was seen."""


def straight_round(values: Tensor) -> Tensor:
    """Round half up, with the gradient of the identity."""
    return values + (torch.floor(values + 0.5) - values).detach()


class _Rounded(torch.autograd.Function):
    """Round half up and saturate, for whole numbers of bits; see the module."""

    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        fractional: Tensor,
        integer: Tensor,
        signed: bool,
        free: bool,
    ) -> Tensor:
        step = torch.exp2(-fractional)
        reach = torch.exp2(integer)
        kept = integer + fractional + float(signed) > 0
        highest = torch.where(kept, reach - step, torch.zeros_like(step))
        lowest = torch.where(kept, -reach, torch.zeros_like(step)) if signed else 0.0 * step
        rounded = torch.floor(values / step + 0.5) * step
        result = torch.minimum(torch.maximum(rounded, lowest), highest)
        ctx.save_for_backward(values, result, rounded, highest, lowest, step, reach, kept)
        ctx.shapes = fractional.shape, integer.shape
        ctx.free = free
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        values, result, rounded, highest, lowest, step, reach, kept = ctx.saved_tensors
        above, below = rounded > highest, rounded < lowest
        inside = ~(above | below)
        error = LOG2 * (values - result)
        # A pruned channel has no limits that matter: its whole value is rounding error.
        by_fractional = torch.where(inside | ~kept, error, LOG2 * step * above)
        limits = LOG2 * reach * (above.to(reach.dtype) - below.to(reach.dtype))
        by_integer = torch.where(kept, limits, torch.zeros_like(limits))
        fractional_shape, integer_shape = ctx.shapes
        return (
            gradient if ctx.free else gradient * inside,
            (gradient * by_fractional).sum_to_size(fractional_shape),
            (gradient * by_integer).sum_to_size(integer_shape),
            None,
            None,
        )


def rounded(
    values: Tensor, fractional: Tensor, integer: Tensor, signed: bool, *, free: bool = False
) -> Tensor:
    """Round half up and saturate, exactly as `Format.quantise`.

    Parameters
    ----------
    values
        Any shape.
    fractional, integer
        Whole numbers that broadcast to `values`.
    signed
        Whether there is a sign bit.
    free
        Whether values that saturate have a gradient, too.
    """
    result: Tensor = _Rounded.apply(values, fractional, integer, signed, free)
    return result


def integer_bits(largest: Tensor) -> Tensor:
    """Fewest integer bits i with |value| <= 2^i; `LOWEST_INTEGER` where there are no values."""
    mantissa, exponent = torch.frexp(largest)
    # A logarithm could be rounded to a whole number.
    found = torch.where(mantissa == 0.5, exponent - 1, exponent).to(largest.dtype)
    return torch.where(largest > 0, found, LOWEST_INTEGER).clamp(min=LOWEST_INTEGER)


def enclosed_bits(quantised: Tensor, fractional: Tensor) -> Tensor:
    """Bits of |values| from the first 1 to the last fractional one; 0 for zeros.

    The gradient is that of `fractional`.
    """
    _, exponent = torch.frexp(quantised.detach().abs())
    bits = exponent.to(fractional.dtype) + fractional
    return torch.where(quantised.detach() != 0, bits, torch.zeros_like(bits))


class ConstantQuantiser(nn.Module):
    """Rounds weights or biases.

    Parameters
    ----------
    values
        The initial constants; their largest one sets the initial fractional bits.
    bits
        Bits with the sign, initial ones where learned.
    how
        Learned or fixed bits, and for which groups.
    """

    def __init__(self, values: Tensor, bits: int, how: PointSettings) -> None:
        super().__init__()
        self.bits, self.learned, self.largest = bits, how.bits == "learned", how.largest_bits
        self.each = how.weight_granularity == "weight"
        self.rate = how.rate_of_bits
        if self.learned:
            start = bits - 1 - float(integer_bits(values.detach().abs().max()))
            shape = values.shape if self.each else torch.Size([1] * values.ndim)
            self.scaled = nn.Parameter(torch.full(shape, min(start, self.largest) / self.rate))

    def widths(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Give fractional and integer bits, whole numbers that broadcast to `values`."""
        magnitude = values.detach().abs()
        integer = integer_bits(magnitude if self.each else magnitude.max().expand(values.shape))
        if self.learned:
            # Learned widths have no upper limit to saturate at: two more bits hold a value that is
            # rounded up to a power of two, with either sign.
            fractional = straight_round(
                (self.scaled * self.rate).clamp(-self.largest, self.largest)
            )
            return fractional.expand(values.shape), integer + 2
        return (self.bits - 1 - integer).clamp(max=self.largest), integer

    def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Give the rounded constants and the bits that each multiplication by them costs."""
        fractional, integer = self.widths(values)
        # No value of the learned widths is pruned by a lack of integer bits but by rounding.
        integer = torch.maximum(integer, -fractional.detach()) if self.learned else integer
        # The largest constant of a format of fixed bits saturates by rounding alone: without a
        # gradient it would stay there for ever.
        quantised = rounded(values, fractional, integer, signed=True, free=not self.learned)
        return quantised, enclosed_bits(quantised, fractional)


class ActivationQuantiser(nn.Module):
    """Rounds what comes out of a layer, or the inputs; the last axis is channels.

    Parameters
    ----------
    channels
        Number of channels.
    signed
        Whether values may be negative.
    bits
        Bits with the sign, initial ones where learned.
    how
        Learned or fixed bits, ranges and groups.
    """

    integer: Tensor

    def __init__(self, channels: int, *, signed: bool, bits: int, how: PointSettings) -> None:
        super().__init__()
        self.channels, self.signed, self.bits = channels, signed, bits
        self.learned = how.bits == "learned"
        self.ranges = how.ranges if self.learned else "fixed"
        self.each = how.activation_granularity == "channel"
        self.rate, self.largest, self.coverage = how.rate_of_bits, how.largest_bits, how.coverage
        groups = channels if self.each else 1
        zeros = torch.zeros(groups)
        if self.learned:
            self.scaled_fractional = nn.Parameter(zeros.clone())
        if self.ranges == "learned":
            self.scaled_integer = nn.Parameter(zeros.clone())
        else:
            self.register_buffer("integer", zeros.clone())

    def widths(self) -> tuple[Tensor, Tensor]:
        """Give fractional and integer bits, whole numbers, each (channels) or (1)."""
        if self.ranges == "learned":
            integer = straight_round(
                (self.scaled_integer * self.rate).clamp(-self.largest, self.largest)
            )
        else:
            integer = self.integer
        if self.learned:
            scaled = (self.scaled_fractional * self.rate).clamp(-self.largest, self.largest)
            return straight_round(scaled), integer
        return (self.bits - float(self.signed) - integer).clamp(max=self.largest), integer

    def magnitude_bits(self) -> Tensor:
        """Bits without the sign, (channels), with gradients."""
        fractional, integer = self.widths()
        return torch.relu(fractional + integer).expand(self.channels)

    def forward(self, values: Tensor) -> Tensor:
        """Round values of shape (..., channels)."""
        if self.ranges == "maximum" and self.training:
            self._observe(values)
            fractional, _ = self.widths()
            # Nothing saturates while the maximum is looked for.
            return rounded(values, fractional, self._unlimited(fractional), self.signed)
        fractional, integer = self.widths()
        return rounded(values, fractional, integer, self.signed)

    @staticmethod
    def _unlimited(fractional: Tensor) -> Tensor:
        return torch.full_like(fractional, 60.0)

    @torch.no_grad()
    def _observe(self, values: Tensor) -> None:
        fractional, _ = self.widths()
        largest = self._groups(rounded(values, fractional, self._unlimited(fractional), True))
        # One step above, because the largest value of a format is one step below 2^i.
        needed = integer_bits(largest.abs().amax(dim=0) + torch.exp2(-fractional))
        self.integer.copy_(torch.maximum(self.integer, needed))

    def _groups(self, values: Tensor) -> Tensor:
        return values.reshape(-1, self.channels if self.each else 1)

    @torch.no_grad()
    def calibrate(self, values: Tensor) -> None:
        """Set integer bits such that the wanted part of `values`, (..., channels), fits.

        Fractional bits are what is left of the given bits.
        """
        magnitude = self._groups(values.abs()).double()
        if self.coverage < 1:
            largest = torch.from_numpy(np.quantile(magnitude.numpy(), self.coverage, axis=0))
        else:
            largest = magnitude.amax(dim=0)
        integer = integer_bits(largest).to(torch.get_default_dtype())
        # Channels that are always 0 would get bits far behind the point.
        integer = integer.clamp(min=float(-self.largest))
        if self.ranges == "learned":
            self.scaled_integer.copy_(integer / self.rate)
        else:
            self.integer.copy_(integer)
        if self.learned:
            fractional = (self.bits - float(self.signed) - integer).clamp(max=self.largest)
            self.scaled_fractional.copy_(fractional / self.rate)

    @torch.no_grad()
    def calibrate_maximum(self, values: Tensor) -> None:
        """Set integer bits to what the largest of `values`, (..., channels), needs."""
        self.integer.fill_(LOWEST_INTEGER)
        self._observe(values)

    @torch.no_grad()
    def format(self) -> Format:
        """Give the formats of all channels."""
        fractional, integer = (whole(bits.expand(self.channels)) for bits in self.widths())
        return Format(np.full(self.channels, self.signed), integer, fractional)


def whole(bits: Tensor) -> NDArray[np.int64]:
    """Give whole numbers of bits as integers."""
    return np.asarray(np.round(bits.detach().cpu().double().numpy()), dtype=np.int64)
