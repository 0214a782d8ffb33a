"""The steps on small files: what they write, what they refuse, and that a kill costs nothing."""

import copy
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow.parquet
import pytest
import torch
from matplotlib.markers import CARETUPBASE

from fullchain.errors import InputError
from fullchain.learning.checkpoint import of_training
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.split import fold
from fullchain.metrics import read_metrics
from fullchain.step import Given
from fullchain.tagging import evaluate, export_onnx, plot, predict, tabulate, train
from fullchain.tagging.jets_reading import IDENTITY, Jets, read
from fullchain.tagging.members import Member
from fullchain.tagging.model_file import load
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.tagger import probabilities
from fullchain.tagging.views import view_of

Values = dict[str, Any]

LIMIT = {"value": 129.84, "uncertainty": 0.0, "low": 129.84, "high": None, "is_limit": True}


@dataclass(frozen=True)
class Trained:
    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / "model.pt"

    @property
    def history(self) -> Path:
        return self.folder / "history.json"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"


def run_training(
    folder: Path,
    signal_jets: list[Path],
    background_jets: list[Path],
    values: Values,
    member: str = "fold0_seed0",
) -> Trained:
    result = Trained(folder)
    train.main(
        jets=[*signal_jets, *background_jets],
        samples=["tt"] * len(signal_jets) + ["qcd"] * len(background_jets),
        tagger="pfn",
        member=member,
        model=result.model,
        history=result.history,
        settings=Given(values),
    )
    return result


@pytest.fixture(scope="module")
def trained(
    tmp_path_factory: pytest.TempPathFactory,
    signal_jets: list[Path],
    background_jets: list[Path],
    values: Values,
) -> Trained:
    return run_training(tmp_path_factory.mktemp("pfn"), signal_jets, background_jets, values)


@pytest.fixture(scope="module")
def exported(trained: Trained) -> Path:
    path = trained.folder / "model.onnx"
    export_onnx.main(models=[trained.model], onnx=path, settings=Given({}))
    return path


@pytest.fixture(scope="module")
def scored(
    trained: Trained, signal_jets: list[Path], background_jets: list[Path], values: Values
) -> dict[str, Path]:
    found = {}
    for name, jets in (("tt", signal_jets), ("qcd", background_jets)):
        found[name] = trained.folder / "scores" / f"{name}.parquet"
        predict.main(
            jets=jets,
            sample=name,
            models=[trained.model],
            scores=found[name],
            settings=Given(values),
        )
    return found


@pytest.fixture(scope="module")
def performance(
    trained: Trained,
    scored: dict[str, Path],
    signal_jets: list[Path],
    background_jets: list[Path],
    values: Values,
) -> Path:
    path = trained.folder / "performance.json"
    evaluate.main(
        jets=[*signal_jets, *background_jets],
        samples=["tt"] * len(signal_jets) + ["qcd"] * len(background_jets),
        scores=[scored["tt"], scored["qcd"]],
        tagger="pfn",
        performance=path,
        settings=Given(values),
    )
    return path


def test_training_learns_three_prongs(performance: Path) -> None:
    measured = json.loads(performance.read_text())
    assert measured["auc"]["value"] > 0.95
    assert measured["accuracy"]["value"] > 0.85
    assert 0.85 < measured["baseline"]["auc"]["value"] < 0.999
    history = json.loads((performance.parent / "history.json").read_text())
    losses = [terms["loss"] for terms in history["train"]]
    assert losses[-1] < 0.5 * losses[0]


def test_training_accounts_for_every_nominal_jet(trained: Trained) -> None:
    """Also for those that it leaves out: shifted jets are no further events."""
    history = json.loads(trained.history.read_text())
    accounts = history["accounts"]
    assert {name: one["read"] for name, one in accounts.items()} == {"tt": 600, "qcd": 700}
    used = sum(sum(numbers.values()) for numbers in history["jets"].values())
    assert sum(one["written"] for one in accounts.values()) == used
    for one in accounts.values():
        rejected = one["rejected"]
        assert one["read"] == one["written"] + sum(rejected.values())
        assert rejected["for tests only"] > 0 and rejected["outside the selection"] > 0


