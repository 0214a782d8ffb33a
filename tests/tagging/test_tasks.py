"""Tasks from configuration: which jets, how many classes, which architecture."""

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow.parquet
import pytest
import torch
from pydantic import ValidationError

from fullchain.accounting import Account
from fullchain.errors import InputError
from fullchain.learning.calibration import fit_temperature
from fullchain.learning.calibration import probabilities as probabilities_of
from fullchain.learning.rows import Table
from fullchain.settings import validate
from fullchain.step import Given
from fullchain.tagging import (
    evaluate,
    export_onnx,
    plot,
    predict,
    tabulate,
    train,
    training_data,
)
from fullchain.tagging.comparisons import discriminant
from fullchain.tagging.jets_reading import read
from fullchain.tagging.model_file import load
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.tagger import probabilities
from fullchain.tagging.views import view_of

Values = dict[str, Any]

QCD = {"samples": ["qcd"], "labels": ["gluon", "light"]}
TOP = {"samples": ["tt"], "labels": ["top"], "fully_contained": True}
W = {"samples": ["wjet"], "labels": ["W"], "fully_contained": True}
QUARK = {"samples": ["qcd"], "labels": ["light"]}
GLUON = {"samples": ["qcd"], "labels": ["gluon"]}
Z = {"samples": ["wjet"], "labels": ["Z"], "fully_contained": True}

TASKS = {
    "top": {"top": TOP, "qcd": QCD},
    "w": {"w": W, "qcd": QCD},
    "quark": {"quark": QUARK, "gluon": GLUON},
    "five": {"t": TOP, "q": QUARK, "g": GLUON, "W": W, "Z": Z},
}


@pytest.fixture(scope="module")
def files(toy: Callable[..., Any], write_jets: Callable[..., Path]) -> dict[str, Path]:
    """Jets with one, two and three prongs; one sample feeds several classes."""
    tables = {
        "qcd": toy(1, 400, signal=False, labels=(0, 1)),
        "tt": toy(2, 250, signal=True),
        "wjet": toy(3, 400, signal=True, axes=2, labels=(3, 4)),
    }
    return {name: write_jets(table, f"task_{name}") for name, table in tables.items()}


def changed(values: Values, **tagger: Any) -> Values:
    result = copy.deepcopy(values)
    own = result["tagging"]["taggers"]["pfn"]
    if "classes" in tagger:
        own["signal"] = ""
    own["reweighting"] = own["reweighting"] | {"bins": 2}
    validated = TaggerSettings.model_validate(own | tagger)
    result["tagging"]["taggers"]["pfn"] = validated.model_dump(mode="json")
    result["tagging"]["training"]["epochs"] = 2
    return result


def run_training(folder: Path, files: dict[str, Path], values: Values) -> Path:
    chosen = TaggerSettings.model_validate(values["tagging"]["taggers"]["pfn"])
    model = folder / "model.pt"
    train.main(
        jets=[files[name] for name in chosen.samples],
        samples=list(chosen.samples),
        tagger="pfn",
        member="fold0_seed0",
        model=model,
        history=folder / "history.json",
        # As a rule passes them: with all keys sorted.
        settings=Given(json.loads(json.dumps(values, sort_keys=True))),
    )
    return model


