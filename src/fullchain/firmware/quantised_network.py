"""The network that is trained with rounded numbers."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fullchain.firmware.float_network import DenseLayer, FloatNetwork, pooled
from fullchain.firmware.layer_plan import LayerPlan
from fullchain.firmware.point_settings import PointSettings
from fullchain.firmware.quantisers import ActivationQuantiser, ConstantQuantiser


class Passed(NamedTuple):
    """What a layer makes of its inputs.

    `values` (rows, ..., channels) are its outputs; `bits` (channels) those of an output, without
    the sign; `ebops` and `all_bits` are sums over the layer, with gradients for bit widths.
    """

    name: str
    values: Tensor
    bits: Tensor
    ebops: Tensor
    all_bits: Tensor


class QuantisedDense(nn.Module):
    """A dense layer with rounded weights and bias; the outputs are rounded elsewhere."""

    mask: Tensor

    def __init__(self, layer: DenseLayer, how: PointSettings) -> None:
        super().__init__()
        self.relu = layer.relu
        self.weight = nn.Parameter(layer.weight.detach().clone())
        self.bias = nn.Parameter(layer.bias.detach().clone())
        self.register_buffer("mask", layer.mask.detach().clone())
        fixed = how.weight_bits if how.bits == "learned" else how.weight_bits + how.activation_bits
        self.weight_quantiser = ConstantQuantiser(self.weight * self.mask, how.weight_bits, how)
        # The bias is as large as the sums, not as the weights.
        self.bias_quantiser = ConstantQuantiser(
            torch.cat([self.weight.detach().flatten(), self.bias.detach()]).abs().max().reshape(1)
            if how.bits == "learned"
            else self.bias,
            how.bias_bits or fixed,
            how,
        )
        if self.bias_quantiser.learned and self.bias_quantiser.each:
            started = self.bias_quantiser.scaled.detach().expand(self.bias.shape).clone()
            self.bias_quantiser.scaled = nn.Parameter(started)

    def constants(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Give rounded weights and bias, and the bits of each."""
        weight, weight_bits = self.weight_quantiser(self.weight * self.mask)
        bias, bias_bits = self.bias_quantiser(self.bias)
        return weight, bias, weight_bits, bias_bits

    def sums(self, values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Map (..., inputs) to (..., outputs) with rounded constants."""
        sums = values @ weight + bias
        return torch.relu(sums) if self.relu else sums


class QuantisedNetwork(nn.Module):
    """A network of fixed-point numbers that can be trained.

    Parameters
    ----------
    start
        The trained network in floating point; its pruned weights stay 0.
    how
        Bits, granularity, ranges.
    """

    def __init__(self, start: FloatNetwork, how: PointSettings) -> None:
        super().__init__()
        self.plan: tuple[LayerPlan, ...] = start.plan
        quantities = self.plan[0].inputs
        self.inputs = ActivationQuantiser(quantities, signed=True, bits=how.input_bits, how=how)
        self.dense = nn.ModuleDict()
        self.outputs = nn.ModuleDict()
        for layer in self.plan:
            if layer.kind == "dense":
                known = start.dense[layer.name]
                assert isinstance(known, DenseLayer)
                self.dense[layer.name] = QuantisedDense(known, how)
            if layer.rounded:
                signed = layer.kind == "dense" and not layer.relu
                self.outputs[layer.name] = ActivationQuantiser(
                    layer.outputs, signed=signed, bits=how.activation_bits, how=how
                )

    def forward(self, inputs: Tensor) -> Tensor:
        """Map scaled inputs to the outputs of the last dense layer (rounded if a norm follows)."""
        return self.passed(inputs)[0]

    def passed(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Give the outputs of the last dense layer, the EBOPs, and the sum of all bit widths."""
        values, ebops, bits = inputs, inputs.new_zeros(()), inputs.new_zeros(())
        for layer, one in zip((None, *self.plan), self.steps(inputs), strict=True):
            if layer is None or layer.kind != "squared_norm":
                values = one.values
            ebops, bits = ebops + one.ebops, bits + one.all_bits
        return values, ebops, bits

    def steps(self, inputs: Tensor, calibrate: str = "") -> Iterator[Passed]:
        """Give what the inputs and each layer become.

        Parameters
        ----------
        inputs
            (rows, [candidates,] quantities), scaled.
        calibrate
            Set the formats of each layer from its values on the way: `coverage` or `maximum`, see
            `ActivationQuantiser`; nothing if empty.
        """
        values = self._rounded(self.inputs, inputs, calibrate)
        bits = self.inputs.magnitude_bits()
        nothing = bits.new_zeros(())
        yield Passed("inputs", values, bits, nothing, bits.sum())
        for layer in self.plan:
            ebops, all_bits = nothing, nothing
            if layer.kind == "dense":
                dense = self.dense[layer.name]
                assert isinstance(dense, QuantisedDense)
                weight, bias, weight_bits, bias_bits = dense.constants()
                ebops = layer.copies * (bits @ weight_bits.sum(dim=1) + bias_bits.sum())
                all_bits = weight_bits.sum() + bias_bits.sum()
                values = dense.sums(values, weight, bias)
                # Exact sums have no width that a price could lower.
                bits = bits.new_zeros(layer.outputs)
            else:
                if layer.kind == "squared_norm":
                    ebops = (bits * bits).sum()
                values = pooled(layer, values)
                bits = bits.repeat(layer.outputs // len(bits)) if layer.kind == "flatten" else bits
            if layer.rounded:
                quantiser = self.outputs[layer.name]
                assert isinstance(quantiser, ActivationQuantiser)
                values = self._rounded(quantiser, values, calibrate)
                bits = quantiser.magnitude_bits()
                all_bits = all_bits + bits.sum()
            yield Passed(layer.name, values, bits, ebops, all_bits)

    @staticmethod
    def _rounded(quantiser: ActivationQuantiser, values: Tensor, calibrate: str) -> Tensor:
        if calibrate == "coverage":
            quantiser.calibrate(values)
        elif calibrate == "maximum" and quantiser.ranges == "maximum":
            quantiser.calibrate_maximum(values)
        result: Tensor = quantiser(values)
        return result

    @torch.no_grad()
    def calibrate(self, inputs: Tensor, by: str) -> None:
        """Set the formats from the values of training jets, layer after layer; `by` as in `steps`.

        In `maximum`, only formats whose range is the largest value seen are set.
        """
        training = self.training
        self.eval()
        for _ in self.steps(inputs, calibrate=by):
            pass
        self.train(training)
