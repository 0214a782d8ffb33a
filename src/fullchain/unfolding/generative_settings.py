"""Settings of generative unfolding: conditional flows and flow matching."""

from typing import Annotated, Literal

from pydantic import Field

from fullchain.learning.settings import TrainingSettings
from fullchain.model import SettingsModel
from fullchain.unfolding.replica_numbers import Replicas


class SmallClassifierSettings(SettingsModel):
    """The small classifiers of acceptance, background, prior and control."""

    layers: tuple[int, ...] = Field((48, 48), min_length=1, description="dense layers")
    training: TrainingSettings = Field(
        default_factory=lambda: TrainingSettings(
            epochs=20, batch_size=512, learning_rate=5e-3, schedule="one_cycle", patience=20
        ),
        description="training loop",
    )
    validation: float = Field(
        0.2, gt=0, lt=1, description="part of the events that decides which epoch is kept"
    )


class ControlSettings(SettingsModel):
    """A discriminator between generated and true events of the simulation."""

    given: Literal["both", "particle"] = Field(
        "both",
        description="what it sees: both levels (whether each posterior is right), or the particle "
        "level alone (whether their sum is)",
    )
    reweights: bool = Field(
        False,
        description="whether its weights D/(1-D) reweight the samples of each measured event, "
        "whose sum of weights is kept",
    )
    samples: int = Field(1, ge=1, description="generated events for each simulated one")


class GenerativeSettings(SettingsModel):
    """What the generative methods have in common."""

    iterations: int = Field(
        2,
        ge=0,
        description="times that the particle level of the simulation is reweighted to the unfolded "
        "data before the network is trained on (2212.08674); 0 keeps the simulation's prior",
    )
    stop_drift: float = Field(
        0.02,
        ge=0,
        description="iterations end when the root mean square of the change of the logarithm of "
        "the weights falls below",
    )
    largest_log_weight: float = Field(
        4.0, gt=0, description="bound on the logarithm of a ratio that a classifier gives"
    )
    median_of: str | None = Field(
        None,
        description="observable whose median over the data is a further condition, for simulations "
        "of several samples between which it moves (several masses of a particle); null: none",
    )
    median_events: int | None = Field(
        None,
        ge=10,
        description="events of the batches of simulated events whose medians are the condition in "
        "training; null: as many as there are data",
    )
    ensemble: int = Field(2, ge=1, description="networks that start differently")
    samples: int = Field(
        10,
        ge=1,
        description="unfolded events for each measured one, of all members of the ensemble "
        "together (at least one of each); 30 as published",
    )
    variation_samples: int = Field(
        6, ge=1, description="the same for each shift, factor and replica of the simulation"
    )
    prior_samples: int = Field(
        2,
        ge=1,
        description="unfolded events for each measured one and each member, with which the prior "
        "is found",
    )
    data_replicas: Replicas = Field(
        20, ge=0, description="bootstrap replicas of the data; they follow the iterated prior"
    )
    simulation_replicas: Replicas = Field(
        0,
        ge=0,
        description="bootstrap replicas of the simulation: a member each, trained on from the "
        "nominal one",
    )
    variations: bool = Field(
        True,
        description="whether shifts of the detector and factors on the weights are unfolded, for "
        "each member of the ensemble",
    )
    layers: tuple[int, ...] = Field(min_length=1, description="dense layers of each network")
    training: TrainingSettings = Field(description="first training")
    further_epochs: int = Field(
        ge=1, description="passes over the rows at most when the training goes on"
    )
    further_rate: float = Field(
        1.0,
        gt=0,
        description="learning rate when the training goes on, over that of the first; it falls "
        "as a cosine",
    )
    validation: float = Field(
        0.2,
        gt=0,
        lt=1,
        description="part of the simulated events that decides which epoch is kept, and on which "
        "the posteriors are tested",
    )
    classifier: SmallClassifierSettings = Field(
        default_factory=SmallClassifierSettings, description="classifiers of all purposes"
    )
    control: ControlSettings | None = Field(
        default_factory=ControlSettings, description="control by a classifier; null: none"
    )


class CinnSettings(GenerativeSettings):
    """Conditional invertible network of rational-quadratic couplings (2006.06685, 1906.04032)."""

    kind: Literal["cinn"] = Field("cinn", description="the method")
    blocks: int = Field(6, ge=1, description="coupling blocks; 12 to 20 as published")
    layers: tuple[int, ...] = Field(
        (48, 48), min_length=1, description="dense layers of each block"
    )
    bins: int = Field(8, ge=2, description="bins of each spline")
    bound: float = Field(
        6.0, gt=0, description="range of the splines, in widths of each observable; beyond: 1:1"
    )
    training: TrainingSettings = Field(
        default_factory=lambda: TrainingSettings(
            epochs=30, batch_size=256, learning_rate=2e-3, schedule="one_cycle", patience=10
        ),
        description="first training",
    )
    further_epochs: int = Field(
        10, ge=1, description="passes over the rows at most when the training goes on"
    )
    further_rate: float = Field(
        0.3,
        gt=0,
        description="learning rate when the training goes on, over that of the first; it falls "
        "as a cosine",
    )


class FlowMatchingSettings(GenerativeSettings):
    """Conditional flow matching (2210.02747)."""

    kind: Literal["flow_matching"] = Field("flow_matching", description="the method")
    layers: tuple[int, ...] = Field(
        (76, 76, 76, 76), min_length=1, description="dense layers of the network of the velocity"
    )
    solver: Literal["rk4", "dopri5"] = Field(
        "rk4",
        description="how the velocity is followed: Runge-Kutta of fourth order in equal steps, or "
        "Dormand-Prince of order 5(4) with steps of its own choice",
    )
    evaluations: int = Field(
        24, ge=4, description="evaluations of the velocity (rk4), four in each step"
    )
    tolerance: float = Field(1e-5, gt=0, description="largest estimated error of a step (dopri5)")
    training: TrainingSettings = Field(
        default_factory=lambda: TrainingSettings(
            epochs=150, batch_size=512, learning_rate=3e-3, schedule="cosine", patience=150
        ),
        description="first training; the loss says little about when to stop, so it goes on",
    )
    further_epochs: int = Field(
        40, ge=1, description="passes over the rows at most when the training goes on"
    )


Generative = Annotated[CinnSettings | FlowMatchingSettings, Field(discriminator="kind")]
