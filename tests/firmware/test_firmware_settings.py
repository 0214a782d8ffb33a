"""Names that settings of the firmware use, and what they need of other stages."""

from typing import Any

import pytest

from fullchain.errors import InputError
from fullchain.settings import validate


def refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate(values)


def test_the_default_has_one_model_and_five_classes() -> None:
    firmware = validate({}).firmware
    assert firmware is not None
    assert list(firmware.classes) == ["q", "g", "W", "Z", "t"]
    assert len(firmware.models) == 1
    assert firmware.class_samples() == ["qcd", "wjet", "zjet", "tt"]
    assert set(firmware.all_samples()) >= {"qcd", "wjet", "zjet", "tt", "zprime"}


def test_names_that_are_not_there_are_named_with_the_nearest() -> None:
    refused(
        {"firmware": {"trigger": {"triggers": {"b": ["T"]}}}}, r"triggers\.b: no class is .*'T'"
    )
    model = {"kind": "network", "architecture": {"quantities": ["mass_mdt"]}}
    refused({"firmware": {"models": {"x": model}}}, "no feature is called 'mass_mdt'.*mass_mmdt")
    refused(
        {"firmware": {"models": {"x": {"kind": "anomaly", "classes": ["quark"]}}}},
        "no class is called 'quark'",
    )
    classes = {"t": {"samples": ["ttbar"], "labels": ["top"]}}
    refused({"firmware": {"classes": classes}}, r"firmware\.classes\.t\.samples: no sample")


def test_a_teacher_must_be_a_tagger() -> None:
    model = {"kind": "network", "distillation": {"tagger": "pfm"}}
    refused({"firmware": {"models": {"x": model}}}, "no tagger is called 'pfm'.*pfn")


def test_more_candidates_than_are_kept() -> None:
    model = {"kind": "network", "architecture": {"inputs": "candidates", "candidates": 40}}
    refused({"firmware": {"models": {"x": model}}}, "40 of 16 that inputs.candidates keeps")


def test_a_model_needs_a_point() -> None:
    model = {"kind": "network", "points": {"learned": None}}
    refused({"firmware": {"models": {"x": model}}}, "at least one way to quantise")


def test_two_points_of_one_name_in_figures() -> None:
    models = {
        "jets": {"kind": "network", "points": {"small_8b": {}, "learned": None}},
        "jets_small": {"kind": "network", "points": {"8b": {}, "learned": None}},
    }
    wanted = r"models\.jets\.points\.small_8b and models\.jets_small\.points\.8b are both called"
    refused({"firmware": {"models": models}}, f"{wanted} jets_small_8b")


def test_without_the_default_samples_the_stage_is_left_out() -> None:
    own = {"kind": "generated", "process": "qcd", "events": 100, "pthat_min": 500.0}
    values = {"ntuples": {"keep_default_samples": False, "samples": {"mine": own}}}
    assert validate({**values, "inference": None, "tagging": None}).firmware is None
