"""Our taggers beside published ones, the cost table, and the configuration of the reference set."""

import json
from pathlib import Path
from typing import Any

import pytest

from fullchain.errors import InputError
from fullchain.setting_files import merge, read_yaml
from fullchain.settings import Settings, validate
from fullchain.stage_tables import Number, read_tables
from fullchain.step import Given
from fullchain.tagging import landscape, tables
from fullchain.tagging.architectures import Architecture
from fullchain.tagging.published import NETWORKS, VALUES, published_name

REFERENCE = {"train": "top_tagging", "test": "top_tagging"}


def performance(**changes: Any) -> dict[str, Any]:
    rejection = {"value": 300.0, "uncertainty": 12.0, "is_limit": False}
    limit = {"value": 900.0, "uncertainty": 0.0, "is_limit": True}
    return {
        "tagger": "pfn",
        "classes": {
            "top": {"samples": ["train", "test"], "labels": ["top"]},
            "qcd": {"samples": ["train", "test"], "labels": ["gluon", "light"]},
        },
        "selection": {"pt_min": 550.0, "pt_max": 650.0},
        "auc": {"value": 0.98, "deviation": 0.001},
        "accuracy": {"value": 0.93, "deviation": 0.002},
        "working_points": [
            {"signal_efficiency": 0.3, "rejection": limit},
            {"signal_efficiency": 0.5, "rejection": rejection},
        ],
        "seeds": None,
        **changes,
    }


def test_weights_of_a_file_say_nothing_of_their_training() -> None:
    table = landscape.table([performance()], {"pfn": None}, REFERENCE)
    assert table.rows[0][1] == "weights of a file"
    assert "weights of a file, trained elsewhere" in table.caption


def test_rows_of_ours_and_of_papers_have_the_same_columns() -> None:
    table = landscape.table([performance()], {"pfn": 1_200_000}, REFERENCE)
    ours, *papers = table.rows
    assert table.marked == (0,)
    assert ours[2:6] == [
        Number(0.93, 0.002), Number(0.98, 0.001), Number(300.0, 12.0),
        Number(900.0, 0.0, limit="lower"),
    ]  # fmt: skip
    names = [row[0] for row in papers]
    assert len(set(names)) == len(papers) == len(VALUES) + len(landscape.OTHERS)
    (lorentznet,) = (row for row in papers if str(row[0]).startswith("LorentzNet"))
    assert lorentznet[2:] == [
        Number(0.942, None, decimals=3), Number(0.9868, None, decimals=4),
        Number(498.0, 18.0, decimals=0), Number(2195.0, 173.0, decimals=0),
        "LorentzNet of 2201.08187; value not checked there",
    ]  # fmt: skip
    assert all(row[-1] for row in papers)


def test_trainings_with_several_seeds_have_a_row_of_their_spread() -> None:
    seeds = {
        "number": 3,
        "auc": {"mean": 0.979, "deviation": 0.0005},
        "accuracy": {"mean": 0.929, "deviation": 0.001},
        "working_points": [
            {"signal_efficiency": 0.3, "rejection": {"mean": None, "deviation": None}},
            {"signal_efficiency": 0.5, "rejection": {"mean": 290.0, "deviation": 7.0}},
        ],
    }
    table = landscape.table([performance(seeds=seeds)], {"pfn": 5}, REFERENCE)
    assert table.marked == (0, 1)
    assert "single" in str(table.rows[1][0]) and "3 trainings" in str(table.rows[1][-1])
    assert table.rows[1][2:6] == [
        Number(0.929, 0.001), Number(0.979, 0.0005), Number(290.0, 7.0), None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "jets", "layouts", "words"),
    [
        ({}, 1_211_000, REFERENCE, ["of the same data set."]),
        ({}, 3000, REFERENCE, ["the same data set: 3000 jets to train on instead of 1.2 million"]),
        ({}, 3000, {}, ["not to be compared", "another simulation (samples test, train)"]),
        ({"selection": {"pt_min": 500.0, "pt_max": 700.0}}, 2_000_000, {}, ["500-700 GeV"]),
    ],
)
def test_the_caption_says_how_the_data_differ(
    changes: dict[str, Any], jets: int, layouts: dict[str, str], words: list[str]
) -> None:
    table = landscape.table([performance(**changes)], {"pfn": jets}, layouts)
    assert all(word in table.caption for word in words)
    assert ("not to be compared" in table.caption) == (not layouts)


