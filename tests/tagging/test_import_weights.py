"""From a file of weaver-core's weights and jets in ROOT to scores: those of weaver's own way.

The reference computes the inputs from the branches as the authors' data configurations for JetClass
say (jet-universe/particle_transformer, data/JetClass), in double precision.
"""

import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow.parquet
import pytest
import torch
import uproot
import yaml
from pydantic import ValidationError
from torch import nn

from flows import link
from fullchain.errors import InputError
from fullchain.plotting import figure_set
from fullchain.settings import validate
from fullchain.step import Given
from fullchain.tagging import (
    evaluate,
    history_figures,
    import_weights,
    model_file,
    predict,
    tables,
)
from fullchain.tagging.jets_reading import stream
from weaver_network import Weaver

Values = dict[str, Any]

OUTPUTS = ("QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl")
"""Labels of the authors' configurations, in their order."""

LABELS = {"QCD": "gluon", "Zqq": "Z", "Wqq": "W", "Tbqq": "top"}
"""Our names of those that have another."""

FLAGS = ("ChargedHadron", "NeutralHadron", "Photon", "Electron", "Muon")
TRACKS = ("d0val", "d0err", "dzval", "dzerr")
LENGTH, NEIGHBOURS, SIZES = 20, 5, {"blocks": [[8, 8], [12, 12]], "fc": [10]}
JETS = 600


def entries(number: int) -> Values:
    """Branches of JetClass; jets are the sums of their particles, which come in falling pT.

    Some have more particles than a tagger takes, some fewer than it asks for as neighbours.
    """
    random = np.random.default_rng(12)
    counts = random.integers(3, 30, number)
    total = int(counts.sum())
    jet = np.repeat(np.arange(number), counts)
    kind = random.integers(0, 5, total)
    eta = random.uniform(-1.5, 1.5, number)[jet] + random.normal(0, 0.2, total)
    phi = random.uniform(-3, 3, number)[jet] + random.normal(0, 0.2, total)
    # Far from the published middle, so that some features are cut at 5.
    pt = random.exponential(1.0, total) ** 3 + 1e-3
    pt = ak.flatten(ak.sort(ak.unflatten(pt, counts), ascending=False)).to_numpy()
    pt *= (random.uniform(480, 900, number) / np.bincount(jet, pt, number))[jet]
    momentum = [pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)]
    momentum.append(np.sqrt(sum(x**2 for x in momentum) + 0.13957**2))
    momentum = [x.astype(np.float32).astype(float) for x in momentum]
    px, py, pz, energy = (np.bincount(jet, x, number) for x in momentum)
    jet_pt = np.hypot(px, py)
    jet_eta, jet_phi = np.arcsinh(pz / jet_pt), np.arctan2(py, px)
    charge = np.where(np.isin(kind, (0, 3, 4)), random.choice([-1, 1], total), 0)
    away = np.arctan2(momentum[1], momentum[0]) - jet_phi[jet]
    own_eta = np.arcsinh(momentum[2] / np.hypot(momentum[0], momentum[1]))
    particles = {
        **dict(zip(("part_px", "part_py", "part_pz", "part_energy"), momentum, strict=True)),
        "part_deta": (own_eta - jet_eta[jet]) * np.sign(jet_eta)[jet],
        "part_dphi": (away + np.pi) % (2 * np.pi) - np.pi,
        "part_charge": charge,
        **{f"part_is{name}": kind == place for place, name in enumerate(FLAGS)},
        **{
            f"part_{name}": np.where(charge == 0, 0.0, np.abs(random.normal(0, 1.0, total)))
            for name in TRACKS
        },
    }
    label = np.arange(number) % len(OUTPUTS)
    return {
        **{
            name: ak.unflatten(values.astype(np.float32), counts)
            for name, values in particles.items()
        },
        "jet_pt": jet_pt.astype(np.float32),
        "jet_eta": jet_eta.astype(np.float32),
        "jet_phi": jet_phi.astype(np.float32),
        "jet_energy": energy.astype(np.float32),
        **{
            f"label_{name}": (label == place).astype(np.float32)
            for place, name in enumerate(OUTPUTS)
        },
    }


