"""Models of the default configuration."""

from fullchain.calorimetry.coupling_settings import CouplingSettings
from fullchain.calorimetry.matching_settings import MatchingSettings
from fullchain.calorimetry.model_settings import ShowerModelSettings
from fullchain.calorimetry.preprocessing_settings import PreprocessingSettings
from fullchain.calorimetry.vae_settings import VaeSettings
from fullchain.learning.settings import TrainingSettings


def small_coupling(
    showers: str, threshold: float, epochs: int, judged: bool = True
) -> CouplingSettings:
    """Give a fast coupling flow: affine blocks on numbers with normal marginals."""
    return CouplingSettings(
        showers=showers,
        judged=judged,
        spline="affine",
        energies="first",
        blocks=6,
        width=128,
        depth=2,
        preprocessing=PreprocessingSettings(marginals="normal", threshold=threshold),
        training=TrainingSettings(
            epochs=epochs, batch_size=256, learning_rate=2e-3, gradient_clip=10.0
        ),
    )


def default_models() -> dict[str, ShowerModelSettings]:
    """A coupling flow, flow matching and a variational autoencoder, side by side.

    The flow of the crystals is for the detector of the stage ntuples.
    """
    return {
        "coupling": small_coupling("photons", 1.0, epochs=10),
        "matching": MatchingSettings(),
        "vae": VaeSettings(),
        "crystal": small_coupling("crystal", 0.5, epochs=6, judged=False),
    }
