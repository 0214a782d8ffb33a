"""Jets from files as arrays: columns that are asked for, constituents padded.

Files are those of the stage `jets` (Parquet) or, with one jet per entry, ROOT files and the part
manifests that list them (`root_jets`), of particles or of observables; the first bytes of a file
tell what it is. They are read in batches of rows, so that memory depends on the size of a batch and
on what the caller keeps, not on the size of the files.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fullchain.errors import InputError
from fullchain.parquet_check import may_hold, opened
from fullchain.tagging.arrow_columns import to_numpy

Scalars = dict[str, npt.NDArray[Any]]

_WHAT = "table of jets"

FOUR_MOMENTUM = ("pt", "eta", "phi", "mass")
IDENTITY = ("run", "luminosityBlock", "event", "variation", "jet")

TRACK = ("d0", "d0_err", "dz", "dz_err")
"""Impact parameters [cm] and their uncertainties: of charged particles only."""

FULL = (*FOUR_MOMENTUM, "charge", "pdgId", *TRACK)
"""All that a tagger may read of a particle."""


@dataclass(frozen=True)
class Jets:
    """Some jets.

    `scalars` maps column names to arrays of shape (jets,). `constituents` has shape
    (jets, particles, fields), particles in falling pT, zero where there is none; the first four
    fields are pT [GeV], eta, phi, mass [GeV]. `file` is where they are from, for messages.
    """

    scalars: Scalars
    constituents: npt.NDArray[np.float32]
    file: str = ""

    def __len__(self) -> int:
        return len(self.constituents)

    def where(self, keep: npt.NDArray[np.bool_]) -> "Jets":
        """Give the jets for which `keep` is true."""
        scalars = {name: column[keep] for name, column in self.scalars.items()}
        return Jets(scalars, self.constituents[keep], self.file)

    def named(self, place: int) -> str:
        """Say which jet the one at `place` is: its file, and its identity as far as it was read."""
        return f"{self.file or 'jets'}: {named_jet(self.scalars, place)}"

    def jet_momentum(self) -> npt.NDArray[np.float32]:
        """pT [GeV], eta, phi, mass [GeV] of the jets, shape (jets, 4)."""
        columns = [self.scalars[name].astype(np.float32) for name in FOUR_MOMENTUM]
        return np.stack(columns, axis=1)


def named_jet(scalars: Scalars, place: int) -> str:
    """Identity of the jet at `place`, as far as its columns are there, for messages."""
    known = [f"{name} {scalars[name][place]}" for name in IDENTITY if name in scalars]
    return f"the jet with {', '.join(known)}" if known else f"jet {place}"


def concatenate(pieces: Sequence[Jets]) -> Jets:
    """Join jets that have the same columns; at least one piece."""
    scalars = {
        name: np.concatenate([piece.scalars[name] for piece in pieces])
        for name in pieces[0].scalars
    }
    return Jets(scalars, np.concatenate([piece.constituents for piece in pieces]))


def stream(
    path: Path,
    columns: Sequence[str],
    n_constituents: int,
    *,
    fields: Sequence[str] = FOUR_MOMENTUM,
    variation: str | None = None,
    required: Sequence[str] = (),
    batch_rows: int = 8192,
) -> Iterator[Jets]:
    """Give the jets of one file in order, in batches of at most `batch_rows` rows.

    Parameters
    ----------
    path
        Parquet file of the stage `jets`, or ROOT file or part manifest, see `root_jets`.
    columns
        Scalar columns to read; four-momenta and constituents need not be named here.
    n_constituents
        Particles to keep per jet, in falling pT; 0 reads no constituents.
    fields
        What to read of a particle: `FOUR_MOMENTUM`, or `FULL`.
    variation
        Leave out row groups that hold none of this variation; None reads all. The others may still
        hold jets of other variations.
    required
        Those of the columns that the file must tell. Of others that are observables a ROOT file may
        tell none, and they are NaN; a Parquet file must have all.

    Raises
    ------
    InputError
        The file is none of these, misses a column, or has a value that is not finite in a
        four-momentum or in a track of a particle, or a jet without particles.
    """
    if _is_root(path):
        from fullchain.tagging import root_jets

        yield from root_jets.stream(
            path, columns, n_constituents, fields=fields, required=required, batch_rows=batch_rows
        )
        return
    with opened(path, _WHAT) as file:
        wanted = list(dict.fromkeys((*columns, *FOUR_MOMENTUM)))
        leaves = [*wanted, *(_constituent_leaves(path, file, fields) if n_constituents else [])]
        missing = [name for name in wanted if name not in file.schema_arrow.names]
        if missing:
            raise InputError(f"{path}: no column {', '.join(missing)}; make the jets again")
        for row, batch in _batches(file, leaves, variation, batch_rows):
            scalars = {name: _to_numpy(path, name, batch.column(name)) for name in wanted}
            for name in FOUR_MOMENTUM:
                _check_finite(path, name, scalars[name], row)
            padded = (
                _padded(path, batch.column("constituents"), n_constituents, fields, row)
                if n_constituents
                else np.zeros((batch.num_rows, 0, len(fields)), dtype=np.float32)
            )
            jets = Jets(scalars, padded, str(path))
            if n_constituents:
                _check_particles(jets, row)
            yield jets


def read(
    paths: Sequence[Path],
    columns: Sequence[str],
    n_constituents: int,
    keep: Callable[[Scalars], npt.NDArray[np.bool_]],
    *,
    fields: Sequence[str] = FOUR_MOMENTUM,
    variation: str | None = None,
) -> Jets:
    """Give those jets of several files for which `keep` of their scalars is true, in order.

    `fields` and `variation` are those of `stream`.

    Raises InputError as `stream` does, and where no file is given.
    """
    if not paths:
        raise InputError("no files of jets were given")
    pieces = [
        batch.where(keep(batch.scalars))
        for path in paths
        for batch in stream(path, columns, n_constituents, fields=fields, variation=variation)
    ]
    if not pieces:
        names = ", ".join(str(path) for path in paths)
        raise InputError(f"{names}: no jets at all; lower the thresholds of the stage jets")
    return concatenate(pieces)


def count(path: Path) -> int:
    """Number of jets of a file. Raises InputError where it is none that `stream` reads."""
    if _is_root(path):
        from fullchain.tagging import root_jets

        return root_jets.count(path)
    with opened(path, _WHAT) as file:
        return int(file.metadata.num_rows)


def most_particles(path: Path) -> int:
    """Largest number of particles of a jet of a file. Raises InputError where it is none."""
    with opened(path, _WHAT) as file:
        leaf = _constituent_leaves(path, file, ("pt",))
        lengths = (
            batch.column("constituents").value_lengths().fill_null(0)
            for batch in file.iter_batches(columns=leaf)
        )
        return max((int(found.to_numpy().max()) for found in lengths if len(found)), default=0)


def _is_root(path: Path) -> bool:
    """Tell from its first bytes whether a file is ROOT, or a manifest of such files, in JSON."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError:
        return False
    return start == b"root" or start[:1] == b"{"