def weaver_inputs(inputs: str, columns: Values) -> tuple[torch.Tensor, ...]:
    """Points, features and mask, channels first, as the configuration of that name says."""
    part = {name: ak.values_astype(values, np.float64) for name, values in columns.items()}
    pt = np.hypot(part["part_px"], part["part_py"])

    def scaled(values: Any, subtract: float, multiply: float) -> Any:
        found = (values - subtract) * multiply
        return ak.where(found > 5, 5.0, ak.where(found < -5, -5.0, found))

    def cut(values: Any) -> Any:
        return ak.where(values > 1, 1.0, ak.where(values < 0, 0.0, values))

    angles = [part["part_deta"], part["part_dphi"]]
    features = [
        scaled(np.log(pt), 1.7, 0.7),
        scaled(np.log(part["part_energy"]), 2.0, 0.7),
        scaled(np.log(pt / part["jet_pt"]), -4.7, 0.7),
        scaled(np.log(part["part_energy"] / part["jet_energy"]), -4.7, 0.7),
        scaled(np.hypot(*angles), 0.2, 4.0),
    ]
    if inputs != "kin":
        features += [part["part_charge"], *(part[f"part_is{name}"] for name in FLAGS)]
    if inputs == "full":
        features += [np.tanh(part["part_d0val"]), cut(part["part_d0err"])]
        features += [np.tanh(part["part_dzval"]), cut(part["part_dzerr"])]

    def padded(values: Any) -> torch.Tensor:
        filled = ak.fill_none(ak.pad_none(values, LENGTH, axis=1, clip=True), 0.0)
        return torch.from_numpy(ak.to_numpy(filled))

    points, found, mask = (
        torch.stack([padded(one) for one in several], dim=1)
        for several in (angles, [*features, *angles], [ak.ones_like(pt)])
    )
    return points, found, mask


@pytest.fixture(scope="module")
def columns() -> Values:
    return entries(JETS)


