"""The steps `train` and `quantise`, distillation, judgement, numbers and figures."""

import json
from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
import pyarrow.parquet
import pytest
import torch

from fullchain.errors import InputError
from fullchain.firmware import fixed_network, float_network, quantise, tasks, train
from fullchain.firmware.classification import Classification
from fullchain.firmware.distillation import teacher_probabilities
from fullchain.firmware.network_census import census
from fullchain.firmware.network_data import balanced
from fullchain.firmware.network_figure_names import network_figure_names
from fullchain.firmware.network_figures import figures, training_figures
from fullchain.firmware.network_numbers import metrics, tables
from fullchain.firmware.network_settings import NetworkSettings, TrainedNetworkSettings
from fullchain.firmware.point_files import network_census
from fullchain.firmware.task import Task
from fullchain.firmware.trigger_jets import SCALARS, TriggerJets, write
from fullchain.firmware.validation_performance import judge_classes
from fullchain.metrics import write_metrics
from fullchain.stage_tables import write_tables
from fullchain.step import Given
from fullchain.tagging.score_files import ScoreWriter

CLASSES = {
    "q": {"samples": ["qcd"], "labels": ["light"]},
    "g": {"samples": ["qcd"], "labels": ["gluon"]},
    "t": {"samples": ["tt"], "labels": ["top"]},
}
SHORT = {"epochs": 6, "batch_size": 100, "learning_rate": 1e-2}
MODEL = {
    "kind": "network",
    "architecture": {"layers": [8]},
    "training": SHORT,
    "replicas": 10,
    "points": {
        "learned": {"training": SHORT, "penalty": {"ebops": 1e-4}},
        "post": {"method": "post", "bits": "fixed", "overflow_limit": 0.05},
        "pruned": {"bits": "fixed", "training": SHORT, "pruning": {"fraction": 0.5}},
        "narrow": {"method": "post", "bits": "fixed", "coverage": 0.6},
    },
}


def toy_jets(sample, labels, jets=500, seed=1):
    generator = np.random.default_rng((seed, len(sample)))
    label = generator.choice(labels, jets)
    features = generator.normal(0, 1, (jets, 3)) * [1.0, 8.0, 0.2] + [0.0, 100.0, 0.5]
    features[:, 0] += label
    features[:, 1] += 8.0 * (label == 5)
    candidates = np.abs(generator.normal(0, 3, (jets, 4, 2)))
    candidates[:, :, 0] += label[:, None]
    candidates[:, 3] = 0.0
    scalars = {name: np.zeros(jets, dtype=kind) for name, kind in SCALARS.items()}
    scalars |= {
        "run": np.ones(jets, dtype=np.uint32),
        "event": np.arange(jets, dtype=np.uint64),
        "label": label.astype(np.int8),
        "weight": generator.uniform(0.5, 1.5, jets),
        "row": np.arange(jets),
    }
    return TriggerJets(
        features.astype(np.float32), candidates.astype(np.float32), scalars,
        ("mass", "width", "share"), ("pt", "angle"),
    )  # fmt: skip


def given(model, **more):
    firmware = {"classes": CLASSES, "split": {}, "models": {"toy": model}, **more}
    return Given({"seed": 1, "firmware": firmware})


@pytest.fixture(scope="module")
def jets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("jets")
    paths = [folder / "qcd.h5", folder / "tt.h5"]
    write(paths[0], toy_jets("qcd", [0, 1], 800), "qcd")
    write(paths[1], toy_jets("tt", [5]), "tt")
    return paths


def run_train(jets, folder, model=MODEL, scores=()):
    train.main(
        jets=jets, scores=list(scores), model="toy", trained=folder / "float.pt",
        history=folder / "training.json", settings=given(model),
    )  # fmt: skip
    return json.loads((folder / "training.json").read_text())


def run_quantise(jets, folder, point, float_folder=None, model=MODEL, scores=()):
    quantise.main(
        jets=jets, scores=list(scores), trained=(float_folder or folder) / "float.pt", model="toy",
        point=point, network=folder / f"{point}.json", history=folder / f"{point}_history.json",
        settings=given(model),
    )  # fmt: skip
    return json.loads((folder / f"{point}_history.json").read_text())


