"""Tables of observables, in any format, become ROOT files with one jet per entry."""

import gzip
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import pytest
import uproot
from pydantic import ValidationError

from fullchain.errors import InputError
from fullchain.jets.part import read
from fullchain.jets.settings import JetsSettings
from fullchain.ntuples import convert as step
from fullchain.ntuples.jet_files.table_columns import open_columns
from fullchain.ntuples.manifests import read_part
from fullchain.ntuples.sources_settings import IngestedSample
from fullchain.ntuples.table_settings import CLASS_NUMBERS, W_TAGGING
from fullchain.setting_files import merge, read_yaml
from fullchain.settings import validate
from fullchain.step import Given
from fullchain.tagging.class_settings import DECAYS, LABELS

Columns = dict[str, np.ndarray]
CLASSES = {"W": [1], "gluon": [0]}
JETS = 50


def columns(jets: int = JETS) -> Columns:
    rng = np.random.default_rng(7)
    return {
        "is_w": np.arange(jets) % 2,
        "jet_pt": rng.uniform(300, 400, jets),
        "jet_m": rng.uniform(50, 300, jets),
        "D2": rng.normal(1.5, 0.4, jets),
        "zcut": rng.uniform(0, 0.5, jets),
    }


def table(**changes: Any) -> dict[str, Any]:
    return {"label": "is_w", "classes": CLASSES, "pt": "jet_pt", "mass": "jet_m", **changes}


def convert(folder: Path, *files: Path, part: str = "0000", **settings: Any) -> Path:
    """Run the step on one part; give the manifest, beside which the ROOT file lies."""
    folder.mkdir(exist_ok=True)
    values = {"kind": "ingested", "layout": "high_level", "files": [str(file) for file in files]}
    sample = IngestedSample.model_validate({**values, **settings}).model_dump(mode="json")
    manifest = folder / f"{part}.json"
    given = Given({"seed": 1, "ntuples": {"samples": {"mine": sample}}})
    step.main(
        sample="mine", part=part, ntuple=folder / f"{part}.root", manifest=manifest, settings=given
    )
    return manifest


def tree(manifest: Path) -> Columns:
    with uproot.open(manifest.with_suffix(".root")) as file:
        return dict(file["tree"].arrays(library="np"))


def w_rows(jets: int) -> np.ndarray:
    """Rows as published: the mass from 0 to 1, the label 0 for W bosons."""
    rng = np.random.default_rng(3)
    rows = rng.uniform(0.1, 1.0, (jets, 12))
    rows[:, 1] = rng.uniform(300, 400, jets)
    rows[:, 11] = np.arange(jets) % 2
    return rows


def write_npz(path: Path, content: Columns) -> None:
    np.savez(path, **content)


def write_matrix(path: Path, content: Columns) -> None:
    np.savez(path, train=np.stack(list(content.values()), axis=1))


def write_groups(path: Path, content: Columns) -> None:
    with h5py.File(path, "w") as file:
        for name, column in content.items():
            file[f"jets/{name}"] = column
        file["jets/particles"] = np.zeros((len(content["D2"]), 3))


def write_fields(path: Path, content: Columns) -> None:
    kind = [(name, column.dtype) for name, column in content.items()]
    rows = np.empty(len(content["D2"]), [*kind, ("name", "S3")])
    for name, column in content.items():
        rows[name] = column
    with h5py.File(path, "w") as file:
        file["jets"] = rows


def write_dataset(path: Path, content: Columns) -> None:
    with h5py.File(path, "w") as file:
        file["train"] = np.stack(list(content.values()), axis=1)
        file["other"] = np.zeros(3)


def write_parquet(path: Path, content: Columns) -> None:
    made = pyarrow.table({**content, "comment": ["x"] * len(content["D2"])})
    pyarrow.parquet.write_table(made, path, row_group_size=20)


def write_csv(path: Path, content: Columns) -> None:
    text = ["comment," + ",".join(content)]
    for row in zip(*content.values(), strict=True):
        text.append("x," + ",".join(repr(float(value)) for value in row))
    path.write_text("\n".join(text) + "\n")


def write_bare_text(path: Path, content: Columns) -> None:
    rows = zip(*content.values(), strict=True)
    lines = ["\t".join(repr(float(value)) for value in row) for row in rows]
    path.write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))


def write_root(path: Path, content: Columns) -> None:
    with uproot.recreate(path) as file:
        written = {**content, "moments": np.zeros((len(content["D2"]), 3))}
        types = {name: (array.dtype, array.shape[1:]) for name, array in written.items()}
        file.mktree("Jets", types)
        file["Jets"].extend(written)


