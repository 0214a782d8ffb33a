"""The step that changes constituents, and the one that measures what a tagger costs."""

import copy
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch

from fullchain.errors import InputError
from fullchain.learning import device
from fullchain.learning.standardise import Standardisation
from fullchain.settings import Settings
from fullchain.step import Given
from fullchain.tagging import complexity, cost, model_file, perturb, predict, timing
from fullchain.tagging.members import Member
from fullchain.tagging.model_file import load
from fullchain.tagging.onnx_file import save_onnx
from fullchain.tagging.selection_settings import SelectionSettings
from fullchain.tagging.settings import TaggerSettings, TaggingSettings
from fullchain.tagging.tagger import Tagger
from fullchain.tagging.trees import TreeEnsemble
from fullchain.tagging.views import view_of

Values = dict[str, Any]


@pytest.fixture(scope="module")
def given(values: Values) -> Values:
    """Settings of a small tagger and of a small study."""
    changed = copy.deepcopy(values)
    changed["jets"] = Settings().model_dump(mode="json")["jets"]
    changed["tagging"]["robustness"] = {
        "max_jets": 60,
        "perturbations": {
            "drop": {"kind": "drop", "strengths": [0.2, 1.0]},
            "drop_charged": {"kind": "drop", "particles": "charged", "strengths": [0.5]},
            "smear_pt": {"kind": "smear_pt", "strengths": [0.1]},
        },
    }
    changed["tagging"]["cost"] = {"batch_sizes": [1, 8], "seconds": 0.01, "flop_jets": 5}
    return changed


def untrained(settings: TaggerSettings, folder: Path) -> Path:
    """A network: what it says of jets does not matter here, only that it says it."""
    torch.manual_seed(3)
    number = 7
    tagger = Tagger(settings, Standardisation((0.0,) * number, (0.3,) * number))
    path = folder / "model.pt"
    model_file.save(path, tagger, settings, SelectionSettings(), Member(0, 0))
    return path


