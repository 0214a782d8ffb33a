"""HistFactory likelihoods that torch can differentiate, for many parameter points at once.

Equal to pyhf's likelihood of the same workspace, constants included: the modifiers and their
interpolation are those of K. Cranmer et al., CERN-OPEN-2012-016, in the numbering of pyhf (codes 0
and 4p for `histosys`, 1 and 4 for `normsys`).
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyhf
import torch
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.inference import interpolation

FACTORS = ("normfactor", "shapefactor", "staterror", "shapesys", "lumi")
"""Modifiers that multiply bins by a parameter."""


class HistFactory(nn.Module):
    """A HistFactory model: expected yields and likelihood as functions of the parameters.

    Every method takes parameters of shape (..., parameters), in the order of `names`, and
    broadcasts over the leading axes. All numbers are double precision.

    Parameters
    ----------
    model
        pyhf model, made with any of the interpolation codes above.

    Raises
    ------
    InputError
        The model has a modifier or an interpolation that is not supported, or yields under a
        `normsys` that the interpolation takes below zero.
    """

    nominal: Tensor
    multiplier: Tensor
    shape_parameter: Tensor
    shape_up: Tensor
    shape_down: Tensor
    yield_parameter: Tensor
    yield_up: Tensor
    yield_down: Tensor
    yield_place: Tensor
    bin_channel: Tensor
    init: Tensor
    lower: Tensor
    upper: Tensor
    held: Tensor
    auxiliary_parameter: Tensor
    auxiliary_scale: Tensor
    auxiliary_poisson: Tensor

    def __init__(self, model: pyhf.pdf.Model) -> None:
        super().__init__()
        config = model.config
        self.names: tuple[str, ...] = tuple(config.par_names)
        self.samples: tuple[str, ...] = tuple(config.samples)
        self.channels: tuple[str, ...] = tuple(config.channels)
        self.channel_slices: dict[str, slice] = {
            name: config.channel_slices[name] for name in self.channels
        }
        self.poi: int | None = config.poi_index
        appliers = model.main_model.modifiers_appliers
        self.shape_code = str(appliers["histosys"].interpcode)
        self.yield_code = str(appliers["normsys"].interpcode)
        self.clip_sample: float | None = model.main_model.clip_sample_data
        self.clip_bin: float | None = model.main_model.clip_bin_data
        interpolation.check(self.shape_code, self.yield_code)
        bounds = np.array(config.suggested_bounds(), dtype=float).reshape(-1, 2)
        keep = self._keep
        keep("init", config.suggested_init(), torch.float64)
        keep("lower", bounds[:, 0], torch.float64)
        keep("upper", bounds[:, 1], torch.float64)
        keep("held", config.suggested_fixed(), torch.bool)
        for name, values in _constraints(config).items():
            keep(name, values, torch.bool if name == "auxiliary_poisson" else None)
        for name, values in _Layout(model).tables(self.yield_code).items():
            keep(name, values)

    def _keep(self, name: str, values: Any, dtype: torch.dtype | None = None) -> None:
        tensor = torch.as_tensor(np.asarray(values))
        if dtype is None:
            dtype = torch.float64 if tensor.is_floating_point() else torch.int64
        self.register_buffer(name, tensor.to(dtype))

    def index(self, name: str) -> int:
        """Place of a parameter."""
        return self.names.index(name)

    @property
    def bins(self) -> int:
        """Number of bins of all channels."""
        return self.nominal.shape[1]

    def expected_by_sample(self, parameters: Tensor) -> Tensor:
        """Give the events (..., samples, bins) that each sample contributes."""
        yields = self.nominal
        if len(self.shape_parameter):
            change = interpolation.change(
                self.shape_code,
                parameters[..., self.shape_parameter, None, None],
                self.shape_up,
                self.shape_down,
            )
            yields = yields + change.sum(dim=-3)
        if len(self.yield_parameter):
            logarithm = interpolation.log_factor(
                self.yield_code,
                parameters[..., self.yield_parameter],
                self.yield_up,
                self.yield_down,
            )
            places = len(self.samples) * len(self.channels)
            total = logarithm.new_zeros((*logarithm.shape[:-1], places))
            total = total.index_add(-1, self.yield_place, logarithm)
            factor = total.exp().unflatten(-1, (len(self.samples), len(self.channels)))
            yields = yields * factor[..., self.bin_channel]
        one = parameters.new_ones((*parameters.shape[:-1], 1))
        padded = torch.cat([parameters, one], dim=-1)
        for place in self.multiplier:
            yields = yields * padded[..., place]
        if self.clip_sample is not None:
            yields = yields.clamp(min=self.clip_sample)
        return yields

    def expected(self, parameters: Tensor) -> Tensor:
        """Give the events (..., bins) of all samples together."""
        total = self.expected_by_sample(parameters).sum(dim=-2)
        return total if self.clip_bin is None else total.clamp(min=self.clip_bin)

    def expected_auxiliary(self, parameters: Tensor) -> Tensor:
        """Give the expected auxiliary measurements (..., auxiliary)."""
        value = parameters[..., self.auxiliary_parameter]
        return torch.where(self.auxiliary_poisson, value * self.auxiliary_scale, value)

    def expected_data(self, parameters: Tensor) -> Tensor:
        """Give bins and auxiliary measurements (..., bins + auxiliary), as pyhf orders data."""
        return torch.cat([self.expected(parameters), self.expected_auxiliary(parameters)], dim=-1)

    def log_probability(self, parameters: Tensor, data: Tensor) -> Tensor:
        """Give the logarithm (...) of the probability of data (..., bins + auxiliary)."""
        main, auxiliary = data[..., : self.bins], data[..., self.bins :]
        found = poisson(main, self.expected(parameters)).sum(dim=-1)
        if auxiliary.shape[-1]:
            found = found + self.log_constraint(parameters, auxiliary)
        return found

    def log_constraint(self, parameters: Tensor, auxiliary: Tensor) -> Tensor:
        """Give the logarithm (...) of the probability of measurements (..., auxiliary)."""
        value = parameters[..., self.auxiliary_parameter]
        scale = self.auxiliary_scale
        # Each branch sees harmless values where the other counts, lest NaN come through gradients.
        normal_scale = torch.where(self.auxiliary_poisson, torch.ones_like(scale), scale)
        rate = torch.where(self.auxiliary_poisson, value * scale, torch.ones_like(value))
        counted = torch.where(self.auxiliary_poisson, auxiliary, torch.ones_like(auxiliary))
        pull = (auxiliary - value) / normal_scale
        normal = -0.5 * pull**2 - torch.log(normal_scale) - 0.5 * np.log(2 * np.pi)
        return torch.where(self.auxiliary_poisson, poisson(counted, rate), normal).sum(dim=-1)


def poisson(counts: Tensor, rate: Tensor) -> Tensor:
    """Logarithm of the Poisson probability, continued to any counts >= 0."""
    return torch.xlogy(counts, rate) - rate - torch.lgamma(counts + 1.0)


def _constraints(config: Any) -> dict[str, Any]:
    """Auxiliary measurements in the order of pyhf's data."""
    parameter: list[int] = []
    scale: list[float] = []
    is_poisson: list[bool] = []
    for name in config.auxdata_order:
        one, place = config.param_set(name), config.par_slice(name)
        parameter += range(place.start, place.stop)
        counted = one.pdf_type == "poisson"
        scale += list(one.factors if counted else one.width())
        is_poisson += [counted] * one.n_parameters
    return {
        "auxiliary_parameter": np.array(parameter, dtype=np.int64),
        "auxiliary_scale": np.array(scale, dtype=float),
        "auxiliary_poisson": np.array(is_poisson, dtype=bool),
    }