FORMATS: dict[str, tuple[Callable[[Path, Columns], None], dict[str, Any]]] = {
    "columns.npz": (write_npz, {}),
    "matrix.npz": (write_matrix, {"tree": "train", "table": table(names=list(columns()))}),
    "groups.h5": (write_groups, {"tree": "jets"}),
    "fields.h5": (write_fields, {}),
    "dataset.h5": (write_dataset, {"tree": "train", "table": table(names=list(columns()))}),
    "a.parquet": (write_parquet, {}),
    "a.csv": (write_csv, {}),
    "bare.tsv.gz": (write_bare_text, {"table": table(names=list(columns()))}),
    "a.root": (write_root, {}),
}


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_gives_the_same_jets(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "TABLE_ROWS", 7)
    monkeypatch.setattr("fullchain.ntuples.jet_files.table_streams._BATCH", 9)
    write, settings = FORMATS[name]
    content = columns()
    write(tmp_path / name, content)
    settings = {"table": table(), "max_events": 45, "jobs_per_file": 2, **settings}
    parts = [
        convert(tmp_path / "made", tmp_path / name, part=part, **settings)
        for part in ("0000", "0001")
    ]
    found = [tree(part) for part in parts]
    jets = {branch: np.concatenate([piece[branch] for piece in found]) for branch in found[0]}
    np.testing.assert_array_equal(jets["label"], np.where(content["is_w"][:45] == 1, 3, 0))
    for ours, theirs in {"pt": "jet_pt", "mass": "jet_m", "D2": "D2", "zcut": "zcut"}.items():
        np.testing.assert_array_equal(jets[ours], content[theirs][:45].astype(np.float32))
    np.testing.assert_array_equal(jets["source_row"], np.arange(45))
    known = {"label", "pt", "mass", "D2", "zcut", "source_file", "source_row"}
    assert set(jets) == known and len(set(jets["source_file"])) == 1
    part = read_part(parts[1])
    assert (part.layout, part.events, part.sum_of_weights) == ("high_level", 23, 23.0)


def test_rows_may_be_read_again_and_from_anywhere(tmp_path: Path) -> None:
    content = columns()
    write_parquet(tmp_path / "a.parquet", content)
    write_csv(tmp_path / "a.csv", content)
    for name in ("a.parquet", "a.csv"):
        opened = open_columns(str(tmp_path / name), None, None)
        assert opened.rows == JETS and set(opened.names) == set(content)
        for start, stop in ((10, 20), (15, 18), (30, 50), (0, 50)):
            found = opened.read(start, stop, ["D2", "is_w"])
            np.testing.assert_array_equal(found["D2"], content["D2"][start:stop])
            np.testing.assert_array_equal(found["is_w"], content["is_w"][start:stop])
        opened.close()


def test_pandas_tables_are_read(tmp_path: Path, write_top_tagging: Callable[..., Path]) -> None:
    path = write_top_tagging(tmp_path / "val.h5", 6)
    chosen = {"label": "is_signal_new", "classes": {"top": [1], "gluon": [0]}, "pt": "truthPX"}
    chosen |= {"mass": "truthE", "observables": {"hardest": "E_0"}}
    found = tree(convert(tmp_path / "made", path, table=chosen))
    with h5py.File(path) as file:
        rows = file["table/table"]["values_block_0"][:]
    np.testing.assert_array_equal(found["hardest"], rows[:, 0])
    assert found["label"].tolist() == [0, 5] * 3


def test_the_published_set_has_its_columns(tmp_path: Path) -> None:
    sets = {"train": w_rows(12), "val": w_rows(4), "test": w_rows(8)}
    np.savez(tmp_path / "W_high_level.npz", **sets)
    path = tmp_path / "W_high_level.npz"
    manifest = convert(tmp_path / "made", path, layout="w_tagging", tree="train")
    found, rows = tree(manifest), sets["train"]
    np.testing.assert_allclose(found["mass"], 50 + 250 * rows[:, 0], rtol=1e-6)
    np.testing.assert_array_equal(found["pt"], rows[:, 1].astype(np.float32))
    np.testing.assert_array_equal(found["label"], np.where(rows[:, 11] == 0, 3, 0))
    for place, name in enumerate(W_TAGGING.names or ()):
        if 2 <= place < 11:
            np.testing.assert_array_equal(found[name], rows[:, place].astype(np.float32))
    # Jets of two arrays of one file are not the same jets.
    other = tree(convert(tmp_path / "val", path, layout="w_tagging", tree="val"))
    assert set(found["source_file"]).isdisjoint(other["source_file"])
    with pytest.raises(InputError, match=r"several arrays; there are train, val, test: set 'tree'"):
        convert(tmp_path / "none", path, layout="w_tagging")
    np.savez(tmp_path / "short.npz", train=w_rows(5)[:, :11])
    with pytest.raises(InputError, match=r"short\.npz: the array 'train' has 11 columns, table\.n"):
        convert(tmp_path / "short", tmp_path / "short.npz", layout="w_tagging", tree="train")


