"""Conditional variational autoencoder of showers: D. P. Kingma and M. Welling, 1312.6114.

An encoder maps a shower to a normal density of latent numbers, a decoder maps latent numbers and
incident energy to a density of each voxel; the bound on the likelihood is maximised, with a factor
beta on the divergence from the standard normal (I. Higgins et al., ICLR 2017). What is generated is
drawn from the density of each voxel, and never its mean. Likelihoods are described in
`shower_likelihoods` and `VaeSettings`; all widths are learned, for each voxel and shower.

With `energies: flow` a small coupling flow draws the energies of layers first, and the autoencoder
is of the voxels given them.
"""

import math

import torch
from torch import Tensor, nn

from fullchain.calorimetry.empty_layers import spread
from fullchain.calorimetry.preprocessing import Preprocessing
from fullchain.calorimetry.shower_likelihoods import log_dirichlet, log_normal
from fullchain.calorimetry.shower_model import ShowerModel
from fullchain.calorimetry.vae_settings import VaeSettings
from fullchain.unfolding.cinn import Cinn
from fullchain.unfolding.generative_settings import CinnSettings

OUTSIDE = 8.0
"""Where numbers that the networks see are cut, in widths."""

NARROWEST, WIDEST = -5.0, 2.0
"""Logarithms of widths that the decoder can give, of numbers of unit width."""

FEWEST = 1e-4
"""Least number of deposits that a voxel expects."""

FIXED = 77_003
"""Seed of latent numbers in validation, the same in each epoch."""


