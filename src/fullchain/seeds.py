"""Random number streams, all derived from the one seed of the configuration.

Every stream is keyed by what it is for: (stage, sample, block, ...). A result therefore does not
depend on the number of jobs or cores, nor on what ran before. The keys become the `spawn_key` of
`numpy.random.SeedSequence`, whose hash keeps streams of different keys independent.
"""

import hashlib

import numpy as np


def _word(key: str | int) -> int:
    if isinstance(key, str):
        return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    if key < 0:
        raise ValueError(f"a seed key must be a string or a non-negative integer, not {key}")
    return int(key)


def _sequence(seed: int, keys: tuple[str | int, ...]) -> np.random.SeedSequence:
    return np.random.SeedSequence(seed, spawn_key=tuple(_word(key) for key in keys))


def stream(seed: int, *keys: str | int) -> np.random.Generator:
    """Give the generator that belongs to `keys`.

    Parameters
    ----------
    seed
        The seed of the configuration.
    keys
        What the numbers are for, for example ``("ntuples", "qcd", 17)``.

    Examples
    --------
    >>> stream(1, "ntuples", 3).integers(100) == stream(1, "ntuples", 3).integers(100)
    True
    """
    return np.random.Generator(np.random.PCG64(_sequence(seed, keys)))


def derive(seed: int, *keys: str | int) -> int:
    """Give a seed in [1, 900 000 000] that belongs to `keys`, the range that Pythia 8 takes."""
    return int(_sequence(seed, keys).generate_state(1, np.uint64)[0] % 900_000_000) + 1
