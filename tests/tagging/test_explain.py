"""The step that explains a tagger: what it writes, twice the same, what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from fullchain.dag.closure import code
from fullchain.errors import InputError
from fullchain.plotting import figure_set
from fullchain.settings import validate
from fullchain.step import Given
from fullchain.tagging import explain, explanation_figures, explanation_metrics, train
from fullchain.tagging.settings import TaggingSettings

SEVEN = ["n_pf", "width", "ptd", "c_beta", "s_pid", "s_frag", "e_q"]

SMALL = {
    "observables": [*SEVEN, "mass", "tau32"],
    "jets": 800,
    "replicas": 10,
    "distance_jets": 60,
    "surrogate_epochs": 10,
    "disentangled": {"dimensions": 2, "layers": [8], "epochs": 2, "batch_size": 64},
    "attribution": {"jets": 15, "background": 8, "coalitions": 60},
    "formula": {"population": 40, "generations": 4, "max_length": 12, "jets": 200},
}


def settings_of(values: dict[str, Any], architecture: dict[str, Any]) -> Given:
    tagging = values["tagging"]
    tagger = {**tagging["taggers"]["pfn"], "architecture": architecture}
    full = TaggingSettings.model_validate(
        {**tagging, "explanation": SMALL, "taggers": {"pfn": tagger}}
    )
    return Given({"seed": values["seed"], "tagging": full.model_dump(mode="json")})


@pytest.fixture(scope="module")
def files(signal_jets: list[Path], background_jets: list[Path]) -> dict[str, Any]:
    return {
        "jets": [*signal_jets, *background_jets],
        "samples": ["tt"] * len(signal_jets) + ["qcd"] * len(background_jets),
    }


def trained(folder: Path, files: dict[str, Any], settings: Given) -> Path:
    path = folder / "model.pt"
    train.main(
        **files,
        tagger="pfn",
        member="fold0_seed0",
        model=path,
        history=folder / "history.json",
        settings=settings,
    )
    return path


def explained(folder: Path, files: dict[str, Any], model: Path, settings: Given) -> Path:
    path = folder / "explanation.json"
    explain.main(**files, model=model, tagger="pfn", explanation=path, settings=settings)
    return path


@pytest.fixture(scope="module")
def network(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, Any], values: dict[str, Any]
) -> tuple[Path, Given]:
    settings = settings_of(values, {"kind": "pfn", "phi": [16, 16], "f": [12]})
    folder = tmp_path_factory.mktemp("network")
    return explained(folder, files, trained(folder, files, settings), settings), settings


def test_a_network_is_explained(network: tuple[Path, Given]) -> None:
    found = json.loads(network[0].read_text())
    assert found["network_auc"]["value"] > 0.95
    assert found["components"]["width"] == 12
    assert [one["name"] for one in found["observables"]] == SMALL["observables"]
    # Three prongs are wide and heavy: what separates, separates here too.
    width = found["observables"][1]
    assert width["auc"]["value"] > 0.8 and width["auc"]["signal_is_higher"]
    shares = found["components"]["variance"]["value"]
    assert shares == sorted(shares, reverse=True) and 0.5 < sum(shares) <= 1 + 1e-9
    pearson = np.array(found["components"]["pearson"]["value"], dtype=float)
    assert pearson.shape == (4, 9) and abs(pearson[0, 1]) > 0.5
    attribution, formula = found["attribution"], found["formula"]
    assert attribution["explains"] == "surrogate" and attribution["largest_gap"] < 1e-3
    grouped = [name for group in attribution["groups"] for name in group]
    assert sorted(grouped) == sorted(SMALL["observables"])
    assert formula["formula"]["auc"]["value"] > 0.8
    assert formula["text"] == formula["front"][formula["chosen"]]["text"]
    assert {"network", "surrogate", "formula"} <= set(formula)
    assert found["left_out"] == {}


def test_two_explanations_are_equal(
    network: tuple[Path, Given], files: dict[str, Any], tmp_path: Path
) -> None:
    path, settings = network
    again = explained(tmp_path, files, path.with_name("model.pt"), settings)
    assert again.read_bytes() == path.read_bytes()


def test_numbers_are_of_jets_that_were_not_trained_on(network: tuple[Path, Given]) -> None:
    found = json.loads(network[0].read_text())
    total = sum(found["jets"].values())
    # 35 % of the events are the test part.
    assert 0.25 * total < found["jets"]["test"] < 0.45 * total
    assert sum(found["test_jets"].values()) == found["jets"]["test"]


def test_figures_and_rows_follow_from_the_file(network: tuple[Path, Given], tmp_path: Path) -> None:
    found = json.loads(network[0].read_text())
    figures = figure_set(tmp_path / "index.json", "tagging")
    explanation_figures.draw(figures, found)
    names = [entry["name"] for entry in figures.entries]
    assert names == [
        f"explanation_pfn_{one}" for one in ("components", "disentangled", "shap", "formula")
    ]
    assert found["formula"]["text"] in figures.entries[-1]["caption"]
    rows = {row.name: row for row in explanation_metrics.metrics(found)}
    assert rows["pfn.explanation.formula_auc"].value == found["formula"]["formula"]["auc"]["value"]
    assert found["formula"]["text"] in str(rows["pfn.explanation.formula_auc"].note)
    assert all(row.uncertainty >= 0 and row.published is None for row in rows.values())


def test_observables_that_need_charges_are_left_out_where_files_tell_none(
    files: dict[str, Any],
    values: dict[str, Any],
    write_jets: Callable[..., Path],
    tmp_path: Path,
) -> None:
    architecture = {"kind": "mlp", "features": ["mass", "tau32"], "layers": [8], "dropout": [0.0]}
    settings = settings_of(values, architecture)
    model = trained(tmp_path, files, settings)
    chargeless = []
    for number, path in enumerate(files["jets"]):
        table = pyarrow.parquet.read_table(path)
        place = table.schema.get_field_index("constituents")
        jets = [
            [{**particle, "charge": 0, "pdgId": 0} for particle in jet]
            for jet in table.column(place).to_pylist()
        ]
        column = pyarrow.array(jets, type=table.schema.field(place).type)
        changed = table.set_column(place, table.schema.field(place), column)
        chargeless.append(write_jets(changed, f"chargeless_{number}"))
    found = json.loads(
        explained(tmp_path, {**files, "jets": chargeless}, model, settings).read_text()
    )
    why = "the files do not tell the charge of the particles"
    assert found["left_out"] == {"s_pid": why, "e_q": why}
    names = [one["name"] for one in found["observables"]]
    assert names == [name for name in SMALL["observables"] if name not in ("s_pid", "e_q")]
    assert found["attribution"]["names"] == ["mass", "tau32"]
    figures = figure_set(tmp_path / "index.json", "tagging")
    explanation_figures.draw(figures, found)
    assert f"Left out: s_pid, e_q ({why})." in figures.entries[0]["caption"]
    only = settings.values["tagging"]["explanation"] | {"observables": ["e_q", "width"]}
    settings.values["tagging"]["explanation"] = only
    with pytest.raises(InputError, match="e_q tell nothing of the jets of tt, qcd"):
        explained(tmp_path, {**files, "jets": chargeless}, model, settings)


def test_trees_are_explained_by_their_observables_alone(
    files: dict[str, Any], values: dict[str, Any], tmp_path: Path
) -> None:
    architecture = {"kind": "trees", "features": ["mass", "tau32"], "iterations": 20}
    settings = settings_of(values, architecture)
    path = explained(tmp_path, files, trained(tmp_path, files, settings), settings)
    found = json.loads(path.read_text())
    assert found["components"] is None and found["disentangled"] is None
    assert found["attribution"]["explains"] == "tagger"
    assert found["attribution"]["names"] == ["mass", "tau32"]
    assert "surrogate" not in found["formula"]
    figures = figure_set(tmp_path / "index.json", "tagging")
    explanation_figures.draw(figures, found)
    assert [entry["name"] for entry in figures.entries] == [
        "explanation_pfn_shap",
        "explanation_pfn_formula",
    ]
    assert all("component" not in row.name for row in explanation_metrics.metrics(found))


def test_a_class_without_jets_is_named(
    network: tuple[Path, Given], files: dict[str, Any], tmp_path: Path
) -> None:
    only = {name: [one for one in files[name]][:2] for name in files}
    with pytest.raises(InputError, match="no qcd jets"):
        explained(tmp_path, only, network[0].with_name("model.pt"), network[1])


def test_at_most_the_number_of_jets_that_is_asked_for(
    network: tuple[Path, Given], files: dict[str, Any]
) -> None:
    from fullchain.tagging import explained_jets, model_file
    from fullchain.tagging.explanation_settings import ExplanationSettings
    from fullchain.tagging.settings import SelectionSettings, SplitSettings

    path, settings = network
    one = model_file.load(path.with_name("model.pt"))
    how = ExplanationSettings.model_validate({**SMALL, "jets": 200})
    question = explained_jets.Question(
        list(zip(files["jets"], files["samples"], strict=True)),
        one.settings,
        SelectionSettings(),
        SplitSettings(),
        settings.seed,
        one.member,
        how,
    )
    found = explained_jets.read(question, one.tagger.view, SEVEN)
    counts = np.bincount(found.target)
    assert (np.abs(counts - 100) < 4 * np.sqrt(100)).all()
    sums = [found.weight[found.target == number].sum() for number in (0, 1)]
    assert sums[0] == pytest.approx(sums[1])


def test_a_tagger_that_is_not_there_cannot_be_explained() -> None:
    with pytest.raises(InputError, match="no tagger is called pnf"):
        validate({"tagging": {"explanation": {"taggers": ["pnf"]}}})


@pytest.mark.parametrize("wanted", [None, [], ["pfn"]])
def test_all_taggers_are_explained_unless_some_are_named(wanted: list[str] | None) -> None:
    settings = validate({"tagging": {"explanation": {"taggers": wanted}}})
    assert settings.tagging is not None
    names = ("pfn", "bdt", "w_mlp") if wanted is None else tuple(wanted)
    assert settings.tagging.explained == names


def test_nothing_of_the_explanation_is_part_of_the_training() -> None:
    training, explanation = code("tagging.train"), code("tagging.explain")
    for name in ("attribution", "explain", "formula_choice", "symbolic_regression", "disentangled"):
        assert f'fullchain.tagging.{name}"' not in training
        assert f'fullchain.tagging.{name}"' in explanation
    for package in ("shap", "pyoperon"):
        assert f'"{package}"' not in training and f'"{package}"' in explanation
    assert '"matplotlib"' not in explanation
