r"""Super-resolution of a calorimeter layer: a conditional flow of the inside of each coarse cell.

As SuperCalo (2308.11700) the flow is of the parts of the energy of one coarse cell that its fine
cells hold, given the energies of the cell, of its neighbours and of the image; it is applied to all
coarse cells, which are independent of each other once the coarse image is given. The
n = factor^2 parts are n - 1 ratios of a binary tree, halves of halves in turn in both directions,
so that any n - 1 numbers are parts that sum to one: energy is conserved exactly.

A fine cell below the threshold is empty. In training it holds a random energy far below, and what
is drawn below the threshold goes to the other cells of the coarse cell.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from fullchain.calorimetry.refinement_settings import CellFlowSettings, FineLayerSettings
from fullchain.errors import InputError
from fullchain.unfolding.cinn import Cinn
from fullchain.unfolding.generative_settings import CinnSettings

FILLING = 0.05
"""Largest energy of an empty cell in training, in thresholds. Energies next below the threshold
leave no gap to fill, but what a flow smears across it then lights too many cells."""

NARROWEST = 1e-2
"""Least width by which a number is divided."""

CHUNK = 20_000


class CellFlow(nn.Module):
    """The flow, with the standardisation of its numbers.

    Parameters
    ----------
    layer
        Cells and threshold.
    settings
        Of the flow.
    """

    def __init__(self, layer: FineLayerSettings, settings: CellFlowSettings) -> None:
        super().__init__()
        self.layer, self.settings = layer, settings
        self.ratios = layer.factor**2 - 1
        self.conditions = (2 * settings.reach + 1) ** 2 + 1
        self.flow = Cinn(
            (0,),
            self.ratios,
            self.conditions,
            CinnSettings(
                blocks=settings.blocks,
                layers=settings.layers,
                bins=settings.bins,
                bound=settings.bound,
            ),
        )
        for name, size in (("ratio", self.ratios), ("condition", self.conditions)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_width", torch.ones(size))

    @torch.no_grad()
    def measure(self, rows: Mapping[str, Tensor]) -> None:
        """Take means and widths from rows of training."""
        for name in ("ratio", "condition"):
            values = rows[name]
            getattr(self, f"{name}_mean").copy_(values.mean(dim=0))
            getattr(self, f"{name}_width").copy_(values.std(dim=0).clamp_min(NARROWEST))

    def forward(self, ratio: Tensor, condition: Tensor) -> Tensor:
        """Give -log p of standardised ratios (n, ratios) for conditions (n, conditions), (n)."""
        found: Tensor = self.flow(
            (ratio - self.ratio_mean) / self.ratio_width,  # type: ignore[operator]
            self._standard(condition)[None],
        )
        return found[0]

    def _standard(self, condition: Tensor) -> Tensor:
        standard: Tensor = (condition - self.condition_mean) / self.condition_width  # type: ignore[operator]
        return standard

    @torch.no_grad()
    def refine(self, coarse: Tensor, generator: torch.Generator) -> Tensor:
        """Draw fine images.

        Parameters
        ----------
        coarse
            Energies of coarse cells [MeV], (n, coarse, coarse).
        generator
            Source of chance.

        Returns
        -------
        (n, side, side) [MeV]; the fine cells of a coarse cell have its energy in all, and none
        has an energy between zero and the threshold unless the coarse cell has.

        Raises
        ------
        InputError
            Images of another size, or energies that are negative or not finite.
        """
        side = self.layer.coarse
        if coarse.ndim != 3 or coarse.shape[1:] != (side, side):
            raise InputError(
                f"coarse images have shape {tuple(coarse.shape)}, the flow refines layers of "
                f"{side} x {side} cells"
            )
        if not coarse.isfinite().all() or (coarse < 0).any():
            raise InputError("coarse images have energies that are negative or not finite")
        energies = coarse.reshape(-1)
        lit = energies.nonzero()[:, 0]
        conditions = conditions_of(coarse, self.settings.reach).flatten(0, 1)
        fine = coarse.new_zeros(len(energies), self.ratios + 1)
        for some in lit.split(CHUNK):
            latent = torch.randn(
                (1, len(some), self.ratios), generator=generator, device=coarse.device
            )
            drawn = self.flow.sampled(latent, self._standard(conditions[some])[None])[0]
            parts = parts_of(drawn * self.ratio_width + self.ratio_mean)  # type: ignore[operator]
            fine[some] = _cut(parts * energies[some, None], energies[some], self.layer.threshold)
        return joined(fine.view(len(coarse), side * side, -1), side, self.layer.factor)


def _cut(fine: Tensor, energies: Tensor, threshold: float) -> Tensor:
    """Empty cells below the threshold but the brightest one, and give the rest their energy."""
    kept = fine >= torch.minimum(fine.amax(dim=1, keepdim=True), fine.new_tensor(threshold))
    fine = torch.where(kept, fine, 0.0)
    return fine * (energies / fine.sum(dim=1))[:, None]


def rows(
    fine: Tensor, layer: FineLayerSettings, settings: CellFlowSettings, generator: torch.Generator
) -> dict[str, Tensor]:
    """Give the rows that the flow is trained on, of fine images (n, side, side).

    All bright coarse cells and some of the others: which ones depends on the condition only, so
    that the conditional density is not changed.

    Returns
    -------
    `ratio` (rows, factor^2 - 1) and `condition` (rows, conditions).

    Raises
    ------
    InputError
        No coarse cell has energy.
    """
    cells = divided(fine, layer.factor)
    energies = cells.sum(dim=2)
    side = layer.coarse
    condition = conditions_of(energies.view(-1, side, side), settings.reach)
    bright = energies > settings.bright * energies.sum(dim=1, keepdim=True)
    lot = torch.rand(energies.shape, generator=generator) < settings.faint
    taken = (energies > 0) & (bright | lot)
    if not taken.any():
        raise InputError("no coarse cell has energy: nothing to learn super-resolution from")
    own = cells[taken]
    filling = FILLING * layer.threshold * torch.rand(own.shape, generator=generator)
    return {
        "ratio": ratios_of(torch.where(own > 0, own, filling.clamp_min(1e-6))),
        "condition": condition[taken],
    }


def conditions_of(coarse: Tensor, reach: int) -> Tensor:
    """Log energies of each cell and its neighbours, and of the image.

    Parameters
    ----------
    coarse
        [MeV], (n, side, side); beyond the edge there is no energy.

    Returns
    -------
    log(1 + E/MeV), (n, side^2, (2 reach + 1)^2 + 1).
    """
    width = 2 * reach + 1
    padded = nn.functional.pad(coarse, (reach, reach, reach, reach))
    around = padded.unfold(1, width, 1).unfold(2, width, 1).flatten(1, 2).flatten(2)
    total = coarse.sum(dim=(1, 2))[:, None, None].expand(-1, around.shape[1], 1)
    return torch.cat([around, total], dim=2).log1p()


def divided(fine: Tensor, factor: int) -> Tensor:
    """Give the fine cells of coarse cells, (n, coarse^2, factor^2), in the order of the tree."""
    side = fine.shape[-1] // factor
    blocks = fine.reshape(-1, side, factor, side, factor).transpose(2, 3)
    return blocks.reshape(-1, side * side, factor**2)[:, :, order(factor)]


def joined(cells: Tensor, side: int, factor: int) -> Tensor:
    """Undo `divided`."""
    places = torch.empty(factor**2, dtype=torch.long)
    places[order(factor)] = torch.arange(factor**2)
    blocks = cells[:, :, places].view(-1, side, side, factor, factor).transpose(2, 3)
    return blocks.reshape(-1, side * factor, side * factor)


def order(factor: int) -> Tensor:
    """Places of cells, row by row, in an order whose halves of halves are compact.

    Examples
    --------
    >>> order(2).tolist()
    [0, 1, 2, 3]
    >>> order(4).tolist()[:4]
    [0, 1, 4, 5]
    """
    places = torch.zeros(1, 1, dtype=torch.long)
    size = 1
    while size < factor:
        step = torch.tensor([0, size, size * factor, size * factor + size])
        places = (step[:, None] + places.view(1, -1)).view(1, -1)
        size *= 2
    return places[0]


def ratios_of(cells: Tensor) -> Tensor:
    """Give the logits of the tree, (n, cells - 1), of positive energies (n, cells)."""
    found = []
    level = cells
    while level.shape[1] > 1:
        pairs = level.view(len(level), -1, 2)
        found.append(pairs[..., 0].log() - pairs[..., 1].log())
        level = pairs.sum(dim=2)
    return torch.cat(found[::-1], dim=1)


def parts_of(ratios: Tensor) -> Tensor:
    """Undo `ratios_of`: parts (n, cells) that sum to one."""
    parts = ratios.new_ones(len(ratios), 1)
    start = 0
    while start < ratios.shape[1]:
        size = parts.shape[1]
        logits = ratios[:, start : start + size]
        parts = torch.stack([parts * logits.sigmoid(), parts * (-logits).sigmoid()], dim=2)
        parts = parts.flatten(1)
        start += size
    return parts


def objective(model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the training loop minimises."""
    return {"loss": model(batch["ratio"], batch["condition"]).mean()}