@pytest.fixture(scope="module")
def done(jets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    record = run_train(jets, folder)
    points = {name: run_quantise(jets, folder, name) for name in ("learned", "post", "pruned")}
    return folder, record, points


def test_training_learns_and_is_reproducible(done, jets, tmp_path):
    folder, record, _ = done
    assert record["performance"]["accuracy"][0] > 0.6 and record["performance"]["accuracy"][1] > 0
    assert record["train"][-1]["loss"] < record["train"][0]["loss"]
    assert run_train(jets, tmp_path) == record
    for name in ("training.json", "float.pt"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_quantisation_is_reproducible(done, jets, tmp_path):
    folder, _, points = done
    assert run_quantise(jets, tmp_path, "learned", folder) == points["learned"]
    assert (tmp_path / "learned.json").read_bytes() == (folder / "learned.json").read_bytes()
    assert not list(tmp_path.glob("checkpoint*"))


def test_numbers_are_those_of_the_network_in_the_file(done):
    folder, _, points = done
    found = {}
    for name, content in points.items():
        network, about = fixed_network.read(folder / f"{name}.json")
        assert about == {"model": "toy", "point": name, "classes": ["q", "g", "t"]}
        weights = [layer.weight for layer in network.layers]
        counted = census(network)
        assert counted["weights"] == sum(one.size for one in weights)
        assert counted["zero_weights"] == sum((one == 0).sum() for one in weights)
        found[name] = counted
        difference = [content["performance"][one]["accuracy"][0] for one in ("float", "quantised")]
        assert abs(difference[0] - difference[1]) < 0.15
    assert found["pruned"]["zero_weights"] >= round(0.5 * found["pruned"]["weights"])
    assert found["learned"]["ebops"] < found["post"]["ebops"]


def test_scores_of_the_file_are_those_of_the_training(done, jets):
    folder, _, _ = done
    network = float_network.read(folder / "float.pt")
    assert network.outputs == ("q", "g", "t") and network.quantities == ("mass", "width", "share")
    toys = toy_jets("qcd", [0, 1], 50, seed=4)
    found = float_network.scores(network, toys)
    values = toys.quantities(network.quantities, 0)
    inputs = np.clip((values - network.shift) * np.exp2(-network.exponent), -8, 8)
    state = {name: one.double().numpy() for name, one in network.network.state_dict().items()}
    hidden = np.maximum(inputs @ state["dense.dense1.weight"] + state["dense.dense1.bias"], 0)
    wanted = hidden @ state["dense.output.weight"] + state["dense.output.bias"]
    assert found.dtype == np.float64 and found == pytest.approx(wanted)
    toys.features[3, 1] = np.nan
    with pytest.raises(InputError, match="width of jet 3 is not finite"):
        float_network.scores(network, toys)


def test_candidates_are_trained_and_quantised(jets, tmp_path):
    shape = {"inputs": "candidates", "candidates": 4, "shared": [4], "layers": [6]}
    model = {**MODEL, "architecture": shape}
    assert run_train(jets, tmp_path, model)["quantities"] == ["pt", "angle"]
    run_quantise(jets, tmp_path, "learned", model=model)
    network = fixed_network.read(tmp_path / "learned.json")[0]
    names = [layer["name"] for layer in census(network)["layers"]]
    assert names == ["shared1", "sum", "dense1", "output"] and network.input_shape == (4, 2)


def test_metrics_tables_and_figures_are_made_of_the_numbers(done, tmp_path):
    folder, record, points = done
    contents = [
        {
            "model": "toy",
            "point": name,
            "census": network_census(folder / f"{name}.json"),
            "quantisation": content,
        }
        for name, content in points.items()
    ]
    found = metrics(contents)
    write_metrics(tmp_path / "metrics.json", "firmware", found)
    assert {one.name: one.value for one in found}["network.toy.learned.ebops"] == (
        contents[0]["census"]["ebops"]
    )
    write_tables(tmp_path / "tables.json", "firmware", tables(contents))
    drawn = {**figures(contents), **training_figures([record])}
    named = {"toy": {**MODEL, "points": {name: MODEL["points"][name] for name in points}}}
    assert sorted(drawn) == sorted(network_figure_names(named))
    for figure, caption in drawn.values():
        assert caption.endswith(".") and ":" in caption
        plt.close(figure)


def test_overflow_of_a_chosen_precision_names_the_layer(done, jets, tmp_path):
    folder, _, points = done
    with pytest.raises(InputError, match=r"layer inputs: \d+ of \d+ values .* overflow"):
        run_quantise(jets, tmp_path, "narrow", folder)
    assert set(points["post"]["overflow"]) == {"inputs", "dense1"}


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [(1, 4.0, "width is 4 for all"), (2, np.nan, "share has .* not finite")],
)
def test_useless_features_stop_the_training(jets, tmp_path, column, value, message):
    paths = []
    for name, labels in (("qcd", [0, 1]), ("tt", [5])):
        toys = toy_jets(name, labels)
        toys.features[:, column] = value
        paths.append(tmp_path / f"{name}.h5")
        write(paths[-1], toys, name)
    with pytest.raises(InputError, match=message):
        run_train(paths, tmp_path)


def test_bad_input_of_the_steps_is_named(done, jets, tmp_path):
    folder, _, _ = done
    with pytest.raises(InputError, match="kind forest is not one"):
        tasks.settings_of({"kind": "forest"}, "firmware.models.x")
    with pytest.raises(InputError, match=r"firmware.models.x: .*layers"):
        tasks.settings_of({"architecture": {"layers": "many"}}, "firmware.models.x")
    with pytest.raises(InputError, match="train it first"):
        run_quantise(jets, tmp_path, "learned")
    content = torch.load(folder / "float.pt")
    content["state"].pop("dense.output.bias")
    torch.save(content, tmp_path / "float.pt")
    with pytest.raises(InputError, match="not the weights of this network"):
        run_quantise(jets, tmp_path, "learned")
    model = {**MODEL, "architecture": {"quantities": ["mass", "girth"]}}
    with pytest.raises(InputError, match="no girth, only mass, width, share"):
        run_train(jets, tmp_path, model)
    with pytest.raises(InputError, match="class q in the train part sum to 0"):
        balanced(np.array([0.0, 1.0]), np.array([0, 1]), ("q", "g"), "train")


def scores_of(path, event, probabilities, variation="nominal"):
    classes = ("top", "u", "g")
    rows = len(event)
    with ScoreWriter(path, classes, 1) as file:
        file.write(
            {
                "run": np.ones(rows), "luminosityBlock": np.zeros(rows), "event": event,
                "variation": np.full(rows, variation, dtype=object), "jet": np.zeros(rows),
                "score": probabilities[:, 0], "fold": np.zeros(rows),
                "split": np.full(rows, "train", dtype=object),
                **{f"score_{name}": probabilities[:, k] for k, name in enumerate(classes)},
            }
        )  # fmt: skip


def test_teachers_are_matched_by_identity(tmp_path):
    generator = np.random.default_rng(6)
    event = generator.permutation(20)
    probabilities = generator.dirichlet([1, 1, 1], 20)
    scores_of(tmp_path / "tt.parquet", event, probabilities)
    wanted = np.array([3, 17, 8])
    scalars = {"run": np.ones(3), "luminosityBlock": np.zeros(3), "jet": np.zeros(3)}
    scalars["event"] = wanted
    arguments = [tmp_path / "tt.parquet"], ("qcd", "tt"), np.ones(3, dtype=int)
    found = teacher_probabilities(*arguments, scalars, ("u", "top", "g"))
    rows = [int(np.flatnonzero(event == one)[0]) for one in wanted]
    assert found == pytest.approx(probabilities[rows][:, [1, 0, 2]], rel=1e-5)
    with pytest.raises(InputError, match=r"1 of 3 jets have no score.*'event': 99"):
        teacher_probabilities(*arguments, {**scalars, "event": np.array([3, 99, 8])}, ("u", "g"))
    with pytest.raises(InputError, match="no column score_b"):
        teacher_probabilities(*arguments, scalars, ("u", "b", "g"))
    with pytest.raises(InputError, match="no scores of sample qcd"):
        teacher_probabilities(arguments[0], ("qcd", "tt"), np.array([1, 0, 1]), scalars, ("u", "g"))
    table = pyarrow.parquet.read_table(tmp_path / "tt.parquet")
    pyarrow.parquet.write_table(pyarrow.concat_tables([table, table]), tmp_path / "tt.parquet")
    with pytest.raises(InputError, match="a jet stands twice"):
        teacher_probabilities(*arguments, scalars, ("u", "top", "g"))


def test_distillation_goes_through_both_steps(jets, tmp_path):
    paths = []
    for name, events in (("qcd", 800), ("tt", 500)):
        paths.append(tmp_path / f"{name}.parquet")
        probabilities = np.random.default_rng(7).dirichlet([1, 1, 1], events)
        scores_of(paths[-1], np.arange(events), probabilities)
    teacher = {"tagger": "big", "classes": {"q": "u", "t": "top"}}
    model = {**MODEL, "distillation": teacher}
    record = run_train(jets, tmp_path, model, paths)
    assert set(record["train"][0]) == {"loss", "accuracy", "cross_entropy", "teacher"}
    content = run_quantise(jets, tmp_path, "learned", model=model, scores=paths)
    assert "teacher" in content["training"]["train"][0]
    with pytest.raises(InputError, match=r"distillation.tagger is big, but no files"):
        run_train(jets, tmp_path, model)


def test_the_loss_of_a_student_is_that_of_the_paper():
    logits = torch.tensor([[1.0, 0.0], [0.5, 2.0]])
    batch = {
        "target": torch.tensor([0, 1]), "weight": torch.ones(2),
        "teacher": torch.tensor([[0.9, 0.1], [0.3, 0.7]]),
    }  # fmt: skip
    found = Classification(0.25, 3.0)(logits, batch)
    hard, soft = 0.0, 0.0
    for row in range(2):
        p = np.exp(logits[row].double().numpy())
        q = batch["teacher"][row].double().numpy() ** (1 / 3)
        p_soft, q_soft = p ** (1 / 3) / (p ** (1 / 3)).sum(), q / q.sum()
        hard -= 0.5 * np.log(p[row] / p.sum())
        soft -= 0.5 * 9 * (q_soft * np.log(p_soft)).sum()
    assert found["loss"].item() == pytest.approx(0.75 * hard + 0.25 * soft, rel=1e-5)


def test_accuracy_and_auc_count_all_classes_the_same():
    generator = np.random.default_rng(8)
    target = np.repeat([0, 1, 2], [600, 300, 100])
    names = ("a", "b", "c")
    event = np.arange(1000)
    perfect = judge_classes(5.0 * np.eye(3)[target], target, event, names, 20, 1)
    assert perfect["accuracy"] == pytest.approx((1.0, 0.0))
    assert perfect["auc"] == pytest.approx((1.0, 0.0))
    always_a = np.tile([1.0, 0.0, 0.0], (1000, 1))
    found = judge_classes(always_a, target, event, names, 20, 1)
    assert found["accuracy"][0] == pytest.approx(1 / 3) and found["auc"][0] == pytest.approx(0.5)
    chance = judge_classes(generator.normal(size=(1000, 3)), target, event, names, 50, 1)
    value, error = chance["auc"]
    assert abs(value - 0.5) < 4 * error and 0.005 < error < 0.05


class LatentSettings(TrainedNetworkSettings):
    """Settings of an encoder, for the test below."""

    kind: Literal["latent"] = "latent"


class Reconstruction(torch.nn.Module):
    """An objective with parameters of its own."""

    def __init__(self, quantities):
        super().__init__()
        self.decoder = torch.nn.Linear(2, quantities)

    def forward(self, outputs, batch):
        return {"loss": (self.decoder(outputs) - batch["inputs"]).square().mean()}


LATENT = Task(
    settings=LatentSettings,
    objective=lambda settings, classes, quantities: Reconstruction(quantities),
    trains_on=lambda settings, jets, classes: jets.target < 2,
    width=lambda settings, classes: 2,
    outputs=lambda settings, classes: ("score",),
    balanced=False,
    last=("squared_norm",),
    judge=lambda scores, *rest: {"mean": (float(scores.mean()), 0.0)},
)


def test_any_objective_is_trained_and_its_parameters_are_kept(jets, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "TASKS", {**tasks.TASKS, "latent": LATENT})
    model = {**MODEL, "kind": "latent"}
    record = run_train(jets, tmp_path, model)
    assert record["train"][-1]["loss"] < record["train"][0]["loss"]
    network = float_network.read(tmp_path / "float.pt")
    assert set(network.objective) == {"decoder.weight", "decoder.bias"}
    assert float_network.scores(network, toy_jets("qcd", [0], 20)).shape == (20, 1)
    content = run_quantise(jets, tmp_path, "learned", model=model)
    # The quantised network starts with the decoder that the float one ended with.
    first = content["training"]["train"][0]["task"]
    assert first < 0.5 * (record["train"][0]["loss"] + record["train"][-1]["loss"])
    fixed, _ = fixed_network.read(tmp_path / "learned.json")
    assert fixed.outputs == ("score",) and fixed.layers[-1].kind == "squared_norm"
    assert census(fixed)["layers"][-1]["ebops"] > 0


def test_settings_have_a_default_point():
    assert list(NetworkSettings().points) == ["learned"]