@pytest.mark.parametrize("task", TASKS)
def test_a_task_goes_from_jets_to_figures(
    task: str,
    files: dict[str, Path],
    values: Values,
    tmp_path: Path,
) -> None:
    values = changed(values, classes=TASKS[task])
    names = list(TASKS[task])
    model = run_training(tmp_path, files, values)
    settings = Given(values)
    chosen = load(model).settings
    assert chosen.class_names[0] == names[0] and set(chosen.class_names) == set(names)
    for sample in chosen.samples:
        path = tmp_path / f"{sample}.parquet"
        predict.main(
            jets=[files[sample]], sample=sample, models=[model], scores=path, settings=settings
        )
        table = pyarrow.parquet.read_table(path)
        own = [name for name in table.column_names if name.startswith("score_")]
        if len(names) == 2:
            assert own == []
            continue
        assert own == [f"score_{name}" for name in chosen.class_names]
        every = np.stack([table.column(name).to_numpy() for name in own])
        np.testing.assert_allclose(every.sum(axis=0), 1.0, atol=1e-5)
        np.testing.assert_array_equal(every[0], table.column("score").to_numpy())
    evaluate.main(
        jets=[files[sample] for sample in chosen.samples],
        samples=list(chosen.samples),
        scores=[tmp_path / f"{sample}.parquet" for sample in chosen.samples],
        tagger="pfn",
        performance=tmp_path / "performance.json",
        settings=settings,
    )
    measured = json.loads((tmp_path / "performance.json").read_text())
    assert list(measured["jets"]) == list(chosen.class_names)
    pairs = [f"{names[0]}_vs_{name}" for name in sorted(names[1:])] if len(names) > 2 else []
    assert list(measured["comparisons"]) == pairs
    rows = {row.name for row in tabulate.tagger_metrics(measured)}
    assert {f"pfn.{pair}.auc" for pair in pairs} | {"pfn.auc"} <= rows
    if task != "five":
        return
    assert "pfn.class_accuracy" in rows
    matrix = np.array(measured["class_accuracy"]["matrix"])
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0)
    # Three prongs against one: learnt in two epochs.
    assert measured["comparisons"]["t_vs_q"]["auc"]["value"] > 0.6
    index = tmp_path / "figures/index.json"
    plot.main(
        performance=[tmp_path / "performance.json"],
        history=[tmp_path / "history.json"],
        index=index,
        settings=Given({}),
    )
    assert (index.parent / "score_pfn.png").stat().st_size > 5000


ARCHITECTURES: dict[str, dict[str, Any]] = {
    "pfn": {"phi": [8, 8], "f": [8]},
    "efn": {"phi": [8, 8], "f": [8]},
    "particlenet": {"neighbours": 3, "blocks": [[8, 8]], "fc": [8]},
    "part": {"embedding": [8, 8], "pairs": [4], "heads": 2, "blocks": 1, "class_blocks": 1},
    "lgatr": {"blocks": 1, "vector_channels": 2, "scalar_channels": 4, "heads": 1, "expansion": 1},
    "lund": {"blocks": [[8, 8]], "fusion": 8, "head": [8]},
    "mlp": {"layers": [8], "dropout": [0.0], "features": ["mass", "tau32", "msoftdrop"]},
    "trees": {"iterations": 5, "features": ["mass", "tau32", "msoftdrop"]},
}


def tensors(model: Path, files: dict[str, Path]) -> tuple[Any, dict[str, Any]]:
    trained = load(model)
    view = view_of(trained.settings)
    jets = read(
        [files["tt"]],
        list(view.columns),
        view.n_constituents,
        lambda scalars: np.ones(len(scalars["pt"]), bool),
        fields=view.fields,
    )
    return trained, view.arrays(jets)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_every_architecture_trains_and_is_exported(
    kind: str, files: dict[str, Path], values: Values, tmp_path: Path
) -> None:
    architecture = {"kind": kind, **ARCHITECTURES[kind]}
    inputs = "kin" if kind in ("lgatr", "efn") else "full"
    values = changed(
        values, architecture=architecture, inputs=inputs, n_constituents=12, classes=TASKS["top"]
    )
    values["tagging"]["training"]["epochs"] = 1
    model = run_training(tmp_path, files, values)
    trained, arrays = tensors(model, files)
    assert json.loads((tmp_path / "history.json").read_text())["parameters"] > 10
    found = probabilities(trained.tagger, arrays, torch.device("cpu"))
    assert found.shape == (250, 2) and np.isfinite(found).all() and found[:, 0].std() > 0
    export_onnx.main(models=[model], onnx=tmp_path / "model.onnx", settings=Given({}))
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    for number in (1, 250):
        given = {name: array[:number] for name, array in arrays.items()}
        (score,) = session.run(["score"], given)
        np.testing.assert_allclose(score, found[:number, 0], atol=1e-5)
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["fields"]) == list(view_of(trained.settings).fields)
    # The least that a jet can be: no particles, no declustering, no observable that exists.
    least = {"constituents": 0.0, "mask": False, "features": np.nan}
    for name, array in arrays.items():
        array[[3, 70]] = least.get(name, array[[3, 70]])
    found = probabilities(trained.tagger, arrays, torch.device("cpu"))
    nothing = np.isin(np.arange(250), [3, 70]) & ("constituents" in arrays)
    np.testing.assert_array_equal(np.isnan(found[:, 0]), nothing)
    (score,) = session.run(["score"], arrays)
    np.testing.assert_allclose(score, found[:, 0], atol=1e-5, equal_nan=True)


