"""Whether test vectors are of given jets."""

from pathlib import Path

import numpy as np

from fullchain.errors import InputError
from fullchain.firmware.stimuli import Stimuli
from fullchain.firmware.trigger_jets import Labelled

IDENTITY = ("run", "luminosityBlock", "event", "jet", "row")


def check_vectors(tested: Labelled, vectors: Stimuli, path: Path) -> None:
    """Check that the vectors of jets are of these, in their order.

    Parameters
    ----------
    tested
        Jets of the test part.
    vectors
        Test vectors.
    path
        File of the vectors, for messages.

    Raises
    ------
    InputError
        There are more or fewer jets, or they differ in sample, class, event or place.
    """
    number = len(tested.target)
    if number != vectors.jets:
        what = f"{vectors.jets} jets, not {number}"
    else:
        expected = {name: tested.jets.scalars[name] for name in IDENTITY}
        found = {name: vectors.columns[name] for name in IDENTITY}
        # Numbers of samples follow the order of the files: only names say which sample it is.
        expected |= {"target": tested.target, "sample": _names(tested.samples, tested.sample)}
        found |= {
            "target": vectors.columns["target"],
            "sample": _names(vectors.samples, vectors.columns["sample"]),
        }
        differing = [
            name for name, values in expected.items() if not np.array_equal(values, found[name])
        ]
        if not differing:
            return
        what = f"{', '.join(differing)} differ"
    raise InputError(
        f"{path}: vectors of other jets than the test part of the trigger jets given ({what}); "
        "give the files that firmware stimulate was run with, in the same order, or stimulate again"
    )


def _names(samples: tuple[str, ...], numbers: np.ndarray) -> np.ndarray:
    return np.array(samples)[numbers]
