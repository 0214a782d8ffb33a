"""Settings of a Bayesian tagger: which weights have a distribution, and the prior."""

from typing import Literal

from pydantic import Field

from fullchain.model import SettingsModel


class BayesianSettings(SettingsModel):
    """Variational posterior over weights of a network, as in 1904.10004."""

    layers: Literal["last", "all"] = Field(
        "last",
        description="weights with a distribution: those of the last linear layer, or of all linear "
        "layers; the others have one value. last costs next to nothing; all takes as many passes "
        "as there are samples for every score",
    )
    prior_width: float = Field(
        1.0, gt=0, description="standard deviation of the Gaussian prior of each weight, mean zero"
    )
    initial_width: float = Field(
        0.05, gt=0, description="standard deviation of each weight where training begins"
    )
    samples: int = Field(
        50,
        ge=2,
        description="samples of the weights that score and uncertainty are mean and standard "
        "deviation of; the same for all jets",
    )