@pytest.fixture(scope="module")
def model(values: Values, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = TaggerSettings.model_validate(values["tagging"]["taggers"]["pfn"])
    return untrained(settings, tmp_path_factory.mktemp("model"))


def run(
    jets: list[tuple[Path, str]], model: Path, folder: Path, given: Values
) -> tuple[str, Values]:
    path = folder / "robustness.json"
    perturb.main(
        jets=[one for one, _ in jets],
        samples=[name for _, name in jets],
        models=[model],
        tagger="pfn",
        robustness=path,
        settings=Given(given),
    )
    text = path.read_text()
    return text, json.loads(text)


def test_the_study_does_not_depend_on_files_or_batches(
    signal_jets: list[Path],
    background_jets: list[Path],
    model: Path,
    tmp_path: Path,
    given: Values,
) -> None:
    jets = [*((path, "tt") for path in signal_jets), *((path, "qcd") for path in background_jets)]
    first, found = run(jets, model, tmp_path, given)
    again, _ = run(jets, model, tmp_path, given)
    assert first == again
    joined = tmp_path / "tt.parquet"
    tables = [pyarrow.parquet.read_table(path) for path in signal_jets]
    pyarrow.parquet.write_table(pyarrow.concat_tables(tables), joined, row_group_size=33)
    other, _ = run([(joined, "tt"), *jets[2:]], model, tmp_path, given)
    assert other == first
    assert found["jets"] == {"top": 60, "qcd": 60}
    assert [(case["perturbation"], case["strength"]) for case in found["cases"]] == [
        ("drop", 0.2), ("drop", 1.0), ("drop_charged", 0.5), ("smear_pt", 0.1),
    ]  # fmt: skip
    assert found["left_out"] == {}


def test_a_jet_without_constituents_passes_no_cut(
    signal_jets: list[Path],
    background_jets: list[Path],
    model: Path,
    tmp_path: Path,
    given: Values,
) -> None:
    jets = [*((path, "tt") for path in signal_jets), *((path, "qcd") for path in background_jets)]
    _, found = run(jets, model, tmp_path, given)
    nothing = found["cases"][1]
    assert nothing["strength"] == 1.0 and nothing["jets_lost"] == 120
    assert nothing["auc"]["value"] == 0.5
    for point in nothing["working_points"]:
        assert point["signal_efficiency"]["value"] == 0
    assert all(case["jets_lost"] == 0 for case in found["cases"] if case is not nothing)


def test_folds_score_each_jet_without_its_own(values: Values, tmp_path: Path) -> None:
    from fullchain.tagging.ensemble import mean_probabilities
    from fullchain.tagging.model_file import Trained
    from fullchain.tagging.tagger import probabilities

    settings = TaggerSettings.model_validate(
        values["tagging"]["taggers"]["pfn"] | {"folds": 2, "seeds": 2}
    )
    trained = []
    for fold in range(2):
        for seed in range(2):
            torch.manual_seed(10 * fold + seed)
            tagger = Tagger(settings, Standardisation((0.0,) * 7, (0.3,) * 7)).eval()
            trained.append(Trained(tagger, settings, Member(fold, seed)))
    generator = np.random.default_rng(2)
    arrays = {
        "constituents": generator.uniform(1, 2, (6, 24, 4)).astype(np.float32),
        "jet": generator.uniform(1, 2, (6, 4)).astype(np.float32),
    }
    folds = np.array([0, 1, 1, 0, 0, 1])
    place = torch.device("cpu")
    each = np.stack([probabilities(one.tagger, arrays, place) for one in trained])
    found = mean_probabilities(trained, arrays, folds, place)
    for jet, fold in enumerate(folds):
        np.testing.assert_allclose(
            found[jet], each[2 * fold : 2 * fold + 2, jet].mean(axis=0), rtol=1e-6
        )
    np.testing.assert_allclose(
        mean_probabilities(trained, arrays, None, place), each.mean(axis=0), rtol=1e-6
    )


def test_missing_samples_are_named(
    signal_jets: list[Path], model: Path, tmp_path: Path, given: Values
) -> None:
    with pytest.raises(InputError, match="no files of jets of qcd"):
        run([(signal_jets[0], "tt")], model, tmp_path, given)
    with pytest.raises(InputError, match="1 files of jets and 2 names"):
        perturb.main(
            jets=signal_jets[:1],
            samples=["tt", "qcd"],
            models=[model],
            tagger="pfn",
            robustness=tmp_path / "a.json",
            settings=Given(given),
        )


def test_operations_of_dense_layers_are_products_and_sums() -> None:
    settings = TaggerSettings.model_validate({"architecture": {"kind": "mlp", "layers": [16, 8]}})
    features = len(settings.architecture.features)  # type: ignore[union-attr]
    tagger = Tagger(settings, Standardisation((0.0,) * features, (1.0,) * features))
    found = complexity.operations(tagger, {"features": torch.rand(3, features)})
    assert found["value"] == 2 * (features * 16 + 16 * 8 + 8 * 2)
    assert found["deviation"] == 0 and found["jets"] == 3
    weights = features * 16 + 16 + 16 * 8 + 8 + 8 * 2 + 2
    assert complexity.size(tagger) == {"value": weights, "unit": "weights"}


def test_attention_is_counted() -> None:
    settings = TaggerSettings.model_validate(
        {
            "n_constituents": 6,
            "architecture": {
                "kind": "part", "embedding": [8], "pairs": [4], "heads": 2, "blocks": 1,
                "class_blocks": 1,
            },
        }
    )  # fmt: skip
    tagger = Tagger(settings, Standardisation((0.0,) * 7, (1.0,) * 7)).eval()
    jets = {"constituents": torch.rand(1, 6, 4) + 1, "jet": torch.rand(1, 4) + 1}
    # One block: queries, keys, values, output (8 x 8 each), scores and their sum (6 x 6 x 8 each),
    # and the dense layers of four times the width, for six particles.
    block = 2 * (4 * 6 * 64 + 2 * 36 * 8 + 2 * 6 * 8 * 32)
    assert complexity.operations(tagger, jets)["value"] > block


def test_comparisons_are_nodes_on_the_way() -> None:
    trees = TreeEnsemble(2, 2)
    # x0 <= 0.5 ? leaf : (x1 <= 0.5 ? leaf : leaf), and a tree that is a leaf.
    state = {
        "feature": torch.tensor([0, 0, 1, 0, 0, 0]),
        "threshold": torch.tensor([0.5, 0.0, 0.5, 0.0, 0.0, 0.0]),
        "branches": torch.tensor([[1, 2], [1, 1], [3, 4], [3, 3], [4, 4], [5, 5]]),
        "missing_right": torch.tensor([True, False, False, False, False, False]),
        "value": torch.zeros(6, dtype=torch.float64),
        "roots": torch.tensor([[0], [5]]),
        "baseline": torch.zeros(1, dtype=torch.float64),
    }
    trees.load_state_dict(state)
    nan = float("nan")
    features = torch.tensor([[0.0, 0.0], [1.0, 0.0], [nan, 1.0]])
    assert complexity.comparisons(trees, features).tolist() == [1, 2, 2]


def test_rates_are_rows_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    # A clock that goes on by a tenth of a second each time somebody looks.
    clock = itertools.count(0.0, 0.1)
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(clock))
    calls: list[int] = []
    found = timing.rates(lambda: calls.append(1), 10, seconds=0.01, repeats=50)
    assert found["repeats"] == 3 and len(calls) == 4
    assert [found[name] for name in ("low", "median", "high")] == pytest.approx([100.0] * 3)
    assert timing.rates(lambda: None, 10, seconds=1e9, repeats=7)["repeats"] == 7


