"""Where tensors live, and what makes a calculation on them repeatable and its memory cheap."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from fullchain.errors import InputError


def choose(name: str) -> torch.device:
    """Device of a setting: "cpu", "cuda", or "auto" for a CUDA device where there is one.

    Raises InputError for "cuda" on a machine without one.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "the setting device is cuda, but torch finds no CUDA device here; "
            "use auto or cpu, or install torch's CUDA build"
        )
    return torch.device(name)


@contextmanager
def repeatable(threads: int) -> Iterator[None]:
    """Deterministic kernels and a fixed number of threads inside the block.

    The number of threads is a setting and not the number of cores at hand, because sums that are
    split in another way may round in another way.
    """
    # Not use_deterministic_algorithms, which imports the compiler, for a second, to tell it too.
    before = torch.get_deterministic_debug_mode()
    threads_before = torch.get_num_threads()
    # With deterministic kernels torch fills new memory with NaN, to show where a result depends on
    # what was there; none of ours does, and the filling takes time.
    deterministic: Any = torch.utils.deterministic
    filled = deterministic.fill_uninitialized_memory
    deterministic.fill_uninitialized_memory = False
    # cuBLAS is deterministic with a fixed workspace only; it reads this when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("error")
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        deterministic.fill_uninitialized_memory = filled
        torch.set_deterministic_debug_mode(before)
        torch.set_num_threads(threads_before)


# Parameters of mallopt in <malloc.h> of the GNU C library, and their defaults.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_DEFAULT_TRIM_THRESHOLD, _DEFAULT_MMAP_MAX = 128 * 1024, 65536


@contextmanager
def keeping_memory() -> Iterator[None]:
    """Keep freed memory for the next step inside the block, with the GNU C library.

    As it comes, the library gives large blocks back to the operating system as soon as they are
    free, and takes them again, page by page and filled with zeros, at each layer of each step.
    Keeping them changes no result. At the end what is free goes back.
    """
    try:
        library = ctypes.CDLL(None)
        mallopt, trim = library.mallopt, library.malloc_trim
    except (AttributeError, OSError, TypeError):
        # Other libraries have no such parameters.
        yield
        return
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield
    finally:
        mallopt(_MMAP_MAX, _DEFAULT_MMAP_MAX)
        mallopt(_TRIM_THRESHOLD, _DEFAULT_TRIM_THRESHOLD)
        trim(0)
