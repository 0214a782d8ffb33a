"""The settings of the tagger that a classifier trains, and which combinations there are none of.

Nothing here needs the libraries of a training, so that a configuration is checked by it, too.
"""

from fullchain.decorrelation.method_settings import (
    BoostingSettings,
    ClassifierSettings,
    FlowSettings,
    ModeSettings,
    PlaningSettings,
)
from fullchain.decorrelation.planing import planed
from fullchain.errors import InputError
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.trees_settings import TreesSettings


def decorrelated(
    base: TaggerSettings, chosen: ClassifierSettings, against: tuple[str, ...]
) -> TaggerSettings:
    """Give the settings of the tagger that is trained.

    Raises InputError for a method that trains none, for boosting without observables, and for
    variables that the method cannot take.
    """
    method = chosen.method
    if isinstance(method, FlowSettings):
        raise InputError(
            "a flow is not trained with the tagger but on its scores: decorrelation flatten"
        )
    if isinstance(method, ModeSettings) and len(against) > 1:
        raise InputError(
            f"method.kind: MoDe is defined for one variable, and decorrelation.against has "
            f"{len(against)} ({', '.join(against)}): name one there, take the method disco or "
            "adversary, or set this classifier to null"
        )
    if isinstance(method, PlaningSettings):
        return planed(base, method, against)
    if isinstance(method, BoostingSettings):
        return as_trees(base)
    return base


def as_trees(base: TaggerSettings) -> TaggerSettings:
    """Give the settings of a tagger of observables the architecture that boosting fills.

    They are those of one member: that trees without drawn features do not depend on a seed, as
    settings of trees say, is not true of these, which draw their jets.

    Raises
    ------
    InputError
        The tagger looks at particles, has more than two classes, or stands between two generators.
    """
    features = getattr(base.architecture, "features", None)
    if features is None:
        raise InputError(
            f"boosting looks at observables, and a tagger with architecture "
            f"{base.architecture.kind} does not; take one with architecture mlp or trees"
        )
    if len(base.classes) > 2:
        raise InputError(
            f"boosting to uniformity tells two classes apart, and the tagger has "
            f"{len(base.classes)}; take one of two classes"
        )
    if base.between is not None:
        raise InputError(
            "boosting sees each jet with one part of the second generator only; take a tagger of "
            "one generator"
        )
    changes = {"architecture": TreesSettings(features=features), "seeds": 1, "bayesian": None}
    return base.model_copy(update=changes)
