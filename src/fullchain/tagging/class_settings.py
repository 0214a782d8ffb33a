"""Which jets make up a class of a classifier: samples and truth labels."""

from collections.abc import Mapping
from itertools import product
from typing import Any, Literal

from pydantic import Field

from fullchain.model import SettingsModel

DECAYS = {
    "Hbb": 61,
    "Hcc": 62,
    "Hgg": 63,
    "H4q": 64,
    "Hqql": -6,
    "Tbl": -5,
}
"""Numbers of the decays that only files in the layout of JetClass tell, by the names of their
branches. Below zero where a lepton is among the products, as the label `unmatched` is."""

LABELS = {
    "gluon": 0,
    "light": 1,
    "b": 2,
    "W": 3,
    "Z": 4,
    "top": 5,
    "H": 6,
    "unmatched": -1,
    **DECAYS,
}
"""Numbers of the truth labels in the column `label` of the jets."""

Label = Literal[
    "gluon", "light", "b", "W", "Z", "top", "H", "unmatched",
    "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Tbl",
]  # fmt: skip

_WITH_DECAYS = {"H": ("Hbb", "Hcc", "Hgg", "H4q"), "unmatched": ("Hqql", "Tbl")}
"""Labels that mean any of some decays, where those are told apart."""


class ClassSettings(SettingsModel):
    """Which jets make up one class."""

    samples: tuple[str, ...] = Field(min_length=1, description="names of samples")
    labels: tuple[Label, ...] = Field(
        min_length=1,
        description="truth labels of the jets. Hbb, Hcc, Hgg, H4q (of H) and Hqql, Tbl (of "
        "unmatched) are told by files in the layout jetclass, for taggers with jets_from: ntuples",
    )
    fully_contained: bool = Field(
        False, description="only jets that contain all decay products of their particle"
    )

    @property
    def label_numbers(self) -> tuple[int, ...]:
        """Numbers of the labels in the column `label`."""
        names = [one for name in self.labels for one in (name, *_WITH_DECAYS.get(name, ()))]
        return tuple(dict.fromkeys(LABELS[name] for name in names))


def classes_of(given: Mapping[str, Any]) -> dict[str, ClassSettings]:
    """Give the classes of a classifier, by name, as the settings have them."""
    return {name: ClassSettings.model_validate(one) for name, one in given.items()}


def check_apart(classes: Mapping[str, ClassSettings]) -> None:
    """Raise ValueError where two classes take jets of one sample with one label."""
    words = {number: label for label, number in LABELS.items()}
    seen: dict[tuple[str, int], str] = {}
    for name, wanted in classes.items():
        for key in product(wanted.samples, wanted.label_numbers):
            other = seen.setdefault(key, name)
            if other != name:
                raise ValueError(
                    f"classes: {other} and {name} both take jets of sample {key[0]} with label "
                    f"{words[key[1]]}; a jet belongs to one class"
                )


def check_no_decays(classes: Mapping[str, ClassSettings], where: str = "classes") -> None:
    """Raise ValueError for labels that jets of the stage jets do not have."""
    for name, wanted in classes.items():
        found = [label for label in wanted.labels if label in DECAYS]
        if found:
            raise ValueError(
                f"{where}.{name}.labels: jets of the stage jets have no label {found[0]}; only "
                "taggers with jets_from: ntuples, on files in the layout jetclass, know it. Take "
                f"{'unmatched' if LABELS[found[0]] < 0 else 'H'}"
            )
