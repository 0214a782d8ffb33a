"""An unfolded sample together with its alternatives, as its readers need it.

The same unfolding with another simulation is a file of its own, of the same format
(`unfolded_file`): it has other events, and the difference between the two results is the
uncertainty of the model. A record has `unfolded.parquet` and, of each alternative,
`alternative_<name>.parquet` beside it. Whoever reads the one gets the others.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fullchain.errors import InputError
from fullchain.hepdata_listing import referenced
from fullchain.unfolding import unfolded_file
from fullchain.unfolding.unfolded import Unfolded

_ALTERNATIVE = re.compile(r"alternative_(?P<name>\w+)\.parquet", re.ASCII)


def location(name: str) -> str:
    """Name the file that an alternative is in a record.

    Examples
    --------
    >>> location("a14")
    'alternative_a14.parquet'
    """
    return f"alternative_{name}.parquet"


def read(path: Path | str) -> Unfolded:
    """Read the unfolded sample of a record with all alternatives that the record has.

    Parameters
    ----------
    path
        The unfolded sample, beside which the alternatives are.

    Raises
    ------
    InputError
        As `with_alternatives`, or the submission.yaml beside the sample names a file that is not
        there.
    """
    path = Path(path)
    folder = path.parent
    present = {found.name for found in folder.glob(location("*"))}
    files = sorted(filter(_ALTERNATIVE.fullmatch, present | referenced(folder)))
    missing = [name for name in files if name not in present]
    if missing:
        raise InputError(
            f"{folder}: the record has {', '.join(missing)}, too, without which the uncertainty of "
            f"the model is not whole; get it, or read {path.name} alone with unfolded_file.read"
        )
    names = [name.removeprefix("alternative_").removesuffix(".parquet") for name in files]
    return with_alternatives(path, {name: folder / location(name) for name in names})


def with_alternatives(path: Path, others: Mapping[str, Path]) -> Unfolded:
    """Read an unfolded sample and the same unfolding with other simulations.

    Parameters
    ----------
    path
        The unfolded sample with the nominal simulation.
    others
        Those with other simulations, by the names of these.

    Raises
    ------
    InputError
        A file is unusable (`unfolded_file.read`), says that it was made with a simulation of
        another name, or is of another measurement, method or other observables than the sample.
    """
    sample = unfolded_file.read(path)
    made_with = sample.about.get("alternative", "")
    if made_with:
        raise InputError(
            f"{path}: unfolded with the simulation {made_with!r} and not with the nominal one; "
            "give it as an alternative, and unfolded.parquet as the sample"
        )
    found = {name: unfolded_file.read(other) for name, other in others.items()}
    for name, one in found.items():
        made_with = one.about.get("alternative", name)
        if made_with != name:
            raise InputError(
                f"{others[name]}: unfolded with the simulation {made_with or 'nominal'!r}, and "
                f"given as the alternative {name!r}; give it under its own name"
            )
        for what in ("measurement", "method"):
            own, theirs = sample.about.get(what), one.about.get(what)
            if own != theirs:
                raise InputError(
                    f"{others[name]}: of the {what} {theirs!r}, and {path} is of {own!r}; they are "
                    "no alternatives of each other"
                )
        if one.names != sample.names:
            raise InputError(
                f"{others[name]}: observables {', '.join(one.names)}, and {path} has "
                f"{', '.join(sample.names)}; unfold the same ones"
            )
    return replace(sample, alternatives=found)


def by_name(alternatives: Sequence[Path], names: Sequence[str]) -> dict[str, Path]:
    """Give the files of the option --alternatives by the names of --names.

    Raises InputError where these are not as many, or a name stands twice.
    """
    if len(alternatives) != len(names) or len(set(names)) < len(names):
        raise InputError(
            f"--names: {len(names)} names ({', '.join(names)}) for {len(alternatives)} "
            "alternatives; give each one its own"
        )
    return dict(zip(names, alternatives, strict=True))