def test_jets_of_one_particle_have_an_empty_lund_plane_and_a_score(
    toy: Callable[..., Any], write_jets: Callable[..., Path], values: Values, tmp_path: Path
) -> None:
    architecture = {"kind": "lund", **ARCHITECTURES["lund"]}
    values = changed(values, architecture=architecture, classes=TASKS["top"], n_constituents=12)
    values["tagging"]["training"]["epochs"] = 1
    files = {}
    for seed, name in enumerate(("tt", "qcd")):
        table = toy(seed, 300, signal=name == "tt")
        place = table.schema.get_field_index("constituents")
        lists = table.column("constituents").to_pylist()
        # A tenth of the jets: in each part of the events.
        single = [one[:1] if row % 10 == 0 else one for row, one in enumerate(lists)]
        field = table.schema.field("constituents")
        column = pyarrow.array(single, type=field.type)
        files[name] = write_jets(table.set_column(place, field, column), f"single_{name}")
    model = run_training(tmp_path, files, values)
    scores = {name: tmp_path / f"{name}.parquet" for name in files}
    for name, path in scores.items():
        predict.main(
            jets=[files[name]], sample=name, models=[model], scores=path, settings=Given(values)
        )
        found = pyarrow.parquet.read_table(path).column("score").to_numpy()
        # Nothing tells them apart, so that they have one score.
        assert np.isfinite(found).all() and len(set(found[::10])) == 1 and len(set(found)) > 200
    given = {
        "jets": list(files.values()),
        "samples": list(files),
        "tagger": "pfn",
        "performance": tmp_path / "performance.json",
        "settings": Given(values),
    }
    evaluate.main(scores=list(scores.values()), **given)
    assert json.loads(given["performance"].read_text())["jets"]["top"] > 20
    table = pyarrow.parquet.read_table(scores["tt"])
    table = table.set_column(
        table.schema.get_field_index("score"),
        table.schema.field("score"),
        pyarrow.array(np.full(300, np.nan, np.float32), from_pandas=False),
    )
    pyarrow.parquet.write_table(table, scores["tt"])
    with pytest.raises(InputError, match=r"tt\.parquet: the jet with run 1, .*event .* no score"):
        evaluate.main(scores=list(scores.values()), **given)


@pytest.mark.parametrize("column", ["tau32", "msoftdrop"])
def test_an_infinite_observable_is_named_with_file_and_jet(
    column: str,
    toy: Callable[..., Any],
    write_jets: Callable[..., Path],
    values: Values,
    files: dict[str, Path],
    tmp_path: Path,
) -> None:
    table = toy(2, 250, signal=True)
    numbers = table.column(column).to_numpy().copy()
    numbers[np.abs(table.column("eta").to_numpy()) < 1] = np.inf
    place = table.schema.get_field_index(column)
    own = write_jets(table.set_column(place, column, pyarrow.array(numbers)), f"infinite_{column}")
    # As an observable of the tagger, and as one whose spectrum is changed.
    sizes = {"kind": "mlp", "layers": [8], "dropout": [0.0], "features": ["mass", "tau32"]}
    values = changed(
        values,
        architecture=sizes,
        classes=TASKS["top"],
        reweighting={"variables": ["pt", "msoftdrop"], "bins": 2},
    )
    message = rf"infinite_{column}\.parquet: the jet with run 1, .*event \d+, .*: {column} is inf"
    with pytest.raises(InputError, match=message):
        run_training(tmp_path, {**files, "tt": own}, values)


