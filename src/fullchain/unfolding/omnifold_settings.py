"""Settings of OmniFold."""

from typing import Literal

from pydantic import Field

from fullchain.model import SettingsModel
from fullchain.unfolding.particle_network_settings import (
    ParticleInputSettings,
    ParticleNetworkSettings,
    PfnClassifierSettings,
)
from fullchain.unfolding.replica_numbers import Replicas


class ClassifierTrainingSettings(SettingsModel):
    """How the classifiers of a step are trained."""

    epochs: int = Field(10, ge=1, description="passes over the training rows at most")
    tolerance: float | None = Field(
        None,
        ge=0,
        description="null: the last epoch is kept; a number: the last one whose validation loss is "
        "not above the lowest by more than this, in standard errors of the difference, where the "
        "start counts as an epoch; 0: the epoch of the lowest loss",
    )
    patience: int = Field(
        10,
        ge=1,
        description="epochs without a validation loss to keep before a network stops (tolerance)",
    )
    batch_size: int = Field(256, ge=1, description="rows per optimiser step (nearly: all equal)")
    optimiser: Literal["adam", "adamw"] = Field(
        "adam", description="adam (1412.6980) or adamw (1711.05101)"
    )
    learning_rate: float = Field(2e-3, gt=0, description="learning rate at the start")
    schedule: Literal["constant", "cosine"] = Field(
        "cosine",
        description="learning rate in each training: constant, or half a cosine down over all "
        "epochs (1608.03983), so that results depend less on the chance of the last steps",
    )
    final_rate: float = Field(
        0.02, ge=0, le=1, description="learning rate at the end over that at the start (cosine)"
    )
    weight_decay: float = Field(0.0, ge=0, description="weight decay of the optimiser")
    validation: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="part of the events of each sample on which losses are measured",
    )


class OmnifoldSettings(SettingsModel):
    """OmniFold: unfolding by reweighting with classifiers, arXiv:1911.09107, 2105.04448."""

    kind: Literal["omnifold"] = Field("omnifold", description="the method")
    inputs: Literal["unifold", "multifold", "particles"] = Field(
        "multifold",
        description="what classifiers see: unifold, one observable, with weights for each; "
        "multifold, all observables; particles, the particles of the jet",
    )
    iterations: int = Field(4, ge=1, description="iterations at most")
    least_drift: float | None = Field(
        None,
        gt=0,
        description="stop after the iteration in which the weights of the ensemble change by less: "
        "sum of the absolute changes over the sum of the weights; null: all iterations",
    )
    ensemble: int = Field(
        3, ge=1, description="trainings from other starts; the nominal weights are their mean"
    )
    data_replicas: Replicas = Field(10, ge=0, description="bootstrap replicas of the data")
    simulation_replicas: Replicas = Field(
        10, ge=0, description="bootstrap replicas of the simulation and of the background"
    )
    inefficiency: Literal["classifier", "unchanged"] = Field(
        "classifier",
        description="weights of events that fail the detector level: the mean weight of events "
        "like them at particle level, from a further classifier; or left as they were",
    )
    fakes: Literal["classifier", "unchanged"] = Field(
        "classifier",
        description="weights of events that fail the particle level: the mean weight of events "
        "like them at detector level, for fakes that change as the signal does; or left as they "
        "were, for fakes that are the same in simulation and data",
    )
    warm_start: bool = Field(
        True,
        description="networks go on from those of the iteration before, or start anew; that of the "
        "data always begins with a ratio of one, for it learns what is left to correct",
    )
    logit_limit: float = Field(
        7.0, gt=0, description="logits are clamped to this before they become weights"
    )
    layers: tuple[int, ...] = Field(
        (64, 64),
        min_length=1,
        description="nodes of the hidden layers (observables); 3 x 100 as published",
    )
    particle_inputs: ParticleInputSettings = Field(
        default_factory=ParticleInputSettings, description="what classifiers see of particles"
    )
    particle_network: ParticleNetworkSettings = Field(
        default_factory=PfnClassifierSettings, description="network of classifiers of particles"
    )
    training: ClassifierTrainingSettings = Field(
        default_factory=ClassifierTrainingSettings, description="training of all classifiers"
    )
    members_at_once: int = Field(
        14,
        ge=1,
        description="networks that are trained in one computation: about 14 small ones, or 4 of "
        "particles, which take much memory; changes the speed, and the result by rounding at most",
    )
    device: Literal["cpu", "cuda", "auto"] = Field(
        "cpu", description="where networks are trained: cpu, cuda, or auto for CUDA if there is one"
    )
    threads: int = Field(
        1, ge=1, description="CPU threads; part of the settings because rounding may depend on it"
    )