def test_weights_and_axes_are_kept_and_names_changed(tmp_path: Path) -> None:
    content = {**columns(), "w": np.linspace(-0.1, 2, JETS), "y": np.linspace(-2, 2, JETS)}
    write_npz(tmp_path / "a.npz", content)
    chosen = table(
        weight="w", eta="y", observables={"d2": "D2"}, scale={"d2": [1.0, -2.0], "pt": [0, 1000]}
    )
    manifest = convert(tmp_path / "made", tmp_path / "a.npz", table=chosen)
    found = tree(manifest)
    assert set(found) == {"label", "pt", "mass", "eta", "weight", "d2", "source_file", "source_row"}
    np.testing.assert_array_equal(found["weight"], content["w"])
    np.testing.assert_allclose(found["d2"], 1 - 2 * content["D2"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["pt"], 1000 * content["jet_pt"], rtol=1e-6)
    part = read_part(manifest)
    assert part.sum_of_weights == pytest.approx(content["w"].sum())
    assert part.sum_of_event_weights == part.sum_of_weights


@pytest.mark.parametrize(
    ("changes", "settings", "message"),
    [
        ({"D2": 9}, {}, r"a\.npz: jet 9: D2 is not a finite number; .*set table\.missing: true"),
        ({"jet_m": 9}, {"missing": True}, r"a\.npz: jet 9: mass is not a finite number; correct"),
        ({"is_w": 9}, {}, r"a\.npz: jet 9: is_w is nan, which no class of table\.classes has"),
        ({}, {"classes": {"W": [1]}}, r"jet 0: is_w is 0, which no class .*\(25 such jets"),
        ({}, {"scale": {"pt": [0, -1]}}, r"jet 0: pt is negative"),
        (
            {},
            {"mass": "jet_n"},
            r"a\.npz: no column of numbers 'jet_n' \(table\.mass\); did .*'jet",
        ),
        (
            {},
            {"observables": {"c2": "C2x"}},
            r"no column of numbers 'C2x' \(table\.observables\.c2",
        ),
        ({}, {"scale": {"d2": [0, 2]}}, r"no column 'd2' \(table\.scale\)"),
        ({}, {"names": ["a", "b"]}, r"has several arrays|has the shape"),
    ],
)
def test_bad_tables_are_named(
    tmp_path: Path, changes: dict[str, int], settings: dict[str, Any], message: str
) -> None:
    content = columns()
    for name, jet in changes.items():
        content[name] = content[name].astype(float)
        content[name][jet] = np.nan
    write_npz(tmp_path / "a.npz", content)
    with pytest.raises(InputError, match=message):
        convert(tmp_path / "made", tmp_path / "a.npz", table=table(**settings))


def test_an_observable_that_does_not_exist_stays_nan(tmp_path: Path) -> None:
    content = columns()
    content["D2"][4] = np.nan
    write_npz(tmp_path / "a.npz", content)
    found = tree(convert(tmp_path / "made", tmp_path / "a.npz", table=table(missing=True)))
    assert np.flatnonzero(np.isnan(found["D2"])).tolist() == [4]
    content["zcut"][5] = np.inf
    write_npz(tmp_path / "a.npz", content)
    with pytest.raises(InputError, match="jet 5: zcut is not a finite number"):
        convert(tmp_path / "made", tmp_path / "a.npz", table=table(missing=True))


def test_columns_of_different_lengths_are_no_table(tmp_path: Path) -> None:
    content = columns()
    content["zcut"] = content["zcut"][:-3]
    write_npz(tmp_path / "a.npz", content)
    with pytest.raises(InputError, match=r"a\.npz: column zcut has 47 rows, is_w has 50"):
        convert(tmp_path / "made", tmp_path / "a.npz", table=table())
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, column in content.items():
            file[name] = column
    with pytest.raises(InputError, match=r"a\.h5: column zcut has 47 rows"):
        convert(tmp_path / "made", tmp_path / "a.h5", table=table())
    (tmp_path / "a.csv").write_text("is_w,jet_pt,jet_m\n1,300,80\n0,300\n")
    with pytest.raises(InputError, match=r"a\.csv: cannot be read \(.*Expected 3 columns, got 2"):
        convert(tmp_path / "made", tmp_path / "a.csv", table=table())


def test_files_that_are_no_tables_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("is_w,jet_pt,jet_m\n1,high,80\n0,300,80\n")
    (tmp_path / "b.bin").write_text("no jets")
    write_parquet(tmp_path / "c.parquet", columns())
    content = (tmp_path / "c.parquet").read_bytes()
    (tmp_path / "d.parquet").write_bytes(content[: len(content) // 2])
    cases = {
        "a.txt": r"no column of numbers 'jet_pt' \(table\.pt\); did you mean 'jet_m'",
        "b.bin": r"starts with b'no jets'; a table of observables is an npz",
        "d.parquet": r"d\.parquet: cannot be read",
        "e.h5": r"e\.h5: the file does not exist",
    }
    for name, message in cases.items():
        with pytest.raises(InputError, match=message):
            convert(tmp_path / "made", tmp_path / name, table=table())
    with pytest.raises(InputError, match="is one table; leave 'tree' of the sample out"):
        convert(tmp_path / "made", tmp_path / "c.parquet", table=table(), tree="jets")
    with pytest.raises(InputError, match=r"tells the names of its columns; leave table\.names out"):
        convert(tmp_path / "made", tmp_path / "c.parquet", table=table(names=["a"]))
    write_csv(tmp_path / "f.csv", {"x y": columns()["D2"], **columns()})
    with pytest.raises(InputError, match=r"f\.csv: column 'x y': 'x y' cannot name an observable"):
        convert(tmp_path / "made", tmp_path / "f.csv", table=table())


def test_files_of_a_sample_have_the_same_columns(tmp_path: Path) -> None:
    content = columns()
    write_npz(tmp_path / "a.npz", content)
    write_npz(tmp_path / "b.npz", {**content, "more": content["D2"]})
    with pytest.raises(InputError, match=r"b\.npz: has other columns than .* \(more\)"):
        convert(tmp_path / "made", tmp_path / "a.npz", tmp_path / "b.npz", table=table())
    # Named ones are the same.
    chosen = table(observables={"d2": "D2"})
    files = tmp_path / "a.npz", tmp_path / "b.npz"
    assert read_part(convert(tmp_path / "made", *files, table=chosen)).events == 2 * JETS


def test_bad_files_are_left_out_whole_where_this_is_asked(tmp_path: Path) -> None:
    content = columns()
    write_npz(tmp_path / "a.npz", content)
    content["D2"][JETS - 1] = np.nan
    write_npz(tmp_path / "b.npz", content)
    files = tmp_path / "b.npz", tmp_path / "a.npz"
    part = read_part(convert(tmp_path / "made", *files, table=table(), on_bad_file="skip"))
    assert (part.events, len(part.skipped)) == (JETS, 1)
    assert "b.npz: jet 49: D2" in str(part.skipped[0].reason)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layout": "high_level"}, r"layout high_level needs table\.classes"),
        ({"layout": "jetclass", "table": table()}, "only files of w_tagging and high_level are"),
        ({"table": table(observables={"pt": "x"})}, "'pt' is a column that jets have anyway"),
        ({"table": table(observables={"a b": "x"})}, "'a b' cannot name an observable"),
        ({"table": table(names=["a", "a"])}, "a column is named twice"),
        ({"table": table(classes={"W": [1], "top": [1]})}, "each value for one only"),
        ({"table": table(classes={})}, "at least 1 item"),
        ({"table": table(scale={"pt": [0, 0]})}, r"scale\.pt: a factor of 0"),
        ({"table": table(observables={"d2": "D2"}, scale={"n2": [0, 1]})}, "scale: no column .*n2"),
        ({"table": table(), "is_data": True}, "is_data: a table tells the class"),
    ],
)
def test_bad_settings_of_tables_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        IngestedSample.model_validate({"layout": "high_level", "files": ["a.npz"], **values})


def test_the_run_on_the_published_set_is_described(project: Path) -> None:
    files = [project / "config" / name for name in ("config.yaml", "w_tagging.yaml")]
    settings = validate(merge(*(read_yaml(file) for file in files)))
    assert settings.tagging is not None
    assert {sample.tree for sample in settings.ntuples.samples.values()} == {"train", "val", "test"}  # type: ignore[union-attr]
    there = set(W_TAGGING.names or ())
    for tagger in settings.tagging.taggers.values():
        assert set(tagger.architecture.features) <= there - {"label"}  # type: ignore[union-attr]
    assert len(settings.tagging.taggers["w_ten"].architecture.features) == 10  # type: ignore[union-attr]
    methods = settings.decorrelation
    assert methods is not None
    assert methods.taggers == ("w_ten", "w_trees")
    assert {*methods.against, *settings.tagging.selection.ranges} <= there
    kinds = {one.method.kind for one in methods.classifiers.values()}
    assert kinds == {"disco", "mode", "adversary", "planing", "boosting", "flow"}
    losses = {getattr(one.method, "loss", None) for one in methods.classifiers.values()}
    assert losses == {None, "flatness", "uboost"}
    fit = methods.evaluation.mass_fit
    assert fit is not None and set(fit.expected or ()) == {"w", "qcd"}
    orders = {getattr(one.method, "order", None) for one in methods.classifiers.values()}
    assert orders == {None, 0, 1, 2} and len(methods.variants) == 36


@pytest.mark.workflow
def test_the_run_on_the_published_set_clusters_nothing(project: Path, tmp_path: Path) -> None:
    (tmp_path / "data/w_tagging").mkdir(parents=True)
    sets = {"train": w_rows(3), "val": w_rows(1), "test": w_rows(2)}
    np.savez(tmp_path / "data/w_tagging/W_high_level.npz", **sets)
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text((project / "config/config.yaml").read_text())
    stage = "results/w_tagging/tagging"
    methods = "results/w_tagging/decorrelation/metrics.json"
    command = [
        sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1", "--snakefile",
        str(project / "Snakefile"), "--directory", str(tmp_path), "--configfile",
        str(project / "config/w_tagging.yaml"), "--workflow-profile", "none", "--",
        f"{stage}/metrics.json", f"{stage}/figures/index.json", f"{stage}/tables.json",
        methods,
    ]  # fmt: skip
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    counts = dict(re.findall(r"^\s*(\w+) +(\d+)\s*$", done.stdout + done.stderr, re.MULTILINE))
    assert counts["ntuples_convert"] == "3" and counts["tagging_train"] == "9"
    assert counts["tagging_cost"] == "3"
    # 35 variants that are trained, three times each; the flow of the mean and of each training.
    assert counts["decorrelation_train"] == "105" and counts["decorrelation_flatten"] == "4"
    assert not {"jets_cluster", "tagging_perturb", "tagging_explain"} & set(counts)


def test_labels_have_the_same_numbers_everywhere() -> None:
    assert {name: n for name, n in LABELS.items() if name not in DECAYS} == CLASS_NUMBERS
    assert len(set(LABELS.values())) == len(LABELS)


def test_nothing_can_be_clustered(tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz", columns())
    manifest = convert(tmp_path / "made", tmp_path / "a.npz", table=table())
    with pytest.raises(
        InputError, match=r"high_level.* have no particles: they cannot be clustered"
    ):
        read(manifest, JetsSettings(), 1)


def test_only_taggers_on_observables_take_tables() -> None:
    sample = {"kind": "ingested", "layout": "high_level", "files": ["a.npz"], "table": table()}
    classes = {
        "w": {"samples": ["mine"], "labels": ["W"]},
        "qcd": {"samples": ["mine"], "labels": ["gluon"]},
    }

    def settings(explained: list[str] | None = None, **tagger: Any) -> None:
        tagging = {
            "taggers": {"bdt": None, "pfn": None, "mine": {"classes": classes, **tagger}},
            "explanation": {"taggers": explained},
        }
        everything = {"ntuples": {"samples": {"mine": sample}}, "tagging": tagging}
        validate({**everything, "inference": None})

    mlp = {"kind": "mlp", "features": ["mass", "D2"]}
    settings([], architecture=mlp, jets_from="ntuples")
    for tagger in ({"architecture": {"kind": "mlp"}}, {"jets_from": "ntuples"}):
        with pytest.raises(InputError, match="'mine' is a table of observables, without particles"):
            settings([], **tagger)
    with pytest.raises(InputError, match=r"explanation\.taggers: mine sees the table 'mine'"):
        settings(None, architecture=mlp, jets_from="ntuples")
