"""Settings of iterative Bayesian unfolding."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel
from fullchain.unfolding.replica_numbers import Replicas

THRESHOLDS = {"fixed": 0.0, "change": 0.1, "refolding": 1.0}


class IbuSettings(SettingsModel):
    """Iterative Bayesian unfolding, D'Agostini, NIM A 362 (1995) 487."""

    kind: Literal["ibu"] = Field("ibu", description="the method")
    iterations: int = Field(
        4, ge=1, description="number of iterations; with a stopping rule the largest number"
    )
    stopping: Literal["fixed", "change", "refolding"] = Field(
        "fixed",
        description="fixed: all iterations; change: until the mean square change of a bin, over "
        "its Poisson variance, is below the threshold; refolding: until chi squared per bin of the "
        "data against the refolded spectrum is. Replicas and shifts take the number that the "
        "nominal result needed",
    )
    threshold: float | None = Field(
        None, gt=0, description="of the stopping rule; null: 0.1 for change, 1 for refolding"
    )
    prior: Literal["simulation", "flat"] = Field(
        "simulation",
        description="where iterations begin: spectrum of the simulation, or the same density in "
        "all bins that it fills",
    )
    data_replicas: Replicas = Field(
        200, ge=0, description="replicas of the bootstrap of the data; 0: no such uncertainty"
    )
    simulation_replicas: Replicas = Field(
        200,
        ge=0,
        description="replicas of the bootstrap of simulation and background, which change "
        "response, prior, fakes and subtraction; 0: no such uncertainty",
    )
    joint: tuple[tuple[str, ...], ...] = Field(
        (),
        description="sets of observables that are also unfolded together, in the published bins; "
        "measurements without all of a set leave it out",
    )
    keep_replicas: bool = Field(
        True, description="write the spectra of all replicas, for covariances between observables"
    )

    @model_validator(mode="after")
    def _make_sense(self) -> "IbuSettings":
        for names in self.joint:
            if len(set(names)) < 2 or len(set(names)) < len(names):
                raise ValueError(
                    f"joint: {', '.join(names) or 'an empty set'} is not a set of two or more "
                    "observables"
                )
        if self.stopping == "fixed" and self.threshold is not None:
            raise ValueError("threshold: a fixed number of iterations has none; choose stopping")
        return self

    @property
    def limit(self) -> float:
        """Threshold of the stopping rule."""
        return THRESHOLDS[self.stopping] if self.threshold is None else self.threshold
