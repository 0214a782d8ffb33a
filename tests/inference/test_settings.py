"""Cross-checks between the settings of the stage."""

import pytest
import yaml
from pydantic import ValidationError

from fullchain.inference.settings import InferenceSettings, Region, Sample, Systematic
from fullchain.settings import validate


def test_all_samples_that_the_templates_need():
    assert InferenceSettings().ntuple_samples() == [
        "zprime",
        "tt",
        "qcd",
        "wjet",
        "tt_a14",
        "qcd_a14",
    ]
    with_data = InferenceSettings(data={"kind": "sample", "sample": "run2024"})
    assert with_data.ntuple_samples()[-1] == "run2024"
    assert with_data.recorded_data() == "run2024"
    assert InferenceSettings().recorded_data() is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": {"qcd": {"ntuples": ["qcd"]}}}, "one process must have the role signal"),
        (
            {"systematics": {"jes": {"kind": "histosys", "shift": "jes", "samples": ["qdc"]}}},
            "no process is called 'qdc'",
        ),
        ({"systematics": {"mu": {"kind": "normfactor"}}}, "the signal strength's name"),
        ({"systematics": {"luminosity": {"kind": "lumi"}}}, "with the name lumi"),
        ({"systematics": {"lumi": {"kind": "staterror"}}}, "the kind lumi"),
        ({"model": {"poi_range": (0.5, 3.0)}}, "must include 0 and 1"),
        ({"luminosity": {"value": -1.0}}, "greater than 0"),
        ({"data": {"kind": "blinded"}}, "asimov"),
        ({"data": {"kind": "sample"}}, "needs the name of a sample"),
        ({"data": {"kind": "pseudo", "sample": "run2024"}}, "no other kind takes one"),
        ({"lumi": 3.0}, "Extra inputs"),
    ],
)
def test_contradictions_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        InferenceSettings(**changes)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"kind": "histosys"}, "exactly one source"),
        ({"kind": "histosys", "value": 0.1}, "exactly one source"),
        ({"kind": "normsys", "value": 0.1, "shift": "jes"}, "exactly one source"),
        ({"kind": "lumi", "value": 0.1}, "lumi takes no source"),
        ({"kind": "normsys", "sample": "tt_a14"}, "stands for one process"),
        ({"kind": "normsys", "value": -0.1}, "greater than 0"),
    ],
)
def test_a_systematic_has_one_source_that_suits_its_kind(line, message):
    with pytest.raises(ValidationError, match=message):
        Systematic(**line)


def test_regions_and_samples_are_checked():
    with pytest.raises(ValidationError, match="edges must increase"):
        Region(edges=(0.0, 10.0, 10.0))
    with pytest.raises(ValidationError, match="pt_min must be below pt_max"):
        Region(pt_min=700.0, pt_max=500.0)
    with pytest.raises(ValidationError, match="replaces that of one ntuple sample"):
        Sample(ntuples=["a", "b"], cross_section_pb=1.0)


def test_an_alternative_needs_a_process_of_one_sample():
    samples = {"tt": {"ntuples": ["tt", "tt_high"], "role": "signal"}}
    lines = {"tune": {"kind": "normsys", "sample": "tt_a14", "samples": ["tt"]}}
    with pytest.raises(ValidationError, match="one alternative sample cannot replace it"):
        InferenceSettings(samples=samples, systematics=lines)


def test_the_default_is_a_search_and_the_documented_measurement_is_valid(project):
    def roles(overlay):
        found = validate(overlay).inference
        assert found is not None
        return {name: sample.role for name, sample in found.samples.items()}

    page = (project / "docs" / "stages" / "inference.md").read_text()
    overlay = yaml.safe_load(page.split("# measurement.yaml")[1].split("\n", 1)[1].split("```")[0])
    backgrounds = {"qcd": "background", "wjet": "background"}
    assert roles({}) == {"zprime": "signal", "tt": "background", **backgrounds}
    assert roles(overlay) == {"tt": "signal", **backgrounds}
