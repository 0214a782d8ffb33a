"""The whole configuration: composed, merged, checked, documented.

The pydantic models are its only source: defaults, units, meanings, the default configuration file
and the JSON schema all come from them. No step imports this module, so that a new setting of one
stage does not count as a change of the others.
"""

import difflib
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from fullchain.decorrelation.settings import DecorrelationSettings, base_of
from fullchain.errors import InputError
from fullchain.inference.settings import InferenceSettings
from fullchain.jets.settings import OF_THE_FILE, JetsSettings
from fullchain.model import SettingsModel
from fullchain.ntuples.settings import NtuplesSettings
from fullchain.paper.settings import PaperSettings
from fullchain.pileup.discrimination_pairs import pairs
from fullchain.pileup.settings import PileupSettings
from fullchain.tagging.settings import TaggingSettings


class Settings(SettingsModel):
    """The configuration of a run."""

    run: str = Field(
        "default",
        pattern=r"^[A-Za-z0-9_.-]+$",
        description="name of the run: everything is written to results/<run>/",
    )
    seed: int = Field(
        20261, ge=0, description="seed from which every stream of random numbers is derived"
    )
    ntuples: NtuplesSettings = Field(
        default_factory=NtuplesSettings, description="events: generated, or read from ROOT files"
    )
    pileup: PileupSettings | None = Field(
        default_factory=PileupSettings,
        description="pile-up mitigation; null leaves the stage out",
    )
    jets: JetsSettings = Field(
        default_factory=JetsSettings, description="selection, clustering, substructure, shifts"
    )
    tagging: TaggingSettings | None = Field(
        default_factory=TaggingSettings, description="jet taggers; null leaves the stage out"
    )
    decorrelation: DecorrelationSettings | None = Field(
        default_factory=DecorrelationSettings,
        description="mass-decorrelated classifiers, made of taggers; null leaves the stage out",
    )
    inference: InferenceSettings | None = Field(
        default_factory=InferenceSettings,
        description="templates, statistical model, fit; null leaves the stage out",
    )
    paper: PaperSettings = Field(
        default_factory=PaperSettings, description="figures, tables and the report"
    )

    @model_validator(mode="after")
    def _names_exist(self) -> "Settings":
        """Check the names that one stage uses and another defines."""
        for where, kind, name, known in self._references():
            if name not in known:
                raise ValueError(f"{where}: no {kind} is called {name!r}{nearest(name, known)}")
        return self

    @model_validator(mode="after")
    def _mitigation_exists(self) -> "Settings":
        """Check that the stage pileup has the method that the jets ask for."""
        method = self.jets.clustering.mitigation
        if method in OF_THE_FILE:
            return self
        where = "jets.clustering.mitigation"
        computed = ["puppi", "softkiller", *(self.pileup.learned if self.pileup else ())]
        if method not in computed:
            known = [*OF_THE_FILE, *computed]
            raise ValueError(f"{where}: no method is called {method!r}{nearest(method, known)}")
        if self.pileup is None:
            raise ValueError(f"{where}: {method} needs the stage pileup, which is null")
        return self

    @model_validator(mode="after")
    def _pairs_can_be_measured(self) -> "Settings":
        """Check that samples whose jets are told apart have the truth, and the same pile-up."""
        if self.pileup:
            try:
                pairs(
                    self.pileup.discrimination.pairs, self.ntuples.samples, self.pileup.trained_on
                )
            except ValueError as problem:
                raise ValueError(f"pileup.{problem}") from None
        return self

    @model_validator(mode="after")
    def _jets_are_in_the_ntuples(self) -> "Settings":
        """Check that taggers which read the ntuples directly find jets there."""
        if self.tagging is None:
            return self
        for tagger, settings in self.tagging.taggers.items():
            if settings.jets_from != "ntuples":
                continue
            where = f"tagging.taggers.{tagger}.jets_from"
            for name in self.tagging.measured_samples(settings):
                sample = self.ntuples.samples[name]
                if sample.kind != "ingested" or sample.layout in ("nanoaod", "pfnano"):
                    raise ValueError(
                        f"{where}: an event of sample {name!r} is not a jet; take jets_from: jets"
                    )
            if self.inference is not None and self._scored(self.inference.tagger) == tagger:
                raise ValueError(
                    f"{where}: inference.tagger is {tagger!r}, and its templates are made of the "
                    "jets of the stage jets; take jets_from: jets, or inference: null"
                )
        return self

    @model_validator(mode="after")
    def _tables_have_no_particles(self) -> "Settings":
        """Check that only taggers on observables take jets of tables."""
        for tagger, settings in (self.tagging.taggers if self.tagging else {}).items():
            assert self.tagging is not None
            for name in self.tagging.measured_samples(settings):
                sample = self.ntuples.samples[name]
                if sample.kind != "ingested" or not sample.is_table:
                    continue
                kind = settings.architecture.kind
                if settings.jets_from != "ntuples" or kind not in ("mlp", "trees"):
                    raise ValueError(
                        f"tagging.taggers.{tagger}: sample {name!r} is a table of observables, "
                        "without particles; take architecture mlp or trees, and jets_from: ntuples"
                    )
                if tagger in self.tagging.explained:
                    raise ValueError(
                        f"tagging.explanation.taggers: {tagger} sees the table {name!r}, without "
                        "the particles that observables are made of; list other taggers, or []"
                    )
        return self

    def _scored(self, name: str) -> str:
        """Name of the tagger that a score is of, or was before it was decorrelated."""
        return name if self.decorrelation is None else base_of(self.decorrelation, name)

    @model_validator(mode="after")
    def _decorrelation_is_possible(self) -> "Settings":
        """Check that the taggers that are decorrelated exist and are of a kind that can be."""
        if self.decorrelation is None:
            return self
        if self.tagging is None:
            raise ValueError("decorrelation needs the stage tagging, which is null")
        for name, chosen in self.decorrelation.classifiers.items():
            where, taggers = f"decorrelation.classifiers.{name}", self.tagging.taggers
            if chosen.tagger not in taggers:
                known = list(taggers)
                raise ValueError(
                    f"{where}.tagger: no tagger is called {chosen.tagger!r}"
                    f"{nearest(chosen.tagger, known)}"
                )
            tagger = taggers[chosen.tagger]
            if tagger.bayesian or tagger.between:
                raise ValueError(
                    f"{where}.tagger: {chosen.tagger} is Bayesian or between two generators, and "
                    "these have losses of their own; take another tagger"
                )
            trees = tagger.architecture.kind == "trees"
            if trees and chosen.method.kind in ("disco", "mode", "adversary"):
                raise ValueError(
                    f"{where}: no gradient goes through trees, which {chosen.method.kind} needs; "
                    "take the method boosting, planing or flow, or a network"
                )
            if chosen.method.kind == "flow" and chosen.seeds is not None:
                raise ValueError(f"{where}.seeds: a flow has as many as its tagger; take null")
        for name in self.decorrelation.variants:
            if name in self.tagging.taggers:
                raise ValueError(
                    f"decorrelation.classifiers: {name} is the name of a tagger; call it "
                    "something else"
                )
        return self

    def _references(self) -> Iterator[tuple[str, str, str, Sequence[str]]]:
        samples = list(self.ntuples.samples)
        figures = self.jets.figures
        for section in ("shifted", "alternatives", "lund"):
            for name in getattr(figures, section):
                yield f"jets.figures.{section}", "sample", name, samples
        for name in figures.alternatives.values():
            yield "jets.figures.alternatives", "sample", name, samples
        if self.pileup:
            for name in self.pileup.evaluation.samples or ():
                yield "pileup.evaluation.samples", "sample", name, samples
            for where, pair in (self.pileup.discrimination.pairs or {}).items():
                for name in (pair.signal, pair.background):
                    yield f"pileup.discrimination.pairs.{where}", "sample", name, samples
            for method, chosen in self.pileup.learned.items():
                for name in chosen.samples:
                    yield f"pileup.learned.{method}.samples", "sample", name, samples
            for name in self.pileup.comparison.samples:
                yield "pileup.comparison.samples", "sample", name, samples
        taggers = self.tagging.taggers if self.tagging else {}
        for tagger, settings in taggers.items():
            for name in settings.samples:
                yield f"tagging.taggers.{tagger}", "sample", name, samples
            for old, name in (settings.between.samples if settings.between else {}).items():
                yield f"tagging.taggers.{tagger}.between.samples.{old}", "sample", name, samples
        if self.tagging:
            for name in self.tagging.split.samples:
                yield "tagging.split.samples", "sample", name, samples
            for other, stand_ins in self.tagging.evaluation.alternatives.items():
                for name in (*stand_ins, *stand_ins.values()):
                    yield f"tagging.evaluation.alternatives.{other}", "sample", name, samples
        if self.inference is None:
            return
        for name in self.inference.ntuple_samples():
            yield "inference", "sample", name, samples
        variants = self.decorrelation.variants if self.decorrelation else {}
        scored = [*taggers, *variants]
        yield "inference.tagger", "tagger or classifier", self.inference.tagger, scored
        shifts = list(dict.fromkeys(re.sub("_(up|down)$", "", name) for name in self.jets.shifts))
        for systematic, line in self.inference.systematics.items():
            if line.shift:
                where = f"inference.systematics.{systematic}.shift"
                yield where, "shift of the jets", line.shift, shifts


