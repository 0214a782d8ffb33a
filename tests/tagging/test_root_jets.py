"""Jets straight from ROOT files: the same as through the stage jets, from file to scores."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow.parquet
import pytest
import uproot
from pydantic import ValidationError

from fullchain.errors import InputError
from fullchain.jets import cluster
from fullchain.ntuples import ingest
from fullchain.settings import validate
from fullchain.step import Given
from fullchain.tagging import evaluate, export_friend, plot, predict, tabulate, train
from fullchain.tagging.jets_reading import FULL, IDENTITY, concatenate, count, stream

Columns = dict[str, Any]
Values = dict[str, Any]

FLAGS = ("ChargedHadron", "NeutralHadron", "Photon", "Electron", "Muon")
SAMPLE = "mixed"
SCALARS = (*IDENTITY, "weight", "npu", "n_constituents", "label", "label_fully_contained")


def entries(seed: int, number: int) -> Columns:
    """Branches of JetClass: three prongs and one prong in turn, particles in any order."""
    random = np.random.default_rng(seed)
    counts = random.integers(8, 30, number)
    total = int(counts.sum())
    width = random.normal(0, 0.06, (2, total))
    top = np.arange(number) % 2 == 0
    jet = np.repeat(np.arange(number), counts)
    prong = random.integers(0, 3, total)
    axis = random.uniform(0, 2 * np.pi, number)[jet] + 2 * np.pi / 3 * prong
    far = np.where(top, 0.3, 0.0)[jet]
    eta = random.uniform(-1.5, 1.5, number)[jet] + far * np.cos(axis) + width[0]
    phi = random.uniform(-3, 3, number)[jet] + far * np.sin(axis) + width[1]
    pt = random.exponential(1.0, total) + 0.01
    pt *= (random.uniform(480, 720, number) / np.bincount(jet, pt, number))[jet]
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    energy = np.sqrt(px**2 + py**2 + pz**2 + 0.13957**2)
    kind = random.integers(0, 5, total)
    charge = np.where(np.isin(kind, (0, 3, 4)), random.choice([-1, 1], total), 0)
    sums = [np.bincount(jet, x, number) for x in (px, py, pz, energy)]
    jet_pt = np.hypot(sums[0], sums[1])
    particles = {
        **{"part_px": px, "part_py": py, "part_pz": pz, "part_energy": energy},
        "part_charge": charge,
        **{f"part_is{name}": kind == place for place, name in enumerate(FLAGS)},
        # A neutral particle has no track: something stands there all the same.
        **{
            f"part_{name}": np.where(charge == 0, np.nan, random.normal(0, 0.5, total))
            for name in ("d0val", "d0err", "dzval", "dzerr")
        },
    }
    return {
        **{
            name: ak.unflatten(values.astype(np.float32), counts)
            for name, values in particles.items()
        },
        # A calibrated jet is not the sum of its particles.
        "jet_pt": (1.03 * jet_pt).astype(np.float32),
        "jet_eta": np.arcsinh(sums[2] / jet_pt).astype(np.float32),
        "jet_phi": np.arctan2(sums[1], sums[0]).astype(np.float32),
        "jet_energy": sums[3].astype(np.float32),
        "label_Tbqq": top.astype(np.float32),
        "label_QCD": (~top).astype(np.float32),
    }


def write(path: Path, columns: Columns, tree: str = "tree") -> Path:
    with uproot.recreate(path) as file:
        types = {name: ak.type(ak.Array(values)).content for name, values in columns.items()}
        file.mktree(tree, types)
        file[tree].extend(columns)
    return path


def changed(columns: Columns, branch: str, jet: int, particle: int | None, value: float) -> Columns:
    """The same with another number in one place."""
    column = ak.to_list(columns[branch])
    if particle is None:
        column[jet] = value
        return {**columns, branch: np.array(column, np.float32)}
    column[jet][particle] = value
    return {**columns, branch: ak.values_astype(ak.Array(column), np.float32)}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("direct") / "mixed.root", entries(3, 400))


@pytest.fixture(scope="module")
def given(values: Values, root: Path) -> Values:
    """Settings of a tagger on one sample, as rules pass them."""
    result = copy.deepcopy(values)
    classes = {
        "top": {"samples": [SAMPLE], "labels": ["top"]},
        "qcd": {"samples": [SAMPLE], "labels": ["gluon"]},
    }
    own = {**result["tagging"]["taggers"]["pfn"], "classes": classes, "jets_from": "ntuples"}
    own["reweighting"] = {**own["reweighting"], "bins": 2}
    everything = {"pt_min": 1.0, "pt_max": 9e4, "abs_eta_max": 9.0}
    overlay = {
        "seed": result["seed"],
        "ntuples": {"samples": {SAMPLE: {"kind": "ingested", "files": [str(root)]}}},
        "jets": {"selection": {**everything, "identification": False}},
        "tagging": {**result["tagging"], "taggers": {"pfn": own}},
        "inference": None,
    }
    overlay["tagging"]["training"]["epochs"] = 3
    return validate(overlay).model_dump(mode="json")


@pytest.fixture(scope="module")
def made(root: Path, given: Values, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with manifest and table of jets, from the steps before."""
    folder = tmp_path_factory.mktemp("made")
    settings = Given(given)
    manifest, jets = folder / "0000.json", folder / "0000.parquet"
    ingest.main(sample=SAMPLE, part="0000", manifest=manifest, settings=settings)
    cluster.main(manifest=manifest, jets=jets, summary=folder / "summary.json", settings=settings)
    return folder