def test_performance_is_of_the_test_part_inside_the_window(
    performance: Path, signal_jets: list[Path], values: Values
) -> None:
    table = pyarrow.concat_tables([pyarrow.parquet.read_table(path) for path in signal_jets])
    columns = {name: table.column(name).to_numpy() for name in ("event", "pt", "eta")}
    ones = np.ones(len(table), dtype=int)
    inside = (columns["pt"] >= 500) & (columns["pt"] < 700) & (np.abs(columns["eta"]) < 2)
    test = fold(ones, ones, columns["event"], values["seed"]) >= 0.65
    measured = json.loads(performance.read_text())
    assert measured["jets"]["top"] == (inside & test).sum()


def test_performance_may_have_a_window_of_its_own(
    performance: Path,
    scored: dict[str, Path],
    signal_jets: list[Path],
    background_jets: list[Path],
    values: Values,
    tmp_path: Path,
) -> None:
    changed = copy.deepcopy(values)
    window = {"pt_min": 550.0, "pt_max": 650.0, "abs_eta_max": 2.0}
    changed["tagging"]["evaluation"]["selection"] = window
    evaluate.main(
        jets=[*signal_jets, *background_jets],
        samples=["tt"] * len(signal_jets) + ["qcd"] * len(background_jets),
        scores=[scored["tt"], scored["qcd"]],
        tagger="pfn",
        performance=tmp_path / "narrow.json",
        settings=Given(changed),
    )
    narrow = json.loads((tmp_path / "narrow.json").read_text())
    wide = json.loads(performance.read_text())
    assert narrow["selection"] == {**window, "ranges": {}}
    # The toy spectrum is flat: half of the window holds half of the jets.
    assert narrow["jets"]["qcd"] == pytest.approx(wide["jets"]["qcd"] / 2, rel=0.3)


def test_scores_are_row_by_row_those_of_the_jets(
    scored: dict[str, Path], trained: Trained, background_jets: list[Path], values: Values
) -> None:
    jets = pyarrow.parquet.read_table(background_jets[0])
    table = pyarrow.parquet.read_table(scored["qcd"])
    for name in IDENTITY:
        assert table.column(name).to_pylist() == jets.column(name).to_pylist()
    model = load(trained.model)
    everything = read(
        background_jets, [], model.settings.n_constituents, lambda s: np.ones(len(s["pt"]), bool)
    )
    arrays = view_of(model.settings).arrays(everything)
    expected = probabilities(model.tagger, arrays, torch.device("cpu"))[:, 0]
    np.testing.assert_allclose(table.column("score").to_numpy(), expected, atol=1e-6)
    split = table.column("split").to_numpy()
    assert set(split) == {"train", "validation", "test"}
    # Both variations of an event stand in the same part.
    assert (split[0::2] == split[1::2]).all()
    field = table.schema.field("score")
    assert field.metadata[b"unit"] == b"" and b"signal" in field.metadata[b"description"]


def test_shifted_jets_get_other_scores(scored: dict[str, Path]) -> None:
    values = pyarrow.parquet.read_table(scored["qcd"]).column("score").to_numpy()
    assert (values[0::2] != values[1::2]).mean() > 0.9


def test_onnx_gives_the_scores_of_torch_from_raw_momenta(
    trained: Trained, exported: Path, background_jets: list[Path]
) -> None:
    model = load(trained.model)
    chosen = model.settings
    jets = read(background_jets, [], chosen.n_constituents, lambda s: np.ones(len(s["pt"]), bool))
    session = onnxruntime.InferenceSession(exported)
    for number in (1, 7, len(jets)):
        arrays = {"constituents": jets.constituents[:number], "jet": jets.jet_momentum()[:number]}
        score, both = session.run(["score", "probabilities"], arrays)
        expected = probabilities(model.tagger, arrays, torch.device("cpu"))
        np.testing.assert_allclose(both, expected, atol=1e-5)
        np.testing.assert_array_equal(score, both[:, 0])
    metadata = session.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["settings"])["n_constituents"] == chosen.n_constituents
    assert json.loads(metadata["classes"]) == ["top", "qcd"]