class Vae(ShowerModel):
    """The autoencoder.

    Parameters
    ----------
    settings
        Sizes, likelihood, beta.
    preprocessing
        Measured on the showers of the training.
    """

    def __init__(self, settings: VaeSettings, preprocessing: Preprocessing) -> None:
        super().__init__(preprocessing)
        self.settings = settings
        self.layers, self.voxels = preprocessing.layers, preprocessing.geometry.voxels
        self.flow: Cinn | None = None
        known = 1
        if settings.energies == "flow":
            how = settings.ratio_flow
            self.flow = Cinn(
                (0,),
                self.layers,
                1,
                CinnSettings(blocks=how.blocks, layers=how.layers, bins=how.bins, bound=how.bound),
            )
            known += 2 * self.layers
        self.encoder = _dense(self.layers + self.voxels + known, settings.encoder)
        self.latent = _last(settings.encoder[-1], 2 * settings.latent)
        self.decoder = _dense(settings.latent + known, settings.decoder)
        wide = settings.decoder[-1]
        self.shape = _last(wide, self._outputs())
        self.ratios = None if self.flow is not None else _last(wide, 2 * self.layers)
        self.steps: Tensor
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def _outputs(self) -> int:
        """How many numbers describe the density of all voxels."""
        return {
            "normal": 2 * self.voxels,
            "mixed": 3 * self.voxels,
            "dirichlet": self.voxels + self.layers,
        }[self.settings.likelihood]

    def loss(self, numbers: Tensor, condition: Tensor) -> Tensor:
        """Give minus the bound on the log likelihood, (n), with the beta that now holds."""
        chance = None if self.training else torch.Generator(numbers.device).manual_seed(FIXED)
        ratios, energies = self._ratios(numbers, condition, chance)
        known = self._known(ratios, energies, condition)
        mean, log_width = self.encode(numbers, known)
        latent = torch.randn(mean.shape, generator=chance, device=mean.device)
        hidden = self.decoder(torch.cat([mean + log_width.exp() * latent, known], dim=1))
        found = self._log_voxels(hidden, numbers, condition, energies)
        if self.flow is not None:
            found = found - self.flow(ratios, condition[None])[0]
        else:
            found = found + log_normal(ratios, *self._ratio_density(hidden)).sum(dim=1)
        return self._beta() * divergence(mean, log_width).sum(dim=1) - found

    def encode(self, numbers: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Give means and logarithms of widths of the latent numbers, (n, latent)."""
        seen = torch.cat([numbers.clamp(-OUTSIDE, OUTSIDE), known], dim=1)
        mean, log_width = self.latent(self.encoder(seen)).chunk(2, dim=1)
        return mean, log_width.clamp(-6.0, 3.0)

    def information(self, numbers: Tensor, condition: Tensor) -> Tensor:
        """Give what each latent number knows of a shower [nats], (n, latent); 0: it is not used."""
        chance = torch.Generator(numbers.device).manual_seed(FIXED)
        known = self._known(*self._ratios(numbers, condition, chance), condition)
        return divergence(*self.encode(numbers, known))

    def draw(self, condition: Tensor, generator: torch.Generator) -> Tensor:
        """Draw numbers for conditions (n, 1), (n, layers + voxels)."""
        place = condition.device
        latent = torch.randn(
            (len(condition), self.settings.latent), generator=generator, device=place
        )
        normal = torch.randn((len(condition), self.layers), generator=generator, device=place)
        if self.flow is not None:
            ratios = self.flow.sampled(normal[None], condition[None])[0]
            energies = self.preprocessing.energies_of_layers(ratios, condition).float()
            known = self._known(ratios, energies, condition)
            hidden = self.decoder(torch.cat([latent, known], dim=1))
        else:
            hidden = self.decoder(torch.cat([latent, condition], dim=1))
            mean, log_width = self._ratio_density(hidden)
            ratios = mean + log_width.exp() * normal
            energies = self.preprocessing.energies_of_layers(ratios, condition).float()
        return torch.cat([ratios, self._drawn_voxels(hidden, energies, generator)], dim=1)

    def _ratios(
        self, numbers: Tensor, condition: Tensor, chance: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Numbers of ratios, without spikes, and energies of layers [MeV]."""
        energies = self.preprocessing.energies_of_layers(
            numbers[:, : self.layers], condition
        ).float()
        return spread(numbers[:, : self.layers], energies, self.preprocessing, chance), energies

    def _known(self, ratios: Tensor, energies: Tensor, condition: Tensor) -> Tensor:
        """What both networks are told."""
        if self.flow is None:
            return condition
        logarithms = (energies + 1.0).log() / 4.0 - 1.5
        return torch.cat([condition, ratios.clamp(-OUTSIDE, OUTSIDE), logarithms], dim=1)

    def _incident(self, condition: Tensor) -> Tensor:
        scale = self.preprocessing.energy_scale
        assert isinstance(scale, Tensor)
        middle, width = scale
        return (condition * width + middle).exp()

    def _beta(self) -> float:
        """The factor on the divergence; in validation the last one, so that epochs compare."""
        how = self.settings
        if not self.training:
            return how.beta
        self.steps += 1
        return how.beta * min(1.0, int(self.steps) / max(how.beta_warmup, 1))

    def _ratio_density(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        assert self.ratios is not None
        mean, log_width = self.ratios(hidden).chunk(2, dim=1)
        return mean, log_width.clamp(NARROWEST, WIDEST)

    def _log_voxels(
        self, hidden: Tensor, numbers: Tensor, condition: Tensor, energies: Tensor
    ) -> Tensor:
        """Log density of the voxels of showers, (n)."""
        kind, values = self.settings.likelihood, numbers[:, self.layers :]
        if kind == "normal":
            mean, log_width = self._normal(self.shape(hidden))
            return log_normal(values, mean, log_width).sum(dim=1)
        voxels = self._recorded(numbers, condition)
        if kind == "mixed":
            described, empty = self.shape(hidden).split([2 * self.voxels, self.voxels], dim=1)
            there = voxels > 0
            held = log_normal(torch.where(there, values, 0.0), *self._normal(described))
            choice = nn.functional.logsigmoid(torch.where(there, -empty, empty))
            return (choice + torch.where(there, held, 0.0)).sum(dim=1)
        geometry = self.preprocessing.geometry
        sums = torch.stack([voxels[:, own].sum(dim=1) for own in geometry.slices], dim=1)
        own_layer = sums.clamp_min(1e-6)[:, geometry.layer_of_voxel]
        least = self.preprocessing.settings.threshold / sums.clamp_min(1e-6)
        shapes = self._deposits(hidden, energies)
        return log_dirichlet(shapes, voxels / own_layer, least, geometry.slices)

    @torch.no_grad()
    def _recorded(self, numbers: Tensor, condition: Tensor) -> Tensor:
        """The showers that numbers stand for [MeV], (n, voxels)."""
        return self.preprocessing.inverse(numbers, self._incident(condition))

    def _normal(self, described: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_width = described.chunk(2, dim=1)
        return mean, log_width.clamp(NARROWEST, WIDEST)

    def _deposits(self, hidden: Tensor, energies: Tensor) -> Tensor:
        """Expected number of deposits in each voxel, (n, voxels)."""
        shape, number = self.shape(hidden).split([self.voxels, self.layers], dim=1)
        # Begins with the average shower, and one deposit for each 10 MeV of the layer.
        usual = self.preprocessing.mean[self.layers :].clamp_min(-12.0)
        number = ((energies + 1.0).log() - math.log(10.0) + number).clamp(-5.0, 16.0).exp()
        shares = torch.cat(
            [(shape + usual)[:, own].softmax(dim=1) for own in self.preprocessing.geometry.slices],
            dim=1,
        )
        return (shares * number[:, self.preprocessing.geometry.layer_of_voxel]).clamp_min(FEWEST)

    def _drawn_voxels(self, hidden: Tensor, energies: Tensor, generator: torch.Generator) -> Tensor:
        """Draw numbers of voxels, (n, voxels)."""
        kind = self.settings.likelihood
        first, width = self.preprocessing.mean[self.layers :], self.preprocessing.width
        width, noise = width[self.layers :], self.preprocessing.settings.noise
        if kind == "dirichlet":
            gammas = torch._standard_gamma(self._deposits(hidden, energies), generator=generator)
            parts = torch.cat(
                [
                    gammas[:, own] / gammas[:, own].sum(dim=1, keepdim=True).clamp_min(1e-30)
                    for own in self.preprocessing.geometry.slices
                ],
                dim=1,
            )
            return ((parts + noise).log() - first) / width
        described = self.shape(hidden)
        mean, log_width = self._normal(described[:, : 2 * self.voxels])
        chance = torch.randn(mean.shape, generator=generator, device=mean.device)
        drawn = mean + log_width.exp() * chance
        if kind == "normal":
            return drawn
        lot = torch.rand(mean.shape, generator=generator, device=mean.device)
        empty = lot < described[:, 2 * self.voxels :].sigmoid()
        return torch.where(empty, (math.log(noise) - first) / width, drawn)


def divergence(mean: Tensor, log_width: Tensor) -> Tensor:
    """Kullback-Leibler divergence of normal densities from the standard one, of each number."""
    return 0.5 * (mean**2 + (2 * log_width).exp() - 1.0) - log_width


def build(settings: VaeSettings, preprocessing: Preprocessing) -> Vae:
    """Build an untrained model."""
    return Vae(settings, preprocessing)


def _dense(inputs: int, layers: tuple[int, ...]) -> nn.Sequential:
    parts: list[nn.Module] = []
    for size in layers:
        parts += [nn.Linear(inputs, size), nn.SiLU()]
        inputs = size
    return nn.Sequential(*parts)


def _last(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer whose outputs are small before training."""
    layer = nn.Linear(inputs, outputs)
    with torch.no_grad():
        layer.weight.mul_(0.1)
        layer.bias.zero_()
    return layer
