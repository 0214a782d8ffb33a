"""Settings of generated samples: what is refused, and what Pythia accepts."""

import itertools

import pydantic
import pytest

from fullchain.errors import InputError
from fullchain.ntuples import processes, pythia_events
from fullchain.ntuples.generation_settings import BeamSettings, GeneratedSample, PoolSettings
from fullchain.ntuples.sample_part import blocks_of
from fullchain.ntuples.settings import NtuplesSettings

QCD = {"process": "qcd", "events": 1000, "pthat_min": 525.0, "pthat_max": 675.0}


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"events": 250}, "events = 250 is not a multiple of 100"),
        ({"events_per_job": 150}, "events_per_job = 150 is not a multiple of 100"),
        ({"pthat_min": 700.0}, "is not below pthat_max"),
        ({"pthat_min": None}, "diverges"),
        ({"process": "minbias"}, "remove them"),
        ({"process": "zprime"}, "remove them"),
        ({"process": "scalar"}, "remove them"),
        ({"shower": "vincia", "shower_weights": True}, "simple shower only"),
        ({"shower": "vincia", "tune": "a14"}, "tune a14"),
        (
            {
                "process": "minbias",
                "pthat_min": None,
                "pthat_max": None,
                "shower_weights": True,
            },
            "minbias",
        ),
        ({"pileup_profile": {20: -1.0}}, "negative"),
        ({"pileup_profile": {20: 0.0}}, "no positive probability"),
        ({"process": "tth"}, "'qcd', 'tt'"),
        ({"pileups": 50}, "pileups"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict, complaint: str) -> None:
    GeneratedSample(**QCD)
    with pytest.raises(pydantic.ValidationError, match=complaint):
        GeneratedSample(**{**QCD, **changes})


def test_pool_is_made_of_whole_blocks() -> None:
    with pytest.raises(pydantic.ValidationError, match="multiple"):
        PoolSettings(events=1050)


def test_a_null_removes_a_default_sample() -> None:
    samples = {**NtuplesSettings().model_dump()["samples"], "qcd": None}
    assert "qcd" in NtuplesSettings().samples
    assert "qcd" not in NtuplesSettings(samples=samples).samples


def test_the_last_part_holds_the_rest() -> None:
    sample = GeneratedSample(**{**QCD, "events": 700, "events_per_job": 300})
    assert [blocks_of("qcd", sample, part) for part in ("0000", "0001", "0002")] == [
        (0, 3),
        (3, 3),
        (6, 1),
    ]
    with pytest.raises(InputError, match="has no part 0003"):
        blocks_of("qcd", sample, "0003")


@pytest.mark.parametrize(
    ("process", "tune"),
    list(itertools.product(processes.HARD_PROCESS, processes.TUNE)),
)
def test_pythia_accepts_every_line(process: str, tune: str) -> None:
    import pythia8mc

    hard = process in ("qcd", "tt", "wjet", "zjet", "zmumu")
    sample = GeneratedSample(
        process=process,
        tune=tune,
        events=100,
        pthat_min=525.0 if hard else None,
        shower_weights=process != "minbias",
    )
    lines = processes.sample_lines(sample, BeamSettings())
    pythia = pythia8mc.Pythia("", False)
    for line in (*lines, *processes.reuse_lines("some/file.mpi", write=False)):
        assert pythia.readString(line), line


def test_the_integral_leaves_showers_out() -> None:
    sample = GeneratedSample(**QCD, shower_weights=True)
    lines = processes.process_level_lines(processes.sample_lines(sample, BeamSettings()))
    assert not any(line.startswith("UncertaintyBands") for line in lines)
    assert "PartonLevel:all = off" in lines
    assert "PhaseSpace:pTHatMin = 525.0" in lines


def test_a_wrong_line_is_named() -> None:
    with pytest.raises(InputError, match="HardQCD:everything"):
        pythia_events.open_pythia(["Print:quiet = on", "HardQCD:everything = on"])


def test_another_top_mass_reaches_pythia() -> None:
    import pythia8mc

    sample = GeneratedSample(process="tt", events=100, top_mass=169.5)
    pythia = pythia8mc.Pythia("", False)
    for line in processes.sample_lines(sample, BeamSettings()):
        assert pythia.readString(line), line
    assert pythia.particleData.m0(6) == 169.5