def test_model_carries_its_standardisation(
    tmp_path: Path, signal_jets: list[Path], background_jets: list[Path], values: Values
) -> None:
    changed = copy.deepcopy(values)
    changed["tagging"]["taggers"]["pfn"]["standardisation"] = "measured"
    changed["tagging"]["training"]["epochs"] = 1
    result = run_training(tmp_path, signal_jets, background_jets, changed)
    state = torch.load(result.model)["state"]
    assert len(state["standardise.subtract"]) == 7
    # ln pT of a particle with about 20 GeV, and not the published 1.7.
    assert 2.0 < state["standardise.subtract"][0] < 3.5
    tagger = load(result.model).tagger
    assert torch.equal(tagger.standardise.subtract, state["standardise.subtract"])


def test_onnx_names_no_local_folder(exported: Path) -> None:
    content = exported.read_bytes()
    assert str(Path(train.__file__).parents[2]).encode() not in content
    assert b"site-packages" not in content


def test_two_trainings_are_identical(
    trained: Trained,
    exported: Path,
    tmp_path: Path,
    signal_jets: list[Path],
    background_jets: list[Path],
    values: Values,
) -> None:
    torch.rand(17)
    again = run_training(tmp_path, signal_jets, background_jets, values)
    first, second = (torch.load(path)["state"] for path in (trained.model, again.model))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert trained.history.read_bytes() == again.history.read_bytes()
    export_onnx.main(models=[again.model], onnx=tmp_path / "model.onnx", settings=Given({}))
    assert exported.read_bytes() == (tmp_path / "model.onnx").read_bytes()
    assert not again.checkpoint.exists()


KILLED = """
import json, os, signal, sys
from pathlib import Path
from fullchain.learning import checkpoint
from fullchain.step import Given
from fullchain.tagging import train

arguments = json.loads(sys.stdin.read())
save, saved = checkpoint.save, []

def save_and_die(*state):
    save(*state)
    saved.append(1)
    if len(saved) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

checkpoint.save = save_and_die
folder = Path(arguments["folder"])
train.main(
    jets=[Path(path) for path in arguments["jets"]],
    samples=arguments["samples"],
    tagger="pfn",
    member="fold0_seed0",
    model=folder / "model.pt",
    history=folder / "history.json",
    settings=Given(arguments["values"]),
)
"""


