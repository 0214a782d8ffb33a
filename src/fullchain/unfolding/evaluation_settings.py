"""Settings of the measurement of unfolded results, and of their coverage."""

from typing import Any

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer

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
    """What one method has in the place of the general numbers of pseudo-experiments."""

    experiments: int | None = Field(None, ge=10, description="pseudo-experiments")
    bootstrapped: int | None = Field(
        None,
        ge=1,
        description="experiments whose replicas give the uncertainty of all; null, where it is "
        "written: each its own",
    )
    replicas: int | None = Field(
        None,
        ge=4,
        description="replicas of the data, and as many of the simulation, per experiment",
    )
    simulation: SimulationToySettings | None = Field(
        None, description="simulation; what is left out is the general one's"
    )
    data: DataToySettings | None = Field(
        None, description="pseudo-data; what is left out is that of the general ones"
    )
    background_events: int | None = Field(
        None, ge=10, description="simulated events of the background"
    )

    @model_serializer(mode="wrap")
    def _given(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write only what was given: the defaults are no sizes, and null is one."""
        return _only_given(self, write(self))


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
        own = self.of_method.get(name, CoverageSizes())
        # Of the other keys null is as good as none.
        given = {
            key
            for key in own.model_fields_set
            if key == "bootstrapped" or getattr(own, key) is not None
        }
        changed = {key: _laid_over(getattr(self, key), getattr(own, key)) for key in given}
        return self.model_copy(update={**changed, "of_method": {}})


def _only_given(model: BaseModel, written: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for key in type(model).model_fields:
        if key in model.model_fields_set:
            value = getattr(model, key)
            nested = isinstance(value, BaseModel)
            found[key] = _only_given(value, written[key]) if nested else written[key]
    return found


def _laid_over(below: Any, own: Any) -> Any:
    """Give `own`, and where it is a model, what it was not given as it is in the one below."""
    if not isinstance(own, BaseModel) or type(below) is not type(own):
        return own
    return below.model_copy(
        update={
            key: _laid_over(getattr(below, key), getattr(own, key)) for key in own.model_fields_set
        }
    )