def test_taggers_of_other_jets_are_named_and_not_compared() -> None:
    classes = {
        "W": {"samples": ["a"], "labels": ["W"]},
        "qcd": {"samples": ["b"], "labels": ["gluon"]},
    }
    w = performance(tagger="w", classes=classes)
    table = landscape.table([performance(), w], {"pfn": 5, "w": 5}, REFERENCE)
    assert table.marked == (0,) and "Not in the table" in table.caption and " w." in table.caption


def test_the_step_writes_both_tables(tmp_path: Path) -> None:
    rates = [{"batch": 1, "median": 10.0, "low": 9.0, "high": 12.0, "repeats": 3}]
    runtime = {"memory_mb": {"peak": 300.0, "added": 12.3}, "rates": rates}
    cost = {
        "tagger": "pfn", "trainings": 3, "threads": 1, "size": {"value": 8, "unit": "weights"},
        "operations": {"value": 5e6, "deviation": 1e5},
        "torch": runtime, "onnxruntime": {**runtime, "memory_mb": None},
    }  # fmt: skip
    history = {"tagger": "pfn", "jets": {"train": {"top": 3, "qcd": 4}}}
    paths = {"performance": performance(), "history": history, "cost": cost}
    for name, content in paths.items():
        (tmp_path / name).write_text(json.dumps(content))
    values = {"ntuples": Settings().model_dump(mode="json")["ntuples"]}
    found = tmp_path / "tables.json"
    arguments: dict[str, Any] = {name: [tmp_path / name] for name in paths}
    tables.main(**arguments, tables=found, settings=Given(values))
    stage, (ours, costs) = read_tables(found)
    assert stage == "tagging" and (ours.name, costs.name) == ("landscape", "cost")
    assert ours.rows[0][1] == Number(7.0, 0.0)
    assert [row[1] for row in costs.rows] == ["torch", "onnxruntime"]
    assert costs.rows[0][2:] == [
        Number(3.0, 0.0), Number(8.0, 0.0), Number(5e6, 1e5), "10 (9.0 – 12)", Number(12.3),
    ]  # fmt: skip
    assert costs.rows[1][-1] is None
    (tmp_path / "cost").write_text("{}")
    with pytest.raises(InputError, match="cost: has no operations"):
        tables.main(**arguments, tables=found, settings=Given(values))


@pytest.fixture(scope="module")
def reference_run(project: Path) -> Settings:
    files = [project / "config" / name for name in ("config.yaml", "top_landscape.yaml")]
    return validate(merge(*map(read_yaml, files)), "the configuration")


def test_the_reference_run_has_every_tagger_three_times(reference_run: Settings) -> None:
    assert reference_run.tagging is not None
    taggers = reference_run.tagging.taggers
    kinds = {one.model_fields["kind"].default for one in Architecture.__args__[0].__args__}  # type: ignore[attr-defined]
    assert {one.architecture.kind for one in taggers.values()} == kinds
    published = {
        published_name(one.architecture.model_dump(mode="json")) for one in taggers.values()
    }
    assert published >= set(NETWORKS)
    for one in taggers.values():
        assert one.seeds >= 3 and one.n_constituents == 128 and not one.rotate
        assert one.reweighting.reference == "none" and one.inputs == "kin"
    for one in reference_run.tagging.robustness.perturbations.values():
        assert one.particles == "all"


@pytest.mark.parametrize("name", ["benchmark", "paper"])
def test_large_runs_measure_other_tunes_and_showers_with_three_seeds(
    project: Path, name: str
) -> None:
    files = [project / "config" / f"{one}.yaml" for one in ("config", name)]
    chosen = validate(merge(*map(read_yaml, files)), name)
    assert chosen.tagging is not None
    alternatives = chosen.tagging.evaluation.alternatives
    assert set(alternatives) == {"a14", "cp5", "vincia"}
    for generator, samples in alternatives.items():
        for stand_in in samples.values():
            sample = chosen.ntuples.samples[stand_in]
            assert generator in (getattr(sample, "tune", ""), getattr(sample, "shower", ""))
    assert all(one.seeds >= 3 for one in chosen.tagging.taggers.values())