class _Layout:
    """Tables of a model's modifiers: samples by bins, both in pyhf's order."""

    def __init__(self, model: pyhf.pdf.Model) -> None:
        self.config = model.config
        self.channels = {one["name"]: one for one in model.spec["channels"]}
        self.row = {name: row for row, name in enumerate(self.config.samples)}
        self.bins = sum(self.config.channel_nbins[name] for name in self.config.channels)

    def tables(self, yield_code: str) -> dict[str, Any]:
        """All tensors of `HistFactory` that depend on the modifiers."""
        shape = (len(self.row), self.bins)
        nominal = np.zeros(shape)
        multipliers: dict[tuple[int, int], list[int]] = {}
        shapes: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        yields: list[tuple[int, float, float, int]] = []
        for number, channel in enumerate(self.config.channels):
            place = self.config.channel_slices[channel]
            for sample in self.channels[channel]["samples"]:
                row = self.row[sample["name"]]
                contents = np.asarray(sample["data"], dtype=float)
                nominal[row, place] = contents
                for modifier in sample["modifiers"]:
                    where = f"{channel}, sample {sample['name']}, modifier {modifier['name']}"
                    start = self.config.par_slice(modifier["name"]).start
                    kind, data = modifier["type"], modifier["data"]
                    if kind in FACTORS:
                        for column, parameter in self._parameters(channel, modifier):
                            multipliers.setdefault((row, column), []).append(parameter)
                    elif kind == "normsys":
                        interpolation.check_positive(yield_code, data["hi"], data["lo"], where)
                        yields.append(
                            (start, data["hi"], data["lo"], row * len(self.channels) + number)
                        )
                    elif kind == "histosys":
                        up, down = shapes.setdefault(start, (np.zeros(shape), np.zeros(shape)))
                        up[row, place] = np.asarray(data["hi_data"]) - contents
                        down[row, place] = contents - np.asarray(data["lo_data"])
                    else:
                        raise InputError(f"channel {where}: modifiers of type {kind} are unknown")
        return (
            {"nominal": nominal, "multiplier": self._padded(multipliers, shape)}
            | self._shapes(shapes, shape)
            | _yields(yields)
            | {
                "bin_channel": np.concatenate(
                    [
                        np.full(self.config.channel_nbins[name], number, dtype=np.int64)
                        for number, name in enumerate(self.config.channels)
                    ]
                )
            }
        )

    def _parameters(self, channel: str, modifier: Mapping[str, Any]) -> list[tuple[int, int]]:
        """Pairs of bin and parameter that multiplies it."""
        place = self.config.par_slice(modifier["name"])
        bins = self.config.channel_slices[channel]
        columns = range(bins.start, bins.stop)
        if modifier["type"] in ("normfactor", "lumi"):
            return [(column, place.start) for column in columns]
        if modifier["type"] == "shapefactor":
            # One parameter for each bin, counted from the first of the channel: channels share.
            if len(columns) > place.stop - place.start:
                raise InputError(
                    f"channel {channel}, modifier {modifier['name']}: a shapefactor that is shared "
                    "with a channel of fewer bins; give both the same bins"
                )
            return [(column, place.start + bin_) for bin_, column in enumerate(columns)]
        # One parameter for each bin of the channels that have the modifier, in their order.
        before = sum(
            self.config.channel_nbins[name]
            for name in self.config.channels[: self.config.channels.index(channel)]
            if self._has(name, modifier)
        )
        return [(column, place.start + before + bin_) for bin_, column in enumerate(columns)]

    def _has(self, channel: str, modifier: Mapping[str, Any]) -> bool:
        return any(
            one["name"] == modifier["name"] and one["type"] == modifier["type"]
            for sample in self.channels[channel]["samples"]
            for one in sample["modifiers"]
        )

    def _padded(
        self, multipliers: Mapping[tuple[int, int], list[int]], shape: tuple[int, int]
    ) -> np.ndarray:
        """Places of parameters (most in a bin, samples, bins); past the last: a factor of one."""
        most = max((len(found) for found in multipliers.values()), default=0)
        table = np.full((most, *shape), self.config.npars, dtype=np.int64)
        for (row, column), found in multipliers.items():
            table[: len(found), row, column] = found
        return table

    @staticmethod
    def _shapes(
        shapes: Mapping[int, tuple[np.ndarray, np.ndarray]], shape: tuple[int, int]
    ) -> dict[str, Any]:
        """Changes of the bins (parameters, samples, bins) by one standard deviation."""
        empty = np.zeros((0, *shape))
        return {
            "shape_parameter": np.array(list(shapes), dtype=np.int64),
            "shape_up": np.stack([up for up, _ in shapes.values()]) if shapes else empty,
            "shape_down": np.stack([down for _, down in shapes.values()]) if shapes else empty,
        }


def _yields(found: list[tuple[int, float, float, int]]) -> dict[str, Any]:
    """Factors on the yields of samples in channels, one row each."""
    parameter, up, down, place = zip(*found, strict=True) if found else ((), (), (), ())
    return {
        "yield_parameter": np.array(parameter, dtype=np.int64),
        "yield_up": np.array(up, dtype=float),
        "yield_down": np.array(down, dtype=float),
        "yield_place": np.array(place, dtype=np.int64),
    }
