"""Cross-checks between the settings of the stage."""

import pytest
import yaml
from pydantic import ValidationError

from fullchain.inference.analysis_settings import Analysis, Sample
from fullchain.inference.default_analyses import default_analyses
from fullchain.inference.hypothesis_settings import Hypothesis
from fullchain.inference.observable_names import COLUMNS
from fullchain.inference.selection_settings import Region
from fullchain.inference.settings import InferenceSettings
from fullchain.inference.systematic_settings import Systematic
from fullchain.inference.workspaces_settings import Workspace
from fullchain.jets import columns
from fullchain.settings import validate


def test_all_samples_that_the_templates_need():
    assert Analysis().ntuple_samples() == [
        "zprime",
        "tt",
        "qcd",
        "wjet",
        "tt_a14",
        "qcd_a14",
    ]
    with_data = Analysis(data={"kind": "sample", "sample": "run2024"})
    assert with_data.ntuple_samples()[-1] == "run2024"
    assert with_data.recorded_data() == "run2024"
    assert Analysis().recorded_data() is None


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
        Analysis(**changes)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"kind": "histosys"}, "exactly one source"),
        ({"kind": "histosys", "value": 0.1}, "exactly one source"),
        ({"kind": "normsys", "value": 0.1, "shift": "jes"}, "exactly one source"),
        ({"kind": "lumi", "value": 0.1}, "lumi takes no source"),
        ({"kind": "normsys", "sample": "tt_a14"}, "stands for one process"),
        ({"kind": "normsys", "value": -0.1}, "greater than 0"),
        ({"kind": "shapefactor", "value": 0.1}, "shapefactor takes no source"),
        ({"kind": "normsys", "shift": "jes", "smoothing": "353qh"}, "shape of a histosys"),
        ({"kind": "normsys", "value": 0.1, "symmetrise": "max"}, "acts on varied templates"),
        ({"kind": "lumi", "group": "statistical"}, "what the data alone leave"),
    ],
)
def test_a_systematic_has_one_source_that_suits_its_kind(line, message):
    with pytest.raises(ValidationError, match=message):
        Systematic(**line)


@pytest.mark.parametrize(
    ("line", "group"),
    [
        ({"kind": "histosys", "shift": "jes"}, "detector"),
        ({"kind": "histosys", "weight": "isr"}, "theory"),
        ({"kind": "normsys", "sample": "tt_a14", "samples": ["tt"]}, "theory"),
        ({"kind": "normsys", "value": 0.1}, "normalisation"),
        ({"kind": "normfactor"}, "normalisation"),
        ({"kind": "shapefactor"}, "normalisation"),
        ({"kind": "staterror"}, "MC statistics"),
        ({"kind": "lumi"}, "luminosity"),
        ({"kind": "normsys", "value": 0.1, "group": "theory"}, "theory"),
    ],
)
def test_groups_by_source(line, group):
    assert Systematic(**line).group_name == group


HYPOTHESIS = {"ntuples": ["zprime_2000"], "mass": 2000.0}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                "selection": {},
                "systematics": {"jes": {"kind": "histosys", "shift": "jes", "regions": ["psas"]}},
            },
            "systematics.jes.regions: no region is called 'psas'",
        ),
        ({"hypotheses": {"z-2": HYPOTHESIS}}, "letters, digits and underscores"),
        (
            {
                "hypotheses": {"z2": HYPOTHESIS},
                "systematics": {
                    "tune": {"kind": "normsys", "sample": "z_a14", "samples": ["zprime"]}
                },
            },
            "cannot replace each of the hypotheses",
        ),
        (
            {
                "hypotheses": {"z2": HYPOTHESIS},
                "samples": {
                    "a": {"ntuples": ["a"], "role": "signal"},
                    "b": {"ntuples": ["b"], "role": "signal"},
                },
                "systematics": {},
            },
            "the one signal process, but a, b are signals",
        ),
    ],
)
def test_hypotheses_and_regions_are_checked(changes, message):
    with pytest.raises(ValidationError, match=message):
        Analysis(**changes)


def test_hypotheses_take_the_place_of_the_signal():
    names = Analysis(hypotheses={"z2": HYPOTHESIS}).ntuple_samples()
    assert "zprime_2000" in names
    assert "zprime" not in names


def test_a_workspace_has_a_name_of_its_own():
    with pytest.raises(ValidationError, match="an analysis has this name already"):
        InferenceSettings(workspaces={"zprime": {"path": "a.json", "luminosity": 1.0}})
    with pytest.raises(ValidationError, match="none is given"):
        Workspace(path="a.json", luminosity=1.0, patches=["a"])
    with pytest.raises(ValidationError, match="files belong to a datacard"):
        Workspace(path="a.json", luminosity=1.0, files=["a.root"])


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
        Analysis(samples=samples, systematics=lines)