def _batches(
    file: Any, leaves: list[str], variation: str | None, batch_rows: int
) -> Iterator[tuple[int, Any]]:
    """Give batches of rows, whole and consistent, each with the number of its first row."""
    row = 0
    for group in range(file.num_row_groups):
        metadata = file.metadata.row_group(group)
        if variation is not None and not may_hold(metadata, variation):
            row += metadata.num_rows
            continue
        for batch in file.iter_batches(batch_rows, row_groups=[group], columns=leaves):
            batch.validate(full=True)
            yield row, batch
            row += batch.num_rows


def _constituent_leaves(path: Path, file: Any, fields: Sequence[str]) -> list[str]:
    """Names of the constituents' leaf columns, whatever the writer called the list's element."""
    leaves = [file.schema.column(index).path for index in range(len(file.schema))]
    found = {leaf.rsplit(".", 1)[1]: leaf for leaf in leaves if leaf.startswith("constituents.")}
    missing = [name for name in fields if name not in found]
    if missing:
        raise InputError(f"{path}: the constituents have no {', '.join(missing)}")
    return [found[name] for name in fields]


def _to_numpy(path: Path, name: str, column: Any) -> npt.NDArray[Any]:
    if column.null_count:
        raise InputError(f"{path}: column {name} has missing values")
    return to_numpy(column)


def _check_finite(path: Path, name: str, values: npt.NDArray[Any], first_row: int) -> None:
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise InputError(
            f"{path}: {name} is {values[bad[0]]} in row {first_row + bad[0]}"
            f" ({len(bad)} such rows in this batch); make the jets again"
        )


def _check_particles(jets: Jets, first_row: int) -> None:
    """Raise InputError for a jet without particles: it would be taken for one of padding alone."""
    bad = np.flatnonzero(~(jets.constituents[..., 0] > 0).any(axis=1))
    if len(bad):
        raise InputError(
            f"{jets.named(int(bad[0]))}, in row {first_row + bad[0]}, has no particles with pT "
            f"above zero ({len(bad)} such jets in this batch); make the jets again, or leave it out"
        )


def _padded(
    path: Path, column: Any, length: int, fields: Sequence[str], first_row: int
) -> npt.NDArray[np.float32]:
    """Bring lists of particles to shape (jets, length, fields), cut or filled with zeros."""
    particles = column.flatten()
    lengths = column.value_lengths()
    counts = to_numpy(lengths.fill_null(0) if lengths.null_count else lengths).astype(np.int64)
    neutral = None
    if set(TRACK) & set(fields):
        neutral = to_numpy(particles.field("charge")) == 0
    columns = []
    for name in fields:
        values = to_numpy(particles.field(name))
        if neutral is not None and name in TRACK:
            # A neutral particle has no track; files differ in what they write there.
            values = np.where(neutral, 0.0, values)
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad):
            row = first_row + int(np.searchsorted(np.cumsum(counts), bad[0], side="right"))
            raise InputError(
                f"{path}: constituents.{name} is {values[bad[0]]} in row {row}; make the jets again"
            )
        columns.append(values)
    return padded(columns, counts, length)


def padded(
    columns: Sequence[npt.NDArray[Any]], counts: npt.NDArray[np.int64], length: int
) -> npt.NDArray[np.float32]:
    """Bring flat particles to shape (jets, length, columns), cut or filled with zeros.

    Parameters
    ----------
    columns
        Of the particles, jet by jet, each (particles,).
    counts
        Number of particles of each jet, (jets,).
    length
        Particles that are kept of a jet.
    """
    kept = np.minimum(counts, length)
    place = np.arange(kept.sum()) - np.repeat(np.cumsum(kept) - kept, kept)
    source = np.repeat(np.cumsum(counts) - counts, kept) + place
    target = np.repeat(np.arange(len(counts)) * length, kept) + place
    result = np.zeros((len(counts) * length, len(columns)), dtype=np.float32)
    for index, values in enumerate(columns):
        result[target, index] = values[source]
    return result.reshape(len(counts), length, len(columns))
