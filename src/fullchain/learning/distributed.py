"""One training by several processes, through torch's DistributedDataParallel.

Each process holds the whole model and takes its share of the rows of every batch. The loss of a
share is weighted by the share's part of the batch, so that the averaged gradient is that of the
whole batch: the result is the one of a single process up to rounding (and to random numbers
drawn inside model and objective, which differ between processes on purpose).

The calling process is rank 0: it writes checkpoints and reports. The others are started by
"spawn", as CUDA requires. Model and objective must therefore be picklable: a function or class of
a module, and no function inside a function. Rows in memory move to shared memory; rows in files
(`fullchain.learning.rows`) are opened again by name.

Plain BatchNorm becomes SyncBatchNorm on CUDA. On the CPU torch has no such thing, and layers of
other classes that normalise over the batch are not known to it: their statistics are those of the
share, in evaluation those of rank 0. A network that takes moments over a batch by itself, as
ParticleNet does for its edges, adds them up with `fullchain.learning.shared_sums`, on any device.
"""

import copy
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from fullchain.errors import InputError

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Share:
    """Which of how many processes this is; the default is the only one."""

    rank: int = 0
    processes: int = 1

    @property
    def alone(self) -> bool:
        """Whether there is nobody to talk to."""
        return self.processes == 1

    def place(self, chosen: torch.device) -> torch.device:
        """Give the device of this process: on CUDA, one for each."""
        if self.alone or chosen.type != "cuda":
            return chosen
        return torch.device("cuda", self.rank)

    def of(self, rows: Tensor) -> Tensor:
        """Give the share of the rows of a batch."""
        return rows if self.alone else torch.tensor_split(rows, self.processes)[self.rank]

    def interval(self, rows: int) -> tuple[int, int]:
        """Give first and last (exclusive) of consecutive rows that are this process's."""
        return rows * self.rank // self.processes, rows * (self.rank + 1) // self.processes

    def weighted(self, loss: Tensor, rows: int, all_rows: int) -> Tensor:
        """Weight the mean loss of a share so that the mean over processes is that of the batch."""
        return loss if self.alone else loss * (rows * self.processes / all_rows)

    def total(self, values: Tensor) -> Tensor:
        """Sum over processes, the same bits in all."""
        if not self.alone:
            distributed.all_reduce(values)
            distributed.broadcast(values, src=0)
        return values

    def joined(self, model: nn.Module) -> nn.Module:
        """Give the model whose backward pass averages gradients over processes."""
        return model if self.alone else DistributedDataParallel(model)

    def equalise_buffers(self, model: nn.Module) -> None:
        """Give all processes the buffers of rank 0."""
        if not self.alone:
            for buffer in model.buffers():
                distributed.broadcast(buffer, src=0)


def prepared(model: nn.Module, share: Share, place: torch.device) -> nn.Module:
    """Give the model with batch norms that see the whole batch, where torch has them."""
    if share.alone:
        return model
    norms = [module for module in model.modules() if "running_mean" in dict(module.named_buffers())]
    known = all(type(module) in _BATCH_NORMS for module in norms)
    if norms and place.type == "cuda" and known:
        # A copy: the caller's model keeps its classes, which run and export everywhere.
        return nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(model))
    if norms and share.rank == 0:
        kinds = ", ".join(sorted({type(module).__name__ for module in norms}))
        print(
            f"{share.processes} processes: {kinds} on {place.type} takes the statistics of a "
            "process's share of the batch, not of all of it",
            file=sys.stderr,
            flush=True,
        )
    return model


def check(processes: int, place: torch.device, batch: int, validation: int) -> None:
    """Raise InputError unless there is a device and a row of each batch for each process.

    `batch` and `validation` are the rows of the smallest batch and of the validation part.
    """
    if processes == 1:
        return
    if place.type == "cuda" and processes > torch.cuda.device_count():
        raise InputError(
            f"processes is {processes}, but there are {torch.cuda.device_count()} CUDA devices"
        )
    if min(batch, validation) < processes:
        raise InputError(
            f"processes is {processes}, but a batch has {batch} rows and validation {validation}: "
            "lower processes or raise batch_size"
        )


@contextmanager
def team(
    processes: int, place: torch.device, follow: Callable[..., None], model: nn.Module, *rest: Any
) -> Iterator[Share]:
    """Start processes 1, 2, ... on `follow(share, model, *rest)`; give the share of this one.

    Inside the block, this process must take part in all that the others do. All end with it.

    Raises
    ------
    RuntimeError
        A process ended before it could take part; its own message is on the standard error.
    """
    if processes == 1:
        yield Share()
        return
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="fullchain.") as folder:
        meeting = Path(folder) / "meeting"
        followers, lines = [], []
        # A copy: what travels is shared, and the followers must not see this process's steps.
        task = (copy.deepcopy(model), *rest)
        try:
            for rank in range(1, processes):
                line, far_end = context.Pipe()
                share = Share(rank, processes)
                process = context.Process(
                    target=_begin, args=(share, meeting, place.type, far_end, follow, task)
                )
                process.start()
                far_end.close()
                followers.append(process)
                lines.append(line)
            for process, line in zip(followers, lines, strict=True):
                _await(process, line)
            with _group(Share(0, processes), meeting, place.type):
                yield Share(0, processes)
                for process in followers:
                    process.join()
        finally:
            for process in followers:
                process.terminate()
                process.join()


def _await(process: Any, line: Connection) -> None:
    if line not in wait([line, process.sentinel]) or not _told(line):
        process.join()
        raise RuntimeError(
            f"a process of the training ended with exit status {process.exitcode} before it began; "
            "model and objective must be picklable, and shared memory must hold the rows"
        )


def _told(line: Connection) -> bool:
    try:
        return bool(line.recv())
    except EOFError:
        return False


def _begin(
    share: Share,
    meeting: Path,
    kind: str,
    line: Connection,
    follow: Callable[..., None],
    task: tuple[Any, ...],
) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    line.send(True)
    with _group(share, meeting, kind):
        try:
            follow(share, *task)
        except InputError:
            # It concerns all rows, so rank 0 raises it as well, and reports it.
            return


def _end_with_parent() -> None:
    """End this process when the one that started it is killed: nobody would wait for it."""
    import multiprocessing

    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


@contextmanager
def _group(share: Share, meeting: Path, kind: str) -> Iterator[None]:
    if kind == "cuda":
        torch.cuda.set_device(share.rank)
    distributed.init_process_group(
        "nccl" if kind == "cuda" else "gloo",
        init_method=meeting.as_uri(),
        rank=share.rank,
        world_size=share.processes,
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()
