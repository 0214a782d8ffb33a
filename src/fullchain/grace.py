"""How long a step may take to end in order, once it was told to.

What watches a step (`fullchain.guardian`, `fullchain.warm_start.template`) ends by force what has
not ended soon after the first signal. A step that has to tell others first, such as a batch system
that runs jobs for it, asks here for more time.
"""

import mmap
import struct

_NUMBER = struct.Struct("d")
_shared: mmap.mmap | None = None


def allow(seconds: float) -> None:
    """Ask for so much time between the first signal and the end by force.

    The longest time that a step asks for counts. Without a guardian nothing is done.

    Parameters
    ----------
    seconds
        Time [s].
    """
    if _shared is not None:
        _NUMBER.pack_into(_shared, 0, max(seconds, wished()))


def wished() -> float:
    """Give the time that the step asked for [s]; 0 where it did not."""
    return float(_NUMBER.unpack_from(_shared, 0)[0]) if _shared is not None else 0.0


def is_shared() -> bool:
    """Tell whether somebody reads the wish already: a template that watches over the guardian."""
    return _shared is not None


def share(memory: mmap.mmap | None = None) -> None:
    """Keep the wish in memory that this process shares with those that it forks from now on.

    Parameters
    ----------
    memory
        What is shared with others already, eight bytes; by default new memory, once.
    """
    global _shared
    if memory is not None or _shared is None:
        _shared = memory if memory is not None else mmap.mmap(-1, _NUMBER.size)
