"""Dropping those defaults of a configuration that the user does not want, or that need others."""

from collections.abc import Mapping
from typing import Any


def without_unwanted_defaults(
    values: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Drop the default samples where they are not wanted, and defaults that need them.

    These are figures, other simulations that taggers are measured on and, beside taggers of the
    user's own, taggers. All are told from the user's own by being equal to the defaults.

    Parameters
    ----------
    values
        A whole configuration, all defaults filled in, not yet validated.
    defaults
        The default configuration.
    """
    ntuples, figures = values["ntuples"], values["jets"]
    if not isinstance(ntuples, Mapping) or not isinstance(figures, Mapping):
        return dict(values)
    if ntuples.get("keep_default_samples", True) or not isinstance(figures["figures"], Mapping):
        return dict(values)

    def own(section: Any, default: Mapping[str, Any]) -> Any:
        if not isinstance(section, Mapping):
            return section
        return {
            name: entry
            for name, entry in section.items()
            if name not in default or entry != default[name]
        }

    def kept(section: Any, default: Mapping[str, Any], samples: Mapping[str, Any]) -> Any:
        if not isinstance(section, Mapping):
            return section
        mine = own(section, default)
        return {name: e for name, e in section.items() if name in mine or name in samples}

    samples = own(values["ntuples"]["samples"], defaults["ntuples"]["samples"])
    figures = {
        name: kept(section, defaults["jets"]["figures"].get(name, {}), samples)
        for name, section in values["jets"]["figures"].items()
    }
    return {
        **values,
        "ntuples": {**values["ntuples"], "samples": samples},
        "jets": {**values["jets"], "figures": figures},
        "calorimetry": _without_default_events(
            values["calorimetry"], defaults["calorimetry"]["downstream"], samples
        ),
        "firmware": _without_default_triggers(values["firmware"], defaults["firmware"], samples),
        "tagging": _without_default_alternatives(
            _without_default_taggers(values["tagging"], defaults["tagging"]["taggers"], samples),
            defaults["tagging"]["evaluation"]["alternatives"],
            samples,
        ),
    }


def _without_default_taggers(
    tagging: Any, defaults: Mapping[str, Any], samples: Mapping[str, Any]
) -> Any:
    """Drop default taggers of samples that are not there, where the user has others."""
    if not isinstance(tagging, Mapping) or not isinstance(tagging["taggers"], Mapping):
        return tagging
    left = {
        name: entry
        for name, entry in tagging["taggers"].items()
        if entry != defaults.get(name)
        or all(one in samples for wanted in entry["classes"].values() for one in wanted["samples"])
    }
    return {**tagging, "taggers": left} if any(left.values()) else tagging


def _without_default_alternatives(
    tagging: Any, defaults: Mapping[str, Mapping[str, str]], samples: Mapping[str, Any]
) -> Any:
    """Drop default stand-ins of samples that are not there, and simulations without any."""
    evaluation = tagging.get("evaluation") if isinstance(tagging, Mapping) else None
    if not isinstance(evaluation, Mapping):
        return tagging
    given = evaluation.get("alternatives")
    if not isinstance(given, Mapping):
        return tagging
    left: dict[str, Any] = {}
    for name, stand_ins in given.items():
        default = defaults.get(name, {})
        if not isinstance(stand_ins, Mapping):
            left[name] = stand_ins
            continue
        kept = {
            old: new
            for old, new in stand_ins.items()
            if default.get(old) != new or (old in samples and new in samples)
        }
        if kept or not stand_ins:
            left[name] = kept
    return {**tagging, "evaluation": {**evaluation, "alternatives": left}}


def without_default_classifiers(
    values: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Drop default classifiers of the stage decorrelation whose tagger is not there.

    Where none is left, as without the stage tagging, the stage is left out. Classifiers of the
    user's own stay, and are an error without their tagger.
    """
    chosen, tagging = values["decorrelation"], values["tagging"]
    if not isinstance(chosen, Mapping) or not isinstance(chosen["classifiers"], Mapping):
        return dict(values)
    taggers = tagging["taggers"] if isinstance(tagging, Mapping) else {}
    if not isinstance(taggers, Mapping):
        return dict(values)
    default = defaults["decorrelation"]["classifiers"]
    left = {
        name: entry
        for name, entry in chosen["classifiers"].items()
        if name not in default
        or entry != default[name]
        or taggers.get(default[name]["tagger"]) is not None
    }
    section = {**chosen, "classifiers": left} if left else None
    return {**values, "decorrelation": section}


def without_default_scores(
    values: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Drop default scores from the comparison of summaries whose classifier is not there.

    Those of the user's own stay, and are an error without their tagger or classifier.
    """
    chosen = values["inference"]
    summaries = chosen.get("summaries") if isinstance(chosen, Mapping) else None
    if not isinstance(summaries, Mapping) or not isinstance(summaries.get("scores"), list | tuple):
        return dict(values)
    there: set[str] = set()
    for stage, kind in (("tagging", "taggers"), ("decorrelation", "classifiers")):
        section = values[stage]
        named = section.get(kind) if isinstance(section, Mapping) else None
        there |= set(named) if isinstance(named, Mapping) else set()
    default = defaults["inference"]["summaries"]["scores"]
    scores = [name for name in summaries["scores"] if name in there or name not in default]
    section = {**chosen, "summaries": {**summaries, "scores": scores}}
    return {**values, "inference": section}


def without_default_measurements(
    values: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Drop default measurements of the stage unfolding whose samples are not there.

    Those that stay lose shifts and methods that are not possible. With the others goes their
    publication; where none is left, the stage is left out. Measurements of the user's own stay, and
    are an error without their samples.
    """
    chosen, ntuples = values["unfolding"], values["ntuples"]
    if not isinstance(chosen, Mapping) or not isinstance(ntuples, Mapping):
        return dict(values)
    parts = [chosen.get(name) for name in ("measurements", "toys", "pairs", "published")]
    if not all(isinstance(one, Mapping) for one in (*parts, ntuples["samples"])):
        return dict(values)
    measurements, toys, pairs, published = (one for one in parts if one is not None)
    known = {**ntuples["samples"], **toys, **pairs}
    there = {name for name, entry in known.items() if entry is not None}
    default = defaults["unfolding"]
    left = {
        name: _that_can_be_made(entry, chosen, values["jets"])
        if entry == default["measurements"].get(name)
        else entry
        for name, entry in measurements.items()
        if entry is not None
        and (entry != default["measurements"].get(name) or _samples(entry) <= there)
    }
    kept = {
        name: taken
        for name, taken in published.items()
        if name in left or taken != default["published"].get(name)
    }
    section = {**chosen, "measurements": left, "published": kept} if left else None
    return {**values, "unfolding": section}


def _that_can_be_made(
    measurement: Mapping[str, Any], unfolding: Mapping[str, Any], jets: Any
) -> dict[str, Any]:
    """Drop shifts that are not made, and methods on particles where these are not kept."""
    made = jets.get("shifts") if isinstance(jets, Mapping) else None
    selection, methods = unfolding.get("selection"), unfolding.get("methods")
    if not (
        isinstance(made, Mapping)
        and isinstance(selection, Mapping)
        and isinstance(methods, Mapping)
    ):
        return dict(measurement)
    listed = selection.get("shifts")
    shifts = [
        name
        for name in measurement["shifts"]
        if made.get(name) is not None and (listed is None or name in listed)
    ]
    taken = measurement["methods"]
    if taken is not None and not selection.get("particles", True):
        taken = [name for name in taken if (methods.get(name) or {}).get("inputs") != "particles"]
    return {**measurement, "shifts": shifts, "methods": taken}


def _samples(measurement: Mapping[str, Any]) -> set[str]:
    """Names of the samples of a default measurement."""
    parts = [measurement["simulation"], measurement["data"], measurement["background"]]
    parts += measurement["alternatives"].values()
    return {name for part in parts if part is not None for name in part["samples"]}


def _without_default_events(
    calorimetry: Any, default: Mapping[str, Any], samples: Mapping[str, Any]
) -> Any:
    """Drop the comparison of events of a default sample that is not there."""
    if not isinstance(calorimetry, Mapping) or calorimetry.get("downstream") != default:
        return calorimetry
    if all(name in samples for name in default["samples"]):
        return calorimetry
    return {**calorimetry, "downstream": None}


def _without_default_triggers(
    firmware: Any, default: Mapping[str, Any], samples: Mapping[str, Any]
) -> Any:
    """Drop the stage firmware where its classes are the default ones, of samples not there.

    Signals of the default triggers whose samples are not there go, too.
    """
    if not isinstance(firmware, Mapping):
        return firmware
    wanted = [name for one in default["classes"].values() for name in one["samples"]]
    if firmware.get("classes") == default["classes"] and not set(wanted) <= set(samples):
        return None
    trigger = firmware.get("trigger")
    if not isinstance(trigger, Mapping) or not isinstance(trigger.get("signals"), Mapping):
        return firmware
    signals = {
        name: one
        for name, one in trigger["signals"].items()
        if one != default["trigger"]["signals"].get(name) or set(one["samples"]) <= set(samples)
    }
    return {**firmware, "trigger": {**trigger, "signals": signals}}
