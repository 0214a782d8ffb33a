"""How large jobs on showers are: what rules ask a machine for."""

from functools import cache
from itertools import pairwise
from pathlib import Path

from fullchain.calorimetry.bespoke_settings import BespokeSettings
from fullchain.calorimetry.classifier_settings import OFFICIAL_LAYERS, ClassifierSettings
from fullchain.calorimetry.matching_settings import MatchingSettings, VitSettings
from fullchain.calorimetry.settings import CalorimetrySettings
from fullchain.calorimetry.showers_settings import FileSettings
from fullchain.errors import InputError

# NumPy and h5py are imported where they are needed: every start of the workflow reads this module.

MEGABYTE = 1e6

FLOAT, DOUBLE = 4, 8
"""Bytes of a number."""

COPIES = 5
"""Of the weights of a network in training: themselves, gradients, two of Adam, the best ones."""

SPEED = 2e10
"""Operations per second of a CPU thread; `benchmarks/calorimetry/evaluations.py` found 55e9 for the
slowest of four networks, and other machines are slower."""

ADAPTIVE = 200
"""Evaluations that a solver with steps of its own choice may take."""


def voxels(stage: CalorimetrySettings, showers: str) -> int:
    """Give the number of voxels of a set; 0 if its geometry cannot be read, which its step says."""
    chosen = stage.showers[showers]
    name, particle = (
        (chosen.geometry, chosen.bin)
        if isinstance(chosen, FileSettings)
        else (stage.detectors[chosen.detector].geometry, None)
    )
    return _voxels(name, particle)


@cache
def _voxels(name: str, particle: str | None) -> int:
    from fullchain.calorimetry import geometry

    try:
        if particle is None or name in geometry.packaged():
            return geometry.load(name).voxels
        return geometry.parse(Path(name).read_text(encoding="utf-8"), name, particle).voxels
    except (InputError, OSError, UnicodeDecodeError):
        return 0


def counts(stage: CalorimetrySettings, showers: str) -> dict[str, int]:
    """Give the numbers of showers of `train`, `test` and `reference` of a set.

    Of files they are read from the files; those that cannot be read have none, which the step that
    reads them says.
    """
    chosen = stage.showers[showers]
    if not isinstance(chosen, FileSettings):
        return {"train": chosen.train, "test": chosen.test, "reference": chosen.reference}
    train, test = (
        min(sum(map(_count, paths)), chosen.most or 10**12) for paths in (chosen.train, chosen.test)
    )
    reference = round(chosen.reference * test)
    return {"train": train, "test": test - reference, "reference": reference}


@cache
def _count(path: str) -> int:
    from fullchain.calorimetry import shower_file

    try:
        return shower_file.count(Path(path))
    except InputError:
        return 0


def megabytes(stage: CalorimetrySettings, showers: str, *parts: str) -> float:
    """Give the size of the voxels of the largest of these parts of a set in single precision."""
    number = counts(stage, showers)
    return voxels(stage, showers) * max(number[part] for part in parts) * FLOAT / MEGABYTE


def classifier_megabytes(
    stage: CalorimetrySettings, showers: str, how: ClassifierSettings
) -> float:
    """Give the size of the network of a classifier of the low level in training."""
    official = how.mode == "official"
    layers = OFFICIAL_LAYERS if official else tuple(how.layers)
    sizes = (1 + voxels(stage, showers), *layers, 1)
    weights = sum(one * other for one, other in pairwise(sizes))
    return COPIES * weights * (DOUBLE if official else FLOAT) / MEGABYTE


def evaluations(stage: CalorimetrySettings, model: str) -> int:
    """Give how often the scan of solvers evaluates the velocity of a model for each shower."""
    assert stage.solvers is not None
    fixed = sum(sum(several) for several in stage.solvers.evaluations.values())
    bespoke = 0
    for name in stage.solved_models()[model]:
        student = stage.models[name]
        assert isinstance(student, BespokeSettings)
        bespoke += student.shower.steps * (2 if student.shower.base == "midpoint" else 1)
    adaptive = ADAPTIVE * len(stage.solvers.tolerances)
    reference = stage.solvers.reference
    exact = ADAPTIVE if reference.method == "dopri5" else reference.evaluations
    return exact + fixed + adaptive + bespoke


def operations(stage: CalorimetrySettings, model: str) -> float:
    """Give the additions and multiplications of one evaluation of the velocity of one shower.

    Those of matrices: two for each weight, at each patch of a transformer; and those of attention.
    """
    chosen = stage.models[model]
    assert isinstance(chosen, MatchingSettings)
    numbers, own = voxels(stage, chosen.showers), chosen.shower
    if not isinstance(own, VitSettings):
        return 2.0 * (2 * numbers * own.width + (2 * own.blocks + 1) * own.width**2)
    layers, angles, radii = own.patch
    patches = numbers / (layers * angles * radii)
    blocks = 24 * own.width**2 * patches + 4 * own.width * patches**2
    return 4.0 * numbers * own.width + own.blocks * blocks


def solver_minutes(stage: CalorimetrySettings, model: str) -> float:
    """Give the time that the scan of the solvers of a model may take on a slow CPU."""
    if stage.solvers is None:
        return 0.0
    showers = min(
        stage.solvers.showers, counts(stage, stage.models[model].showers)["test"] or 10**12
    )
    work = evaluations(stage, model) * showers * operations(stage, model)
    return work / (SPEED * stage.solvers.threads) / 60
