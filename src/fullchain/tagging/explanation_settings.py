"""Settings of the explanation of taggers."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from fullchain.model import SettingsModel
from fullchain.tagging.mlp_settings import Feature

ConstituentObservable = Literal[
    "n_pf", "width", "ptd", "c_beta", "s_pid", "s_frag", "e_q", "jet_charge"
]
Symbol = Literal["add", "sub", "mul", "div", "aq", "square", "tanh", "exp", "log", "sqrt"]

OBSERVABLES: tuple[ConstituentObservable | Feature, ...] = (
    "n_pf",
    "width",
    "ptd",
    "c_beta",
    "s_pid",
    "s_frag",
    "e_q",
    "mass",
    "msoftdrop",
    "tau21",
    "tau32",
)
"""Seven that quarks and gluons differ in, and what heavy particles are told by."""


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError(f"an observable is named twice: {', '.join(names)}")
    return names


class DisentangledSettings(SettingsModel):
    """Classifier on a few independent latent dimensions."""

    dimensions: int = Field(3, ge=1, description="latent dimensions")
    layers: tuple[int, ...] = Field(
        (64,), min_length=1, description="hidden layers of encoder, classifier and decoder, each"
    )
    reconstruction: float = Field(
        0.5, ge=0, description="factor of the mean squared error of the reconstruction in the loss"
    )
    decorrelation: float = Field(
        2.0, ge=0, description="factor of the squared distance correlation of the dimensions"
    )
    epochs: int = Field(15, ge=1, description="passes over the jets")
    batch_size: int = Field(
        256, ge=8, description="jets per step; the distance correlation is that of a batch"
    )
    learning_rate: float = Field(3e-3, gt=0, description="nominal learning rate")


class AttributionSettings(SettingsModel):
    """Shapley values of the observables."""

    jets: int = Field(100, ge=2, description="jets of the test part that are explained")
    background: int = Field(
        30, ge=1, description="jets whose observables stand in for those that are left out"
    )
    coalitions: int = Field(
        256,
        ge=10,
        description="sets of known observables that are evaluated for each jet; exact from two to "
        "the power of the number of observables on",
    )
    group_correlation: float = Field(
        0.7,
        gt=0,
        lt=1,
        description="mean rank correlation, without its sign, from which observables are one group",
    )
    max_groups: int = Field(
        7, ge=1, le=12, description="groups at most: the time grows as two to their power"
    )


class FormulaSettings(SettingsModel):
    """Symbolic regression of the log-odds."""

    inputs: int = Field(
        4, ge=1, description="observables that a formula may use: those of largest mean |SHAP|"
    )
    symbols: tuple[Symbol, ...] = Field(
        ("add", "sub", "mul", "aq", "square", "tanh"),
        min_length=1,
        description="operations; aq is a / sqrt(1 + b^2), a quotient without a pole",
    )
    max_length: int = Field(
        20,
        ge=6,
        description="largest number of nodes of a formula as it is searched for, where a variable "
        "with its factor is one node; printed it may be longer",
    )
    population: int = Field(200, ge=10, description="formulas at a time")
    generations: int = Field(30, ge=1, description="generations; the time is theirs, no clock ends")
    optimiser_iterations: int = Field(
        4, ge=0, description="steps of Levenberg and Marquardt on the constants of each formula"
    )
    jets: int = Field(1000, ge=10, description="jets that formulas are fitted to, at most")
    digits: int = Field(
        3, ge=1, le=6, description="significant digits of the constants, in print and in use"
    )


class ExplanationSettings(SettingsModel):
    """What a tagger has learned, in terms of observables."""

    taggers: tuple[str, ...] | None = Field(
        None, description="names of the taggers to explain; null for all, [] for none"
    )
    observables: Annotated[
        tuple[ConstituentObservable | Feature, ...],
        Field(min_length=2),
        AfterValidator(_distinct),
    ] = Field(
        OBSERVABLES,
        description="observables that components and scores are compared with: some are made of "
        "the constituents (n_pf, width, ptd, c_beta, s_pid, s_frag, e_q, jet_charge), the others "
        "are columns of the jets or quotients of them",
    )
    beta: float = Field(0.2, gt=0, description="angular exponent of c_beta")
    jets: int = Field(
        6000, ge=20, description="jets at most, of all parts and classes (each the same number)"
    )
    replicas: int = Field(100, ge=10, description="replicas of the bootstrap over events")
    components: int = Field(4, ge=1, description="principal components that are kept")
    distance_jets: int = Field(
        400, ge=10, description="jets for distance correlations; the time grows as their square"
    )
    surrogate_epochs: int = Field(
        25,
        ge=1,
        description="passes over the jets of the network that learns the score from observables",
    )
    disentangled: DisentangledSettings = Field(
        default_factory=DisentangledSettings, description="classifier on independent dimensions"
    )
    attribution: AttributionSettings = Field(
        default_factory=AttributionSettings, description="Shapley values"
    )
    formula: FormulaSettings = Field(
        default_factory=FormulaSettings, description="symbolic regression"
    )
    threads: int = Field(1, ge=1, description="CPU threads of the networks; rounding may depend")
