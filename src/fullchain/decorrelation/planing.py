"""Planing: training weights after which the classes have the same distribution of the mass."""

from collections.abc import Sequence

from pydantic import ValidationError

from fullchain.decorrelation.method_settings import PlaningSettings
from fullchain.errors import InputError
from fullchain.tagging.reweighting_settings import ReweightingSettings
from fullchain.tagging.settings import TaggerSettings


def planed(
    tagger: TaggerSettings, method: PlaningSettings, against: Sequence[str]
) -> TaggerSettings:
    """Give the settings of the tagger with weights that take `against` out of its training.

    It is the reweighting of the stage tagging (1709.10106, 1908.08959): weights of all classes by
    the inverse of their distribution, in joint bins of the variables. They replace the weights
    that the tagger has, and with them the variables of these.

    Raises
    ------
    InputError
        More than two variables, one of them twice, more joint bins than can be filled, or a
        reference that is no class.
    """
    if len(against) > 2:
        raise InputError(
            f"planing in {len(against)} variables would leave nearly all joint bins empty: name "
            "one or two in decorrelation.against, or take the method disco or adversary"
        )
    if method.reference not in ("flat", "signal", *tagger.classes):
        raise InputError(
            f"planing: reference: no class is called {method.reference!r}; known are flat, "
            f"signal, {', '.join(tagger.classes)}"
        )
    try:
        reweighting = ReweightingSettings(
            reference=method.reference,
            variables=tuple(against),
            bins=method.bins,
            largest=method.largest,
        )
    except ValidationError as problem:
        why = problem.errors()[0]["msg"].removeprefix("Value error, ")
        raise InputError(f"planing: {why} (decorrelation.against)") from None
    return tagger.model_copy(update={"reweighting": reweighting})