def test_a_spectrum_may_be_of_an_observable_that_some_jets_do_not_have(
    toy: Callable[..., Any], write_jets: Callable[..., Path], values: Values, tmp_path: Path
) -> None:
    values = changed(
        values, classes=TASKS["top"], reweighting={"variables": ["npu", "tau32"], "bins": 3}
    )
    values["tagging"]["training"]["epochs"] = 1
    files = {}
    for seed, name in enumerate(("tt", "qcd")):
        table = toy(seed, 300, signal=name == "tt")
        numbers = table.column("tau32").to_numpy().copy()
        numbers[:: 3 + 2 * seed] = np.nan
        place = table.schema.get_field_index("tau32")
        column = pyarrow.array(numbers, from_pandas=False)
        files[name] = write_jets(table.set_column(place, "tau32", column), f"undefined_{name}")
    model = run_training(tmp_path, files, values)
    history = json.loads((tmp_path / "history.json").read_text())
    assert np.isfinite(history["train"][0]["loss"])
    found = values["tagging"]["taggers"]["pfn"] | {"reweighting": {"variables": ["nonsense"]}}
    values["tagging"]["taggers"]["pfn"] = found
    with pytest.raises(InputError, match=r"undefined_tt\.parquet: no column nonsense"):
        run_training(model.parent / "other", files, values)


def test_every_architecture_has_been_tried() -> None:
    for kind in ARCHITECTURES:
        assert TaggerSettings.model_validate({"architecture": {"kind": kind}})
    with pytest.raises(ValidationError, match="does not match any of the expected tags") as found:
        TaggerSettings.model_validate({"architecture": {"kind": "none"}})
    tags = found.value.errors()[0]["ctx"]["expected_tags"]
    assert set(tags.replace("'", "").split(", ")) == set(ARCHITECTURES)


def test_weights_of_another_architecture_are_refused(
    files: dict[str, Path], values: Values, tmp_path: Path
) -> None:
    model = run_training(tmp_path, files, changed(values, classes=TASKS["top"]))
    content = torch.load(model)
    content["settings"]["architecture"]["phi"] = [32, 32]
    torch.save(content, model)
    with pytest.raises(InputError, match=r"model\.pt: not the weights of this tagger"):
        load(model)


def test_measured_scales_are_those_of_each_view(
    files: dict[str, Path], values: Values, tmp_path: Path
) -> None:
    architecture = {"kind": "mlp", **ARCHITECTURES["mlp"]}
    values = changed(values, architecture=architecture, classes=TASKS["top"])
    trained, arrays = tensors(run_training(tmp_path, files, values), files)
    shift = trained.tagger.standardise.subtract.numpy()
    # Masses in GeV, tau32 of order one.
    assert 50 < shift[0] < 200 and 0.4 < shift[1] < 0.8
    # That no observable exists is something to know of a jet: it has the score of the medians.
    arrays["features"][3], arrays["features"][4] = np.nan, shift
    found = probabilities(trained.tagger, arrays, torch.device("cpu"))
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[3], found[4])


