"""Flows of a tagger with folds: whom they are fitted to, and whom they transform."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from scipy.stats import kstest

from flow_study import SEED, Study, jets_of, tagger_of
from fullchain.decorrelation import flow_file, flow_jets
from fullchain.decorrelation.flow_file import FittedFlow
from fullchain.decorrelation.marginal import chances
from fullchain.learning import split
from fullchain.seeds import derive
from fullchain.tagging import members, scored_jets
from fullchain.tagging.scored_jets import ScoredJets
from fullchain.tagging.selection_settings import SelectionSettings

FOLDS = 4


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, Path, dict[str, Path]]:
    """A tagger of four folds, its flows, and the transformed scores."""
    torch.set_num_threads(1)
    found = Study(tmp_path_factory.mktemp("folds"), tagger_of(1, folds=FOLDS))
    flow = found.flatten()
    # Not the events that were fitted to, but files like theirs: one stands in, one is on its own.
    found.files |= {name: found.files["qcd"] for name in ("stand_in", "stranger")}
    samples = (*found.samples, "stand_in", "stranger")
    return found, flow, {sample: found.transform(sample, [flow]) for sample in samples}


def jets_in(study: Study, scores: dict[str, Path]) -> ScoredJets:
    files = {name: ([study.files[name][0]], scores[name]) for name in study.samples}
    read = scored_jets.read
    return read(files, study.tagger, SelectionSettings(), ["msoftdrop", "jet"], scores=["fold"])


def by_each(fitted: FittedFlow, scores: Path) -> np.ndarray:
    """Scores of the sample qcd as each flow of a file transforms them, (folds, jets)."""
    columns = jets_of("qcd")
    identity = [columns[name] for name in ("run", "luminosityBlock", "event", "jet")]
    chance = chances(*identity, seed=derive(SEED, "decorrelation", "flow"))
    score = pyarrow.parquet.read_table(scores)["score"].to_numpy()
    against = columns["msoftdrop"].astype(np.float32).astype(float)[:, None]
    return np.stack([one.transformed(score, against, chance) for one in fitted.flow.flows])


def test_a_flow_does_not_depend_on_the_jets_that_it_transforms(
    study: tuple[Study, Path, dict[str, Path]], tmp_path: Path
) -> None:
    own, path, _ = study
    table = pyarrow.parquet.read_table(own.files["qcd"][1])
    folds = members.fold_of(table["fold"].to_numpy(), FOLDS)
    score = np.where(folds == 2, 1.0 - table["score"].to_numpy() ** 3, table["score"].to_numpy())
    place = table.column_names.index("score")
    changed = table.set_column(place, table.schema.field("score"), pyarrow.array(score))
    other = Study(tmp_path, own.tagger)
    pyarrow.parquet.write_table(changed, other.files["qcd"][1])
    before, after = (
        by_each(flow_file.load(one), own.files["qcd"][1]) for one in (path, other.flatten())
    )
    exists = np.isfinite(before[0])
    for fold in range(FOLDS):
        moved = np.abs(before[fold] - after[fold])[exists].max()
        assert moved == 0.0 if fold == 2 else moved > 0.05


def test_jets_have_the_score_of_the_flow_of_their_fold_and_strangers_the_mean(
    study: tuple[Study, Path, dict[str, Path]],
) -> None:
    own, path, new = study
    found = by_each(flow_file.load(path), own.files["qcd"][1])
    table = pyarrow.parquet.read_table(own.files["qcd"][1])
    folds = members.fold_of(table["fold"].to_numpy(), FOLDS)
    mine = found[folds, np.arange(len(folds))]
    columns = jets_of("qcd")
    shifted = columns["variation"] != "nominal"
    assert shifted.any() and (np.bincount(folds) > 1000).all()

    def score(sample: str) -> np.ndarray:
        return pyarrow.parquet.read_table(new[sample])["score"].to_numpy()

    for sample in ("qcd", "stand_in"):
        np.testing.assert_allclose(score(sample), mine, rtol=1e-6)
    np.testing.assert_allclose(score("stranger"), found.mean(axis=0), rtol=1e-6)
    # Four estimates of one distribution: alike, and not the same.
    assert 0.001 < np.nanstd(mine - found.mean(axis=0)) < 0.05


def test_scores_of_all_background_are_uniform_at_each_mass(
    study: tuple[Study, Path, dict[str, Path]],
) -> None:
    own, _, new = study
    before, after = (
        jets_in(own, scores) for scores in ({name: own.files[name][1] for name in own.samples}, new)
    )
    background = after.target > 0
    mass, score = after.columns["msoftdrop"], after.probabilities[:, 0]
    raw = before.probabilities[:, 0]
    for low, high in pairwise((40.0, 60.0, 85.0, 120.0, 500.0)):
        rows = background & (mass >= low) & (mass < high)
        # Some thousand jets, by flows that know about three thousand others: 0.05 is common.
        assert kstest(raw[rows], raw[background]).statistic > 0.1
        assert kstest(score[rows], "uniform").statistic < 0.07
    folds = members.fold_of(after.columns["fold"], FOLDS)
    for fold in range(FOLDS):
        rows = background & (folds == fold)
        # Each fold is measured by a flow of the others: no better than two samples can agree.
        assert kstest(score[rows], "uniform").pvalue > 1e-3
    # The value of the score is the efficiency, of all background together.
    for cut in (0.5, 0.9, 0.97):
        weight = after.columns["weight"][background]
        passing = np.average(score[background] > cut, weights=weight)
        assert passing == pytest.approx(1.0 - cut, abs=4 * np.sqrt(cut * (1 - cut) / 3000))


def test_each_flow_is_fitted_to_all_background_of_the_other_folds(
    study: tuple[Study, Path, dict[str, Path]],
) -> None:
    own, path, _ = study
    jets = jets_in(own, {name: own.files[name][1] for name in own.samples})
    folds = members.fold_of(jets.columns["fold"], FOLDS)
    records = json.loads(path.with_name("history.json").read_text())["folds"]
    assert [one["fold"] for one in records] == list(range(FOLDS))
    for one in records:
        others = (jets.target > 0) & (folds != one["fold"])
        numbers = one["jets"]
        assert numbers["training"] + numbers["stopping"] == others.sum()
        stopping = others & (jets.columns["split"] == split.VALIDATION)
        assert numbers["stopping"] == stopping.sum()
        assert numbers["fitted_to"] == "both" and numbers["same_probability"] is None


def test_two_runs_agree_to_the_bit(study: tuple[Study, Path, dict[str, Path]]) -> None:
    own, flow, new = study
    history, content = flow.with_name("history.json").read_text(), flow.read_bytes()
    own.flatten()
    assert flow.with_name("history.json").read_text() == history
    assert flow.read_bytes() == content
    again = own.transform("stranger", [flow], "again")
    assert again.read_bytes() == new["stranger"].read_bytes()


@pytest.mark.parametrize("fitted_to", ["tested", "both", "validation"])
def test_no_jet_of_the_fold_is_chosen_for_its_flow(
    study: tuple[Study, Path, dict[str, Path]], fitted_to: Any
) -> None:
    own, _, _ = study
    jets = jets_in(own, {name: own.files[name][1] for name in own.samples})
    folds = members.fold_of(jets.columns["fold"], FOLDS)
    scores = jets.probabilities[:, 0]
    for fold in range(FOLDS):
        found = flow_jets.choose(jets, scores, fitted_to, 1, FOLDS, fold)
        assert (folds[found.rows] != fold).all() and (jets.target[found.rows] > 0).all()
        part = jets.columns["split"][found.rows]
        assert found.validation.any() and not found.validation.all()
        if fitted_to == "validation":
            assert (part == split.VALIDATION).all()
        else:
            np.testing.assert_array_equal(found.validation, part == split.VALIDATION)
