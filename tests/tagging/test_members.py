"""Folds and seeds: no jet is scored by a training that saw it."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow.parquet
import pytest
import torch
from pydantic import ValidationError

from fullchain.errors import InputError
from fullchain.learning.split import TEST, TRAIN, VALIDATION, fold
from fullchain.step import Given
from fullchain.tagging import (
    evaluate,
    export_onnx,
    members,
    plot,
    predict,
    tabulate,
    train,
)
from fullchain.tagging.jets_reading import read
from fullchain.tagging.members import Member, member_of
from fullchain.tagging.model_file import load
from fullchain.tagging.settings import SplitSettings, TaggerSettings, TaggingSettings
from fullchain.tagging.tagger import probabilities
from fullchain.tagging.views import view_of

Values = dict[str, Any]

FOLDS, SEEDS = 2, 2
HASHES = np.random.default_rng(0).uniform(size=20_000)


@pytest.mark.parametrize("folds", [2, 3, 5])
def test_each_event_is_left_out_once_and_never_trains_there(folds: int) -> None:
    fractions = SplitSettings(validation=0.2, test=0.3)
    parts = np.stack([members.parts(HASHES, folds, fractions, "qcd", k) for k in range(folds)])
    assert ((parts == TEST).sum(axis=0) == 1).all()
    assert (parts[members.fold_of(HASHES, folds), np.arange(len(HASHES))] == TEST).all()
    # Of what is not left out, a fifth validates; an event always does, or never.
    assert (parts == VALIDATION).mean() == pytest.approx(0.2 * (folds - 1) / folds, abs=0.01)
    assert set(parts[0]) == {TRAIN, VALIDATION, TEST}
    recorded = members.recorded_parts(HASHES, folds, fractions, "qcd")
    assert set(recorded) == {VALIDATION, TEST}
    assert ((recorded == VALIDATION) == (parts == VALIDATION).any(axis=0)).all()
    # What is fitted to the scores and leaves out a fold has the parts of the training that does.
    for k in range(folds):
        np.testing.assert_array_equal(members.parts_without(recorded, HASHES, folds, k), parts[k])


def test_one_fold_is_the_split_by_parts() -> None:
    fractions = SplitSettings(validation=0.15, test=0.35)
    parts = members.parts(HASHES, 1, fractions, "qcd")
    assert ((parts == TEST) == (HASHES >= 0.65)).all()
    recorded = members.recorded_parts(HASHES, 1, fractions, "qcd")
    assert (parts == recorded).all()
    assert (parts == members.parts_without(recorded, HASHES, 1, 0)).all()


def test_a_sample_may_belong_to_one_part() -> None:
    fractions = SplitSettings(validation=0.15, test=0.35, samples={"toptag_val": "validation"})
    assert set(members.parts(HASHES, 1, fractions, "toptag_val")) == {VALIDATION}
    assert set(members.recorded_parts(HASHES, 1, fractions, "toptag_val")) == {VALIDATION}
    assert set(members.parts(HASHES, 1, fractions, "qcd")) == {TRAIN, VALIDATION, TEST}


def test_folds_of_a_divided_sample_are_refused() -> None:
    tagger = {"pfn": {"folds": 2}}
    with pytest.raises(ValidationError, match=r"taggers\.pfn\.folds: split\.samples puts tt"):
        TaggingSettings.model_validate({"split": {"samples": {"tt": "train"}}, "taggers": tagger})


@pytest.mark.parametrize("name", ["fold2_seed0", "fold00_seed0", "seed0", "fold0_seed0x"])
def test_a_member_that_is_none_is_named(name: str) -> None:
    with pytest.raises(InputError, match=f"member {name}: the tagger has 2 folds"):
        member_of(name, TaggerSettings(folds=2))


@pytest.fixture(scope="module")
def changed(values: Values) -> Values:
    """Settings of two folds and two seeds, with two epochs of training."""
    result = copy.deepcopy(values)
    result["tagging"]["taggers"]["pfn"] |= {"folds": FOLDS, "seeds": SEEDS}
    result["tagging"]["training"]["epochs"] = 2
    result["tagging"]["evaluation"]["alternatives"] = {"other": {"qcd": "qcd_other"}}
    return result


def training(
    folder: Path, jets: dict[str, list[Path]], values: Values, member: str, tagger: str = "pfn"
) -> Path:
    model = folder / member / "model.pt"
    train.main(
        jets=[path for paths in jets.values() for path in paths],
        samples=[name for name, paths in jets.items() for _ in paths],
        tagger=tagger,
        member=member,
        model=model,
        history=model.with_name("history.json"),
        settings=Given(values),
    )
    return model


@pytest.fixture(scope="module")
def models(
    tmp_path_factory: pytest.TempPathFactory,
    signal_jets: list[Path],
    background_jets: list[Path],
    changed: Values,
) -> list[Path]:
    folder = tmp_path_factory.mktemp("folds")
    jets = {"tt": signal_jets, "qcd": background_jets}
    everyone = members.members(FOLDS, SEEDS)
    return [training(folder, jets, changed, member.name) for member in everyone]


def scored(models: list[Path], sample: str, jets: list[Path], values: Values, path: Path) -> Any:
    predict.main(jets=jets, sample=sample, models=models, scores=path, settings=Given(values))
    return pyarrow.parquet.read_table(path)


def by_hand(models: list[Path], jets: list[Path]) -> dict[Member, np.ndarray]:
    trained = [load(path) for path in models]
    chosen = trained[0].settings
    everything = read(jets, [], chosen.n_constituents, lambda s: np.ones(len(s["pt"]), bool))
    arrays = view_of(chosen).arrays(everything)
    place = torch.device("cpu")
    return {one.member: probabilities(one.tagger, arrays, place)[:, 0] for one in trained}


@pytest.mark.parametrize(("sample", "out_of_fold"), [("qcd", True), ("qcd_other", True), ("x", 0)])
def test_jets_are_scored_by_who_did_not_see_them(
    models: list[Path],
    background_jets: list[Path],
    changed: Values,
    tmp_path: Path,
    sample: str,
    out_of_fold: bool,
) -> None:
    table = scored(models, sample, background_jets, changed, tmp_path / "scores.parquet")
    single = by_hand(models, background_jets)
    jets = pyarrow.parquet.read_table(background_jets[0])
    ones = np.ones(len(jets), dtype=int)
    hashes = fold(ones, ones, jets.column("event").to_numpy(), changed["seed"])
    mine = members.fold_of(hashes, FOLDS)
    for seed in range(SEEDS):
        pair = np.stack([single[Member(k, seed)] for k in range(FOLDS)])
        expected = pair[mine, np.arange(len(jets))] if out_of_fold else pair.mean(axis=0)
        np.testing.assert_allclose(table.column(f"seed{seed}_score"), expected, atol=1e-6)
    seeds = [table.column(f"seed{seed}_score").to_numpy() for seed in range(SEEDS)]
    np.testing.assert_allclose(table.column("score"), np.mean(seeds, axis=0), atol=1e-6)
    assert np.abs(seeds[0] - seeds[1]).max() > 1e-3
    assert set(table.column("split").to_pylist()) == {"validation", "test"}


def test_all_trainings_in_one_onnx_file(
    models: list[Path],
    background_jets: list[Path],
    tmp_path: Path,
) -> None:
    export_onnx.main(models=models, onnx=tmp_path / "model.onnx", settings=Given({}))
    single = by_hand(models, background_jets)
    chosen = load(models[0]).settings
    jets = read(background_jets, [], chosen.n_constituents, lambda s: np.ones(len(s["pt"]), bool))
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (score,) = session.run(["score"], view_of(chosen).arrays(jets))
    np.testing.assert_allclose(score, np.mean(list(single.values()), axis=0), atol=1e-5)


def test_trainings_leave_their_fold_out(models: list[Path]) -> None:
    counts = [json.loads(path.with_name("history.json").read_text())["jets"] for path in models]
    first, second = counts[0], counts[SEEDS]
    assert first == counts[1] and first != second
    everything = sum(first[part]["top"] + second[part]["top"] for part in first)
    # 600 events, of which those in the window are in one training each.
    assert 250 < everything < 600


def test_performance_is_of_all_jets_with_the_spread_over_seeds(
    models: list[Path],
    signal_jets: list[Path],
    background_jets: list[Path],
    changed: Values,
    tmp_path: Path,
) -> None:
    files = {"tt": signal_jets, "qcd": background_jets, "qcd_other": background_jets}
    for name, jets in files.items():
        scored(models, name, jets, changed, tmp_path / f"{name}.parquet")
    evaluate.main(
        jets=[path for paths in files.values() for path in paths],
        samples=[name for name, paths in files.items() for _ in paths],
        scores=[tmp_path / f"{name}.parquet" for name in files],
        tagger="pfn",
        performance=tmp_path / "performance.json",
        settings=Given(changed),
    )
    measured = json.loads((tmp_path / "performance.json").read_text())
    counts = [json.loads(path.with_name("history.json").read_text())["jets"] for path in models]
    trained = sum(count["train"]["qcd"] + count["validation"]["qcd"] for count in counts[::SEEDS])
    assert measured["jets"]["qcd"] == trained
    assert measured["seeds"]["number"] == SEEDS
    assert measured["seeds"]["auc"]["deviation"] > 0
    assert measured["auc_train"] is None and "top_train" not in measured["scores"]
    # The stand-in has the same jets, scored in the same way: nothing differs.
    (point, _) = measured["alternatives"]["other"]["working_points"]
    assert point["difference"]["auc"]["value"] == pytest.approx(0.0, abs=1e-12)
    assert point["difference"]["auc"]["deviation"] > 0
    rows = {row.name: row for row in tabulate.tagger_metrics(measured)}
    assert rows["pfn.auc_single"].uncertainty_kind == "seeds"
    assert rows["pfn.other.auc_difference"].uncertainty > 0
    histories = [path.with_name("history.json") for path in models]
    index = tmp_path / "figures/index.json"
    plot.main(
        performance=[tmp_path / "performance.json"],
        history=histories,
        index=index,
        settings=Given({}),
    )
    assert (index.parent / "history_pfn.png").stat().st_size > 5000


def test_models_that_do_not_belong_together_are_named(
    models: list[Path], background_jets: list[Path], changed: Values, tmp_path: Path
) -> None:
    path = tmp_path / "scores.parquet"
    with pytest.raises(InputError, match="needed are fold0_seed0, fold0_seed1, fold1_seed0"):
        scored(models[1:], "qcd", background_jets, changed, path)
    with pytest.raises(InputError, match="no models were given"):
        scored([], "qcd", background_jets, changed, path)
    assert not path.exists()


def test_a_fold_without_a_class_is_named(
    tmp_path: Path,
    toy: Callable[..., Any],
    write_jets: Callable[..., Path],
    background_jets: list[Path],
    changed: Values,
) -> None:
    jets = {
        "tt": [write_jets(toy(5, 1, signal=True, pt=(550, 650)), "lonely")],
        "qcd": background_jets,
    }
    with pytest.raises(InputError, match=r"fold \d of 2 has no top jets \(there are 1 in all\)"):
        training(tmp_path, jets, changed, "fold0_seed0")


def test_rows_beyond_the_budget_train_to_the_same_bits(
    models: list[Path],
    tmp_path: Path,
    signal_jets: list[Path],
    background_jets: list[Path],
    changed: Values,
) -> None:
    small = copy.deepcopy(changed)
    small["tagging"]["training"]["memory_budget_mb"] = 0.01
    jets = {"tt": signal_jets, "qcd": background_jets}
    model = training(tmp_path, jets, small, "fold0_seed0")
    first, second = (torch.load(path)["state"] for path in (models[0], model))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert sorted(path.name for path in model.parent.iterdir()) == [
        "history.json",
        "model.pt",
    ]
