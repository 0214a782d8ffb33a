"""Settings of coupling flows over all numbers of a shower."""

from typing import Literal

from pydantic import Field

from fullchain.calorimetry.model_base_settings import ModelBaseSettings
from fullchain.model import SettingsModel


class WeightPosteriorSettings(SettingsModel):
    """A distribution of the weights of subnets instead of one value (1904.10004)."""

    prior_width: float = Field(
        1.0, gt=0, description="standard deviation of the Gaussian prior of each weight, mean zero"
    )
    initial_width: float = Field(
        0.003, gt=0, description="standard deviation of each weight where training begins"
    )


class CouplingSettings(ModelBaseSettings):
    """Conditional coupling flow over energies of layers and voxels, by default as CaloINN."""

    kind: Literal["coupling"] = Field("coupling", description="the model")
    energies: Literal["together", "first"] = Field(
        "together",
        description="together: one flow over energies of layers and voxels, as published; first: a "
        "small flow of splines for the energies of layers, and one for voxels given them",
    )
    energy_blocks: int = Field(8, ge=2, description="blocks of the flow of energies (first)")
    energy_width: int = Field(64, ge=1, description="nodes of its two hidden layers (first)")
    spline: Literal["quadratic", "affine"] = Field(
        "quadratic",
        description="what a block does to a number: rational-quadratic splines (1906.04032), or a "
        "shift and a factor (1605.08803), which is faster",
    )
    blocks: int = Field(12, ge=1, description="blocks; each pair of them transforms all numbers")
    width: int = Field(256, ge=1, description="nodes of each hidden layer of a subnet")
    depth: int = Field(4, ge=1, description="hidden layers of a subnet")
    bins: int = Field(10, ge=2, description="bins of a spline")
    bound: float = Field(
        18.0, gt=0, description="beyond plus and minus this a spline is the identity"
    )
    mixing: Literal["permutation", "rotation"] = Field(
        "permutation",
        description="between pairs of blocks: numbers are divided anew at random, or a random "
        "rotation that is fixed",
    )
    largest_factor: float = Field(
        4.0, gt=1, description="most by which an affine block stretches or shrinks a number"
    )
    weights: WeightPosteriorSettings | None = Field(
        None, description="Bayesian version: distribution of the weights; null: one value each"
    )
