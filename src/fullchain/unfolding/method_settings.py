"""Settings of the methods of unfolding, told apart by `kind`."""

from typing import Annotated

from pydantic import Field

from fullchain.unfolding.generative_settings import CinnSettings, FlowMatchingSettings
from fullchain.unfolding.ibu_settings import IbuSettings
from fullchain.unfolding.omnifold_settings import ClassifierTrainingSettings, OmnifoldSettings
from fullchain.unfolding.particle_network_settings import PfnClassifierSettings

MethodSettings = Annotated[
    IbuSettings | OmnifoldSettings | CinnSettings | FlowMatchingSettings,
    Field(discriminator="kind"),
]


def default_methods() -> dict[str, MethodSettings]:
    """Give one method of each kind, and OmniFold with each of its inputs.

    Sizes are for some thousand events and minutes of two cores; the published ones are larger.
    """
    few = {"data_replicas": 5, "simulation_replicas": 5}
    return {
        "ibu": IbuSettings(),
        # Where events are many and the resolution is coarse, a few iterations are not enough.
        "ibu_converged": IbuSettings(iterations=15),
        "unifold": OmnifoldSettings(inputs="unifold", layers=(32, 32), ensemble=2, **few),
        "multifold": OmnifoldSettings(inputs="multifold"),
        "omnifold": OmnifoldSettings(
            inputs="particles",
            particle_network=PfnClassifierSettings(phi=(32, 32, 64), f=(64, 64)),
            ensemble=2,
            iterations=3,
            training=ClassifierTrainingSettings(epochs=6, learning_rate=4e-3),
            members_at_once=4,
            **few,
        ),
        "cinn": CinnSettings(),
        "flow_matching": FlowMatchingSettings(),
    }
