"""Jets of tables of observables: read, and from the table to performance through the steps."""

import copy
import json
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow.parquet
import pytest
import uproot

from fullchain.errors import InputError
from fullchain.ntuples import convert
from fullchain.settings import validate
from fullchain.step import Given
from fullchain.tagging import cost, evaluate, predict, scored_jets, tabulate
from fullchain.tagging import train as training
from fullchain.tagging.jets_reading import FULL, IDENTITY, concatenate, count, stream
from fullchain.tagging.model_file import read_models
from fullchain.tagging.settings import SelectionSettings, TaggerSettings

Values = dict[str, Any]
SIZES = {"train": 600, "val": 200, "test": 300}
FEATURES = ("mass", "tau21", "c2", "d2", "zcutdef")
SELECTION = {"pt_min": 0.0, "pt_max": 1e4, "abs_eta_max": 5.0}


def rows(seed: int, jets: int) -> np.ndarray:
    """Toy jets as the public set stores them: W bosons have a mass peak and a small d2."""
    random = np.random.default_rng(seed)
    w = np.arange(jets) % 2 == 0
    result = random.uniform(0.1, 1.0, (jets, 12))
    peak = (random.normal(80.4, 8.0, jets) - 50) / 250
    result[:, 0] = np.where(w, peak, random.exponential(0.3, jets))
    result[:, 1] = random.uniform(300, 400, jets)
    result[:, 4] = random.normal(np.where(w, 1.0, 1.6), 0.4)
    result[:, 11] = np.where(w, 0, 1)
    return result


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("published") / "W_high_level.npz"
    arrays = {part: rows(seed, jets) for seed, (part, jets) in enumerate(SIZES.items())}
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="module")
def values(published: Path) -> Values:
    """Settings of two taggers on the three parts, as rules pass them."""
    samples = {
        f"w_{part}": {
            "kind": "ingested", "layout": "w_tagging", "files": [str(published)], "tree": part,
        }
        for part in SIZES
    }  # fmt: skip
    classes = {
        "w": {"samples": list(samples), "labels": ["W"]},
        "qcd": {"samples": list(samples), "labels": ["gluon"]},
    }
    own = {"classes": classes, "jets_from": "ntuples", "selection": SELECTION}
    taggers = {
        "mlp": {**own, "architecture": {"kind": "mlp", "features": FEATURES, "layers": [16, 16]}},
        "trees": {
            **own,
            "architecture": {"kind": "trees", "features": FEATURES, "iterations": 8},
        },
    }
    split = {"w_train": "train", "w_val": "validation", "w_test": "test"}
    tagging = {
        "taggers": {"pfn": None, "bdt": None, **taggers},
        "split": {"samples": split},
        "training": {
            "epochs": 8,
            "batch_size": 64,
            "learning_rate": 0.01,
            "device": "cpu",
            "threads": 1,
        },
        "evaluation": {"replicas": 20, "bins": {"npu": None, "mass": [50, 100, 200], "d2": [0, 3]}},
        "explanation": {"taggers": []},
    }
    overlay = {"seed": 5, "ntuples": {"samples": samples}, "tagging": tagging, "inference": None}
    return validate(overlay).model_dump(mode="json")


