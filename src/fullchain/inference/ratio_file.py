"""Ensembles of learned ratios with their corrections, as the step `ratio` keeps them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fullchain.errors import InputError
from fullchain.inference import unbinned
from fullchain.inference.likelihood_ratio import RatioNetworks
from fullchain.inference.ratio_calibration import Calibration
from fullchain.inference.ratio_methods import Correction, Pair, Tables, mean
from fullchain.learning import torch_file
from fullchain.learning.standardise import Standardisation

FORMAT = 1


@dataclass(frozen=True)
class LearnedRatio:
    """A calibrated ensemble, trained with one loss.

    Parameters
    ----------
    pair
        Networks.
    correction
        Of the mean of the members.
    nodes
        Values of the nuisance parameter at which ratios are tabulated.
    features
        Names of what the networks see.
    """

    pair: Pair
    correction: Correction
    nodes: Tensor
    features: tuple[str, ...]

    def tables(self, x: Tensor) -> Tables:
        """Calibrated log ratios of events x (events, features) to the nominal background."""
        return self.correction.tables(mean(self.pair.members(x, self.nodes)), self.nodes)

    def signal(self, x: Tensor) -> Tensor:
        """Calibrated log ratios (events) of the signal alone."""
        raw = self.pair.signal.at(x, torch.zeros(1))[..., 0].mean(0)
        return torch.from_numpy(self.correction.signal(raw.numpy()))

    def density_terms(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Give R (events) and the coefficients of log B (events, powers) of `unbinned`."""
        found = self.tables(x)
        return torch.exp(found.signal), unbinned.polynomial(found.background)


def save(path: Path, ratios: Mapping[str, LearnedRatio]) -> None:
    """Write ensembles by loss, whole or not at all."""
    content: dict[str, Any] = {"format": FORMAT, "losses": {}}
    for name, ratio in ratios.items():
        content["losses"][name] = {
            "features": list(ratio.features),
            "nodes": ratio.nodes,
            "signal": _packed(ratio.pair.signal),
            "nuisance": _packed(ratio.pair.nuisance),
            "correction": {
                "signal": ratio.correction.signal.as_dict(),
                "nuisance": ratio.correction.nuisance.as_dict(),
                "normalisation": list(ratio.correction.normalisation),
                "reach": ratio.correction.reach,
            },
        }
    torch_file.write(path, content)


def load(path: Path) -> dict[str, LearnedRatio]:
    """Read what `save` wrote.

    Raises
    ------
    InputError
        The file is not there, or is none of learned ratios.
    """
    content = torch_file.read_format(
        path, FORMAT, "learned ratios", "run `inference ratio` first", "run `inference ratio` again"
    )
    try:
        return {name: _unpacked(one) for name, one in content["losses"].items()}
    except (KeyError, TypeError, RuntimeError) as problem:
        raise InputError(f"{path}: not learned ratios ({problem}); run `inference ratio`") from None


def _packed(networks: RatioNetworks) -> dict[str, Any]:
    return {"shape": networks.shape(), "state": networks.state_dict()}


def _networks(content: Mapping[str, Any]) -> RatioNetworks:
    shape = dict(content["shape"])
    inputs = shape.pop("inputs")
    blank = Standardisation((0.0,) * inputs, (1.0,) * inputs)
    networks = RatioNetworks(**{**shape, "layers": tuple(shape["layers"])}, standardisation=blank)
    networks.load_state_dict(content["state"])
    return networks.eval()


def _unpacked(content: Mapping[str, Any]) -> LearnedRatio:
    correction = content["correction"]
    return LearnedRatio(
        Pair(_networks(content["signal"]), _networks(content["nuisance"])),
        Correction(
            _calibration(correction["signal"]),
            _calibration(correction["nuisance"]),
            tuple(correction["normalisation"]),
            correction["reach"],
        ),
        content["nodes"],
        tuple(content["features"]),
    )


def _calibration(content: Mapping[str, Any]) -> Calibration:
    learned: Sequence[float] = content["learned"]
    right: Sequence[float] = content["right"]
    return Calibration(tuple(learned), tuple(right), content["log_normalisation"])
