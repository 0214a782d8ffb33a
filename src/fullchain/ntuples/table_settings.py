"""Settings of tables of observables: which column of the file is what."""

import re
from typing import Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel

CLASS_NUMBERS = {
    "gluon": 0,
    "light": 1,
    "b": 2,
    "W": 3,
    "Z": 4,
    "top": 5,
    "H": 6,
    "unmatched": -1,
}
"""Numbers of the truth labels in the column `label` of jets."""

TableClass = Literal["gluon", "light", "b", "W", "Z", "top", "H", "unmatched"]

RESERVED = frozenset(
    (
        *("label", "pt", "mass", "eta", "phi", "weight", "run", "luminosityBlock", "event"),
        *("variation", "jet", "label_fully_contained", "source_file", "source_row"),
        *("npu", "npv"),
    )
)
"""Columns of jets that are no observables."""


class TableSettings(SettingsModel):
    """Columns of a table with one row for each jet."""

    names: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="names of all columns in order, where the file does not tell them: for an "
        "array of two dimensions (npz, HDF5) or a CSV file without a header; null: those of the "
        "file",
    )
    label: str = Field("label", description="column that tells the class of a jet")
    classes: dict[TableClass, tuple[float, ...]] = Field(
        min_length=1,
        description="truth labels, and the values of the column of the class that mean them; "
        "unmatched for what belongs to none",
    )
    pt: str = Field("pt", description="column of the transverse momentum")
    mass: str = Field("mass", description="column of the mass")
    eta: str | None = Field(None, description="column of the pseudorapidity; null: 0 for all jets")
    phi: str | None = Field(None, description="column of the azimuth; null: 0 for all jets")
    weight: str | None = Field(None, description="column of the weight; null: 1 for all jets")
    observables: dict[str, str] | None = Field(
        None,
        description="names under which columns are kept, and their names in the file; null: all "
        "other columns of numbers, under the names that they have",
    )
    scale: dict[str, tuple[float, float]] = Field(
        default_factory=dict,
        description="columns that are stored shifted and scaled, by their new name: [offset, "
        "factor] of value = offset + factor * stored",
    )
    missing: bool = Field(
        False,
        description="true: NaN means that an observable does not exist for a jet; false: NaN is an "
        "error. pt, mass and weight are never NaN",
    )

    @model_validator(mode="after")
    def _columns_are_apart(self) -> "TableSettings":
        for name in self.observables or ():
            check_name(name, "observables")
        if self.names is not None and len(set(self.names)) < len(self.names):
            raise ValueError(f"names: a column is named twice: {', '.join(self.names)}")
        known = set(self.roles) | set(self.observables or ())
        unknown = [
            name for name in self.scale if self.observables is not None and name not in known
        ]
        if unknown:
            raise ValueError(
                f"scale: no column is called {unknown[0]!r}; there are {', '.join(sorted(known))}"
            )
        for name, (_, factor) in self.scale.items():
            if factor == 0:
                raise ValueError(f"scale.{name}: a factor of 0 makes all values equal")
        values = [value for several in self.classes.values() for value in several]
        if len(set(values)) < len(values) or not all(self.classes.values()):
            raise ValueError("classes: at least one value for each, and each value for one only")
        return self

    @property
    def roles(self) -> dict[str, str]:
        """Columns of the jets that are no observables, and their names in the file."""
        own = {"pt": self.pt, "mass": self.mass, "eta": self.eta, "phi": self.phi}
        found = {name: column for name, column in own.items() if column is not None}
        return found | ({} if self.weight is None else {"weight": self.weight})


def check_name(name: str, where: str) -> None:
    """Raise ValueError unless an observable can be called so."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise ValueError(
            f"{where}: {name!r} cannot name an observable: it must be letters, digits and _; give "
            "it another name in table.observables"
        )
    if name in RESERVED:
        raise ValueError(
            f"{where}: {name!r} is a column that jets have anyway; give the observable another "
            "name in table.observables"
        )


W_TAGGING = TableSettings(
    names=(
        *("mass", "pt", "tau21", "c2", "d2", "fw", "pf", "ap", "zcutdef", "ktdr", "sqrtd12"),
        "label",
    ),
    classes={"W": (0.0,), "gluon": (1.0,)},
    scale={"mass": (50.0, 250.0)},
)
"""Columns of W_high_level.npz (doi:10.5281/zenodo.3606767), as the authors of arXiv:2010.09745 give
them (okitouni/MoDe, examples/WtaggingTorch.ipynb): the stored mass is (m / GeV - 50) / 250, the
label is 0 for W bosons and 1 for QCD, here gluon as everywhere for QCD of unspecified flavour."""
