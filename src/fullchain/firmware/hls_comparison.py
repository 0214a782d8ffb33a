"""Comparison of an emulation with the network and with a float evaluation, layer by layer."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fullchain.errors import InputError
from fullchain.firmware.fixed_network import Dense, FixedPointNetwork
from fullchain.firmware.fixed_point import Array, Format
from fullchain.firmware.hls_emulation import Emulation
from fullchain.firmware.hls_layers import Step
from fullchain.firmware.stimuli import Stimuli
from fullchain.firmware.value_ranges import profile, spans

VALUES_KEPT = 2_000_000
"""Values of a layer that its profile is made of, at most."""


@dataclass
class Tally:
    """What is counted for a layer while vectors pass."""

    step: Step
    vectors: int = 0
    mismatches: int = 0
    largest: float = 0.0
    from_float: float = 0.0
    overflows: dict[str, list[int]] = field(default_factory=dict)
    values: int = 0
    jet_values: int = 0
    kept: list[Array] = field(default_factory=list)

    def compare(self, emulated: Array, exact: Array, floats: Array) -> None:
        """Count rows that differ from the exact values, and the largest differences."""
        rows = len(exact)
        found = emulated.reshape(exact.shape)
        if self.step.rounded_later and self.step.layer.output is not None:
            found = self.step.layer.output.quantise(found)
        differs = (found != exact).reshape(rows, -1).any(axis=1)
        self.vectors += rows
        self.mismatches += int(differs.sum())
        self.largest = max(self.largest, float(np.abs(found - exact).max(initial=0.0)))
        self.from_float = max(self.from_float, float(np.abs(found - floats).max(initial=0.0)))

    def fill(self, values: Array, formats: dict[str, Format], jets: int, wanted: int) -> None:
        """Count values that do not fit, of the first `jets` rows (jets) and of all."""
        self.values += values.size
        self.jet_values += values[:jets].size
        for what, numbers in formats.items():
            counts = self.overflows.setdefault(what, [0, 0])
            every = values if numbers.channels > 1 else values.reshape(-1, 1)
            own = values[:jets] if numbers.channels > 1 else values[:jets].reshape(-1, 1)
            counts[0] += int(numbers.overflows(own).sum())
            counts[1] += int(numbers.overflows(every).sum())
        size = max(values[:1].size, 1)
        rows = min(wanted, VALUES_KEPT // size) - sum(len(piece) for piece in self.kept)
        if rows > 0 and jets:
            self.kept.append(values[: min(jets, rows)])

    def content(self) -> dict[str, Any]:
        """Give everything as plain values."""
        layer, step = self.step.layer, self.step
        held = np.concatenate(self.kept) if self.kept else np.zeros(0)
        entry: dict[str, Any] = {
            "name": layer.name,
            "kind": layer.kind,
            "hls4ml": step.traced,
            "rounded_in_next_layer": step.rounded_later,
            "vectors": self.vectors,
            "mismatches": self.mismatches,
            "largest_difference": self.largest,
            "largest_difference_from_float": self.from_float,
            "activations": profile(held),
            "values": {"jets": self.jet_values, "all": self.values},
            "overflows": {
                what: {"jets": jets, "all": every} for what, (jets, every) in self.overflows.items()
            },
            "format": None if layer.output is None else spans([layer.output]),
            "types": {what: spans([numbers]) for what, numbers in step.types.items()},
        }
        if isinstance(layer, Dense):
            entry["weights"] = profile(np.concatenate([layer.weight.ravel(), layer.bias]))
        return entry


def compare(
    network: FixedPointNetwork,
    stimuli: Stimuli,
    emulation: Emulation,
    steps: list[Step],
    *,
    by_hand: bool,
    jets_profiled: int,
) -> tuple[Array, Array, list[dict[str, Any]]]:
    """Emulate all vectors and compare every layer.

    Parameters
    ----------
    by_hand
        Whether precision was chosen by hand: overflows are then those of float values in the
        chosen types, else those of the network's own formats.
    jets_profiled
        Jets whose values the profiles hold, at most.

    Returns
    -------
    Outputs of the emulation, outputs of the float evaluation (both (vectors, outputs)), and for
    each layer what `Tally.content` gives.

    Raises
    ------
    InputError
        The vectors are those of another network.
    """
    width = int(np.prod(network.input_shape))
    if stimuli.inputs.shape[1] != width or stimuli.outputs.shape[1] != len(network.outputs):
        raise InputError(
            f"the vectors have {stimuli.inputs.shape[1]} inputs and {stimuli.outputs.shape[1]} "
            f"outputs, the network {width} and {len(network.outputs)}; run firmware stimulate again"
        )
    tallies = [Tally(step) for step in steps]
    outputs, floats = [], []
    start = 0
    for emulated, traces in emulation.run(stimuli.inputs):
        stop = start + len(emulated)
        inputs = stimuli.inputs[start:stop].reshape(-1, *network.input_shape)
        jets = int(np.clip(stimuli.jets - start, 0, len(emulated)))
        unrounded_values, exact = inputs, inputs
        for tally, (layer, unrounded, rounded) in zip(tallies, network.steps(inputs), strict=True):
            unrounded_values = layer.unrounded(unrounded_values)
            exact = rounded
            if tally.step.traced is not None:
                tally.compare(traces[tally.step.traced], rounded, unrounded_values)
            formats = _held(tally.step, by_hand)
            tally.fill(unrounded_values if by_hand else unrounded, formats, jets, jets_profiled)
        if (exact != stimuli.outputs[start:stop]).any():
            raise InputError(
                "the vectors have outputs of another network; run firmware stimulate again"
            )
        outputs.append(emulated)
        floats.append(unrounded_values)
        start = stop
    shape = (0, len(network.outputs))
    return (
        np.concatenate(outputs) if outputs else np.empty(shape),
        np.concatenate(floats) if floats else np.empty(shape),
        [tally.content() for tally in tallies],
    )


def _held(step: Step, by_hand: bool) -> dict[str, Format]:
    if by_hand:
        return {
            what: step.types[what] for what in ("accum", "result", "activation")
            if what in step.types
        }  # fmt: skip
    return {} if step.layer.output is None else {"format": step.layer.output}


def weights_that_do_not_fit(steps: list[Step]) -> dict[str, int]:
    """Count weights and biases beyond the types chosen for them, by name of the layer."""
    counts = {}
    for step in steps:
        if isinstance(step.layer, Dense):
            pairs = (("weight", step.layer.weight), ("bias", step.layer.bias))
            counts[step.layer.name] = sum(
                int(step.types[what].overflows(values.reshape(-1, 1)).sum())
                for what, values in pairs
                if what in step.types
            )
    return counts


def first_difference(layers: list[dict[str, Any]]) -> str | None:
    """Name of the first layer whose emulation differs from the network; None if none does."""
    return next((one["name"] for one in layers if one["mismatches"]), None)


def agreement(emulated: Array, others: Array) -> list[int] | None:
    """Rows whose largest output is the same one, and rows; None for a single output."""
    if emulated.shape[1] < 2:
        return None
    same = emulated.argmax(axis=1) == others.argmax(axis=1)
    return [int(same.sum()), len(same)]
