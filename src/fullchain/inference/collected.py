"""The files of all analyses, put together by the folder that they lie in.

A step that presents the whole stage takes the files of each kind of all analyses, in any order.
The folder of a file is the name of its analysis. An analysis has a fit, a workspace and what is
known of its building; everything else it may have.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fullchain.errors import InputError
from fullchain.saved_numbers import read_numbers

STAGE = "inference"

Numbers = Mapping[str, Any]

DATA = "data"
ASIMOV = "asimov"


@dataclass(frozen=True)
class Collected:
    """The content of the files of one analysis; None for a file that it does not have."""

    name: str
    fit: Numbers
    workspace: Numbers
    model: Numbers
    impacts: Numbers | None = None
    scans: Numbers | None = None
    limits: Numbers | None = None
    toys: Numbers | None = None
    places: Mapping[str, Path] = field(default_factory=dict)
    """Path of each file, by kind."""

    @property
    def blind(self) -> bool:
        """Whether the data are hidden."""
        return bool(self.fit.get("blind")) or DATA not in self.fit

    @property
    def dataset(self) -> str:
        """What is shown first: the data, or the expectation of a blind analysis."""
        return ASIMOV if self.blind else DATA

    @property
    def result(self) -> Numbers:
        """The fit of `dataset`."""
        found: Numbers = self.fit[self.dataset]
        return found

    @property
    def expected(self) -> Numbers | None:
        """The fit of the expectation."""
        return self.fit.get(ASIMOV)

    @property
    def poi(self) -> str:
        """Name of the parameter of interest."""
        return str(self.result["poi"])

    def parameter(self, name: str, result: Numbers | None = None) -> Numbers:
        """Row of a parameter in a fit.

        Raises
        ------
        InputError
            The fit has no such parameter.
        """
        for row in (result or self.result)["parameters"]:
            if row["name"] == name:
                found: Numbers = row
                return found
        raise InputError(f"{self.places.get('fit', self.name)}: no parameter {name!r}; fit again")


def collect(
    *,
    fit: Sequence[Path],
    workspace: Sequence[Path],
    model: Sequence[Path],
    impacts: Sequence[Path] = (),
    scans: Sequence[Path] = (),
    limits: Sequence[Path] = (),
    toys: Sequence[Path] = (),
) -> list[Collected]:
    """Read all files; the analyses have the order of their fits.

    Raises
    ------
    InputError
        A file is unusable, two files of a kind lie in one folder, an analysis has no fit, workspace
        or model, or a file belongs to another analysis than its folder.
    """
    kinds = {
        "fit": _by_folder("--fit", fit),
        "workspace": _by_folder("--workspace", workspace),
        "model": _by_folder("--model", model),
        "impacts": _by_folder("--impacts", impacts),
        "scans": _by_folder("--scans", scans),
        "limits": _by_folder("--limits", limits),
        "toys": _by_folder("--toys", toys),
    }
    for kind, found in kinds.items():
        for name, path in found.items():
            for needed in ("fit", "workspace", "model"):
                if name not in kinds[needed]:
                    raise InputError(f"{path}: --{kind} is given for {name}, but no --{needed}")
    return [
        _read(name, {kind: found[name] for kind, found in kinds.items() if name in found})
        for name in kinds["fit"]
    ]


def _by_folder(option: str, paths: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        name = path.resolve().parent.name
        if name in found:
            raise InputError(f"{option}: both {found[name]} and {path} are of the analysis {name}")
        found[name] = path
    return found


def _read(name: str, places: dict[str, Path]) -> Collected:
    content = {kind: read_numbers(path, STAGE) for kind, path in places.items()}
    for kind, numbers in content.items():
        stated = numbers.get("analysis", name)
        if stated != name:
            raise InputError(
                f"{places[kind]}: written for the analysis {stated!r}, but it lies in the folder "
                f"of {name!r}"
            )
    made = Collected(name=name, places=places, **content)
    if ASIMOV not in made.fit and DATA not in made.fit:
        raise InputError(f"{places['fit']}: no fit of data nor of the expectation; fit again")
    if made.blind and (made.impacts or {}).get("dataset") == DATA:
        raise InputError(
            f"{places['impacts']}: impacts on the data, but the analysis {name} is blind; rerun it"
        )
    return made
