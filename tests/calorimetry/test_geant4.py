"""Geant4 as a source: plates and voxels, and what is said where it is missing."""

import json
import sys
import types
from typing import ClassVar

import numpy as np
import pytest

from fullchain.calorimetry import detector, geant4, shower
from fullchain.calorimetry.detector_settings import DetectorSettings, default_detectors
from fullchain.calorimetry.showers_settings import Geant4Settings
from fullchain.errors import InputError
from fullchain.step import Given

SETTINGS = Geant4Settings(kind="geant4", detector="crystal", calibration=2)


def stack_of(settings):
    return geant4.plates(settings, detector.build(settings))


def test_plates_are_those_of_the_calorimeter():
    stack = stack_of(default_detectors()["set2_electrons"])
    assert len(stack) == 90
    assert [plate.material for plate in stack[:2]] == ["G4_W", "G4_Si"]
    assert [plate.active for plate in stack[:2]] == [False, True]
    assert sum(plate.thickness for plate in stack) == pytest.approx(45 * 1.7)
    assert [plate.layer for plate in stack] == np.repeat(range(45), 2).tolist()


def test_blocks_of_crystal_behind_matter():
    settings = default_detectors()["crystal"].model_copy(update={"in_front": 1.0})
    stack = stack_of(settings)
    assert [plate.layer for plate in stack] == [-1, 0, 1, 2, 3, 4]
    length = detector.build(settings).medium.radiation_length
    assert stack[0].thickness == pytest.approx(length)
    assert stack[5].thickness == pytest.approx(11 * length)


def test_description_places_plates_one_behind_the_other():
    settings = default_detectors()["set1_photons"]
    built = detector.build(settings)
    stack = stack_of(settings)
    hall = geant4.description(stack, built.geometry)["Hall"]
    plates = [hall[f"Plate{number}"] for number in range(len(stack))]
    begin = [one["position"][2] - 0.5 * one["cylinder"]["length"] for one in plates]
    end = [one["position"][2] + 0.5 * one["cylinder"]["length"] for one in plates]
    assert begin[0] == pytest.approx(geant4.GAP)
    assert begin[1:] == pytest.approx(end[:-1])
    assert end[-1] < 0.5 * hall["box"][2]
    # In cm, and wider than the widest voxel, 2 m.
    assert plates[0]["cylinder"]["radius"] > 200
    assert hall["box"][0] > 2 * plates[0]["cylinder"]["radius"]


def test_layers_too_thin_and_materials_without_name_are_refused():
    thin = default_detectors()["set2_electrons"].model_copy(update={"thickness": 0.5})
    with pytest.raises(InputError, match="less than half of one passive and one active plate"):
        stack_of(thin)
    mine = {"atomic_number": 74, "atomic_weight": 184, "density": 19, "radiation_length": 6.8}
    own = DetectorSettings(
        geometry="crystal",
        medium={"kind": "homogeneous", "material": "mine"},
        thickness=5.0,
        materials={"mine": mine},
    )
    with pytest.raises(InputError, match=r"materials\.mine\.geant4"):
        stack_of(own)


def test_positions_find_the_middle_of_their_voxel():
    geometry = detector.build(default_detectors()["crystal"]).geometry
    for layer, place in enumerate(geometry.slices):
        radius, angle = geometry.radius_of_voxel[place], geometry.angle_of_voxel[place]
        middle = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
        found = geant4.voxel_of(layer, middle, geometry)
        assert np.array_equal(found, np.arange(place.start, place.stop))
    assert geant4.voxel_of(0, np.array([[90.1, 0.0], [0.0, -200.0]]), geometry).tolist() == [-1, -1]


def test_without_calzone_the_command_is_given(monkeypatch):
    monkeypatch.setitem(sys.modules, "calzone", None)
    with pytest.raises(InputError, match=r"pip install calzone.*python -m calzone download"):
        geant4.Simulation(SETTINGS, default_detectors()["crystal"], 1)