def nearest(name: str, known: Sequence[str]) -> str:
    """Give ``"; did you mean 'x'?"``, or the list of known names when none is near."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known are {', '.join(map(repr, known))}" if known else "; none is defined"


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `overlay` over `base`, deeply.

    A mapping whose ``kind`` changes replaces the whole mapping: the other keys of a generated
    sample mean nothing to an ingested one.
    """
    merged = dict(base)
    for key, value in overlay.items():
        below = merged.get(key)
        if (
            isinstance(value, Mapping)
            and isinstance(below, Mapping)
            and not _other_kind(below, value)
        ):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def _other_kind(below: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    return "kind" in value and value["kind"] != below.get("kind")


def without_unwanted_defaults(values: Mapping[str, Any]) -> dict[str, Any]:
    """Drop the default samples where they are not wanted, and defaults that need them.

    These are figures and, beside taggers of the user's own, taggers. All are told from the user's
    own by being equal to the defaults.

    Parameters
    ----------
    values
        A whole configuration, all defaults filled in, not yet validated.
    """
    ntuples, figures = values["ntuples"], values["jets"]
    if not isinstance(ntuples, Mapping) or not isinstance(figures, Mapping):
        return dict(values)
    if ntuples.get("keep_default_samples", True) or not isinstance(figures["figures"], Mapping):
        return dict(values)
    defaults = Settings().model_dump(mode="json")

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
        "tagging": _without_default_taggers(
            values["tagging"], defaults["tagging"]["taggers"], samples
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


def without_default_classifiers(values: Mapping[str, Any]) -> dict[str, Any]:
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
    default = DecorrelationSettings().model_dump(mode="json")["classifiers"]
    left = {
        name: entry
        for name, entry in chosen["classifiers"].items()
        if entry != default.get(name) or taggers.get(default[name]["tagger"]) is not None
    }
    section = {**chosen, "classifiers": left} if left else None
    return {**values, "decorrelation": section}


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML configuration file.

    Raises
    ------
    InputError
        The file is missing, is not YAML, has a key twice, or does not hold a mapping.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except FileNotFoundError:
        raise InputError(f"{path}: no such configuration file") from None
    except yaml.YAMLError as problem:
        raise InputError(f"{path}: not valid YAML: {problem}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(f"{path}: a configuration must be a mapping of keys to values")
    return content


class _StrictLoader(yaml.SafeLoader):
    """YAML in which the same key twice is an error: the first would be lost in silence."""


def _mapping_without_duplicates(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    mapping: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in mapping:
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {key!r} stands twice", key_node.start_mark
            )
        mapping[key] = loader.construct_object(value_node, deep=True)
    return mapping


_StrictLoader.add_constructor(
    yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping_without_duplicates
)


def validate(values: Mapping[str, Any], where: str = "configuration") -> Settings:
    """Check a configuration against the models, on top of their defaults.

    Parameters
    ----------
    values
        Nested mapping; what it leaves out takes the default.
    where
        Name of the file, for the error message.

    Raises
    ------
    InputError
        Names each wrong key with its full path and, for an unknown one, the nearest right one.
    """
    everything = merge(Settings().model_dump(mode="json"), values)
    try:
        wanted = without_default_classifiers(without_unwanted_defaults(everything))
        return Settings.model_validate(wanted)
    except ValidationError as problem:
        lines = [_explain(error) for error in problem.errors()]
        raise InputError(f"{where}:\n" + "\n".join(f"  {line}" for line in lines)) from None


def load(*paths: Path) -> Settings:
    """Read configuration files, each laid over the ones before it, over the defaults.

    Raises
    ------
    InputError
        As `read_yaml` and `validate`.
    """
    values: dict[str, Any] = {}
    for path in paths:
        values = merge(values, read_yaml(path))
    return validate(values, ", ".join(map(str, paths)) or "configuration")


def _explain(error: Any) -> str:
    """Turn one pydantic error into a line that says which key, and what to do."""
    location = tuple(error["loc"])
    path = ".".join(str(word) for word in location if word not in _tags(location))
    if error["type"] == "extra_forbidden":
        return f"{path}: unknown key{nearest(str(location[-1]), _keys_at(location[:-1]))}"
    message = error["msg"].removeprefix("Value error, ")
    given = error.get("input")
    if path and not isinstance(given, Mapping) and error["type"] != "value_error":
        message += f" (given: {given!r})"
    return f"{path}: {message}" if path else message


def _models_at(location: Sequence[str | int]) -> list[tuple[Any, bool]]:
    """Follow a location through the models: (annotation, whether the last word was a tag)."""
    here: list[tuple[Any, bool]] = [(Settings, False)]
    for word in location:
        there: list[tuple[Any, bool]] = []
        for annotation, _ in here:
            for option in _options(annotation):
                if isinstance(option, type) and issubclass(option, BaseModel):
                    if word in option.model_fields:
                        there.append((option.model_fields[str(word)].annotation, False))
                    elif _tag(option) == word:
                        there.append((option, True))
                elif typing.get_origin(option) in (dict, list, tuple):
                    there.append((typing.get_args(option)[-1], False))
        here = there
    return here


def _options(annotation: Any) -> list[Any]:
    """Unfold Annotated and unions."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _options(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [option for part in typing.get_args(annotation) for option in _options(part)]
    return [annotation]


def _tag(model: type[BaseModel]) -> str | None:
    """The value of ``kind`` by which a union tells its members apart."""
    kind = model.model_fields.get("kind")
    values = typing.get_args(kind.annotation) if kind else ()
    return str(values[0]) if len(values) == 1 else None


def _tags(location: Sequence[str | int]) -> set[str | int]:
    """The words of a location that are tags of unions and not keys."""
    return {
        location[index - 1]
        for index in range(1, len(location) + 1)
        if any(is_tag for _, is_tag in _models_at(location[:index]))
    }


def _keys_at(location: Sequence[str | int]) -> list[str]:
    return [
        key
        for annotation, _ in _models_at(location)
        for option in _options(annotation)
        if isinstance(option, type) and issubclass(option, BaseModel)
        for key in option.model_fields
    ]
