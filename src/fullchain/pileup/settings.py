"""Settings of the stage `pileup`."""

import re

from pydantic import Field, model_validator

from fullchain.model import SettingsModel
from fullchain.pileup.classical_settings import (
    ClassicalSettings,
    ComparisonSettings,
    EvaluationSettings,
)
from fullchain.pileup.discrimination_settings import DiscriminationSettings
from fullchain.pileup.learned_methods import Method

CLASSICAL = ("none", "chs", "puppi", "softkiller")
"""Names of the methods without training."""

RESERVED = (*CLASSICAL, "auto", "stored", "truth")
"""Names that a learned method cannot have."""


class PileupSettings(SettingsModel):
    """Pile-up mitigation."""

    classical: ClassicalSettings = Field(
        default_factory=ClassicalSettings, description="methods without training"
    )
    learned: dict[str, Method] = Field(
        default_factory=dict,
        description="learned methods by name, which jets.clustering.mitigation can take",
    )
    evaluation: EvaluationSettings = Field(
        default_factory=EvaluationSettings, description="comparison of the methods"
    )
    discrimination: DiscriminationSettings = Field(
        default_factory=DiscriminationSettings,
        description="soft-drop mass, N-subjettiness and top tagging with each method",
    )
    comparison: ComparisonSettings = Field(
        default_factory=ComparisonSettings, description="comparison with stored weights"
    )

    @model_validator(mode="after")
    def _learned_have_names_of_their_own(self) -> "PileupSettings":
        for name in self.learned:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name in RESERVED:
                raise ValueError(
                    f"learned: {name!r} cannot name a method: it must be letters, digits and _, "
                    f"and none of {', '.join(RESERVED)}"
                )
            if re.search(r"_seed\d+$", name):
                raise ValueError(
                    f"learned: {name!r} would be taken for one training of a method; choose a "
                    "name that does not end in _seed and a number"
                )
        return self

    @model_validator(mode="after")
    def _measured_on_other_events(self) -> "PileupSettings":
        for name, method in self.learned.items():
            common = sorted(set(method.samples) & set(self.evaluation.samples or ()))
            if common:
                raise ValueError(
                    f"evaluation.samples: {', '.join(common)} trains {name}; methods are measured "
                    "on the first events of a sample, so train on a sample of its own"
                )
        return self

    @property
    def trained_on(self) -> frozenset[str]:
        """Names of the samples that a learned method is trained on."""
        return frozenset(name for method in self.learned.values() for name in method.samples)

    @property
    def weight_names(self) -> tuple[str, ...]:
        """Names of all learned weights: of each method, and of its trainings if it has several."""
        return tuple(
            name
            for method, chosen in self.learned.items()
            for name in (
                method,
                *(f"{method}_seed{n}" for n in range(chosen.seeds) if chosen.seeds > 1),
            )
        )
