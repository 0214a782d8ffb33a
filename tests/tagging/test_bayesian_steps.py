"""A Bayesian tagger from training to figures, on small files."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
import torch
import uproot

from fullchain.errors import InputError
from fullchain.learning import checkpoint
from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import initialised
from fullchain.learning.training import train as run_loop
from fullchain.plotting import figure_set
from fullchain.step import Given
from fullchain.tagging import (
    bayesian,
    evaluate,
    export_friend,
    history_figures,
    posterior_figures,
    predict,
    tabulate,
    train,
)
from fullchain.tagging.jets_reading import read
from fullchain.tagging.model_file import load
from fullchain.tagging.posterior import posterior
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.tagger import Tagger
from fullchain.tagging.variational_loss import NegativeBound
from fullchain.tagging.views import view_of

Values = dict[str, Any]


def changed(values: Values, epochs: int, **tagger: Any) -> Values:
    result = copy.deepcopy(values)
    result["tagging"]["taggers"]["pfn"] |= tagger
    result["tagging"]["training"]["epochs"] = epochs
    return result


def training(
    folder: Path, jets: dict[str, list[Path]], values: Values, member: str = "fold0_seed0"
) -> Path:
    model = folder / member / "model.pt"
    train.main(
        jets=[path for paths in jets.values() for path in paths],
        samples=[name for name, paths in jets.items() for _ in paths],
        tagger="pfn",
        member=member,
        model=model,
        history=model.with_name("history.json"),
        settings=Given(values),
    )
    return model


@pytest.fixture(scope="module")
def jets(signal_jets: list[Path], background_jets: list[Path]) -> dict[str, list[Path]]:
    return {"tt": signal_jets, "qcd": background_jets}


@pytest.fixture(scope="module")
def chosen(values: Values) -> Values:
    return changed(values, 6, bayesian={"layers": "last", "samples": 20}, seeds=3)


@pytest.fixture(scope="module")
def models(
    tmp_path_factory: pytest.TempPathFactory, jets: dict[str, list[Path]], chosen: Values
) -> list[Path]:
    folder = tmp_path_factory.mktemp("bayesian")
    return [training(folder, jets, chosen, f"fold0_seed{seed}") for seed in range(3)]


@pytest.fixture(scope="module")
def scored(models: list[Path], jets: dict[str, list[Path]], chosen: Values) -> dict[str, Path]:
    found = {}
    for name, paths in jets.items():
        found[name] = models[0].parents[1] / f"{name}.parquet"
        predict.main(
            jets=paths, sample=name, models=models, scores=found[name], settings=Given(chosen)
        )
    return found


@pytest.fixture(scope="module")
def performance(scored: dict[str, Path], jets: dict[str, list[Path]], chosen: Values) -> Path:
    path = scored["tt"].with_name("performance.json")
    evaluate.main(
        jets=[one for paths in jets.values() for one in paths],
        samples=[name for name, paths in jets.items() for _ in paths],
        scores=list(scored.values()),
        tagger="pfn",
        performance=path,
        settings=Given(chosen),
    )
    return path


def test_training_records_both_terms_and_the_number_of_jets(models: list[Path]) -> None:
    history = json.loads(models[0].with_name("history.json").read_text())
    number = sum(history["jets"]["train"].values())
    assert 0.3 * number < history["effective_jets"] <= number
    for part in ("train", "validation"):
        for terms in history[part]:
            assert terms["loss"] == pytest.approx(terms["cross_entropy"] + terms["divergence"])
    assert history["train"][-1]["cross_entropy"] < 0.5 * history["train"][0]["cross_entropy"]
    (layer,) = bayesian.layers(load(models[0]).tagger)
    own = bayesian.divergence(layer).item() / history["effective_jets"]
    best = history["validation"][history["best_epoch"]]["divergence"]
    assert own == pytest.approx(best, rel=1e-5)


def test_scores_are_mean_and_deviation_over_the_samples(
    scored: dict[str, Path], models: list[Path], background_jets: list[Path]
) -> None:
    table = pyarrow.parquet.read_table(scored["qcd"])
    trained = [load(path) for path in models]
    settings = trained[0].settings
    rows = read(background_jets, [], settings.n_constituents, lambda s: np.ones(len(s["pt"]), bool))
    arrays = view_of(settings).arrays(rows)
    single = [posterior(one.tagger, arrays, torch.device("cpu")) for one in trained]
    mean = np.stack([one.mean[:, 0] for one in single])
    variance = np.stack([one.variance[:, 0] for one in single])
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    for seed in range(3):
        np.testing.assert_allclose(columns[f"seed{seed}_score"], mean[seed], atol=1e-6)
        np.testing.assert_allclose(
            columns[f"seed{seed}_score_std"], np.sqrt(variance[seed]), rtol=1e-3, atol=1e-8
        )
    np.testing.assert_allclose(columns["score"], mean.mean(axis=0), atol=1e-6)
    total = variance.mean(axis=0) + mean.var(axis=0)
    np.testing.assert_allclose(columns["score_std"], np.sqrt(total), rtol=1e-3, atol=1e-8)
    at_mean = np.mean([one.at_mean[:, 0] for one in single], axis=0)
    np.testing.assert_allclose(columns["score_at_mean"], at_mean, atol=1e-6)
    assert (columns["score_std"] > 0).all() and np.abs(columns["score"] - at_mean).max() > 1e-3
    description = table.schema.field("score_std").metadata[b"description"]
    assert b"standard deviation of score" in description


def test_rows_do_not_depend_on_their_file(
    scored: dict[str, Path], models: list[Path], signal_jets: list[Path], chosen: Values
) -> None:
    """The samples of the weights are those of the model, whatever is read before a jet."""
    path = scored["tt"].with_name("second.parquet")
    predict.main(
        jets=signal_jets[1:], sample="tt", models=models, scores=path, settings=Given(chosen)
    )
    alone, whole = (pyarrow.parquet.read_table(one) for one in (path, scored["tt"]))
    for name in ("score", "score_std", "seed2_score_std"):
        np.testing.assert_allclose(
            alone.column(name), whole.column(name).slice(len(whole) - len(alone)), atol=1e-6
        )


def test_uncertainties_are_measured(performance: Path) -> None:
    measured = json.loads(performance.read_text())
    found = measured["posterior"]
    bins = [row for row in found["arc"]["bins"] if row]
    assert bins and sum(row["jets"] for row in bins) > 0.9 * sum(measured["jets"].values())
    for row in bins:
        assert row["sigma"]["deviation"] > 0 and row["low"] <= row["high"]
    # The arc: more in the middle than at the ends.
    ends = 0.5 * (bins[0]["sigma"]["value"] + bins[-1]["sigma"]["value"])
    assert max(row["sigma"]["value"] for row in bins[1:-1]) > 1.5 * ends
    for name in ("top", "qcd"):
        one = found["sigma"][name]
        assert sum(one["content"]) == pytest.approx(1.0) and one["mean"]["deviation"] > 0
    assert found["logit_width"]["value"] > 5 * found["logit_width"]["deviation"] > 0
    assert found["pulls"]["trainings"] == 3
    assert found["pulls"]["width"]["value"] > 0 < found["pulls"]["width"]["over_trainings"]
    assert 0 < found["pulls"]["coverage"]["value"] <= 1
    rows = {row.name: row for row in tabulate.tagger_metrics(measured)}
    own = ("sigma_top", "logit_width", "ece_at_mean", "pull_mean", "pull_width", "pull_coverage")
    for name in own:
        assert rows[f"pfn.{name}"].uncertainty > 0
    assert "need not be one" in (rows["pfn.pull_width"].note or "")
    # Of two trainings the mean pull is zero by construction, and no measurement.
    for quantity in ("mean", "width", "coverage"):
        found["pulls"][quantity]["over_trainings"] = None
    assert "pfn.pull_mean" not in {row.name for row in tabulate.tagger_metrics(measured)}


def test_figures_of_uncertainties(performance: Path, models: list[Path], tmp_path: Path) -> None:
    figures = figure_set(tmp_path / "index.json", "tagging")
    posterior_figures.draw(figures, json.loads(performance.read_text()), "")
    histories = [json.loads(path.with_name("history.json").read_text()) for path in models]
    history_figures.draw(figures, "pfn", histories)
    figures.write()
    entries = {one["name"]: one for one in json.loads((tmp_path / "index.json").read_text())}
    own = ["sigma_pfn", "sigma_arc_pfn", "calibration_posterior_pfn", "pulls_pfn"]
    assert list(entries) == [*own, "history_pfn"]
    assert all((tmp_path / f"{name}.png").stat().st_size > 5000 for name in entries)
    assert "Cross entropy + KL / N of pfn" in entries["history_pfn"]["caption"]


def test_uncertainties_are_in_the_trees(scored: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "friend.root"
    export_friend.main(
        scores=scored["qcd"], ntuples=[], tagger="pfn", friend=path, settings=Given({})
    )
    table = pyarrow.parquet.read_table(scored["qcd"])
    with uproot.open(path) as file:
        for name in ("score", "score_std", "seed1_score_std", "score_at_mean"):
            np.testing.assert_array_equal(file["Jets"][name].array(library="np"), table[name])


def test_a_killed_training_of_all_layers_resumes_to_the_same_bits(
    jets: dict[str, list[Path]], values: Values, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = changed(values, 3, bayesian={"layers": "all", "samples": 6})
    whole = training(tmp_path / "whole", jets, every)
    save, saved = checkpoint.save, []

    def save_and_stop(*state: Any) -> None:
        save(*state)
        saved.append(1)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", save_and_stop)
        with pytest.raises(KeyboardInterrupt):
            training(tmp_path / "killed", jets, every)
    resumed = training(tmp_path / "killed", jets, every)
    first, second = (torch.load(path)["state"] for path in (whole, resumed))
    assert all(torch.equal(first[name], second[name]) for name in first)
    histories = [path.with_name("history.json").read_bytes() for path in (whole, resumed)]
    assert histories[0] == histories[1] and saved == [1]
    # Weights of every linear layer have moved, and so have their widths.
    tagger = load(resumed).tagger
    widths = [layer.weight_log_width.exp() for layer in bayesian.layers(tagger)]
    assert len(widths) == 4 and all((width - 0.05).abs().max() > 1e-3 for width in widths)


def test_folds_are_scored_by_who_did_not_see_them(
    jets: dict[str, list[Path]], values: Values, tmp_path: Path
) -> None:
    folds = changed(values, 1, bayesian={"samples": 5}, folds=2)
    pair = [training(tmp_path, jets, folds, f"fold{k}_seed0") for k in range(2)]
    found = {}
    for sample in ("qcd", "other"):
        path = tmp_path / f"{sample}.parquet"
        predict.main(
            jets=jets["qcd"], sample=sample, models=pair, scores=path, settings=Given(folds)
        )
        found[sample] = pyarrow.parquet.read_table(path)
    trained = [load(path) for path in pair]
    number = trained[0].settings.n_constituents
    rows = read(jets["qcd"], [], number, lambda s: np.ones(len(s["pt"]), bool))
    arrays = view_of(trained[0].settings).arrays(rows)
    single = [posterior(one.tagger, arrays, torch.device("cpu")) for one in trained]
    left_out = (found["qcd"].column("fold").to_numpy() >= 0.5).astype(int)
    place = np.arange(len(left_out))
    variance = np.stack([one.variance[:, 0] for one in single])
    mean = np.stack([one.mean[:, 0] for one in single])
    np.testing.assert_allclose(
        found["qcd"].column("score_std"), np.sqrt(variance[left_out, place]), rtol=1e-3, atol=1e-8
    )
    # Jets that none was trained on: within and between the folds.
    total = np.sqrt(variance.mean(axis=0) + mean.var(axis=0))
    np.testing.assert_allclose(found["other"].column("score_std"), total, rtol=1e-3, atol=1e-8)


def test_weight_decay_is_refused(
    jets: dict[str, list[Path]], values: Values, tmp_path: Path
) -> None:
    both = changed(values, 1, bayesian={})
    both["tagging"]["training"]["weight_decay"] = 0.01
    with pytest.raises(InputError, match=r"weight_decay is 0\.01, but the tagger is bayesian"):
        training(tmp_path, jets, both)


@pytest.mark.parametrize(
    ("layers", "how"),
    [
        ("last", {"precision": "bfloat16"}),
        ("all", {"precision": "bfloat16"}),
        ("all", {"processes": 2}),
    ],
)
def test_fewer_bits_and_more_processes(layers: str, how: dict[str, Any]) -> None:
    settings = TaggerSettings.model_validate(
        {
            "architecture": {"kind": "pfn", "phi": [8], "f": [8]},
            "n_constituents": 4,
            "bayesian": {"layers": layers, "samples": 5},
        }
    )
    view = view_of(settings)
    assert view.published is not None
    scale = view.published
    model = initialised(1, lambda: Tagger(settings, scale))
    generator = np.random.default_rng(1)
    target = generator.integers(0, 2, 200)
    particles = np.zeros((200, 4, 4), dtype=np.float32)
    particles[..., 0] = generator.exponential(30, (200, 4)) * (1 + 3 * target[:, None])
    particles[..., 1:3] = generator.normal(size=(200, 4, 2)) * 0.1
    momentum = np.tile(np.array([200.0, 0, 0, 50], dtype=np.float32), (200, 1))
    batch = {
        "constituents": torch.from_numpy(particles),
        "jet": torch.from_numpy(momentum),
        "target": torch.from_numpy(target),
        "weight": torch.ones(200),
    }
    training_settings = TrainingSettings(epochs=3, batch_size=40, learning_rate=0.02, **how)
    objective = NegativeBound(view, True, 200.0, 5)
    history = run_loop(model, objective, batch, batch, training_settings, seed=4)
    assert history.train[-1]["loss"] < history.train[0]["loss"]
    for layer in bayesian.layers(model):
        assert torch.isfinite(layer.weight_log_width).all()
        assert (layer.weight_log_width - np.log(0.05)).abs().max() > 1e-3
