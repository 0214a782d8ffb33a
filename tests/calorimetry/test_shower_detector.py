"""Calorimeters from settings."""

import numpy as np
import pytest
from pydantic import ValidationError

from fullchain.calorimetry import detector, geometry, gflash
from fullchain.calorimetry.detector_settings import DetectorSettings, default_detectors
from fullchain.errors import InputError


@pytest.mark.parametrize("name", default_detectors())
def test_packaged_calorimeters_survive_json_and_hold_showers(name):
    settings = default_detectors()[name]
    again = DetectorSettings.model_validate_json(settings.model_dump_json())
    assert again == settings
    built = detector.build(again)
    assert built.geometry == geometry.load(name)
    assert built.depths[-1][1] > 17
    voxels = gflash.showers(np.full(200, 2e4), built, np.random.default_rng(1))
    assert 0.9 < (voxels.sum(axis=1) / 2e4).mean() < 1.02


def test_layers_follow_each_other_in_either_unit():
    mm = default_detectors()["set2_electrons"]
    built = detector.build(mm)
    edges = np.array(built.depths)
    assert edges[1:, 0] == pytest.approx(edges[:-1, 1])
    # 1.4 mm of tungsten and 0.3 mm of silicon.
    assert np.diff(edges, axis=1) == pytest.approx(1.4 / 3.5026 + 0.3 / 93.69, rel=1e-4)
    x0 = mm.model_copy(update={"unit": "X0", "thickness": float(np.diff(edges[0])[0])})
    assert np.array(detector.build(x0).depths) == pytest.approx(edges)


def test_matter_in_front_takes_energy():
    settings = default_detectors()["crystal"]
    behind = settings.model_copy(update={"in_front": 2.0})
    assert detector.build(behind).depths[0] == (2.0, 6.0)
    means = [
        gflash.showers(np.full(500, 1e3), detector.build(one), np.random.default_rng(2)).sum(axis=1)
        for one in (settings, behind)
    ]
    assert means[1].mean() < 0.95 * means[0].mean()


def test_materials_of_ones_own_are_used():
    values = {
        "geometry": "crystal",
        "medium": {"kind": "homogeneous", "material": "mine"},
        "thickness": 5.0,
        "materials": {
            "mine": {
                "atomic_number": 26,
                "atomic_weight": 55.845,
                "density": 7.874,
                "radiation_length": 13.84,
            }
        },
    }
    built = detector.build(DetectorSettings.model_validate(values))
    assert built.medium.critical_energy == pytest.approx(20.65, abs=0.01)
    assert built.depths[-1] == (20.0, 25.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"medium": {"kind": "homogeneous", "material": "leat"}}, "did you mean 'lead'"),
        ({"medium": {"kind": "sampling", "resolution": 0.0}}, "greater than 0"),
        ({"thickness": {0: 1.0, 1: -2.0}}, "positive"),
        ({"thickness": 0.0}, "positive"),
        ({"in_front": -1.0}, "greater than or equal to 0"),
    ],
)
def test_wrong_settings_are_named(change, words):
    with pytest.raises(ValidationError, match=words):
        DetectorSettings.model_validate({"thickness": 1.0, **change})


@pytest.mark.parametrize(
    ("thickness", "words"),
    [
        ({0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0}, r"none for \[12\]"),
        ({0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0, 7: 1.0, 12: 1.0}, r"one for \[7\]"),
    ],
)
def test_missing_and_unknown_layers_are_named(thickness, words):
    settings = DetectorSettings(geometry="set1_photons", thickness=thickness)
    with pytest.raises(InputError, match=words):
        detector.build(settings)


def test_unknown_geometry_is_named():
    with pytest.raises(InputError, match="set1_photons"):
        detector.build(DetectorSettings(geometry="set1_photon", thickness=1.0))
