"""Rows to train on, in memory or, beyond a budget, in memory-mapped files.

`Rows` takes batches as they are read. While they fit the budget they stay in memory; the batch that
would exceed it sends all of them, and what follows, to files that are then mapped. The tensors of
both kinds go through one training loop, and its results do not depend on the kind. The operating
system keeps in memory what it has room for of a mapped file and drops it under pressure.

The files are temporary: they lie in a folder that names host and process, which goes when the block
ends. What a killed process leaves is removed by the next one in the same place.

Training takes rows in random order. That is well while the files fit the memory that is free for
the cache of the file system; beyond, each row costs a read of its own. Then the setting
`shuffle_block` helps, see `shuffled`.
"""

import errno
import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fullchain.atomic import leftovers, temporary_name
from fullchain.errors import InputError
from fullchain.learning.settings import RowsFolder

Columns = Mapping[str, npt.NDArray[Any]]

WINDOW = 64
"""Blocks among which rows are mixed by `shuffled`."""


class Table(Mapping[str, Tensor]):
    """Named tensors that agree in their first dimension, the rows.

    Columns in files travel to another process by the name of their file and not by their content.

    Parameters
    ----------
    tensors
        Columns in memory.
    files
        Columns in files: path, type of numpy, shape.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        files: Mapping[str, tuple[Path, str, tuple[int, ...]]] | None = None,
    ) -> None:
        self._in_memory = dict(tensors)
        self._files = dict(files or {})
        self._tensors = self._in_memory | {
            name: _mapped(*file) for name, file in self._files.items()
        }

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __reduce__(self) -> tuple[Any, ...]:
        return Table, (self._in_memory, self._files)

    @property
    def on_disk(self) -> bool:
        """Whether columns are in files."""
        return bool(self._files)

    def with_columns(self, tensors: Mapping[str, Tensor]) -> "Table":
        """Give a table with more columns in memory, for example weights that need all rows."""
        return Table(self._in_memory | dict(tensors), self._files)


class Rows:
    """Collects batches of rows; a context manager, whose end removes the files.

    Parameters
    ----------
    name
        Tells the rows of one process apart, for example "train" from "validation".
    folder
        Where the files go, if there are any: a disk of this machine with room for all rows.
    memory_budget_mb
        Largest size in memory [1e6 bytes], with the second copy of the largest column while its
        batches are joined; None for no limit. Tables of several `Rows` add up.
    """

    def __init__(self, name: str, folder: Path, memory_budget_mb: float | None) -> None:
        self._budget = math.inf if memory_budget_mb is None else 1e6 * memory_budget_mb
        place = folder / f"{name}.rows"
        for left in leftovers(place):
            shutil.rmtree(left, ignore_errors=True)
        self._folder = temporary_name(place)
        self._batches: list[dict[str, npt.NDArray[Any]]] = []
        self._files: dict[str, BinaryIO] = {}
        self._layout: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
        self._bytes: dict[str, int] = {}
        self._rows = 0

    def __enter__(self) -> "Rows":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def append(self, columns: Columns) -> None:
        """Take a batch: arrays of shape (rows, ...), with the names and types of the first batch.

        Raises
        ------
        InputError
            The disk is full.
        ValueError
            Names, types, shapes or numbers of rows that do not agree.
        """
        batch = {name: np.ascontiguousarray(values) for name, values in columns.items()}
        self._rows += self._check(batch)
        for name, values in batch.items():
            self._bytes[name] = self._bytes.get(name, 0) + values.nbytes
        if self._files:
            self._write(batch)
            return
        # A batch may be a view of something larger, which must not stay in memory for it.
        self._batches.append(
            {name: _owned(columns[name], values) for name, values in batch.items()}
        )
        # Joining a column takes its size again: allocators rarely give back what lies between.
        if sum(self._bytes.values()) + max(self._bytes.values()) > self._budget:
            self._move_to_disk()

    def finish(self) -> Table:
        """Give all rows, in the order in which they came; nothing can be appended afterwards."""
        if self._files:
            for file in self._files.values():
                file.close()
            return Table(
                {},
                {
                    name: (Path(file.name), self._layout[name][0].str, self._shape(name))
                    for name, file in self._files.items()
                },
            )
        tensors = {name: torch.from_numpy(self._joined(name)) for name in self._layout}
        self._batches = []
        return Table(tensors)

    def close(self) -> None:
        """Remove the files. Tensors that are still mapped stay valid on Linux and macOS."""
        for file in self._files.values():
            file.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _check(self, batch: dict[str, npt.NDArray[Any]]) -> int:
        layout = {name: (values.dtype, values.shape[1:]) for name, values in batch.items()}
        if not self._layout:
            self._layout = layout
        lengths = {len(values) for values in batch.values()}
        if layout != self._layout or len(lengths) != 1:
            raise ValueError(f"a batch {layout} of {lengths} rows does not fit {self._layout}")
        return lengths.pop()

    def _shape(self, name: str) -> tuple[int, ...]:
        return (self._rows, *self._layout[name][1])

    def _joined(self, name: str) -> npt.NDArray[Any]:
        # Each batch is let go once it is copied, so that the next column can have its place.
        joined = np.empty(self._shape(name), self._layout[name][0])
        first = 0
        for batch in self._batches:
            values = batch.pop(name)
            joined[first : first + len(values)] = values
            first += len(values)
        return joined

    def _move_to_disk(self) -> None:
        self._folder.mkdir(parents=True)
        # Numbers and not names: a column may be called what no file can be.
        for number, name in enumerate(self._layout):
            self._files[name] = (self._folder / f"{number}.bin").open("wb")
        held, self._batches = self._batches, []
        for batch in held:
            self._write(batch)

    def _write(self, batch: dict[str, npt.NDArray[Any]]) -> None:
        try:
            for name, values in batch.items():
                self._files[name].write(values.data)
        except OSError as problem:
            if problem.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise InputError(
                f"no room for the training rows in {self._folder.parent} after "
                f"{sum(self._bytes.values()) / 1e6:,.0f} MB: free some, choose another disk with "
                "rows_folder, or raise memory_budget_mb"
            ) from None


def folder(choice: RowsFolder, output: Path) -> Path:
    """Give where rows go: beside the file `output`, or in the folder for temporary files."""
    return output.parent if choice == "output" else Path(tempfile.gettempdir())


def shuffled(rows: int, block: int | None) -> Tensor:
    """Draw an order of `rows` rows from torch's generator.

    Without `block`, each order is as likely as any other. With it, blocks of so many consecutive
    rows are put in random order, and rows are mixed among each `WINDOW` of them: a disk then sees
    few long reads, and so many rows must fit the cache. Batches are as random only as far as
    rows that are `WINDOW` random blocks apart are alike; blocks must be far smaller than a class.
    """
    if block is None:
        return torch.randperm(rows)
    starts = block * torch.randperm(math.ceil(rows / block))
    pieces = []
    for window in starts.split(WINDOW):
        inside = (window.unsqueeze(1) + torch.arange(block)).flatten()
        inside = inside[inside < rows]
        pieces.append(inside[torch.randperm(len(inside))])
    return torch.cat(pieces)


def _mapped(path: Path, kind: str, shape: tuple[int, ...]) -> Tensor:
    # Shared and writable: a private map counts as the process's own memory, and torch warns about
    # arrays that it could not write to.
    return torch.from_numpy(np.memmap(path, dtype=np.dtype(kind), mode="r+", shape=shape))


def _owned(given: Any, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values.copy() if values is given or values.base is not None else values