def trained(folder: Path, jets: Path, given: Values) -> Path:
    train.main(
        jets=[jets],
        samples=[SAMPLE],
        tagger="pfn",
        member="fold0_seed0",
        model=folder / "model.pt",
        history=folder / "history.json",
        settings=Given(given),
    )
    return folder / "model.pt"


def scored(path: Path, model: Path, jets: list[Path], given: Values) -> pyarrow.Table:
    predict.main(jets=jets, sample=SAMPLE, models=[model], scores=path, settings=Given(given))
    return pyarrow.parquet.read_table(path)


@pytest.mark.parametrize("batch_rows", [150, 8192])
def test_the_same_jets_as_through_the_stage_jets(root: Path, made: Path, batch_rows: int) -> None:
    one, other, listed = (
        concatenate(list(stream(path, SCALARS, 20, fields=FULL, batch_rows=batch_rows)))
        for path in (root, made / "0000.parquet", made / "0000.json")
    )
    assert len(one) == 400 and count(root) == count(made / "0000.json") == 400
    nominal = other.where(other.scalars["variation"] == "nominal")
    for name in SCALARS:
        np.testing.assert_array_equal(one.scalars[name], nominal.scalars[name], err_msg=name)
    np.testing.assert_allclose(one.jet_momentum(), nominal.jet_momentum(), rtol=1e-6)
    np.testing.assert_allclose(one.constituents, nominal.constituents, rtol=1e-6)
    np.testing.assert_array_equal(one.constituents, listed.constituents)
    assert set(np.unique(one.scalars["label"])) == {0, 5}


def test_the_same_model_and_scores_as_through_the_stage_jets(
    root: Path, made: Path, given: Values, tmp_path: Path
) -> None:
    found = {}
    for name, jets in (("root", root), ("table", made / "0000.parquet")):
        folder = tmp_path / name
        folder.mkdir()
        model = trained(folder, jets, given)
        found[name] = scored(folder / "scores.parquet", model, [jets], given)
        found[f"{name}_jets"] = json.loads((folder / "history.json").read_text())["jets"]
    table = found["table"].filter(pyarrow.compute.equal(found["table"]["variation"], "nominal"))
    assert found["root_jets"] == found["table_jets"]
    for name in found["root"].column_names:
        one, other = (part.column(name).to_numpy() for part in (found["root"], table))
        if name == "score":
            np.testing.assert_allclose(one, other, atol=1e-5)
            assert one.std() > 0.01
        else:
            assert (one == other).all(), name


def test_from_a_manifest_to_numbers(made: Path, given: Values, tmp_path: Path) -> None:
    manifest = made / "0000.json"
    model = trained(tmp_path, manifest, given)
    scores = tmp_path / "scores.parquet"
    assert scored(scores, model, [manifest], given).num_rows == 400
    performance = tmp_path / "performance.json"
    evaluate.main(
        jets=[manifest],
        samples=[SAMPLE],
        scores=[scores],
        tagger="pfn",
        performance=performance,
        settings=Given(given),
    )
    measured = json.loads(performance.read_text())
    # The file does not tell tau32 nor the soft-drop mass.
    assert measured["baseline"] is None and measured["auc"]["value"] > 0.6
    tabulate.main(performance=[performance], metrics=tmp_path / "metrics.json", settings=Given({}))
    assert "baseline" not in (tmp_path / "metrics.json").read_text()
    assert [label.split(",")[0] for _, label, _, _ in plot._curves([measured])] == ["pfn"]
    assert plot._decade_below([measured]) <= 0.1


