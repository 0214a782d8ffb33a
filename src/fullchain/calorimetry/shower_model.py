"""What all models of showers have in common: one preprocessing, one way to train, one to sample."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.errors import InputError

TOLERANCE = 1e-4
"""Relative distance from the ends of the trained energies that rounding may cause."""


class ShowerModel(nn.Module):
    """A model of showers; `loss` and `draw` are what models differ in.

    Parameters
    ----------
    preprocessing
        Measured on the showers of the training.
    """

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.preprocessing = preprocessing

    def loss(self, numbers: Tensor, condition: Tensor) -> Tensor:
        """Give what is minimised, for each shower: (n, numbers), (n, 1) -> (n)."""
        raise NotImplementedError

    def draw(self, condition: Tensor, generator: torch.Generator) -> Tensor:
        """Draw numbers for conditions (n, 1), (n, numbers)."""
        raise NotImplementedError

    def forward(self, incident: Tensor, ratios: Tensor, fractions: Tensor) -> Tensor:
        """Give the loss of each shower, (n); the noise is drawn anew."""
        chance = None if self.training else _fixed(incident.device)
        if self.training:
            fractions = self.preprocessing.turned(fractions)
        numbers = self.preprocessing(ratios, fractions, chance, incident=incident)
        return self.loss(numbers, self.preprocessing.condition(incident))

    @torch.no_grad()
    def sample(self, incident: Tensor, generator: torch.Generator) -> Tensor:
        """Draw showers.

        Parameters
        ----------
        incident
            Energies of particles [MeV], (n, 1).
        generator
            Source of chance.

        Returns
        -------
        Energies of voxels [MeV], (n, voxels), float32.
        """
        numbers = self.draw(self.preprocessing.condition(incident), generator)
        return self.preprocessing.inverse(numbers, incident)

    def check_energies(self, incident: Tensor, where: str, extrapolate: bool = False) -> None:
        """Check energies [MeV] before showers are drawn for them.

        Raises
        ------
        InputError
            Energies are not finite, not positive, or outside what the model was trained on.
        """
        wrong = int((~incident.isfinite() | (incident <= 0)).sum())
        if wrong:
            raise InputError(
                f"{where}: {wrong} of {incident.numel()} incident energies are not positive numbers"
            )
        low, high = self.preprocessing.energy_range.tolist()
        outside = (incident < low * (1 - TOLERANCE)) | (incident > high * (1 + TOLERANCE))
        # Energies in GeV: all of them are trained ones, times a thousand.
        thousand = 1000.0 * incident
        suspect = bool(((thousand >= low * 0.999) & (thousand <= high * 1.001)).all())
        suspect = suspect and float(incident.min()) < low
        if outside.any() and not extrapolate:
            lowest, highest = float(incident.min()), float(incident.max())
            hint = "; they look like GeV, and MeV are needed" if suspect else ""
            raise InputError(
                f"{where}: {int(outside.sum())} of {incident.numel()} incident energies, from "
                f"{lowest:g} to {highest:g} MeV, lie outside the trained range of {low:g} to "
                f"{high:g} MeV{hint}"
            )


def objective(model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the training loop minimises: the mean of the model's loss over the showers."""
    losses: Tensor = model(batch["incident"], batch["ratios"], batch["fractions"])
    return {"loss": losses.mean()}


FIXED = 20_263
"""Seed of the noise with which the validation loss is found, the same in each epoch."""


def _fixed(device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(FIXED)
