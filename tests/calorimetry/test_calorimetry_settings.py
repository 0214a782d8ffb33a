"""Names within the stage, and what it and the ntuples take of each other."""

from pathlib import Path

import pytest
import yaml

from fullchain.calorimetry.figure_names import names
from fullchain.errors import InputError
from fullchain.settings import Settings, validate

CONFIG = Path(__file__).parents[2] / "config"

LEARNED = {"kind": "model", "model": "crystal"}


def calorimetry(**changes):
    found = validate({"calorimetry": changes}).calorimetry
    assert found is not None
    return found


def response(electromagnetic, **stages):
    calorimeter = {"electromagnetic": electromagnetic}
    return validate({"ntuples": {"detector": {"calorimeter": calorimeter}}, **stages})


def test_models_and_references_are_judged_with_the_showers_of_their_set():
    stage = calorimetry(models={"vae": {"judged": False}})
    assert stage.judged_models() == ["coupling", "matching"]
    assert stage.references() == {"photons_reference": "photons"}
    assert stage.set_of("photons_reference") == stage.set_of("coupling") == "photons"
    assert stage.threshold_of("photons") == 1.0 and stage.threshold_of("crystal") == 0.5


def test_bespoke_solvers_are_compared_with_those_of_their_teacher():
    stage = calorimetry(models={"quick": {"kind": "bespoke", "teacher": "matching"}})
    assert stage.solved_models() == {"matching": ["quick"]}
    assert stage.teacher_of("quick") == "matching" and stage.teacher_of("coupling") == ""


@pytest.mark.parametrize("name", ["benchmark", "paper"])
def test_larger_configurations_scan_solvers_from_4_to_200_evaluations(name):
    found = validate(yaml.safe_load((CONFIG / f"{name}.yaml").read_text())).calorimetry
    assert found is not None and found.solvers is not None
    for method in ("midpoint", "rk4"):
        several = found.solvers.evaluations[method]
        assert (several[0], several[-1]) == (4, 200) and len(several) >= 5
    assert found.solvers.reference.method == "rk4" and found.solvers.reference.evaluations >= 400


@pytest.mark.parametrize(
    ("solvers", "message"),
    [
        ({"evaluations": {"rk4": [4, 64]}}, "64 evaluations count as exact"),
        ({"evaluations": {"rk4": [2]}}, "a step of rk4 takes 4"),
        ({"evaluations": {"dopri5": [8]}}, "scanned by tolerances"),
    ],
)
def test_scans_of_solvers_that_mean_nothing_are_refused(solvers, message):
    with pytest.raises(InputError, match=message):
        calorimetry(solvers=solvers)


def test_files_have_no_detector():
    files = {"kind": "files", "train": ["a.hdf5"], "test": ["b.hdf5"], "threshold": 2.0}
    own = {"showers": "mine", "preprocessing": {"threshold": 2.0}}
    stage = calorimetry(showers={"mine": files}, models={"vae": own})
    assert stage.detector_of("vae") is None and stage.threshold_of("mine") == 2.0
    assert stage.references() == {"photons_reference": "photons", "mine_reference": "mine"}


def test_a_model_has_the_threshold_of_its_files():
    files = {"kind": "files", "train": ["a.hdf5"], "test": ["b.hdf5"], "threshold": 0.01515}
    with pytest.raises(InputError, match=r"is 1 MeV, and voxels of the set 'mine'.*0\.01515 MeV"):
        calorimetry(showers={"mine": files}, models={"vae": {"showers": "mine"}})
    # Files of an unknown threshold: the model has one of its own, and training says what it takes.
    unknown = files | {"threshold": 0.0}
    stage = calorimetry(showers={"mine": unknown}, models={"vae": {"showers": "mine"}})
    assert stage.models["vae"].preprocessing.threshold == 1.0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"showers": {"photons": {"detector": "crystl"}}}, "crystal"),
        ({"models": {"vae": {"showers": "photon"}}}, "photons"),
        ({"models": {"quick": {"kind": "bespoke", "teacher": "vae"}}}, "kind 'matching'"),
        ({"models": {"student": {"kind": "student", "teacher": "teacher"}}}, "teacher"),
        ({"models": {"vae": None}, "controlled": ["vae"]}, "controlled"),
        ({"controlled": ["crystal"]}, "not judged"),
        ({"downstream": {"models": ["coupling"]}}, "'set1_photons'"),
        ({"downstream": {"samples": ["pythia"]}}, "no generated sample"),
        ({"models": {"vae": {"showers": "crystal"}}}, "give that"),
        ({"models": {"photons_reference": {"kind": "vae"}}}, "take another name"),
    ],
)
def test_wrong_names_are_named(changes, told):
    with pytest.raises(InputError, match="calorimetry") as problem:
        validate({"calorimetry": changes})
    assert told in str(problem.value)


def test_the_detector_takes_showers_that_are_there():
    assert response(LEARNED).calorimetry is not None
    with pytest.raises(InputError, match="calorimetry, which is null"):
        response(LEARNED, calorimetry=None)
    with pytest.raises(InputError, match=r"no model is called 'cristal'.*crystal"):
        response({**LEARNED, "model": "cristal"})
    with pytest.raises(InputError, match="'set1_photons'"):
        response({**LEARNED, "model": "coupling"})
    with pytest.raises(InputError, match="no detector is called 'crystals'"):
        response({"kind": "parameterised", "detector": "crystals"})


def test_events_of_a_default_sample_are_left_out_with_it():
    own = {"kind": "generated", "process": "qcd", "events": 100, "pthat_min": 100.0}
    chosen = validate(
        {
            "ntuples": {"keep_default_samples": False, "samples": {"mine": own}},
            "tagging": None,
            "pileup": None,
            "inference": None,
        }
    )
    assert chosen.calorimetry is not None and chosen.calorimetry.downstream is None


def test_every_figure_has_a_name_of_its_own():
    found = names(Settings().calorimetry)
    assert len(found) == len(set(found)) > 15
