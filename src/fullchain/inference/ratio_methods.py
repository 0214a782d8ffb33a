"""From learned ratios to the likelihood of data sets: calibrated, raw or exact."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fullchain.inference import ratio_calibration, unbinned
from fullchain.inference.likelihood_ratio import RatioNetworks
from fullchain.inference.ratio_calibration import Calibration, Sample
from fullchain.inference.ratio_settings import RatioCalibrationSettings
from fullchain.inference.ratio_source import Experiments, Simulated


@dataclass(frozen=True)
class Tables:
    """Log ratios to the nominal background.

    Parameters
    ----------
    signal
        (events) of the signal.
    background
        (events, nodes) of the background at nodes of the nuisance parameter.
    """

    signal: Tensor
    background: Tensor


@dataclass(frozen=True)
class Correction:
    """What makes the ratios of one network, or of the mean of several, right.

    Parameters
    ----------
    signal, nuisance
        Maps of log ratios.
    normalisation
        Log of the mean of the mapped nuisance ratio over the nominal background: coefficients of
        powers of nuisance/reach.
    reach
        Largest value of the nuisance parameter.
    """

    signal: Calibration
    nuisance: Calibration
    normalisation: tuple[float, ...]
    reach: float

    def tables(self, raw: Tables, nodes: Tensor) -> Tables:
        """Correct both ratios."""
        return Tables(
            torch.from_numpy(self.signal(raw.signal.numpy())), self.varied(raw.background, nodes)
        )

    def varied(self, raw: Tensor, nuisance: Tensor) -> Tensor:
        """Correct log ratios to the nominal background; `nuisance` goes with their last axis."""
        powers = (nuisance / self.reach).unsqueeze(-1) ** torch.arange(len(self.normalisation))
        norm = powers.double() @ torch.tensor(self.normalisation, dtype=torch.float64)
        return torch.from_numpy(self.nuisance(raw.numpy())) - norm


@dataclass(frozen=True)
class Pair:
    """Ensembles for the signal ratio and for the nuisance ratio, trained with one loss."""

    signal: RatioNetworks
    nuisance: RatioNetworks

    def members(self, x: Tensor, nodes: Tensor) -> list[Tables]:
        """Raw log ratios of each member."""
        one, two = self.signal.at(x, torch.zeros(1)), self.nuisance.at(x, nodes)
        return [Tables(a[:, 0], b) for a, b in zip(one, two, strict=True)]


def mean(members: list[Tables]) -> Tables:
    """Mean log ratios of the members."""
    return Tables(
        torch.stack([one.signal for one in members]).mean(0),
        torch.stack([one.background for one in members]).mean(0),
    )


@dataclass(frozen=True)
class HeldOut:
    """Log ratios of events that were not trained on.

    Parameters
    ----------
    signal
        (events) of signal events.
    nominal
        Of nominal background.
    varied, paired
        (events) nuisance ratio of varied events at their own value, and of nominal ones at the same
        values.
    """

    signal: Tensor
    nominal: Tables
    varied: Tensor
    paired: Tensor

    def slice(self, first: int, step: int) -> "HeldOut":
        """Every `step`-th event."""
        nominal = Tables(self.nominal.signal[first::step], self.nominal.background[first::step])
        return HeldOut(
            self.signal[first::step], nominal, self.varied[first::step], self.paired[first::step]
        )


def held_out(pair: Pair, events: Simulated, nodes: Tensor) -> list[HeldOut]:
    """Evaluate all members on the calibration events."""
    signal_x, nominal_x = events.signal.x[:, 0], events.nominal.x[:, 0]
    signal = pair.signal.at(signal_x, torch.zeros(1))[..., 0]
    nominal = pair.members(nominal_x, nodes)
    varied_x = events.varied.x[:, 0]
    shift = events.nuisance[:, 0]
    rows = torch.arange(len(shift)) % len(nominal_x)
    with torch.no_grad():
        varied = _at_own(pair.nuisance, varied_x, shift)
        paired = _at_own(pair.nuisance, nominal_x[rows], shift)
    return [
        HeldOut(signal[one], nominal[one], varied[one], paired[one]) for one in range(len(signal))
    ]


def _at_own(networks: RatioNetworks, x: Tensor, shift: Tensor, at_once: int = 20_000) -> Tensor:
    """Log ratios (members, events), each event at its own value of the nuisance parameter."""
    found = [
        networks(rows.float(), values.float().unsqueeze(0))
        for rows, values in zip(x.split(at_once), shift.split(at_once), strict=True)
    ]
    return torch.cat(found, dim=1).double()


def mean_held_out(members: list[HeldOut]) -> HeldOut:
    """Mean log ratios of the members."""
    return HeldOut(
        torch.stack([one.signal for one in members]).mean(0),
        mean([one.nominal for one in members]),
        torch.stack([one.varied for one in members]).mean(0),
        torch.stack([one.paired for one in members]).mean(0),
    )


@dataclass(frozen=True)
class Weights:
    """Weights of held-out events (events), as in `HeldOut`."""

    signal: Tensor
    nominal: Tensor
    varied: Tensor
    paired: Tensor

    @classmethod
    def of(cls, events: Simulated) -> "Weights":
        """Those of the first member."""
        nominal, varied = events.nominal.weight[:, 0], events.varied.weight[:, 0]
        paired = nominal[torch.arange(len(varied)) % len(nominal)]
        return cls(events.signal.weight[:, 0], nominal, varied, paired)

    def slice(self, first: int, step: int) -> "Weights":
        """Every `step`-th event."""
        return Weights(*(one[first::step] for one in vars(self).values()))


def samples(values: HeldOut, weights: Weights, what: str) -> dict[str, Sample]:
    """Events for the calibration of both ratios."""
    return {
        "signal": Sample.of(
            values.signal.numpy(), values.nominal.signal.numpy(),
            weights.signal.numpy(), weights.nominal.numpy(), f"{what}, signal",
        ),
        "nuisance": Sample.of(
            values.varied.numpy(), values.paired.numpy(),
            weights.varied.numpy(), weights.paired.numpy(), f"{what}, nuisance parameter",
        ),
    }  # fmt: skip


def correct(
    values: HeldOut,
    weights: Weights,
    nodes: Tensor,
    reach: float,
    settings: RatioCalibrationSettings,
    what: str,
) -> Correction:
    """Calibrate and normalise both ratios."""
    both = samples(values, weights, what)
    signal = ratio_calibration.fit(both["signal"], settings.kind, settings.bins)
    nuisance = ratio_calibration.fit(
        both["nuisance"], settings.nuisance, settings.bins, anchored=True
    )
    mapped = nuisance(values.nominal.background.numpy())
    norms = [
        ratio_calibration.normalisation(column, weights.nominal.numpy())[0] for column in mapped.T
    ]
    coefficients = unbinned.polynomial(torch.log(torch.tensor(norms, dtype=torch.float64)))
    return Correction(signal, nuisance, tuple(coefficients.tolist()), reach)


def corrected(values: HeldOut, correction: Correction, nodes: Tensor, nuisance: Tensor) -> HeldOut:
    """Correct held-out log ratios; `nuisance` (events) is that of the varied events."""
    nominal = correction.tables(values.nominal, nodes)
    signal = torch.from_numpy(correction.signal(values.signal.numpy()))
    return HeldOut(
        signal,
        nominal,
        correction.varied(values.varied, nuisance),
        correction.varied(values.paired, nuisance),
    )


def quality(
    values: HeldOut, weights: Weights, nodes: Tensor, bins: int, what: str
) -> dict[str, Any]:
    """Reliability of both ratios and their means over the nominal background, for ratio.json."""
    found: dict[str, Any] = {
        name: {"reliability": ratio_calibration.reliability(sample, bins).as_dict()}
        for name, sample in samples(values, weights, what).items()
    }
    share = weights.nominal.numpy()
    found["signal"]["mean_ratio"] = ratio_calibration.normalisation(
        values.nominal.signal.numpy(), share
    )
    found["nuisance"]["mean_ratio"] = [
        [float(node), *ratio_calibration.normalisation(column, share)]
        for node, column in zip(nodes, values.nominal.background.numpy().T, strict=True)
    ]
    return found


def data(tables: Tables, experiments: Experiments) -> unbinned.Data:
    """Put the events of all data sets into rows of equal length."""
    sizes = experiments.sizes
    sets, longest = len(sizes), int(sizes.max())
    mask = torch.arange(longest) < sizes[:, None]
    signal = torch.ones(sets, longest, dtype=torch.float64)
    coefficients = unbinned.polynomial(tables.background)
    background = torch.zeros(sets, longest, coefficients.shape[-1], dtype=torch.float64)
    signal[mask] = torch.exp(tables.signal.double())
    background[mask] = coefficients
    return unbinned.Data(mask.double(), signal, background, experiments.auxiliary)