@pytest.fixture(scope="module")
def root(columns: Values, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("jetclass") / "jets.root"
    with uproot.recreate(path) as file:
        types = {name: ak.type(ak.Array(values)).content for name, values in columns.items()}
        file.mktree("tree", types)
        file["tree"].extend(columns)
    return path


def saved(path: Path, inputs: str) -> Weaver:
    """A network of weaver's, and its weights in a file as the authors' wrapper names them."""
    features = {"kin": 7, "kinpid": 13, "full": 17}[inputs]
    torch.manual_seed(3)
    sizes: Any = SIZES
    network = Weaver(features, len(OUTPUTS), neighbours=NEIGHBOURS, **sizes).double()
    given = weaver_inputs(inputs, entries(JETS))
    with torch.no_grad():
        # Moments of batch norms as after a training, and a last layer such that jets differ.
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.momentum = 1.0
        network.train()(*given)
        logits, last = network.eval()(*given), network.fc[-1]
        factor = 0.4 / logits.std(dim=0)
        last.weight *= factor[:, None]
        last.bias.copy_((last.bias - logits.mean(dim=0)) * factor)
    # As released: in single precision.
    network = network.float().double()
    state = {f"mod.{name}": value.float() for name, value in network.state_dict().items()}
    torch.save(state, path)
    return network


def tagger(path: Path, inputs: str = "kin", **changes: Any) -> Values:
    """Settings of a tagger of ten classes; the signal is not the first output."""
    classes = {name: {"samples": ["jc"], "labels": [LABELS.get(name, name)]} for name in OUTPUTS}
    return {
        "jets_from": "ntuples",
        "architecture": {"kind": "particlenet", "neighbours": NEIGHBOURS, **SIZES},
        "classes": classes,
        "signal": "Tbqq",
        "inputs": inputs,
        "n_constituents": LENGTH,
        "selection": {"pt_min": 1.0, "pt_max": 9e4, "abs_eta_max": 9.0},
        "reweighting": {"reference": "none"},
        "weights": {"file": str(path), "outputs": list(OUTPUTS)},
        **changes,
    }


def configuration(root: Path, own: Values) -> Values:
    return {
        "run": "imported",
        "ntuples": {
            "keep_default_samples": False,
            "samples": {"jc": {"kind": "ingested", "layout": "jetclass", "files": [str(root)]}},
        },
        "tagging": {
            "taggers": {"pfn": None, "bdt": None, "w_mlp": None, "pn": own},
            "evaluation": {"replicas": 20, "bins": {"pt": [400, 1000]}},
            "explanation": {"taggers": []},
        },
        **dict.fromkeys(("pileup", "calorimetry", "decorrelation", "unfolding", "inference")),
        "firmware": None,
    }


def scores(folder: Path, root: Path, values: Values) -> tuple[Path, Values]:
    """Model and scores by the steps, as columns."""
    settings = Given(validate(copy.deepcopy(values)).model_dump(mode="json"))
    model = folder / "model.pt"
    import_weights.main(
        weights=Path(values["tagging"]["taggers"]["pn"]["weights"]["file"]),
        tagger="pn",
        member="fold0_seed0",
        model=model,
        history=folder / "history.json",
        settings=settings,
    )
    path = folder / "scores.parquet"
    predict.main(jets=[root], sample="jc", models=[model], scores=path, settings=settings)
    table = pyarrow.parquet.read_table(path)
    return path, {name: table.column(name).to_numpy() for name in table.column_names}


@pytest.mark.parametrize("inputs", ["kin", "kinpid", "full"])
def test_scores_are_those_of_weaver(
    inputs: str, root: Path, columns: Values, tmp_path: Path
) -> None:
    network = saved(tmp_path / "pn.pt", inputs)
    _, found = scores(tmp_path, root, configuration(root, tagger(tmp_path / "pn.pt", inputs)))
    points, features, mask = weaver_inputs(inputs, columns)
    assert (features[:, :5].abs() == 5).any()
    with torch.no_grad():
        expected = torch.softmax(network(points, features, mask), dim=1).numpy()
    assert expected.std(axis=0).min() > 0.02
    for place, name in enumerate(OUTPUTS):
        np.testing.assert_allclose(found[f"score_{name}"], expected[:, place], atol=1e-6, rtol=0)
    np.testing.assert_array_equal(found["score"], found["score_Tbqq"])
    history = json.loads((tmp_path / "history.json").read_text())
    assert history["imported"]["file"] == "pn.pt" and history["parameters"] > 100


def test_outputs_can_be_left_out(root: Path, columns: Values, tmp_path: Path) -> None:
    network = saved(tmp_path / "pn.pt", "kin")
    two = {
        "top": {"samples": ["jc"], "labels": ["top"]},
        "qcd": {"samples": ["jc"], "labels": ["gluon"]},
    }
    outputs = [{"Tbqq": "top", "QCD": "qcd"}.get(name) for name in OUTPUTS]
    weights = {"file": str(tmp_path / "pn.pt"), "outputs": outputs}
    own = tagger(tmp_path / "pn.pt", classes=two, signal="top", weights=weights)
    _, found = scores(tmp_path, root, configuration(root, own))
    points, features, mask = weaver_inputs("kin", columns)
    with torch.no_grad():
        chances = torch.softmax(network(points, features, mask), dim=1).numpy()
    top, qcd = (chances[:, OUTPUTS.index(name)] for name in ("Tbqq", "QCD"))
    np.testing.assert_allclose(found["score"], top / (top + qcd), atol=1e-6, rtol=0)


def test_all_ten_classes_are_measured(root: Path, tmp_path: Path) -> None:
    saved(tmp_path / "pn.pt", "kin")
    values = configuration(root, tagger(tmp_path / "pn.pt"))
    path, _ = scores(tmp_path, root, values)
    performance = tmp_path / "performance.json"
    evaluate.main(
        jets=[root],
        samples=["jc"],
        scores=[path],
        tagger="pn",
        performance=performance,
        settings=Given(validate(values).model_dump(mode="json")),
    )
    measured = json.loads(performance.read_text())
    assert sorted(measured["jets"]) == sorted(OUTPUTS)
    assert min(measured["jets"].values()) > 5


def test_decays_are_told_apart_and_coarser_labels_mean_what_they_did(root: Path) -> None:
    (jets,) = stream(root, ["label", "label_fully_contained"], 0)
    label, whole = jets.scalars["label"], jets.scalars["label_fully_contained"]
    for place, name in enumerate(OUTPUTS):
        own = tagger(Path("a.pt"))["classes"][name]["labels"]
        classes = validate(configuration(root, tagger(Path("a.pt")))).tagging
        assert classes is not None
        numbers = classes.taggers["pn"].classes[name].label_numbers
        here = np.arange(JETS) % len(OUTPUTS) == place
        np.testing.assert_array_equal(np.isin(label, numbers), here, err_msg=str(own))
        assert whole[here].all() == (name not in ("Hqql", "Tbl")) == whole[here].any()
    two = {
        "H": {"samples": ["jc"], "labels": ["H"]},
        "rest": {"samples": ["jc"], "labels": ["unmatched"]},
    }
    given = validate(configuration(root, {"classes": two, "jets_from": "ntuples"})).tagging
    assert given is not None
    higgs, rest = (given.taggers["pn"].classes[name].label_numbers for name in ("H", "rest"))
    names = np.array(OUTPUTS)[np.arange(JETS) % len(OUTPUTS)]
    assert set(names[np.isin(label, higgs)]) == {"Hbb", "Hcc", "Hgg", "H4q"}
    assert set(names[np.isin(label, rest)]) == {"Hqql", "Tbl"}


def test_the_example_of_the_documentation_is_possible(project: Path) -> None:
    text = (project / "docs/stages/tagging.md").read_text()
    (example,) = re.findall(r"```yaml\n(run: jetclass\n.*?)```", text, re.DOTALL)
    settings = validate(yaml.safe_load(example)).tagging
    assert settings is not None
    (own,) = settings.taggers.values()
    labels = [own.classes[name or ""].labels[0] for name in own.weights.outputs]  # type: ignore[union-attr]
    assert labels == [LABELS.get(name, name) for name in OUTPUTS]


def test_no_table_nor_figure_tells_of_a_training(root: Path, tmp_path: Path) -> None:
    saved(tmp_path / "pn.pt", "kin")
    scores(tmp_path, root, configuration(root, tagger(tmp_path / "pn.pt")))
    history = json.loads((tmp_path / "history.json").read_text())
    assert tables._training_jets([history]) == {"pn": None}
    figures = figure_set(tmp_path / "index.json", "tagging")
    history_figures.draw(figures, "pn", [history])
    assert not list(tmp_path.glob("*.png"))


BROKEN = [
    ({"weights": {"file": "a.pt", "outputs": OUTPUTS[:-1]}}, "no output is for Tbl"),
    (
        {"weights": {"file": "a.pt", "outputs": (*OUTPUTS[:-1], "Tbln")}},
        "no output is for Tbl; no class is called Tbln",
    ),
    ({"weights": {"file": "a.pt", "outputs": (*OUTPUTS, "Tbl")}}, "two outputs are for Tbl"),
    ({"architecture": {"kind": "pfn"}}, "for the architecture particlenet, not pfn"),
    ({"inputs": "pt_eta_phi"}, r"set back inputs \(kin, kinpid or full\)"),
    ({"standardisation": "measured", "seeds": 2}, r"set back standardisation .*, seeds \(1\)"),
    ({"training": {"epochs": 2}, "folds": 3}, r"set back training \(null\), folds \(1\)"),
    ({"bayesian": {}}, r"set back bayesian \(null\)"),
    ({"jets_from": "jets"}, r"classes\.Hbb\.labels: jets of the stage jets have no label Hbb"),
]


@pytest.mark.parametrize(("changes", "text"), BROKEN)
def test_settings_that_do_not_fit_are_refused(changes: Values, text: str) -> None:
    own = tagger(Path("a.pt"), **changes)
    with pytest.raises((InputError, ValidationError), match=text):
        validate(configuration(Path("jets.root"), own))


def test_a_jet_belongs_to_one_class_also_by_its_decay() -> None:
    own = tagger(Path("a.pt"), weights=None)
    own["classes"]["H"] = {"samples": ["jc"], "labels": ["H"]}
    with pytest.raises((InputError, ValidationError), match="Hbb and H both take jets of sample"):
        validate(configuration(Path("jets.root"), own))


def test_firmware_and_trained_decorrelation_say_what_they_cannot_do() -> None:
    classes = {"a": {"samples": ["qcd"], "labels": ["Hbb"]}}
    with pytest.raises((InputError, ValidationError), match=r"classes\.a\.labels: .* no label Hbb"):
        validate({"firmware": {"classes": classes}})
    own = {"architecture": {"kind": "particlenet"}}
    own["weights"] = {"file": "a.pt", "outputs": ["qcd", "top"]}  # type: ignore[dict-item]
    method = {"tagger": "pn", "method": {"kind": "disco"}}
    values: Values = {
        "tagging": {"taggers": {"pn": own}},
        "decorrelation": {"classifiers": {"mine": method}},
    }
    with pytest.raises((InputError, ValidationError), match="weights of pn come from a file"):
        validate(values)
    method["method"] = {"kind": "flow"}
    validate(values)


def test_a_tagger_that_is_trained_imports_nothing(root: Path, tmp_path: Path) -> None:
    saved(tmp_path / "pn.pt", "kin")
    values = configuration(root, tagger(tmp_path / "pn.pt", weights=None))
    with pytest.raises(InputError, match=r"tagging\.taggers\.pn\.weights is null"):
        import_weights.main(
            weights=tmp_path / "pn.pt",
            tagger="pn",
            member="fold0_seed0",
            model=tmp_path / "model.pt",
            history=tmp_path / "history.json",
            settings=Given(validate(values).model_dump(mode="json")),
        )
    assert not (tmp_path / "model.pt").exists()


@pytest.mark.workflow
def test_the_workflow_goes_from_the_file_to_numbers(
    root: Path, project: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    link(folder, project)
    saved(folder / "pn.pt", "kin")
    own = tagger(Path("pn.pt"))
    (folder / "mine.yaml").write_text(
        yaml.safe_dump(json.loads(json.dumps(configuration(root, own))))
    )
    stage = "results/imported/tagging"
    command = [
        sys.executable, "-m", "snakemake", "--cores", "1", "--configfile", "mine.yaml",
        "--workflow-profile", "none", "--", f"{stage}/pn/performance.json", f"{stage}/tables.json",
    ]  # fmt: skip
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    counts = dict(re.findall(r"^\s*(\w+) +(\d+)\s*$", done.stdout + done.stderr, re.MULTILINE))
    assert counts["tagging_import_weights"] == "1" and "tagging_train" not in counts
    model = model_file.load(folder / stage / "pn/fold0_seed0/model.pt")
    assert model.settings.class_names[0] == "Tbqq"
    assert (folder / stage / "pn/model.onnx").is_file()