def test_memory_is_that_of_the_call() -> None:
    found = timing.peak_memory(lambda: np.ones(20_000_000).sum())
    if found is None:
        pytest.skip("the system does not tell the largest resident size")
    assert 140 < found["added"] < 400 and found["peak"] > found["added"]


def test_a_tagger_with_its_own_training_is_scored_with_its_threads_and_device(
    signal_jets: list[Path], values: Values, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"training": {"threads": 2, "device": "auto"}}
    settings = TaggerSettings.model_validate(values["tagging"]["taggers"]["pfn"] | own)
    model = untrained(settings, tmp_path)
    asked: list[Any] = []
    choose, repeatable = device.choose, device.repeatable
    monkeypatch.setattr(device, "choose", lambda name: asked.append(name) or choose(name))
    monkeypatch.setattr(device, "repeatable", lambda n: asked.append(n) or repeatable(n))
    # The rule passes no common training then.
    common = {name: part for name, part in values["tagging"].items() if name != "training"}
    scores = tmp_path / "scores.parquet"
    predict.main(
        jets=signal_jets[:1],
        sample="tt",
        models=[model],
        scores=scores,
        settings=Given({"seed": 1, "tagging": common}),
    )
    assert asked == ["auto", 2]
    assert pyarrow.parquet.read_metadata(scores).num_rows == 300


def of_another_tagger(folder: Path, **changes: Any) -> Path:
    """An ONNX file of a tagger that was not trained."""
    sizes = {"architecture": {"kind": "pfn", "phi": [4], "f": [4]}}
    settings = TaggerSettings.model_validate(sizes | changes)
    number = len(view_of(settings).features)
    scale = Standardisation((0.0,) * number, (1.0,) * number)
    path = folder / "other/model.onnx"
    path.parent.mkdir(exist_ok=True)
    save_onnx(path, [Tagger(settings, scale)], settings)
    return path


def test_cost_is_measured_in_both_runtimes(
    signal_jets: list[Path],
    background_jets: list[Path],
    model: Path,
    tmp_path: Path,
    given: Values,
) -> None:
    trained = load(model)
    onnx = tmp_path / "model.onnx"
    save_onnx(onnx, [trained.tagger], trained.settings)
    result = tmp_path / "cost.json"
    arguments: dict[str, Any] = {
        "jets": [*signal_jets, *background_jets],
        "models": [model],
        "tagger": "pfn",
        "cost": result,
        "settings": Given(given),
    }
    cost.main(onnx=onnx, **arguments)
    found = json.loads(result.read_text())
    for runtime in ("torch", "onnxruntime"):
        assert [rate["batch"] for rate in found[runtime]["rates"]] == [1, 8]
        assert all(rate["median"] > 0 for rate in found[runtime]["rates"])
    assert found["trainings"] == 1 and found["jets"] == 9
    assert found["size"]["value"] == sum(one.numel() for one in trained.tagger.parameters())
    # Files of other taggers: more particles of a jet, and observables in their place.
    message = r"model\.onnx: takes constituents .*\[30, 4\].* sees constituents .*\[24, 4\]"
    with pytest.raises(InputError, match=message):
        cost.main(onnx=of_another_tagger(tmp_path, n_constituents=30), **arguments)
    sizes = {"kind": "mlp", "layers": [4], "dropout": [0.0], "features": ["mass"]}
    message = r"model\.onnx: takes features tensor\(float\) \[1\] .* sees constituents"
    with pytest.raises(InputError, match=message):
        cost.main(onnx=of_another_tagger(tmp_path, architecture=sizes), **arguments)
    onnx.write_bytes(b"no model")
    with pytest.raises(InputError, match="not an ONNX file"):
        cost.main(onnx=onnx, **arguments)


def test_defaults_are_documented_and_few() -> None:
    perturbations = TaggingSettings().robustness.perturbations
    assert {one.kind for one in perturbations.values()} == {"drop", "smear_pt", "smear_angles"}
    assert sum(len(one.strengths) for one in perturbations.values()) <= 12