@pytest.mark.parametrize(
    ("tagger", "message"),
    [
        ({"classes": {"a": QCD, "b": GLUON}, "signal": "a"}, "a and b both take jets of sample"),
        ({"classes": {"a": QCD}, "signal": "a"}, "at least 2 items"),
        ({"signal": "w"}, "no class is called 'w'"),
        ({"reweighting": {"reference": "w"}}, "reweighting.reference: no class is called 'w'"),
        ({"classes": {"flat": GLUON}}, "'flat' cannot name a class"),
        ({"classes": {"a b": GLUON, "qcd": None}}, "'a b' is no name"),
    ],
)
def test_wrong_classes_are_named(tagger: dict[str, Any], message: str) -> None:
    classes = {"top": None, "qcd": None} if "a" in tagger.get("classes", {}) else {}
    tagger = {**tagger, "classes": {**classes, **tagger.get("classes", {})}}
    with pytest.raises(InputError, match=message):
        validate({"tagging": {"taggers": {"pfn": tagger}}})


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        ({"pairs": [["top", "w"]]}, "no tagger has the classes top and w"),
        ({"pairs": [["top", "top"]]}, "top cannot be told from itself"),
        ({"alternatives": {"a14": {"tt": "tt_a15"}}}, "alternatives.a14: no sample .* 'tt_a15'"),
        ({"alternatives": {"a14": {"t": "tt_a14"}}}, "alternatives.a14: no sample is called 't'"),
        ({"bins": {"pt": [500, 400]}}, "bins.pt: at least two edges that rise"),
    ],
)
def test_wrong_measurements_are_named(evaluation: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        validate({"tagging": {"evaluation": evaluation}})


def test_the_first_class_is_the_signal_whatever_sorts_the_keys() -> None:
    chosen = TaggerSettings.model_validate({"classes": TASKS["five"]})
    again = json.loads(json.dumps(chosen.model_dump(mode="json"), sort_keys=True))
    names = TaggerSettings.model_validate(again).class_names
    assert names == chosen.class_names == ("t", "W", "Z", "g", "q")


def test_samples_without_files_are_named(
    files: dict[str, Path], values: Values, tmp_path: Path
) -> None:
    without = {name: path for name, path in files.items() if name != "wjet"}
    with pytest.raises(KeyError):
        run_training(tmp_path, without, changed(values, classes=TASKS["five"]))
    chosen = TaggerSettings.model_validate({"classes": TASKS["five"]})
    with pytest.raises(InputError, match="no files of jets of wjet"):
        training_data.named([files["qcd"], files["tt"]], ["qcd", "tt"], chosen)
    with pytest.raises(InputError, match="1 files of jets and 2 names"):
        training_data.named([files["qcd"]], ["qcd", "tt"], chosen)


def test_a_discriminant_is_a_likelihood_ratio() -> None:
    generator = np.random.default_rng(1)
    p = generator.dirichlet([1.0, 1.0, 1.0], 50)
    found = discriminant(p, 0, [1, 2])
    ratio = p[:, 0] / p[:, 1:].mean(axis=1)
    np.testing.assert_allclose(found / (1 - found), ratio)
    np.testing.assert_allclose(discriminant(p, 1, [2]), p[:, 1] / (p[:, 1] + p[:, 2]))
    two = np.stack([p[:, 0], 1 - p[:, 0]], axis=1)
    np.testing.assert_allclose(discriminant(two, 0, [1]), p[:, 0])
    assert discriminant(np.array([[0.0, 0.0, 1.0]]), 0, [1]) == 0.5


def test_probabilities_of_single_precision_have_a_temperature() -> None:
    generator = np.random.default_rng(2)
    true = generator.normal(size=(40_000, 3))
    honest = probabilities_of(true)
    target = (honest.cumsum(axis=1) < generator.uniform(size=(len(honest), 1))).sum(axis=1)
    proud = probabilities_of(true, 1 / 2.5).astype(np.float32)
    found = fit_temperature(evaluate.logits(proud.astype(float)), target)
    assert found.value == pytest.approx(2.5, rel=0.03)
    assert np.isfinite(evaluate.logits(np.array([[0.0, 1.0]]))).all()


IMPORTS = """
import sys
from fullchain.tagging import predict, train
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.tagger import network_of
from fullchain.tagging.views import view_of

chosen = TaggerSettings()
network_of(chosen, view_of(chosen))
print(*[name for name in ("sklearn", "lgatr", "numba") if name in sys.modules])
"""


def test_a_network_does_not_import_the_libraries_of_others() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


@pytest.mark.parametrize("lengths", [(3, 1), (3, 3)])
def test_tensors_that_lost_jets_are_refused(lengths: tuple[int, int]) -> None:
    batches = {
        part: Table({"weight": torch.ones(length), "x": torch.ones(length, 2)})
        for part, length in zip(training_data.USED, lengths, strict=True)
    }
    accounts = {"tt": Account(7, 3, {"of no class": 4}), "qcd": Account(2, 2)}
    with pytest.raises(InputError, match=rf"weight of {sum(lengths)} jets, but 5 were chosen"):
        training_data._check_kept(batches, accounts)
