"""Settings of the stage, and what they take of other stages."""

import pytest

from fullchain.errors import InputError
from fullchain.setting_files import merge, read_yaml
from fullchain.settings import Settings, validate

SAMPLE = {"kind": "generated", "process": "zmumu", "events": 1000, "pthat_min": 160.0}

TT = {"samples": ["tt"]}
STRESS = {"observable": "x"}
STRESSED = {"stress": {"observable": "mass"}}
SEVERAL = {"simulation": {"samples": ["zmumu", "tt"]}}


def changed(**unfolding):
    return validate({"unfolding": unfolding}).unfolding


def test_methods_of_a_measurement_are_those_that_can():
    chosen = Settings().unfolding
    assert "omnifold" in chosen.methods_of("zjet")
    assert chosen.methods_of("closure") == ["ibu", "multifold"]
    own = {"simulation": {"samples": ["gaussian"]}, "data": {"samples": ["gaussian_data"]}}
    own |= {"observables": ["x"]}
    assert "omnifold" not in changed(measurements={"own": own}).methods_of("own")
    assert "multifold" in changed(measurements={"own": own}).methods_of("own")


def test_samples_are_those_of_the_ntuples():
    assert Settings().unfolding.samples == ("zmumu", "zmumu_cp5")


@pytest.mark.parametrize(
    ("unfolding", "words"),
    [
        (
            {"measurements": {"zjet": {"observables": ["mass", "masss"]}}},
            "no observable is called 'masss'",
        ),
        ({"measurements": {"zjet": {"methods": ["tunfold"]}}}, "no method is called 'tunfold'"),
        ({"measurements": {"zjet": {"data": {"samples": ["zmumu_x"]}}}}, "no sample is called"),
        ({"measurements": {"zjet": {"shifts": ["jes_upp"]}}}, "no shift of the jets is called"),
        ({"measurements": {"gaussian": {"methods": ["omnifold"]}}}, "takes the particles of jets"),
        ({"published": {"zjet": ["tunfold"]}}, "no method is called 'tunfold'"),
        ({"published": {"other": ["ibu"]}}, "no measurement is called 'other'"),
        ({"coverage": {"methods": ["ibuu"]}}, "no method is called 'ibuu'"),
        ({"pairs": {"tt": {"sample": "tt"}}}, "tt is the name of a sample"),
        ({"pairs": {"tops": {"sample": "ttt"}}}, "no sample is called 'ttt'"),
        ({"pairs": {"gaussian": {"sample": "tt"}}}, "gaussian is the name of a toy"),
        (
            {"coverage": {"of_method": {"multifold": {"experiments": 20}}}},
            r"coverage\.of_method: no covered method is called 'multifold'; there are ibu_",
        ),
        (
            {
                "methods": {"told": {"kind": "cinn", "median_of": "mass"}},
                "coverage": {"methods": ["told"]},
            },
            r"coverage\.methods: told is told a median",
        ),
        ({"measurements": {"gaussian": {"shifts": ["jes_up"]}}}, "toys and pairs have no shifts"),
        (
            {"measurements": {"zjet": {"background": {"samples": ["zmumu_cp5"], "expected": 0.1}}}},
            "background and data are both of zmumu_cp5",
        ),
        (
            {"measurements": {"zjet": {"simulation": {"samples": ["zmumu", "zmumu"]}}}},
            r"simulation\.samples: a sample stands twice",
        ),
        (
            {"measurements": {"closure": {"methods": ["ibu", "ibu"]}}},
            "methods: a name stands twice",
        ),
        ({"methods": {"a-b": {"kind": "ibu"}}}, "is no name"),
        *(
            (
                {"methods": {method: {replicas: 1}}},
                rf"methods\.{method}\.{replicas}: one replica has no spread",
            )
            for method in ("ibu", "multifold", "cinn", "flow_matching")
            for replicas in ("data_replicas", "simulation_replicas")
        ),
        ({"coverage": {"methods": ["unifold"]}}, r"coverage\.methods: unifold has the inputs"),
        ({"coverage": {"methods": ["omnifold"]}}, r"coverage\.methods: omnifold has the inputs"),
        (
            {"observables": {"x": None}, "measurements": {"gaussian": None}},
            r"coverage: .* the observable 'x' of the Gaussian case, which is not in observables",
        ),
        (
            {"measurements": {"gaussian": {"background": {"expected": 1.5}}}},
            r"measurements\.gaussian\.background\.expected: .*less than 1",
        ),
        *(
            (
                {"measurements": {"closure": {part: {"stress": {"observable": "x"}}}}},
                rf"{part}\.stress\.observable: 'x' is not among the observables",
            )
            for part in ("simulation", "data")
        ),
        (
            {"measurements": {"zjet": {"alternatives": {"m": {**TT, "stress": STRESS}}}}},
            r"alternatives\.m\.stress\.observable: 'x' is not among the observables",
        ),
        (
            {"measurements": {"zjet": {"alternatives": {"m": {"samples": ["zmumu_cp5"]}}}}},
            r"alternatives\.m and data are both of zmumu_cp5: give one the first",
        ),
        (
            {"measurements": {"zjet": {"alternatives": {"m": {}}}}},
            r"alternatives\.m: .*is the simulation itself: give samples, or the stress",
        ),
        (
            {"measurements": {"closure": {"alternatives": {"m": {"half": "first", **STRESSED}}}}},
            r"alternatives\.m: .*half: without samples it is that of the simulation",
        ),
        (
            {"measurements": {"zjet": {"factors": ["nonsense_up"]}}},
            r"zjet\.factors: no variation of the weight is called 'nonsense_up'",
        ),
        (
            {"measurements": {"zjet": {"simulation": {"samples": ["wjet"]}}}},
            r"zjet\.factors: sample 'wjet' is generated without varied weights; set ntuples\.",
        ),
        (
            {"measurements": {"gaussian": {"factors": ["fsr_up"]}}},
            "toys and pairs have no factors",
        ),
        (
            {"methods": {"cinn": {"median_of": "nonsense"}}},
            r"methods\.cinn\.median_of: no observable is called 'nonsense'",
        ),
        (
            {"methods": {"cinn": {"median_of": "x"}}},
            r"measurements\.zjet\.methods: cinn: median_of: x is not unfolded here",
        ),
        (
            {"methods": {"cinn": {"median_of": "mass"}}},
            r"median_of: simulation is of one sample",
        ),
        (
            {
                "methods": {"told": {"kind": "cinn", "median_of": "mass"}},
                "measurements": {"zjet": {**SEVERAL, "methods": ["told"]}},
                "published": {"zjet": None},
            },
            r"zjet\.methods: told: median_of: .* set variations: false",
        ),
    ],
)
def test_wrong_names_are_named(unfolding, words):
    with pytest.raises(InputError, match=words):
        changed(**unfolding)


