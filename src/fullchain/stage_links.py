"""What one stage takes of another: names that must exist, choices that must fit.

All functions take the whole configuration and raise ValueError with the path of the setting.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from fullchain.decorrelation.settings import base_of
from fullchain.decorrelation.trained_tagger import decorrelated
from fullchain.errors import InputError
from fullchain.inference.observable_names import COLUMNS, OBSERVABLES
from fullchain.jets.factor_names import FACTORS
from fullchain.jets.settings import OF_THE_FILE
from fullchain.pileup.discrimination_pairs import pairs
from fullchain.setting_errors import nearest

if TYPE_CHECKING:
    from fullchain.settings import Settings


def check(chosen: "Settings") -> None:
    """Check all that no stage can check by itself."""
    names_exist(chosen)
    mitigation_exists(chosen)
    pairs_can_be_measured(chosen)
    jets_are_in_the_ntuples(chosen)
    tables_have_no_particles(chosen)
    decorrelation_is_possible(chosen)
    variables_are_in_the_jets(chosen)
    toys_have_names_of_their_own(chosen)
    variations_are_generated(chosen)
    regions_can_be_filled(chosen)
    calorimeters_exist(chosen)
    firmware_is_possible(chosen)


def names_exist(chosen: "Settings") -> None:
    """Check the names that one stage uses and another defines."""
    for where, kind, name, known in _references(chosen):
        if name not in known:
            raise ValueError(f"{where}: no {kind} is called {name!r}{nearest(name, known)}")


def mitigation_exists(chosen: "Settings") -> None:
    """Check that the stage pileup has the method that the jets ask for."""
    method = chosen.jets.clustering.mitigation
    if method in OF_THE_FILE:
        return
    where = "jets.clustering.mitigation"
    computed = ["puppi", "softkiller", *(chosen.pileup.learned if chosen.pileup else ())]
    if method not in computed:
        known = [*OF_THE_FILE, *computed]
        raise ValueError(f"{where}: no method is called {method!r}{nearest(method, known)}")
    if chosen.pileup is None:
        raise ValueError(f"{where}: {method} needs the stage pileup, which is null")


def pairs_can_be_measured(chosen: "Settings") -> None:
    """Check that samples whose jets are told apart have the truth, and the same pile-up."""
    if chosen.pileup is None:
        return
    try:
        pairs(chosen.pileup.discrimination.pairs, chosen.ntuples.samples, chosen.pileup.trained_on)
    except ValueError as problem:
        raise ValueError(f"pileup.{problem}") from None


def jets_are_in_the_ntuples(chosen: "Settings") -> None:
    """Check that taggers which read the ntuples directly find jets there."""
    if chosen.tagging is None:
        return
    for tagger, settings in chosen.tagging.taggers.items():
        if settings.jets_from != "ntuples":
            continue
        where = f"tagging.taggers.{tagger}.jets_from"
        for name in chosen.tagging.measured_samples(settings):
            sample = chosen.ntuples.samples[name]
            if sample.kind != "ingested" or sample.layout in ("nanoaod", "pfnano"):
                raise ValueError(
                    f"{where}: an event of sample {name!r} is not a jet; take jets_from: jets"
                )
        analyses = chosen.inference.analyses if chosen.inference else {}
        for analysis, one in analyses.items():
            if _scored(chosen, one.tagger) == tagger:
                raise ValueError(
                    f"{where}: inference.analyses.{analysis}.tagger is {tagger!r}, and its "
                    "templates are made of the jets of the stage jets; take jets_from: jets, or "
                    f"inference.analyses.{analysis}: null"
                )


def tables_have_no_particles(chosen: "Settings") -> None:
    """Check that only taggers on observables take jets of tables."""
    if chosen.tagging is None:
        return
    for tagger, settings in chosen.tagging.taggers.items():
        for name in chosen.tagging.measured_samples(settings):
            sample = chosen.ntuples.samples[name]
            if sample.kind != "ingested" or not sample.is_table:
                continue
            kind = settings.architecture.kind
            if settings.jets_from != "ntuples" or kind not in ("mlp", "trees"):
                raise ValueError(
                    f"tagging.taggers.{tagger}: sample {name!r} is a table of observables, "
                    "without particles; take architecture mlp or trees, and jets_from: ntuples"
                )
            if tagger in chosen.tagging.explained:
                raise ValueError(
                    f"tagging.explanation.taggers: {tagger} sees the table {name!r}, without "
                    "the particles that observables are made of; list other taggers, or []"
                )


def _scored(chosen: "Settings", name: str) -> str:
    """Name of the tagger that a score is of, or was before it was decorrelated."""
    return name if chosen.decorrelation is None else base_of(chosen.decorrelation, name)


def decorrelation_is_possible(chosen: "Settings") -> None:
    """Check that the taggers that are decorrelated exist and are of a kind that can be."""
    if chosen.decorrelation is None:
        return
    if chosen.tagging is None:
        raise ValueError("decorrelation needs the stage tagging, which is null")
    taggers = chosen.tagging.taggers
    for name, classifier in chosen.decorrelation.classifiers.items():
        where = f"decorrelation.classifiers.{name}"
        base = base_of(chosen.decorrelation, classifier.tagger)
        if base not in taggers:
            known = [*taggers, *chosen.decorrelation.variants]
            raise ValueError(
                f"{where}.tagger: no tagger or classifier is called {base!r}{nearest(base, known)}"
            )
        tagger = taggers[base]
        if tagger.bayesian or tagger.between:
            raise ValueError(
                f"{where}.tagger: {base} is Bayesian or between two generators, and "
                "these have losses of their own; take another tagger"
            )
        if tagger.weights and classifier.method.kind != "flow":
            raise ValueError(
                f"{where}: the weights of {classifier.tagger} come from a file, and "
                f"{classifier.method.kind} is a training; take the method flow, which changes its "
                "scores"
            )
        trees = tagger.architecture.kind == "trees"
        if trees and classifier.method.kind in ("disco", "mode", "adversary"):
            raise ValueError(
                f"{where}: no gradient goes through trees, which {classifier.method.kind} needs; "
                "take the method boosting, planing or flow, or a network"
            )
        if classifier.method.kind == "flow" and classifier.seeds is not None:
            raise ValueError(f"{where}.seeds: a flow has as many as its tagger; take null")
        if classifier.method.kind != "flow":
            try:
                decorrelated(tagger, classifier, chosen.decorrelation.against)
            except InputError as problem:
                raise ValueError(f"{where}: {problem}") from None
    for name in chosen.decorrelation.variants:
        if name in taggers:
            raise ValueError(
                f"decorrelation.classifiers: {name} is the name of a tagger; call it something else"
            )


def variables_are_in_the_jets(chosen: "Settings") -> None:
    """Check that the jets of all taggers that are decorrelated have what they are to hide."""
    if chosen.decorrelation is None or chosen.tagging is None:
        return
    for tagger in chosen.decorrelation.taggers:
        settings = chosen.tagging.taggers[tagger]
        for sample in chosen.tagging.measured_samples(settings):
            known = _columns_of_jets(chosen, settings.jets_from, sample)
            for column in chosen.decorrelation.against:
                if known is not None and column not in known:
                    raise ValueError(
                        f"decorrelation.against: the jets of sample {sample}, which the tagger "
                        f"{tagger} sees, have no column {column!r}{nearest(column, known)}"
                    )


def _columns_of_jets(chosen: "Settings", jets_from: str, sample: str) -> Sequence[str] | None:
    """Names of the numbers of a jet that settings tell; None where only the files tell them."""
    if jets_from == "jets":
        return COLUMNS
    source = chosen.ntuples.samples[sample]
    if source.kind != "ingested" or not source.is_table:
        return None
    table = source.columns
    if table.observables is not None:
        return [*table.roles, *table.observables]
    if table.names is None:
        return None
    others = {table.label, *table.roles.values()}
    return [*table.roles, *(name for name in table.names if name not in others)]


def toys_have_names_of_their_own(chosen: "Settings") -> None:
    """Check that no toy or set of pairs of the stage unfolding has the name of a sample."""
    if chosen.unfolding is None:
        return
    for section in ("toys", "pairs"):
        for name in getattr(chosen.unfolding, section):
            if name in chosen.ntuples.samples:
                raise ValueError(
                    f"unfolding.{section}: {name} is the name of a sample; call it something else"
                )


def variations_are_generated(chosen: "Settings") -> None:
    """Check that simulations whose varied weights are unfolded are generated with them."""
    for name, measurement in (chosen.unfolding.measurements if chosen.unfolding else {}).items():
        radiation = any(factor.startswith(("isr_", "fsr_")) for factor in measurement.factors)
        for one in measurement.simulation.samples if radiation else ():
            sample = chosen.ntuples.samples[one]
            if sample.kind == "generated" and not sample.shower_weights:
                raise ValueError(
                    f"unfolding.measurements.{name}.factors: sample {one!r} is generated without "
                    f"varied weights; set ntuples.samples.{one}.shower_weights: true, or take no "
                    "factors"
                )


def regions_can_be_filled(chosen: "Settings") -> None:
    """Check that the jets of each region of an analysis are among those that are kept."""
    if chosen.inference is None:
        return
    kept = chosen.jets.selection
    for analysis, one in chosen.inference.analyses.items():
        for name, region in one.selection.regions.items():
            where = f"inference.analyses.{analysis}.selection.regions.{name}"
            if region.pt_min >= kept.pt_max or region.pt_max <= kept.pt_min:
                raise ValueError(
                    f"{where}: no jet has a pT of {region.pt_min:g}-{region.pt_max:g} GeV; "
                    f"jets.selection keeps {kept.pt_min:g}-{kept.pt_max:g} GeV"
                )
            if region.is_dijet and kept.jets_per_event < 2:
                raise ValueError(
                    f"{where}.jets: a dijet needs jets.selection.jets_per_event of at least 2"
                )


def firmware_is_possible(chosen: "Settings") -> None:
    """Check that triggers see jets with particles, and that their teachers are there."""
    if chosen.firmware is None:
        return
    for name in chosen.firmware.all_samples():
        sample = chosen.ntuples.samples[name]
        if sample.kind == "ingested" and sample.is_table:
            raise ValueError(
                f"firmware: sample {name!r} is a table of observables, without the particles that "
                "a trigger sees; take another one"
            )
    for name in chosen.firmware.networks():
        teacher = chosen.firmware.teacher_of(name)
        if not teacher:
            continue
        where = f"firmware.models.{name}.distillation.tagger"
        taggers = list(chosen.tagging.taggers) if chosen.tagging else []
        if teacher not in taggers:
            raise ValueError(f"{where}: no tagger is called {teacher!r}{nearest(teacher, taggers)}")


Reference = tuple[str, str, str, Sequence[str]]
"""Path of a setting, what it names, the name, and all names that there are."""


def _references(chosen: "Settings") -> Iterator[Reference]:
    samples = list(chosen.ntuples.samples)
    for where, name in _sample_names(chosen):
        yield where, "sample", name, samples
    for name, measurement in (chosen.unfolding.measurements if chosen.unfolding else {}).items():
        for one in measurement.shifts:
            where = f"unfolding.measurements.{name}.shifts"
            yield where, "shift of the jets", one, list(chosen.jets.shifts)
        for one in measurement.factors:
            where = f"unfolding.measurements.{name}.factors"
            yield where, "variation of the weight", one, FACTORS
    if chosen.inference is None:
        return
    taggers = chosen.tagging.taggers if chosen.tagging else {}
    variants = chosen.decorrelation.variants if chosen.decorrelation else {}
    scored = [*taggers, *variants]
    if chosen.inference.summaries is not None:
        for score in chosen.inference.summaries.scores:
            yield "inference.summaries.scores", "tagger or classifier", score, scored
    shifts = list(dict.fromkeys(re.sub("_(up|down)$", "", name) for name in chosen.jets.shifts))
    for name, analysis in chosen.inference.analyses.items():
        where = f"inference.analyses.{name}"
        yield f"{where}.tagger", "tagger or classifier", analysis.tagger, scored
        for systematic, line in analysis.systematics.items():
            if line.shift:
                place = f"{where}.systematics.{systematic}.shift"
                yield place, "shift of the jets", line.shift, shifts
        for region, wanted in analysis.selection.regions.items():
            place = f"{where}.selection.regions.{region}.observable"
            yield place, "observable", wanted.observable, OBSERVABLES


def _sample_names(chosen: "Settings") -> Iterator[tuple[str, str]]:
    """Give the path of each setting that names a sample, and the name."""
    figures = chosen.jets.figures
    for section in ("shifted", "alternatives", "lund"):
        for name in getattr(figures, section):
            yield f"jets.figures.{section}", name
    for name in figures.alternatives.values():
        yield "jets.figures.alternatives", name
    yield from _of_pileup(chosen)
    yield from _of_tagging(chosen)
    if chosen.unfolding is not None:
        for name in chosen.unfolding.samples:
            yield "unfolding.measurements", name
        for name, pairs_of in chosen.unfolding.pairs.items():
            yield f"unfolding.pairs.{name}.sample", pairs_of.sample
    if chosen.firmware is not None:
        for kind, wanted in chosen.firmware.classes.items():
            for name in wanted.samples:
                yield f"firmware.classes.{kind}.samples", name
        for name in (*chosen.firmware.anomaly_samples(), *chosen.firmware.trigger_samples()):
            yield "firmware", name
    if chosen.inference is not None:
        for analysis, one in chosen.inference.analyses.items():
            for place, name in one.sample_references():
                yield f"inference.analyses.{analysis}.{place}", name


def _of_pileup(chosen: "Settings") -> Iterator[tuple[str, str]]:
    if chosen.pileup is None:
        return
    for name in chosen.pileup.evaluation.samples or ():
        yield "pileup.evaluation.samples", name
    for where, pair in (chosen.pileup.discrimination.pairs or {}).items():
        for name in (pair.signal, pair.background):
            yield f"pileup.discrimination.pairs.{where}", name
    for method, settings in chosen.pileup.learned.items():
        for name in settings.samples:
            yield f"pileup.learned.{method}.samples", name
    for name in chosen.pileup.comparison.samples:
        yield "pileup.comparison.samples", name


def _of_tagging(chosen: "Settings") -> Iterator[tuple[str, str]]:
    if chosen.tagging is None:
        return
    for tagger, settings in chosen.tagging.taggers.items():
        for name in settings.samples:
            yield f"tagging.taggers.{tagger}", name
        for old, name in (settings.between.samples if settings.between else {}).items():
            yield f"tagging.taggers.{tagger}.between.samples.{old}", name
    for name in chosen.tagging.split.samples:
        yield "tagging.split.samples", name
    for other, stand_ins in chosen.tagging.evaluation.alternatives.items():
        for name in (*stand_ins, *stand_ins.values()):
            yield f"tagging.evaluation.alternatives.{other}", name


def calorimeters_exist(chosen: "Settings") -> None:
    """Check what the detector takes of the stage calorimetry, and that stage of the ntuples."""
    response = chosen.ntuples.detector.calorimeter.electromagnetic
    where = "ntuples.detector.calorimeter.electromagnetic"
    stage = chosen.calorimetry
    if response.kind != "resolution":
        if stage is None:
            raise ValueError(f"{where}: showers need the stage calorimetry, which is null")
        if response.detector not in stage.detectors:
            known = list(stage.detectors)
            raise ValueError(
                f"{where}.detector: no detector is called {response.detector!r}"
                f"{nearest(response.detector, known)}"
            )
    if response.kind == "model" and stage is not None:
        if response.model not in stage.models:
            known = list(stage.models)
            raise ValueError(
                f"{where}.model: no model is called {response.model!r}"
                f"{nearest(response.model, known)}"
            )
        learned = stage.detector_of(response.model)
        if learned not in (None, response.detector):
            raise ValueError(
                f"{where}.model: {response.model!r} has learned showers of the detector "
                f"{learned!r}, and {response.detector!r} is asked for"
            )
    for name in stage.downstream.samples if stage and stage.downstream else ():
        sample = chosen.ntuples.samples.get(name)
        if sample is None or sample.kind != "generated":
            raise ValueError(
                f"calorimetry.downstream.samples: {name!r} is no generated sample of "
                "ntuples.samples; name one, or take calorimetry.downstream: null"
            )