class Fake(types.ModuleType):
    """Stands for calzone: every particle leaves all its energy in two steps of the second plate."""

    VERSION = "1.2.2"
    GEANT4_VERSION = "11.4.0"
    missing = False
    seeds: ClassVar[list[int]] = []

    def __init__(self):
        super().__init__("calzone")

    def Random(self, seed):
        self.seeds.append(seed)
        return seed

    def Physics(self, em_model, default_cut):
        assert default_cut == pytest.approx(0.07), "in cm"
        return em_model

    def particles(self, number, **values):
        return values

    def Simulation(self, description, sample_deposits):
        assert sample_deposits == "detailed"
        fake = self

        class Running:
            def run(self, particle):
                if fake.missing:
                    raise FileNotFoundError("bad G4EMLOW dataset")
                half = 0.5 * particle["energy"]
                line = np.zeros(1, dtype=[("value", "f8"), ("start", "f8", 3), ("end", "f8", 3)])
                line["value"], line["start"] = half, (0.4, 0.0, 2.0)
                line["end"] = (0.6, 0.0, 2.2)
                point = np.zeros(1, dtype=[("value", "f8"), ("position", "f8", 3)])
                point["value"], point["position"] = half, (30.0, 0.0, 2.0)
                here = types.SimpleNamespace(line=line, point=point)
                return types.SimpleNamespace(deposits={"Hall.Plate1": here})

        return Running()


def test_deposits_reach_their_voxels(monkeypatch):
    monkeypatch.setitem(sys.modules, "calzone", Fake())
    settings = default_detectors()["set2_electrons"]
    simulation = geant4.Simulation(SETTINGS, settings, 1)
    # All of what is deposited is in active plates.
    assert simulation.seen == 1.0
    voxels = simulation(np.array([100.0, 60.0]), np.random.default_rng(1))
    assert voxels.shape == (2, 6480)
    # 5 mm from the axis, in the layer of the second plate; 30 cm lie outside.
    assert voxels.sum(axis=1).tolist() == [50.0, 30.0]
    geometry = simulation.detector.geometry
    assert geometry.layer_of_voxel[voxels[0].argmax()] == 0
    assert geometry.radius_of_voxel[voxels[0].argmax()] == pytest.approx(6.975)


def test_random_numbers_follow_the_generator(monkeypatch):
    fake = Fake()
    monkeypatch.setitem(sys.modules, "calzone", fake)
    simulation = geant4.Simulation(SETTINGS, default_detectors()["set2_electrons"], 1)
    drawn = []
    for _ in range(2):
        fake.seeds.clear()
        simulation(np.full(3, 50.0), np.random.default_rng(5))
        drawn.append(list(fake.seeds))
    assert drawn[0] == drawn[1] and len(set(drawn[0])) == 3


def test_without_data_tables_the_command_is_given(monkeypatch):
    fake = Fake()
    fake.missing = True
    monkeypatch.setitem(sys.modules, "calzone", fake)
    with pytest.raises(InputError, match=r"G4EMLOW.*python -m calzone download"):
        geant4.Simulation(SETTINGS, default_detectors()["set2_electrons"], 1)


def test_a_set_of_geant4_says_with_which_version(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "calzone", Fake())
    detectors = {"fine": default_detectors()["set2_electrons"].model_dump(mode="json")}
    chosen = SETTINGS.model_copy(
        update={"detector": "fine", "particle": "electron", "train": 10, "test": 20,
                "reference": 10}
    )  # fmt: skip
    values = {
        "seed": 1,
        "calorimetry": {
            "detectors": detectors,
            "showers": {"full": chosen.model_dump(mode="json")},
        },
    }
    shower.main(
        set="full",
        train=tmp_path / "train.h5",
        test=tmp_path / "test.h5",
        reference=tmp_path / "reference.h5",
        geometry=tmp_path / "geometry.xml",
        numbers=tmp_path / "showers.json",
        settings=Given(values),
    )
    content = json.loads((tmp_path / "showers.json").read_text())
    assert content["kind"] == "geant4"
    assert content["versions"] == {"calzone": "1.2.2", "geant4": "11.4.0"}
    assert content["counts"]["test"] == 20