@pytest.fixture(scope="module")
def manifests(values: Values, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for sample in (f"w_{part}" for part in SIZES):
        folder = tmp_path_factory.mktemp(sample)
        found[sample] = folder / "0000.json"
        convert.main(
            sample=sample,
            part="0000",
            ntuple=folder / "0000.root",
            manifest=found[sample],
            settings=Given(values),
        )
    return found


def trained(folder: Path, manifests: dict[str, Path], tagger: str, values: Values) -> Path:
    training.main(
        jets=list(manifests.values()),
        samples=list(manifests),
        tagger=tagger,
        member="fold0_seed0",
        model=folder / "model.pt",
        history=folder / "history.json",
        settings=Given(values),
    )
    return folder / "model.pt"


def write(path: Path, **branches: Any) -> Path:
    with uproot.recreate(path) as file:
        file.mktree("tree", {name: column.dtype for name, column in branches.items()})
        file["tree"].extend(branches)
    return path


@pytest.mark.parametrize("tagger", ["mlp", "trees"])
def test_from_the_table_to_the_performance(
    tagger: str, manifests: dict[str, Path], values: Values, tmp_path: Path
) -> None:
    settings = Given(values)
    model = trained(tmp_path, manifests, tagger, values)
    jets = json.loads((tmp_path / "history.json").read_text())["jets"]
    assert jets["train"] == {"w": 300, "qcd": 300} and jets["validation"] == {"w": 100, "qcd": 100}
    seen = cost._arrays(list(manifests.values()), read_models([model])[0].tagger, 30, 1)
    assert seen["features"].shape == (30, len(FEATURES))
    scores = {sample: tmp_path / f"{sample}.parquet" for sample in manifests}
    for sample, manifest in manifests.items():
        predict.main(
            jets=[manifest],
            sample=sample,
            models=[model],
            scores=scores[sample],
            settings=settings,
        )
    written = pyarrow.parquet.read_table(scores["w_test"])
    assert written.num_rows == count(manifests["w_test"]) == SIZES["test"]
    assert set(written["split"].to_pylist()) == {"test"}
    evaluate.main(
        jets=list(manifests.values()),
        samples=list(manifests),
        scores=list(scores.values()),
        tagger=tagger,
        performance=tmp_path / "performance.json",
        settings=settings,
    )
    measured = json.loads((tmp_path / "performance.json").read_text())
    # The toy has a peak in the mass, and d2 that differs by 1.5 widths.
    assert measured["auc"]["value"] > 0.87 and measured["baseline"] is None
    assert set(measured["dependence"]) >= {"mass", "d2"}
    tabulate.main(
        performance=[tmp_path / "performance.json"],
        metrics=tmp_path / "metrics.json",
        settings=Given({}),
    )
    assert f"{tagger}.auc" in (tmp_path / "metrics.json").read_text()
    # What a decorrelation reads: columns of the table beside class and score.
    found = scored_jets.read(
        {sample: ([manifests[sample]], scores[sample]) for sample in manifests},
        TaggerSettings.model_validate(values["tagging"]["taggers"][tagger]),
        SelectionSettings.model_validate(SELECTION),
        ("mass", "ktdr"),
        splits=("test",),
    )
    stored = rows(2, SIZES["test"])
    order = np.argsort(found.columns["event"])
    np.testing.assert_allclose(found.columns["mass"][order], 50 + 250 * stored[:, 0], rtol=1e-5)
    np.testing.assert_allclose(found.columns["ktdr"][order], stored[:, 9], rtol=1e-6)
    np.testing.assert_array_equal(found.target[order], stored[:, 11])


def test_columns_are_those_of_the_table(manifests: dict[str, Path]) -> None:
    names = ("mass", "ktdr", "label", "weight", "npu", "variation", "label_fully_contained")
    jets = concatenate(list(stream(manifests["w_test"], names, 0, batch_rows=100)))
    stored = rows(2, SIZES["test"])
    np.testing.assert_allclose(jets.scalars["ktdr"], stored[:, 9], rtol=1e-6)
    np.testing.assert_array_equal(jets.scalars["label"], np.where(stored[:, 11] == 0, 3, 0))
    assert set(jets.scalars["variation"]) == {"nominal"} and set(jets.scalars["weight"]) == {1.0}
    assert jets.scalars["label_fully_contained"].all()
    assert not jets.scalars["eta"].any() and not jets.scalars["phi"].any()
    assert jets.constituents.shape == (SIZES["test"], 0, 4)
    # What a measurement looks for, and the table does not tell.
    (other,) = stream(manifests["w_test"], ["msoftdrop", "tau32", "tau21"], 0)
    assert np.isnan(other.scalars["msoftdrop"]).all() and np.isnan(other.scalars["tau32"]).all()
    np.testing.assert_allclose(other.scalars["tau21"], stored[:, 2], rtol=1e-6)


def test_spectra_may_be_those_of_branches_of_the_file(
    values: Values, manifests: dict[str, Path], tmp_path: Path
) -> None:
    changed = copy.deepcopy(values)
    tagger = changed["tagging"]["taggers"]["trees"]
    tagger["reweighting"] |= {"variables": ["pt", "zcutdef", "c2"], "bins": 2}
    model = trained(tmp_path, manifests, "trees", changed)
    assert read_models([model])[0].settings.reweighting.variables == ("pt", "zcutdef", "c2")
    tagger["reweighting"] |= {"variables": ["zcutdeff"]}
    with pytest.raises(InputError, match=r"0000\.root.*does not tell zcutdeff.*mean zcutdef\?"):
        trained(tmp_path, manifests, "trees", changed)
    # Observables that a file need not tell would be NaN for all jets.
    tagger["reweighting"] |= {"variables": ["msoftdrop"]}
    with pytest.raises(InputError, match=r"0000\.root.*does not tell msoftdrop"):
        trained(tmp_path, manifests, "trees", changed)


def test_jets_of_two_parts_of_a_file_are_told_apart(manifests: dict[str, Path]) -> None:
    both = [next(stream(manifests[name], IDENTITY, 0)).scalars for name in ("w_val", "w_test")]
    assert both[0]["event"].tolist() == list(range(SIZES["val"]))
    assert set(both[0]["luminosityBlock"]).isdisjoint(both[1]["luminosityBlock"])


def test_files_of_others_need_no_manifest(tmp_path: Path) -> None:
    jets = 20
    path = write(
        tmp_path / "own.root",
        pt=np.linspace(300, 400, jets),
        mass=np.linspace(50, 90, jets),
        eta=np.linspace(-1, 1, jets),
        weight=np.linspace(0.5, 2, jets),
        tau1=np.r_[0.0, np.full(jets - 1, 0.5)],
        tau2=np.full(jets, 0.25),
        width=np.r_[np.full(jets - 1, 0.5), np.nan],
    )
    names = (*IDENTITY, "weight", "tau21", "width", "label")
    (found,) = stream(path, names, 0, required=("tau21", "width", "mass"))
    np.testing.assert_allclose(found.scalars["eta"], np.linspace(-1, 1, jets), atol=1e-7)
    np.testing.assert_array_equal(found.scalars["weight"], np.linspace(0.5, 2, jets))
    # A quotient that does not exist, and an observable that does not, are NaN.
    assert np.isnan(found.scalars["tau21"]).tolist() == [True] + [False] * (jets - 1)
    assert np.isnan(found.scalars["width"]).tolist() == [False] * (jets - 1) + [True]
    assert set(found.scalars["label"]) == {-1}
    assert found.scalars["event"].tolist() == list(range(jets))


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("width", np.inf, r"own\.root: width is inf in entry 13"),
        ("mass", np.nan, r"own\.root: mass is nan in entry 13"),
        ("weight", np.nan, r"own\.root: weight is nan in entry 13"),
        ("label", 24.0, r"own\.root: label is 24\.0 in entry 13"),
    ],
)
def test_numbers_that_are_none_are_named(
    column: str, value: float, text: str, tmp_path: Path
) -> None:
    branches = {name: np.full(20, 5.0) for name in ("pt", "mass", "weight", "width", "label")}
    branches[column][13] = value
    path = write(tmp_path / "own.root", **branches)
    with pytest.raises(InputError, match=text):
        list(stream(path, ["weight", "width", "label"], 0, batch_rows=7))


