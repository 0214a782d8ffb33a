"""Settings of the measurement of unfolded results, and of their coverage."""

from pydantic import Field

from fullchain.model import SettingsModel
from fullchain.unfolding.toy_settings import DataToySettings, SimulationToySettings


class EvaluationSettings(SettingsModel):
    """What is measured of each method."""

    replicas: int = Field(
        100,
        ge=20,
        description="replicas behind uncertainties where a method has no bootstrap of the data of "
        "its own",
    )


class CoverageSettings(SettingsModel):
    """Pulls over independent pseudo-experiments of the Gaussian case."""

    methods: tuple[str, ...] = Field(
        ("ibu_converged",),
        min_length=1,
        description="names of methods, of the kinds ibu or omnifold",
    )
    experiments: int = Field(
        100, ge=10, description="pseudo-experiments, each with its own simulation and data"
    )
    bootstrapped: int | None = Field(
        None,
        ge=1,
        description="experiments whose replicas give the uncertainty of all; null: each its own",
    )
    replicas: int = Field(
        20, ge=4, description="replicas of the data, and as many of the simulation, per experiment"
    )
    simulation: SimulationToySettings = Field(
        default_factory=lambda: SimulationToySettings(events=20_000), description="simulation"
    )
    data: DataToySettings = Field(
        default_factory=lambda: DataToySettings(events=10_000), description="pseudo-data"
    )
    background_events: int = Field(
        20_000, ge=10, description="simulated events of the background, where the data have one"
    )
