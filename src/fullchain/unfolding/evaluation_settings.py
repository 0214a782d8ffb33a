"""Settings of the measurement of unfolded results, and of their coverage."""

from typing import Annotated, Literal

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


class CoverageSizes(SettingsModel):
    """Numbers of one method in the place of the general ones of pseudo-experiments; null: these."""

    experiments: int | None = Field(None, ge=10, description="pseudo-experiments")
    bootstrapped: Annotated[int, Field(ge=1)] | Literal["each"] | None = Field(
        None,
        description="experiments whose replicas give the uncertainty of all; each: each its own",
    )
    replicas: int | None = Field(
        None,
        ge=4,
        description="replicas of the data, and as many of the simulation, per experiment",
    )
    simulation_events: int | None = Field(None, ge=10, description="simulated events")
    data_events: int | None = Field(None, ge=10, description="expected signal events of the data")
    background_events: int | None = Field(
        None, ge=10, description="simulated events of the background"
    )


class CoverageSettings(SettingsModel):
    """Pulls over independent pseudo-experiments of the Gaussian case."""

    methods: tuple[str, ...] = Field(
        ("ibu_converged",), min_length=1, description="names of methods, of any kind"
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
    of_method: dict[str, CoverageSizes] = Field(
        default_factory=dict,
        description="of single methods, by name, what takes the place of the numbers above",
    )

    def for_method(self, name: str) -> "CoverageSettings":
        """Give the settings of one method, in which `of_method` is empty."""
        own = self.of_method.get(name, CoverageSizes()).model_dump(exclude_none=True)
        for part in ("simulation", "data"):
            if events := own.pop(f"{part}_events", None):
                own[part] = getattr(self, part).model_copy(update={"events": events})
        if own.get("bootstrapped") == "each":
            own["bootstrapped"] = None
        return self.model_copy(update={**own, "of_method": {}})