def test_observables_of_the_file_are_the_baseline(tmp_path: Path) -> None:
    columns = entries(5, 6)
    for name, value in (("jet_sdmass", 80.0), ("jet_tau2", 0.5), ("jet_tau3", 0.25)):
        columns[name] = np.full(6, value, np.float32)
    columns["jet_tau2"][3] = 0.0
    (jets,) = stream(write(tmp_path / "a.root", columns), ["tau32", "msoftdrop", "tau21"], 0)
    np.testing.assert_array_equal(jets.scalars["tau32"], [0.5] * 3 + [np.nan] + [0.5] * 2)
    assert set(jets.scalars["msoftdrop"]) == {80.0} and np.isnan(jets.scalars["tau21"]).all()
    with pytest.raises(InputError, match=r"a\.root: a ROOT file of jets does not tell d2, n2"):
        next(stream(tmp_path / "a.root", ["d2", "n2"], 0))


@pytest.mark.parametrize("number", [0, 1, 11])
def test_one_row_and_one_friend_for_each_entry(
    number: int, made: Path, given: Values, tmp_path: Path
) -> None:
    model = trained(tmp_path, made / "0000.parquet", given)
    columns = entries(8, max(number, 1))
    jets = write(tmp_path / "odd.root", {n: values[:number] for n, values in columns.items()})
    table = scored(tmp_path / "scores.parquet", model, [jets], given)
    assert table.num_rows == count(jets) == number
    assert table.column("event").to_pylist() == list(range(number))
    assert np.isfinite(table.column("score").to_numpy()).all()
    friend = tmp_path / "friend.root"
    export_friend.main(
        scores=tmp_path / "scores.parquet", tagger="pfn", friend=friend, settings=Given({})
    )
    with uproot.open(friend) as file:
        found = file["Jets"].arrays(["event", "score"], library="np")
    np.testing.assert_array_equal(found["event"], np.arange(number))
    np.testing.assert_array_equal(found["score"], table.column("score").to_numpy())


def test_converted_jets_keep_their_identity(tmp_path: Path) -> None:
    columns = entries(5, 6)
    columns["source_file"] = np.full(6, 77, np.uint32)
    columns["source_row"] = np.arange(100, 106, dtype=np.uint64)
    (jets,) = stream(write(tmp_path / "a.root", columns), IDENTITY, 0)
    assert set(jets.scalars["luminosityBlock"]) == {77}
    assert jets.scalars["event"].tolist() == list(range(100, 106))


def test_only_what_is_needed_must_be_there(tmp_path: Path) -> None:
    columns = entries(5, 6)
    kept = {n: v for n, v in columns.items() if n[5:] in ("px", "py", "pz", "energy")}
    kept["jet_pt"] = columns["jet_pt"]
    path = write(tmp_path / "bare.root", kept, tree="Jets")
    (jets,) = stream(path, ["label"], 5)
    assert set(jets.scalars["label"]) == {-1}
    with pytest.raises(
        InputError, match=r"bare\.root: tree 'Jets' lacks the branches part_charge, part_isCh"
    ):
        list(stream(path, [], 5, fields=FULL))
    del kept["part_pz"]
    write(tmp_path / "less.root", kept)
    with pytest.raises(InputError, match=r"less\.root: .* lacks the branch part_pz"):
        list(stream(tmp_path / "less.root", [], 5))


@pytest.mark.parametrize(
    ("branch", "particle", "value", "text"),
    [
        ("part_py", 1, np.nan, "part_py is not finite in entry 9"),
        ("part_energy", 0, np.inf, "part_energy is not finite in entry 9"),
        ("jet_pt", None, np.nan, "jet_pt is not a finite number in entry 9"),
        ("jet_pt", None, 0.0, "jet_pt is not above zero in entry 9"),
    ],
)
def test_what_is_no_jet_is_named(
    branch: str, particle: int | None, value: float, text: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "bad.root", changed(entries(5, 20), branch, 9, particle, value))
    with pytest.raises(InputError, match=rf"bad\.root: {text}; correct the jet, or leave it out"):
        list(stream(path, [], 10, batch_rows=8))