def test_columns_that_a_file_does_not_have_are_named(
    manifests: dict[str, Path], values: Values, tmp_path: Path
) -> None:
    table = manifests["w_test"].with_suffix(".root")
    with pytest.raises(
        InputError, match=r"0000\.root: a ROOT file of jets does not tell zcut: .*mean zcutdef\?"
    ):
        next(stream(table, ["zcut"], 0))
    with pytest.raises(InputError, match="does not tell tau32, n_constituents"):
        next(stream(table, ["tau32"], 0, required=["tau32", "n_constituents", "tau21"]))
    changed = json.loads(json.dumps(values))
    changed["tagging"]["taggers"]["mlp"]["architecture"]["features"] = ["mass", "msoftdrop"]
    with pytest.raises(InputError, match=r"0000\.root: a ROOT file .* does not tell msoftdrop"):
        trained(tmp_path, manifests, "mlp", changed)


def test_a_table_has_no_particles(manifests: dict[str, Path]) -> None:
    with pytest.raises(InputError, match=r"0000\.root: is a table of observables, its jets have"):
        next(stream(manifests["w_test"], ["mass"], 10, fields=FULL))


def test_branches_of_jetclass_can_be_features(tmp_path: Path) -> None:
    momenta = {"px": 200.0, "py": 1.0, "pz": 5.0, "energy": 201.0}
    columns: Values = {
        f"part_{name}": ak.unflatten(np.full(12, value, np.float32), np.full(6, 2))
        for name, value in momenta.items()
    }
    columns |= {"jet_pt": np.full(6, 400.0), "jet_width": np.linspace(0, 1, 6)}
    columns |= {"jet_tau1": np.full(6, 0.5), "jet_tau2": np.full(6, 0.2)}
    columns["jet_axes"] = np.ones((6, 2))
    path = tmp_path / "a.root"
    with uproot.recreate(path) as file:
        types = {name: ak.type(ak.Array(column)).content for name, column in columns.items()}
        file.mktree("tree", {**types, "jet_axes": np.dtype((np.float64, (2,)))})
        file["tree"].extend(columns)
    wanted = ["jet_width", "tau21", "mass"]
    (jets,) = stream(path, wanted, 0, required=wanted)
    np.testing.assert_allclose(jets.scalars["jet_width"], np.linspace(0, 1, 6), rtol=1e-6)
    np.testing.assert_allclose(jets.scalars["tau21"], 0.4, rtol=1e-6)
    with pytest.raises(InputError, match=r"a\.root: a ROOT file of jets does not tell jet_axes"):
        next(stream(path, ["jet_axes"], 0))
    # Not asked of the file, soft-drop masses may be NaN; asked of it, they must be there.
    (jets,) = stream(path, ["msoftdrop"], 0)
    assert np.isnan(jets.scalars["msoftdrop"]).all()
    with pytest.raises(InputError, match="does not tell msoftdrop, tau32"):
        next(stream(path, ["msoftdrop"], 0, required=["msoftdrop", "tau32"]))


def test_observables_without_a_symbol_have_their_name() -> None:
    from fullchain.tagging.observable_symbols import standardised, symbol

    assert symbol("tau21") == r"\tau_{21}"
    assert standardised("zcut_def") == r"[\mathrm{zcut\_def}]"