SIGNAL = {"zprime": {"ntuples": ["zprime"], "role": "signal", "cross_section_pb": 1.0}}
HYPOTHESES = {
    "light": {"ntuples": ["zprime"], "mass": 1300.0, "cross_section_pb": 1.0},
    "heavy": {"ntuples": ["zprime_1500"], "mass": 1500.0},
}


def test_hypotheses_are_samples_of_the_analysis():
    found = Analysis(samples=SIGNAL, systematics={}, hypotheses=HYPOTHESES)
    assert found.ntuple_samples() == ["zprime", "zprime_1500", "qcd"]
    assert ("hypotheses.heavy.ntuples", "zprime_1500") in list(found.sample_references())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"hypotheses": {**HYPOTHESES, "again": {"ntuples": ["other"], "mass": 1500.0}}},
            "hypotheses.again.mass: heavy has the mass 1500 GeV",
        ),
        (
            {"samples": {**SIGNAL, "second": {"ntuples": ["x"], "role": "signal"}}},
            "zprime, second are signals",
        ),
        (
            {"systematics": {"tune": {"kind": "normsys", "sample": "z", "samples": ["zprime"]}}},
            "cannot replace each of the hypotheses",
        ),
    ],
)
def test_hypotheses_stand_in_the_place_of_the_one_signal(changes, message):
    with pytest.raises(ValidationError, match=message):
        Analysis(**{"samples": SIGNAL, "systematics": {}, "hypotheses": HYPOTHESES, **changes})
    with pytest.raises(ValidationError, match="replaces that of one ntuple sample"):
        Hypothesis(ntuples=["a", "b"], mass=1.0, cross_section_pb=1.0)


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ({"tagged": (2,)}, "tagged needs two jets; take jets: dijet"),
        ({"delta_eta_max": 1.0}, "delta_eta_max needs two jets"),
        ({"observable": "dijet_mass"}, "observable: dijet_mass needs two jets"),
        ({"observed_jet": "highest_score"}, "observed_jet: highest_score needs two jets"),
        ({"jets": "dijet", "tagged": (3,)}, "less than or equal to 2"),
        ({"leading_pt_min": 800.0}, "leading_pt_min must lie between"),
        ({"mass_window": (200.0, 100.0)}, "lowest mass must be below the highest"),
    ],
)
def test_what_a_region_asks_for_must_be_there(region, message):
    with pytest.raises(ValidationError, match=message):
        Region(**region)


def test_a_blind_analysis_does_not_know_its_data():
    data = {"kind": "sample", "sample": "run2024"}
    blind = Analysis(data=data, blind=True)
    assert blind.recorded_data() is None
    assert "run2024" not in blind.ntuple_samples()
    assert "run2024" in Analysis(data=data).ntuple_samples()
    assert (blind.fitted.kind, blind.fitted.mu) == ("asimov", 1.0)
    search = Analysis(data={"kind": "pseudo", "mu": 0.0}, blind=True)
    assert (search.fitted.kind, search.fitted.mu) == ("asimov", 0.0)


def test_observables_are_the_numbers_of_the_stage_jets():
    """The list is written by hand, so that settings can be read without the stage."""
    identity = {"run", "luminosityBlock", "event", "variation", "jet", "weight"}
    labels = {"label", "label_fully_contained"}
    measured = [
        one.name
        for one in (*columns.EVENT, *columns.JET)
        if one.name not in identity | labels and not one.name.startswith("w_")
    ]
    assert list(COLUMNS) == measured


def test_the_default_analyses():
    found = default_analyses()
    roles = {
        name: {process for process, one in analysis.samples.items() if one.role == "signal"}
        for name, analysis in found.items()
    }
    assert roles == {"ttbar": {"tt"}, "zprime": {"zprime"}}
    assert found["ttbar"].samples["tt"].cross_section_pb is None, "that of the generator"
    assert [one.mass for one in found["zprime"].hypotheses.values()] == [1300.0, 1500.0, 1700.0]


def test_the_documented_analysis_is_valid(project):
    page = (project / "docs" / "stages" / "inference_templates.md").read_text()
    overlay = yaml.safe_load(page.split("# mine.yaml")[1].split("\n", 1)[1].split("```")[0])
    settings = validate(overlay).inference
    assert settings is not None
    assert settings.analyses["mine"].tagger == "bdt"
    assert list(settings.analyses) == ["ttbar", "zprime", "mine"]