def test_a_median_is_told_where_it_is_one():
    mine = {
        "simulation": {"samples": ["zmumu", "tt"]},
        "data": {"samples": ["zmumu_cp5"]},
        "observables": ["mass"],
    }
    methods = {"told": {"kind": "cinn", "median_of": "mass"}}
    one = {**mine, "simulation": {"samples": ["zmumu"]}}
    found = changed(methods=methods, measurements={"mine": mine, "one": one})
    assert "told" in found.methods_of("mine") and "told" not in found.methods_of("one")
    named = {"mine": {**mine, "methods": ["told"]}}
    assert changed(methods=methods, measurements=named).methods_of("mine") == ["told"]


@pytest.mark.parametrize("name", ["events", "coverage", "figures"])
def test_a_measurement_is_no_other_folder(name):
    zjet = Settings().unfolding.measurements["zjet"].model_dump(mode="json")
    with pytest.raises(InputError, match=f"{name} is the name of a folder"):
        changed(measurements={name: zjet})


def test_default_measurements_go_with_their_samples():
    without = validate({"ntuples": {"samples": {"zmumu_cp5": None}}}).unfolding
    assert "zjet" not in without.measurements and "closure" in without.measurements
    assert without.published == {}
    alone = {"ntuples": {"keep_default_samples": False, "samples": {"mine": SAMPLE}}}
    alone |= {"tagging": None, "inference": None}
    assert list(validate(alone).unfolding.measurements) == ["gaussian"]


def test_default_measurements_lose_shifts_that_are_not_made():
    chosen = validate({"jets": {"shifts": {"jes_up": None}}}).unfolding
    assert "jes_up" not in chosen.measurements["zjet"].shifts
    assert "jes_down" in chosen.measurements["zjet"].shifts


def test_default_measurements_ask_for_what_the_events_have():
    chosen = changed(selection={"shifts": ["jes_up"], "particles": False})
    assert chosen.measurements["zjet"].shifts == ("jes_up",)
    assert "omnifold" not in chosen.measurements["zjet"].methods
    mine = Settings().unfolding.measurements["zjet"].model_dump(mode="json")
    with pytest.raises(InputError, match=r"mine.shifts: jes_down is not in selection.shifts"):
        changed(selection={"shifts": ["jes_up"]}, measurements={"mine": mine})


def test_the_run_of_top_masses_simulates_them_on_both_sides_of_the_data(project):
    files = [project / "config" / f"{one}.yaml" for one in ("config", "top_mass")]
    chosen = validate(merge(*map(read_yaml, files)), "top_mass")
    masses = {
        name: chosen.ntuples.samples[pair.sample].top_mass
        for name, pair in chosen.unfolding.pairs.items()
    }
    several = chosen.unfolding.measurements["five_masses"]
    (data,) = (masses[name] for name in several.data.samples)
    simulated = [masses[name] for name in several.simulation.samples]
    assert min(simulated) < data < max(simulated) and data not in simulated
    assert set(chosen.ntuples.samples) == {pair.sample for pair in chosen.unfolding.pairs.values()}