def test_jets_without_particles_and_other_numbers_of_them_are_named(tmp_path: Path) -> None:
    columns = entries(5, 12)
    empty = {
        name: ak.Array([[], *ak.to_list(values)[1:]]) if name.startswith("part") else values
        for name, values in columns.items()
    }
    empty = {n: ak.values_astype(v, np.float32) if n[:4] == "part" else v for n, v in empty.items()}
    path = write(tmp_path / "empty.root", empty)
    with pytest.raises(InputError, match=r"part_px has no particles: it is no jet in entry 0"):
        list(stream(path, [], 10))
    columns["part_pz"] = columns["part_pz"][:, 1:]
    with pytest.raises(InputError, match="part_pz has another number of particles than part_px"):
        list(stream(write(tmp_path / "other.root", columns), [], 10))


def test_tracks_of_charged_particles_must_be_numbers(tmp_path: Path) -> None:
    columns = entries(5, 20)
    charged = int(np.flatnonzero(ak.to_numpy(columns["part_charge"][9]) != 0)[0])
    path = write(tmp_path / "track.root", changed(columns, "part_dzerr", 9, charged, np.nan))
    with pytest.raises(InputError, match="part_dzerr is not finite in entry 9"):
        list(stream(path, [], 10, fields=FULL))
    assert len(next(stream(path, [], 10))) == 20


def test_files_that_are_none_are_named(root: Path, made: Path, tmp_path: Path) -> None:
    (tmp_path / "half.root").write_bytes(root.read_bytes()[: root.stat().st_size // 2])
    with pytest.raises(InputError, match=r"half\.root: truncated"):
        count(tmp_path / "half.root")
    manifest = json.loads((made / "0000.json").read_text())
    (tmp_path / "m.json").write_text(json.dumps({**manifest, "layout": "pfnano"}))
    with pytest.raises(InputError, match=r"m\.json: sample mixed has the layout pfnano; only"):
        count(tmp_path / "m.json")
    manifest["files"][0]["path"] = "http://127.0.0.1:9/mixed.root"
    (tmp_path / "m.json").write_text(json.dumps({**manifest, "retries": 0}))
    with pytest.raises(InputError, match=r"mixed\.root: ClientConnectorError.*attempt 1 of 1"):
        list(stream(tmp_path / "m.json", [], 5))


@pytest.mark.parametrize(
    ("overlay", "text"),
    [
        ({"taggers": {"pfn": {"jets_from": "ntuples"}}}, "an event of sample 'tt' is not a jet"),
        ({"taggers": {"bdt": {"jets_from": "ntuples"}}}, "an event of sample 'tt' is not a jet"),
    ],
)
def test_samples_of_events_are_refused(overlay: Values, text: str) -> None:
    with pytest.raises((InputError, ValidationError), match=text):
        validate({"tagging": overlay})


def test_templates_are_made_of_measured_jets(given: Values) -> None:
    inference = validate({}).model_dump(mode="json")["inference"]
    analyses = inference["analyses"]
    assert all(one["tagger"] != "pfn" for one in analyses.values())
    analyses["ttbar"]["tagger"] = "pfn"
    with pytest.raises(InputError, match=r"inference\.analyses\.ttbar\.tagger is 'pfn'"):
        validate({**given, "inference": inference})


SCORED = """
import json, sys
from pathlib import Path
from fullchain.step import Given
from fullchain.tagging import predict

folder, jets, values = json.loads(sys.stdin.read())
predict.main(
    jets=[Path(path) for path in jets],
    sample="mixed",
    models=[Path(folder) / "model.pt"],
    scores=Path(folder) / "all.parquet",
    settings=Given(values),
)
print(sorted({"coffea", "matplotlib", "onnx", "pandas", "scipy", "sklearn"} & set(sys.modules)))
"""


def test_scoring_imports_nothing_that_takes_long(
    root: Path, made: Path, given: Values, tmp_path: Path
) -> None:
    trained(tmp_path, root, given)
    jets = [str(root), str(made / "0000.parquet")]
    answer = subprocess.run(
        [sys.executable, "-c", SCORED],
        input=json.dumps([str(tmp_path), jets, given]),
        capture_output=True,
        text=True,
    )
    assert answer.stdout.strip() == "[]", answer.stderr
