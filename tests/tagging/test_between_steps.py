"""The steps for a tagger between two generators: files, columns, numbers, figures, refusals."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pyarrow.parquet
import pytest
import torch
import uproot

from fullchain.errors import InputError
from fullchain.learning.roc import area, roc_curve
from fullchain.metrics import read_metrics
from fullchain.step import Given
from fullchain.tagging import (
    evaluate,
    export_friend,
    export_onnx,
    members,
    plot,
    predict,
    score_files,
    tabulate,
    train,
)
from fullchain.tagging.conditioned import PARAMETER, at_parameter
from fullchain.tagging.jets_reading import read
from fullchain.tagging.model_file import load, read_models
from fullchain.tagging.tagger import probabilities
from fullchain.tagging.views import view_of

Values = dict[str, Any]

BOTH = {"tt": "tt_a14", "qcd": "qcd_a14"}
GRID = [0.0, 0.5, 1.0]


@pytest.fixture(scope="module")
def between_values(values: Values) -> Values:
    changed = copy.deepcopy(values)
    tagger = changed["tagging"]["taggers"]["pfn"]
    tagger["between"] = {"samples": BOTH, "working_point": "best"}
    changed["tagging"]["training"]["epochs"] = 4
    changed["tagging"]["evaluation"] |= {"interpolation": GRID, "replicas": 20}
    changed["tagging"]["evaluation"]["alternatives"] = {
        "other": {"qcd": "qcd_other"},
        "a14": {**BOTH, "wjet": "wjet_a14"},
    }
    return changed


@pytest.fixture(scope="module")
def files(
    toy: Callable[..., pyarrow.Table],
    write_jets: Callable[..., Path],
    signal_jets: list[Path],
    background_jets: list[Path],
) -> dict[str, list[Path]]:
    """In the second generator, tops have two prongs, or one; a third one has background only."""
    tops = pyarrow.concat_tables(
        [
            toy(21, 300, signal=True, axes=2),
            toy(25, 100, signal=True, axes=1, first_event=300),
        ]
    )
    return {
        "tt": signal_jets,
        "qcd": background_jets,
        "tt_a14": [write_jets(tops, "tt_a14")],
        "qcd_a14": [write_jets(toy(22, 400, signal=False), "qcd_a14")],
        "qcd_other": [write_jets(toy(23, 200, signal=False), "qcd_other")],
    }


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, list[Path]], between_values: Values
) -> Path:
    """Folder with model, scores, performance, metrics and figures."""
    folder = tmp_path_factory.mktemp("between")
    settings = Given(between_values)
    used = [name for name in files if name != "qcd_other"]
    train.main(
        jets=[path for name in used for path in files[name]],
        samples=[name for name in used for _ in files[name]],
        tagger="pfn",
        member="fold0_seed0",
        model=folder / "model.pt",
        history=folder / "history.json",
        settings=settings,
    )
    export_onnx.main(models=[folder / "model.pt"], onnx=folder / "model.onnx", settings=Given({}))
    for name, jets in files.items():
        predict.main(
            jets=jets,
            sample=name,
            models=[folder / "model.pt"],
            scores=folder / f"{name}.parquet",
            settings=settings,
        )
    evaluate.main(
        jets=[path for paths in files.values() for path in paths],
        samples=[name for name, paths in files.items() for _ in paths],
        scores=[folder / f"{name}.parquet" for name in files],
        tagger="pfn",
        performance=folder / "performance.json",
        settings=settings,
    )
    tabulate.main(
        performance=[folder / "performance.json"],
        metrics=folder / "metrics.json",
        settings=settings,
    )
    plot.main(
        performance=[folder / "performance.json"],
        history=[folder / "history.json"],
        index=folder / "figures/index.json",
        settings=settings,
    )
    return folder


def everything(files: list[Path], particles: int) -> Any:
    return read(files, [], particles, lambda columns: np.ones(len(columns["pt"]), bool))


def test_columns_of_scores_are_those_of_the_model_at_each_r(
    results: Path, files: dict[str, list[Path]]
) -> None:
    table = pyarrow.parquet.read_table(results / "qcd_a14.parquet")
    model = load(results / "model.pt")
    arrays = view_of(model.settings).arrays(everything(files["qcd_a14"], 24))
    point = float(model.tagger.working_point)
    assert score_files.working_point(results / "qcd_a14.parquet") == round(point, 6)
    cpu = torch.device("cpu")
    for name, r in (("score", point), ("score_r0", 0.0), ("score_r0p5", 0.5), ("score_r1", 1.0)):
        expected = probabilities(model.tagger, at_parameter(arrays, r), cpu)[:, 0]
        np.testing.assert_allclose(table.column(name).to_numpy(), expected, atol=1e-6)
    assert (table.column("score_r0").to_numpy() != table.column("score_r1").to_numpy()).any()
    text = table.schema.field("score_r1").metadata[b"description"]
    assert b"part 1 of the second generator" in text
    history = json.loads((results / "history.json").read_text())
    assert history["between"]["working_point"] == pytest.approx(point)
    # Training and validation jets are those of both generators.
    assert set(table.column("split").to_pylist()) == {"train", "validation", "test"}


def test_onnx_is_the_score_at_the_working_point(
    results: Path, files: dict[str, list[Path]]
) -> None:
    expected = pyarrow.parquet.read_table(results / "tt.parquet").column("score").to_numpy()
    model = load(results / "model.pt")
    arrays = view_of(model.settings).arrays(everything(files["tt"], 24))
    session = onnxruntime.InferenceSession(results / "model.onnx")
    assert PARAMETER not in [one.name for one in session.get_inputs()]
    np.testing.assert_allclose(session.run(["score"], arrays)[0], expected, atol=1e-5)
    metadata = {one.key: one.value for one in onnx.load(results / "model.onnx").metadata_props}
    assert float(metadata["working_point"]) == round(float(model.tagger.working_point), 6)


def test_friend_has_the_scores_of_all_r(
    results: Path, between_values: Values, tmp_path: Path
) -> None:
    export_friend.main(
        scores=results / "tt.parquet",
        ntuples=[],
        tagger="pfn",
        friend=tmp_path / "tt.root",
        settings=Given(between_values),
    )
    table = pyarrow.parquet.read_table(results / "tt.parquet")
    with uproot.open(tmp_path / "tt.root") as root:
        tree = root["Jets"]
        for name in ("score", "score_r0", "score_r0p5", "score_r1"):
            np.testing.assert_array_equal(
                tree[name].array(library="np"), table.column(name).to_numpy()
            )


def test_performance_at_each_r_is_that_of_the_columns(
    results: Path, files: dict[str, list[Path]]
) -> None:
    measured = json.loads((results / "performance.json").read_text())
    between = measured["between"]
    assert set(between["simulations"]) == {"first", "second", "other"}
    assert between["samples"]["second"] == BOTH and between["best"]
    assert between["r"] == sorted({*GRID, between["working_point"]})
    for simulation, names in (("first", ("tt", "qcd")), ("second", ("tt_a14", "qcd_a14"))):
        scores: dict[float, list[np.ndarray]] = {r: [] for r in GRID}
        truth = []
        for name in names:
            jets = pyarrow.concat_tables([pyarrow.parquet.read_table(p) for p in files[name]])
            table = pyarrow.parquet.read_table(results / f"{name}.parquet")
            pt, eta = (jets.column(one).to_numpy() for one in ("pt", "eta"))
            keep = (pt >= 500) & (pt < 700) & (np.abs(eta) < 2)
            keep &= np.array(jets.column("variation").to_pylist()) == "nominal"
            keep &= np.array(table.column("split").to_pylist()) == "test"
            truth.append(np.full(keep.sum(), name.startswith("tt")))
            for r, column in zip(GRID, ("score_r0", "score_r0p5", "score_r1"), strict=True):
                scores[r].append(table.column(column).to_numpy()[keep])
        found = between["simulations"][simulation]
        assert sum(found["jets"].values()) == sum(map(len, truth))
        for r in GRID:
            expected = area(roc_curve(np.concatenate(scores[r]), np.concatenate(truth)))
            (point,) = [one for one in found["points"] if one["r"] == r]
            assert point["auc"]["value"] == pytest.approx(expected, abs=1e-6)
            assert point["auc"]["deviation"] > 0 or expected == 1.0
    (at,) = [k for k, r in enumerate(between["r"]) if r == between["working_point"]]
    first = between["simulations"]["first"]
    assert first["points"][at]["auc"]["value"] == pytest.approx(measured["auc"]["value"])
    # Of other simulations, all jets are measured; of the second generator the test part only.
    assert between["simulations"]["other"]["jets"]["qcd"] > first["jets"]["qcd"] / 5
    assert first["variation"]["auc"]["values"][at] == {"value": 0.0, "deviation": 0.0}
    point = first["variation"]["working_points"][0]
    assert point["signal"]["values"][at]["value"] == 0.0
    assert point["signal"]["uncertainty"]["value"] >= 0
    second = [one["auc"]["value"] for one in between["simulations"]["second"]["points"]]
    assert max(second) < 1.0
    assert 0 <= between["rule"]["value"] <= 1


def test_stand_ins_of_training_are_measured_on_their_test_part(results: Path) -> None:
    measured = json.loads((results / "performance.json").read_text())
    second = measured["between"]["simulations"]["second"]["jets"]
    assert measured["alternatives"]["a14"]["jets"] == second


def test_metrics_and_figures(results: Path) -> None:
    _, rows = read_metrics(results / "metrics.json")
    found = {row.name: row for row in rows}
    for name in ("first.auc", "second.auc", "first.auc_r0", "second.auc_r1", "second.auc_from_r"):
        assert found[f"pfn.between.{name}"].uncertainty >= 0
    assert "tt_a14" in found["pfn.between.second.auc"].label
    index = json.loads((results / "figures/index.json").read_text())
    names = {entry["name"]: entry for entry in index}
    for name in ("between_pfn", "resilience_pfn"):
        assert (results / f"figures/{name}.pdf").stat().st_size > 1000
        assert "second generator" in names[name]["caption"]


def test_trainings_share_the_mean_of_their_working_points(results: Path, tmp_path: Path) -> None:
    paths = []
    for seed, point in enumerate((0.2, 0.6)):
        content = torch.load(results / "model.pt", weights_only=True)
        content["member"]["seed"] = seed
        content["state"]["working_point"] = torch.tensor(point)
        paths.append(tmp_path / f"{seed}.pt")
        torch.save(content, paths[-1])
    models = read_models(paths)
    assert [float(one.tagger.working_point) for one in models] == pytest.approx([0.4, 0.4])


def test_with_folds_jets_of_both_generators_have_the_score_of_one_fold(
    between_values: Values,
) -> None:
    from fullchain.tagging.settings import TaggerSettings

    tagger = {**between_values["tagging"]["taggers"]["pfn"], "folds": 2}
    settings = TaggerSettings.model_validate(tagger)
    found = members.scored_by_fold(settings.training_samples, {})
    assert found == {"tt", "qcd", "tt_a14", "qcd_a14"}


@pytest.mark.parametrize(
    ("left_out", "message"), [("tt_a14", "no files of jets of tt_a14"), ("qcd", "of qcd, which")]
)
def test_a_missing_sample_is_named(
    left_out: str,
    message: str,
    files: dict[str, list[Path]],
    between_values: Values,
    tmp_path: Path,
) -> None:
    used = [name for name in files if name not in (left_out, "qcd_other")]
    with pytest.raises(InputError, match=message):
        run(used, files, between_values, tmp_path)


def test_a_class_without_jets_of_the_second_generator_is_named(
    toy: Callable[..., pyarrow.Table],
    write_jets: Callable[..., Path],
    files: dict[str, list[Path]],
    between_values: Values,
    tmp_path: Path,
) -> None:
    wrong = [write_jets(toy(24, 40, signal=True, labels=(3,)), "tt_wrong")]
    changed = {name: paths for name, paths in files.items() if name != "qcd_other"}
    with pytest.raises(InputError, match=r"no top jets in samples tt_a14: .*W"):
        run(list(changed), {**changed, "tt_a14": wrong}, between_values, tmp_path)


def test_scores_of_one_generator_are_refused(results: Path, tmp_path: Path) -> None:
    with score_files.ScoreWriter(tmp_path / "plain.parquet", ["top", "qcd"], 1):
        pass
    with pytest.raises(InputError, match="of one generator"):
        score_files.working_point(tmp_path / "plain.parquet")


def test_a_bayesian_network_may_be_between_generators(
    files: dict[str, list[Path]], between_values: Values, tmp_path: Path
) -> None:
    both = copy.deepcopy(between_values)
    both["tagging"]["taggers"]["pfn"]["bayesian"] = {"layers": "last", "samples": 10}
    both["tagging"]["training"]["epochs"] = 2
    run([name for name in files if name != "qcd_other"], files, both, tmp_path)
    predict.main(
        jets=files["tt"],
        sample="tt",
        models=[tmp_path / "model.pt"],
        scores=tmp_path / "tt.parquet",
        settings=Given(both),
    )
    columns = pyarrow.parquet.read_table(tmp_path / "tt.parquet").to_pydict()
    assert np.min(columns["score_std"]) > 0
    assert np.ptp([columns[name] for name in ("score_r0", "score_r1")], axis=0).max() > 0
    (model,) = read_models([tmp_path / "model.pt"])
    view = view_of(model.settings)
    arrays = view.arrays(read(files["tt"], [], view.n_constituents, _all))
    point = float(model.tagger.working_point)
    there = probabilities(model.tagger, at_parameter(arrays, point), torch.device("cpu"))
    np.testing.assert_allclose(columns["score"], there[:, 0], atol=1e-6)


def _all(columns: dict[str, Any]) -> Any:
    return np.ones(len(columns["pt"]), bool)


def run(used: list[str], files: dict[str, list[Path]], values: Values, folder: Path) -> None:
    train.main(
        jets=[path for name in used for path in files[name]],
        samples=[name for name in used for _ in files[name]],
        tagger="pfn",
        member="fold0_seed0",
        model=folder / "model.pt",
        history=folder / "history.json",
        settings=Given(values),
    )
