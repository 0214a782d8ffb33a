"""Jets as a trigger sees them: high-level features, leading coarse candidates, and the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from fullchain.atomic import atomic
from fullchain.errors import InputError
from fullchain.firmware.array_files import opened
from fullchain.firmware.fixed_network import InputNumbers
from fullchain.learning import split
from fullchain.learning.roc import event_numbers
from fullchain.tagging.class_settings import ClassSettings

VERSION = 1

SCALARS: Mapping[str, Any] = {
    "run": np.uint32,
    "luminosityBlock": np.uint32,
    "event": np.uint64,
    "jet": np.int32,
    "row": np.int64,
    "weight": np.float64,
    "pt": np.float32,
    "eta": np.float32,
    "mass": np.float32,
    "msoftdrop": np.float32,
    "label": np.int8,
    "label_fully_contained": np.bool_,
}
"""Columns and their types; `row` is the place of the jet in the file of jets that it is of."""


@dataclass(frozen=True)
class TriggerJets:
    """Some jets.

    Parameters
    ----------
    features
        (jets, features) in their own units.
    candidates
        (jets, candidates, quantities), in falling pT, zeros where there is none.
    scalars
        The columns of `SCALARS`, each (jets).
    feature_names, candidate_names
        Names of the last axes.
    """

    features: NDArray[np.float32]
    candidates: NDArray[np.float32]
    scalars: Mapping[str, NDArray[Any]]
    feature_names: tuple[str, ...]
    candidate_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.features)

    def where(self, keep: NDArray[Any]) -> "TriggerJets":
        """Give the jets of a mask or of indices."""
        scalars = {name: column[keep] for name, column in self.scalars.items()}
        return TriggerJets(
            self.features[keep],
            self.candidates[keep],
            scalars,
            self.feature_names,
            self.candidate_names,
        )

    def quantities(self, names: Sequence[str], candidates: int) -> NDArray[np.float64]:
        """Give named features (jets, names), or quantities (jets, candidates, names).

        Parameters
        ----------
        names
            Features or, where `candidates` is not 0, quantities of the leading candidates.
        candidates
            How many candidates; 0 for features of the jet.

        Raises
        ------
        InputError
            There is no such quantity, or there are fewer candidates.
        """
        known = self.candidate_names if candidates else self.feature_names
        missing = [name for name in names if name not in known]
        if missing:
            raise InputError(
                f"the trigger jets have no {', '.join(missing)}, only {', '.join(known)}: run "
                "firmware observe with them, or train again"
            )
        if candidates > self.candidates.shape[1]:
            raise InputError(
                f"the trigger jets have {self.candidates.shape[1]} candidates, and {candidates} "
                "are asked for; raise firmware.inputs.candidates"
            )
        chosen = [known.index(name) for name in names]
        values = self.candidates[:, :candidates] if candidates else self.features
        return np.asarray(values[..., chosen], dtype=np.float64)

    def inputs_of(self, numbers: InputNumbers, candidates: int) -> NDArray[np.float64]:
        """Give the fixed-point inputs of a network, (jets, *input_shape); raises as `quantities`
        and `InputNumbers.quantise`.
        """
        return numbers.quantise(self.quantities(numbers.names, candidates))

    def parts(self, validation: float, test: float, seed: int) -> NDArray[np.str_]:
        """Name the part of each jet (train, validation, test), by a hash of its event."""
        run, block, event = (self.scalars[name] for name in ("run", "luminosityBlock", "event"))
        hashes = split.fold(run, block, event, seed)
        return split.parts(hashes, validation, test)

    def classes(self, sample: str, wanted: Sequence[ClassSettings]) -> NDArray[np.intp]:
        """Give the number of the class of each jet of `sample`, (jets); -1 for none."""
        numbers = np.full(len(self), -1, dtype=np.intp)
        for number, one in enumerate(wanted):
            if sample in one.samples:
                found = np.isin(self.scalars["label"], one.label_numbers)
                if one.fully_contained:
                    found &= self.scalars["label_fully_contained"]
                numbers[found] = number
        return numbers


def concatenate(pieces: Sequence[TriggerJets]) -> TriggerJets:
    """Join jets with the same features and candidates; at least one piece."""
    first = pieces[0]
    return TriggerJets(
        np.concatenate([piece.features for piece in pieces]),
        np.concatenate([piece.candidates for piece in pieces]),
        {name: np.concatenate([piece.scalars[name] for piece in pieces]) for name in first.scalars},
        first.feature_names,
        first.candidate_names,
    )


def write(path: Path, jets: TriggerJets, sample: str) -> None:
    """Write jets of one sample, whole or not at all."""
    with atomic(path) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = VERSION
        file.attrs["sample"] = sample
        file.attrs["features"] = list(jets.feature_names)
        file.attrs["candidates"] = list(jets.candidate_names)
        for name in ("features", "candidates"):
            values = getattr(jets, name)
            file.create_dataset(name, data=values, compression="gzip", compression_opts=1)
        for name, kind in SCALARS.items():
            file.create_dataset(f"scalars/{name}", data=np.asarray(jets.scalars[name], dtype=kind))


def read(path: Path) -> tuple[TriggerJets, str]:
    """Read what `write` wrote: the jets, and the name of their sample.

    Raises
    ------
    InputError
        The file is not there, not one of trigger jets, or damaged.
    """
    with opened(path, VERSION, "trigger jets", "run firmware observe") as file:
        jets = TriggerJets(
            file["features"][:],
            file["candidates"][:],
            {name: file[f"scalars/{name}"][:] for name in SCALARS},
            tuple(str(name) for name in file.attrs["features"]),
            tuple(str(name) for name in file.attrs["candidates"]),
        )
        return jets, str(file.attrs["sample"])


@dataclass(frozen=True)
class Labelled:
    """Jets of all samples with class and part.

    `target` (jets) is the number of the class, -1 for none; `part` (jets) train, validation or
    test; `sample` (jets) the number of the sample in `samples`.
    """

    jets: TriggerJets
    target: NDArray[np.intp]
    part: NDArray[np.str_]
    sample: NDArray[np.intp]
    samples: tuple[str, ...]

    @property
    def events(self) -> NDArray[np.intp]:
        """Number of the event of each jet, (jets), from 0; samples may share run and event."""
        scalars = self.jets.scalars
        columns = (scalars[name] for name in ("run", "luminosityBlock", "event"))
        return event_numbers(self.sample, *columns)

    def with_class(self, part: str) -> "Labelled":
        """Give the jets of a part that have a class."""
        return self.where((self.target >= 0) & (self.part == part))

    def where(self, keep: NDArray[Any]) -> "Labelled":
        """Give the jets of a mask or of indices."""
        return Labelled(
            self.jets.where(keep),
            self.target[keep],
            self.part[keep],
            self.sample[keep],
            self.samples,
        )


def read_all(
    paths: Sequence[Path], classes: Mapping[str, ClassSettings]
) -> tuple[TriggerJets, NDArray[np.intp], NDArray[np.intp], tuple[str, ...]]:
    """Give the jets of all files, the number of the class and of the sample of each, and samples.

    Raises
    ------
    InputError
        As `read`; there are no files, or they differ in their features.
    """
    pieces: list[TriggerJets] = []
    targets, numbers = [], []
    samples: list[str] = []
    for path in paths:
        jets, sample = read(path)
        if pieces and (jets.feature_names, jets.candidates.shape[1:], jets.candidate_names) != (
            pieces[0].feature_names,
            pieces[0].candidates.shape[1:],
            pieces[0].candidate_names,
        ):
            raise InputError(
                f"{path}: other features or candidates than in {paths[0]}; run firmware observe "
                "again for both"
            )
        if sample not in samples:
            samples.append(sample)
        pieces.append(jets)
        targets.append(jets.classes(sample, list(classes.values())))
        numbers.append(np.full(len(jets), samples.index(sample), dtype=np.intp))
    if not pieces:
        raise InputError("no files of trigger jets were given; run firmware observe")
    return concatenate(pieces), np.concatenate(targets), np.concatenate(numbers), tuple(samples)


def labelled(
    paths: Sequence[Path],
    classes: Mapping[str, ClassSettings],
    validation: float,
    test: float,
    seed: int,
) -> Labelled:
    """Read jets of all samples, with class and part of each, in the order of the files.

    Raises
    ------
    InputError
        As `read_all`; a class has no jets in a part.
    """
    everything, target, sample, samples = read_all(paths, classes)
    found = Labelled(everything, target, everything.parts(validation, test, seed), sample, samples)
    for number, name in enumerate(classes):
        for part in (split.TRAIN, split.VALIDATION, split.TEST):
            if not ((found.target == number) & (found.part == part)).any():
                raise InputError(
                    f"firmware.classes.{name}: no such jets in the {part} part of "
                    f"{', '.join(classes[name].samples)}; make more events, or widen the class"
                )
    return found