def test_a_killed_step_resumes_to_the_same_bits(
    trained: Trained,
    tmp_path: Path,
    signal_jets: list[Path],
    background_jets: list[Path],
    values: Values,
    capfd: pytest.CaptureFixture[str],
) -> None:
    arguments = {
        "folder": str(tmp_path),
        "jets": [str(path) for path in (*signal_jets, *background_jets)],
        "samples": ["tt"] * len(signal_jets) + ["qcd"] * len(background_jets),
        "values": values,
    }
    killed = subprocess.run(
        [sys.executable, "-c", KILLED], input=json.dumps(arguments), capture_output=True, text=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert os.listdir(tmp_path) == ["checkpoint.pt"]
    assert len(torch.load(tmp_path / "checkpoint.pt")["state"]["history"]["train"]) == 3
    resumed = run_training(tmp_path, signal_jets, background_jets, values)
    assert "going on after epoch 3" in capfd.readouterr().err
    first, second = (torch.load(path)["state"] for path in (trained.model, resumed.model))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert trained.history.read_bytes() == resumed.history.read_bytes()
    assert not resumed.checkpoint.exists()


def test_metrics_have_uncertainties_and_published_values(performance: Path, tmp_path: Path) -> None:
    measured = json.loads(performance.read_text())
    # No background jet passes the first working point of the baseline.
    measured["baseline"]["working_points"][0]["rejection"] = LIMIT
    measured["selection"] |= {"pt_min": 550.0, "pt_max": 650.0}
    measured["architecture"] = {"kind": "pfn"}
    path = tmp_path / "metrics.json"
    (tmp_path / "performance.json").write_text(json.dumps(measured))
    tabulate.main(performance=[tmp_path / "performance.json"], metrics=path, settings=Given({}))
    stage, metrics = read_metrics(path)
    found = {metric.name: metric for metric in metrics}
    assert stage == "tagging"
    assert found["baseline_tau32.rejection_30"].limit == "lower"
    assert found["baseline_tau32.rejection_50"].limit is None
    assert (found["pfn.test_top_jets"].uncertainty_kind) == "exact count"
    assert "1810.05165" in (found["pfn.accuracy"].source or "")
    assert found["pfn.auc"].published == 0.9819 and found["pfn.auc"].note
    assert found["pfn.rejection_50"].published == 247.0
    assert found["pfn.rejection_30"].published_uncertainty == 17.0
    assert found["pfn.auc"].uncertainty > 0
    assert found["baseline_tau32.auc"].published is None
    for name in ("accuracy", "rejection_30", "rejection_50", "auc"):
        assert f"baseline_tau32.{name}" in found


@pytest.mark.parametrize(
    "changes",
    [
        {"selection": {"pt_min": 500.0, "pt_max": 700.0}},
        {"classes": {"w": {"labels": ["W"]}, "qcd": {"labels": ["gluon", "light"]}}},
        {"classes": {"top": {"labels": ["top"]}, "qcd": {"labels": ["gluon", "W"]}}},
        {"architecture": {"kind": "pfn", "phi": [16, 16]}},
        {"architecture": {"kind": "lund"}},
    ],
)
def test_published_values_are_for_the_same_task_only(
    performance: Path, changes: dict[str, Any]
) -> None:
    measured = json.loads(performance.read_text())
    labels = [one["labels"] for one in measured["classes"].values()]
    assert labels == [["top"], ["gluon", "light", "b"]]
    measured["selection"] |= {"pt_min": 550.0, "pt_max": 650.0}
    measured["architecture"] = {"kind": "pfn"}
    assert any(row.published for row in tabulate.tagger_metrics(measured))
    assert not any(row.published for row in tabulate.tagger_metrics(measured | changes))


class Kept:
    """Takes the figures that a function draws."""

    def __init__(self) -> None:
        self.fig: Any = None

    def save(self, fig: Any, name: str, title: str, caption: str) -> None:
        self.fig = fig


def test_limits_and_open_intervals_have_arrows(performance: Path) -> None:
    measured = json.loads(performance.read_text())
    open_above = {"value": 50.0, "uncertainty": 9.0, "low": 40.0, "high": None, "is_limit": False}
    closed = {"value": 20.0, "uncertainty": 3.0, "low": 17.0, "high": 24.0, "is_limit": False}
    for one, pair in ((measured, (LIMIT, open_above)), (measured["baseline"], (closed, closed))):
        for point, value in zip(one["working_points"], pair, strict=True):
            point["rejection"] = value
    kept = Kept()
    plot._rejection(kept, [measured])  # type: ignore[arg-type]
    ax = kept.fig.axes[0]
    arrows = [line for line in ax.lines if line.get_marker() == CARETUPBASE]
    tips = sorted(float(line.get_ydata()[0]) for line in arrows)
    assert tips == pytest.approx([1.6 * 50.0, 1.6 * LIMIT["value"]])
    bars = [bar.get_segments()[0] for container in ax.containers for bar in container.lines[2]]
    assert [40.0, 50.0] in [sorted(bar[:, 1].tolist()) for bar in bars]
    assert [17.0, 24.0] in [sorted(bar[:, 1].tolist()) for bar in bars]
    assert ax.get_ylim()[1] > max(tips)


@pytest.mark.parametrize("name", ["roc", "rejection", "calibration"])
def test_panels_end_at_one_and_legends_hide_nothing(performance: Path, name: str) -> None:
    kept = Kept()
    getattr(plot, f"_{name}")(kept, [json.loads(performance.read_text())])
    kept.fig.draw_without_rendering()
    (ax,) = kept.fig.axes
    if name != "rejection":
        assert ax.get_ylim()[1] == 1.0
    (legend,) = kept.fig.legends
    assert ax.get_legend() is None
    assert not legend.get_window_extent().overlaps(ax.get_window_extent())
    texts = [text.get_text() for text in legend.get_texts()]
    assert len(texts) == (1 if name == "calibration" else 2)
    assert all("±" in text for text in texts)


def test_figures_are_drawn_and_repeat(performance: Path, trained: Trained, tmp_path: Path) -> None:
    drawn = []
    for name in ("one", "two"):
        index = tmp_path / name / "index.json"
        plot.main(
            performance=[performance], history=[trained.history], index=index, settings=Given({})
        )
        names = [entry["name"] for entry in json.loads(index.read_text())]
        assert names == [
            *("roc", "rejection", "calibration", "score_pfn", "history_pfn"),
            *("efficiency_pfn_pt", "efficiency_pfn_abs_eta"),
        ]
        drawn.append([(index.parent / f"{figure}.pdf").read_bytes() for figure in names])
        assert all((index.parent / f"{figure}.png").stat().st_size > 5000 for figure in names)
    assert drawn[0] == drawn[1]


def test_no_signal_in_the_window_is_named(
    tmp_path: Path, signal_jets: list[Path], background_jets: list[Path], values: Values
) -> None:
    changed = copy.deepcopy(values)
    changed["tagging"]["selection"] |= {"pt_min": 1000, "pt_max": 1200}
    message = r"no top jets in samples tt: labels top, fully contained wanted; with pT 1000-1200"
    with pytest.raises(InputError, match=message):
        run_training(tmp_path, signal_jets, background_jets, changed)


def test_a_sample_without_the_label_is_named(
    tmp_path: Path, background_jets: list[Path], values: Values
) -> None:
    with pytest.raises(InputError, match=r"no top jets in samples tt.* there are: \d+ gluon"):
        run_training(tmp_path, background_jets, background_jets, values)


def test_too_few_jets_for_a_part_are_named(
    tmp_path: Path,
    toy: Callable[..., Any],
    write_jets: Callable[..., Path],
    background_jets: list[Path],
    values: Values,
) -> None:
    one = write_jets(toy(5, 1, signal=True, pt=(550, 650)).slice(0, 1), "one")
    with pytest.raises(InputError, match=r"part of fold0_seed0 has \d top and \d+ qcd jets"):
        run_training(tmp_path, [one], background_jets, values)


def test_scores_of_other_jets_are_refused(
    scored: dict[str, Path],
    signal_jets: list[Path],
    background_jets: list[Path],
    values: Values,
    tmp_path: Path,
) -> None:
    def run(jets: list[Path], files: list[Path]) -> None:
        evaluate.main(
            jets=[*jets, *background_jets],
            samples=["tt"] * len(jets) + ["qcd"] * len(background_jets),
            scores=[*files, scored["qcd"]],
            tagger="pfn",
            performance=tmp_path / "performance.json",
            settings=Given(values),
        )

    with pytest.raises(InputError, match="the scores are of other jets"):
        run(signal_jets[::-1], [scored["tt"]])
    with pytest.raises(InputError, match="more jets than scores"):
        run([*signal_jets, *signal_jets], [scored["tt"]])
    with pytest.raises(InputError, match="600 scores for 300 jets"):
        run(signal_jets[:1], [scored["tt"]])
    with pytest.raises(InputError, match="not a file of scores"):
        broken = tmp_path / "broken.parquet"
        broken.write_bytes(b"PAR1")
        run(signal_jets, [broken])
    assert not (tmp_path / "performance.json").exists()


def test_a_sample_without_jets_gets_an_empty_file(
    trained: Trained,
    toy: Callable[..., Any],
    write_jets: Callable[..., Path],
    values: Values,
    tmp_path: Path,
) -> None:
    empty = write_jets(toy(1, 3, signal=False).slice(0, 0), "nothing")
    path = tmp_path / "empty.parquet"
    predict.main(
        jets=[empty], sample="new", models=[trained.model], scores=path, settings=Given(values)
    )
    table = pyarrow.parquet.read_table(path)
    assert len(table) == 0 and "score" in table.column_names


def test_weights_that_cancel_are_named(
    toy: Callable[..., Any],
    write_jets: Callable[..., Path],
    trained: Trained,
    scored: dict[str, Path],
    background_jets: list[Path],
    values: Values,
    tmp_path: Path,
) -> None:
    table = toy(3, 60, signal=True)
    negative = pyarrow.array(np.full(len(table), -1.0, dtype=np.float32))
    table = table.set_column(table.column_names.index("weight"), "weight", negative)
    jets = [write_jets(table, "negative")]
    predict.main(
        jets=jets,
        sample="tt",
        models=[trained.model],
        scores=tmp_path / "tt.parquet",
        settings=Given(values),
    )
    with pytest.raises(InputError, match=r"weights of the top jets .* sum to -\d+, not to a"):
        evaluate.main(
            jets=[*jets, *background_jets],
            samples=["tt"] * len(jets) + ["qcd"] * len(background_jets),
            scores=[tmp_path / "tt.parquet", scored["qcd"]],
            tagger="pfn",
            performance=tmp_path / "performance.json",
            settings=Given(values),
        )


def test_weights_of_training_that_cancel_are_named(values: Values) -> None:
    """Signed weights may sum to something that is positive, and after reweighting is not."""
    chosen = TaggerSettings.model_validate(values["tagging"]["taggers"]["pfn"])
    target = np.array([0, 0, 0, 1, 1])
    pt = np.array([510.0, 690.0, 690.0, 510.0, 690.0])
    # In the one cell where background is, signal weights cancel; they are left out everywhere.
    weight = np.array([1.0, 1.0, 1.0, -1.0, 1.5])
    reweighting = {"reference": "qcd", "bins": 1}
    none_left = chosen.model_copy(
        update={"reweighting": chosen.reweighting.model_copy(update=reweighting)}
    )
    evaluate.as_trained({"pt": pt, "target": target, "weight": weight}, none_left)
    lost = weight * np.where(target == 0, 1, -1)
    with pytest.raises(InputError, match="jets with the weights of training"):
        evaluate.as_trained({"pt": pt, "target": target, "weight": lost}, none_left)


def test_only_the_tensors_are_in_memory_while_training(
    tmp_path: Path,
    signal_jets: list[Path],
    background_jets: list[Path],
    values: Values,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alive = []

    def look(*arguments: Any, **options: Any) -> None:
        gc.collect()
        alive.extend(one for one in gc.get_objects() if type(one) is Jets)
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "train", look)
    with pytest.raises(KeyboardInterrupt):
        run_training(tmp_path, signal_jets, background_jets, values)
    assert alive == []


def test_the_device_is_recorded_and_part_of_the_fingerprint(
    trained: Trained, values: Values
) -> None:
    assert json.loads(trained.history.read_text())["device"] == "cpu"
    assert TrainingSettings().device == "cpu"
    marks = {
        of_training({"member": Member(0, seed).name}, values, place, {})
        for place in ("cpu", "cuda")
        for seed in (0, 1)
    }
    assert len(marks) == 4


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with pytest.raises(InputError, match="no such file; train the tagger first"):
        load(path)
    for content in (b"", b"text", b"PK\x03\x04 truncated"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"model\.pt: not a tagger"):
            load(path)
    torch.save({"format": 99}, path)
    with pytest.raises(InputError, match="written in format 99"):
        load(path)
