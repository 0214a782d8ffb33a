"""The steps of the flow on small files: what they write, and what they refuse."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from scipy.stats import kstest

from flow_study import Study, tagger_of
from fullchain.decorrelation import flow_jets
from fullchain.decorrelation.method_settings import ClassifierSettings, DiscoSettings
from fullchain.errors import InputError
from fullchain.learning import split
from fullchain.learning.roc import area, roc_curve
from fullchain.tagging import scored_jets
from fullchain.tagging.scored_jets import ScoredJets
from fullchain.tagging.selection_settings import SelectionSettings


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, list[Path], dict[str, Path]]:
    """A tagger of two seeds, its flows, and the transformed scores."""
    torch.set_num_threads(1)
    found = Study(tmp_path_factory.mktemp("flow"), tagger_of(2))
    flows = [found.flatten(member) for member in ("mean", "seed0", "seed1")]
    return found, flows, {sample: found.transform(sample, flows) for sample in found.samples}


def test_scores_become_uniform_over_background(
    study: tuple[Study, list[Path], dict[str, Path]],
) -> None:
    own, _, new = study

    def test_part(scores: dict[str, Path]) -> ScoredJets:
        files = {name: ([own.files[name][0]], scores[name]) for name in own.samples}
        return scored_jets.read(
            files, own.tagger, SelectionSettings(), ["msoftdrop"], splits=(split.TEST,)
        )

    before, after = (
        test_part(scores) for scores in ({name: files[1] for name, files in own.files.items()}, new)
    )
    heavy = after.columns["msoftdrop"] > 75
    background = after.target > 0
    for rows in (background & heavy, background & ~heavy):
        assert kstest(before.probabilities[rows, 0], before.probabilities[background, 0])[0] > 0.1
        for one in (after.probabilities, *after.single):
            # Several hundred jets each on both sides: a deviation of 0.05 is common.
            assert kstest(one[rows, 0], "uniform").statistic < 0.09
    # Signal is still told from background of its mass.
    near = np.abs(after.columns["msoftdrop"] - 85) < 15
    areas = [
        area(roc_curve(jets.probabilities[near, 0], jets.target[near] == 0))
        for jets in (before, after)
    ]
    assert areas[1] == pytest.approx(areas[0], abs=0.02) and areas[1] > 0.75


def test_the_file_is_like_that_of_the_tagger(
    study: tuple[Study, list[Path], dict[str, Path]],
) -> None:
    own, _, new = study
    for sample in own.samples:
        old, found = (
            pyarrow.parquet.read_table(path) for path in (own.files[sample][1], new[sample])
        )
        assert found.schema.equals(old.schema, check_metadata=True)
        kept = [name for name in old.column_names if "score" not in name]
        assert found.select(kept).equals(old.select(kept))
        score = found["score"].to_numpy()
        # The one jet that had no score has none, all others have: in all variations and masses.
        np.testing.assert_array_equal(np.isnan(score), np.isnan(old["score"].to_numpy()))
        assert np.isnan(score).sum() == 1
        assert np.nanmin(score) > 0 and np.nanmax(score) < 1
        single = (found["seed0_score"].to_numpy() + found["seed1_score"].to_numpy()) / 2
        # Each flow makes its own score uniform; the mean of uniform numbers is not.
        assert np.nanmax(np.abs(score - single)) > 0.01


def test_two_runs_agree_to_the_bit(study: tuple[Study, list[Path], dict[str, Path]]) -> None:
    own, flows, new = study
    again = own.transform("qcd", flows[::-1], "again")
    assert again.read_bytes() == new["qcd"].read_bytes()
    history = flows[0].with_name("history.json").read_text()
    own.flatten("mean")
    assert flows[0].with_name("history.json").read_text() == history
    third = own.transform("qcd", flows, "third")
    assert third.read_bytes() == new["qcd"].read_bytes()
    record = json.loads(history)
    (only,) = record["folds"]
    assert only["jets"]["training"] + only["jets"]["stopping"] > 1200
    assert only["jets"]["fitted_to"] == "both"
    assert len(only["train"]) == len(only["validation"]) > only["best_epoch"]


def test_other_classes_keep_their_proportions(tmp_path: Path) -> None:
    own = Study(tmp_path, tagger_of(1, classes=3))
    new = pyarrow.parquet.read_table(own.transform("qcd", [own.flatten()]))
    old = pyarrow.parquet.read_table(own.files["qcd"][1])
    names = ["score_W", "score_qcd0", "score_qcd1"]
    first, second = (
        np.stack([table[name].to_numpy() for name in names]).astype(float) for table in (old, new)
    )
    exists = np.isfinite(first[0])
    np.testing.assert_allclose(second[:, exists].sum(axis=0), 1.0, atol=1e-6)
    np.testing.assert_array_equal(new["score"].to_numpy(), new["score_W"].to_numpy())
    share = [one[1] / (one[1] + one[2]) for one in (first[:, exists], second[:, exists])]
    np.testing.assert_allclose(share[0], share[1], atol=1e-4)


def test_what_is_wrong_is_named(
    study: tuple[Study, list[Path], dict[str, Path]], tmp_path: Path
) -> None:
    own, flows, _ = study

    def refused(match: str, path: str, value: Any, member: str = "mean") -> None:
        changed = copy.copy(own)
        changed.values = copy.deepcopy(own.values)
        changed.folder = tmp_path
        place = changed.values
        *words, last = path.split(".")
        for word in words:
            place = place[word]
        place[last] = value
        with pytest.raises(InputError, match=match):
            changed.flatten(member)

    disco = ClassifierSettings(tagger="w", method=DiscoSettings()).model_dump(mode="json")
    refused("flow: the method disco", "decorrelation.classifiers.flow", disco)
    refused("seed2: of the tagger w there are mean, seed0, seed1", "seed", 5, member="seed2")
    refused("no column tau21", "decorrelation.against", ["tau21"])
    high = SelectionSettings(pt_min=749.999, pt_max=750).model_dump(mode="json")
    refused("samples wjet, qcd, flow of mean: .* none is background", "tagging.selection", high)
    refused(
        "label_fully_contained is .* for all background jets",
        "decorrelation.against",
        ["label_fully_contained"],
    )
    with pytest.raises(InputError, match="flows of mean, seed0 were given"):
        own.transform("qcd", flows[:2] + flows[:1], "bad")
    with pytest.raises(InputError, match="flows of seed0 were given: one of mean"):
        own.transform("qcd", flows[1:2], "bad")
    with pytest.raises(InputError, match="no such file; run decorrelation flatten"):
        own.transform("qcd", [tmp_path / "nothing.pt"], "bad")
    changed = copy.copy(own)
    changed.files = {"qcd": (own.files["qcd"][0], own.files["wjet"][1])}
    with pytest.raises(InputError, match="scores"):
        changed.transform("qcd", flows, "bad")


def background(train_shift: float, jets: int = 4000, weight: float = 1.0) -> ScoredJets:
    """Background whose scores in the training part are lower by `train_shift`."""
    rng = np.random.default_rng(1)
    part = rng.choice([split.TRAIN, split.VALIDATION], jets, p=[0.8, 0.2])
    score = 1 / (1 + np.exp(-rng.normal(size=jets) + train_shift * (part == split.TRAIN)))
    numbers = np.arange(jets)
    columns = {
        "split": part,
        "weight": np.full(jets, weight),
        "fold": rng.random(jets),
        "run": np.ones(jets, dtype=int),
        "luminosityBlock": np.ones(jets, dtype=int),
        "event": numbers,
    }
    both = np.stack([score, 1 - score], axis=1)
    return ScoredJets(columns, np.ones(jets, dtype=int), numbers, both, np.empty((0, jets, 2)))


@pytest.mark.parametrize(
    ("fitted_to", "shift", "taken"),
    [
        ("tested", 0.0, "both"),
        ("tested", 0.4, "validation"),
        ("both", 0.4, "both"),
        ("validation", 0.0, "validation"),
    ],
)
def test_jets_of_the_training_are_taken_where_their_scores_are_alike(
    fitted_to: Any, shift: float, taken: str
) -> None:
    jets = background(shift)
    found = flow_jets.choose(jets, jets.probabilities[:, 0], fitted_to, seed=1)
    assert found.record["fitted_to"] == taken
    part = jets.columns["split"][found.rows]
    if taken == "both":
        np.testing.assert_array_equal(part == split.VALIDATION, found.validation)
        assert len(found.rows) == len(jets)
    else:
        assert (part == split.VALIDATION).all()
        assert found.validation.mean() == pytest.approx(flow_jets.STOPPING, abs=0.06)


@pytest.mark.parametrize(
    ("jets", "fitted_to", "message"),
    [
        (
            30,
            "both",
            r"background jets of positive weight to fit a flow to and \d to stop it",
        ),
        (100, "validation", "are needed: .* selection of the tagger, or set fitted_to to both"),
    ],
)
def test_too_little_background_is_refused_with_its_numbers(
    jets: int, fitted_to: Any, message: str
) -> None:
    few = background(0.0, jets)
    with pytest.raises(InputError, match=message):
        flow_jets.choose(few, few.probabilities[:, 0], fitted_to, seed=1)
    # Jets without weight are none.
    enough = background(0.0, 400)
    scores = enough.probabilities[:, 0]
    flow_jets.choose(enough, scores, "validation", seed=1)
    some = np.where(np.arange(400) % 4, 0.0, 1.0)
    lighter = replace(enough, columns={**enough.columns, "weight": some})
    with pytest.raises(InputError, match="at least 30 and 10 are needed"):
        flow_jets.choose(lighter, scores, "validation", seed=1)


def test_background_without_weight_or_validation_is_refused() -> None:
    weightless = background(0.0, weight=0.0)
    with pytest.raises(InputError, match="background jets of the validation part sum to zero"):
        flow_jets.choose(weightless, weightless.probabilities[:, 0], "tested", seed=1)
    jets = background(0.0)
    only = jets.where(jets.columns["split"] == split.TRAIN)
    with pytest.raises(InputError, match="none of the validation part"):
        flow_jets.choose(only, only.probabilities[:, 0], "tested", seed=1)
