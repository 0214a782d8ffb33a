"""Numbers and figures of the synthetic benchmark."""

import json

import numpy as np
import pytest

from fullchain.inference import fisher, learn
from fullchain.inference import synthetic_model as model
from fullchain.inference.synthetic_figure_names import synthetic_figure_names
from fullchain.inference.synthetic_figures import figures
from fullchain.inference.synthetic_numbers import median, metrics, tables
from fullchain.inference.synthetic_settings import SyntheticSettings
from fullchain.metrics import write_metrics
from fullchain.plotting import plt
from fullchain.stage_tables import write_tables
from fullchain.step import Given

SMALL = {
    "cases": ["B2"],
    "inferno": {"epochs": 1, "batch": 500},
    "classifier": {"epochs": 1, "learning_rate": 1e-2, "batch": 64},
    "events": 2000,
    "validation": 1000,
    "evaluation": 2000,
}


@pytest.fixture(scope="module", params=[1, 3])
def content(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic")
    given = Given({"seed": 1, "inference": {"synthetic": {**SMALL, "seeds": request.param}}})
    fisher.main(numbers=folder / "known.json", settings=given)
    found = []
    for summary in ("classifier", "B2"):
        numbers = folder / f"{summary}.json"
        learn.main(summary=summary, numbers=numbers, model=folder / "model.pt", settings=given)
        found.append(json.loads(numbers.read_text()))
    return json.loads((folder / "known.json").read_text()), found


def test_numbers_are_set_beside_the_published(content, tmp_path):
    found = {one.name: one for one in metrics(*content)}
    write_metrics(tmp_path / "metrics.json", "inference", found.values())
    assert len(found) == 3 * len(model.CASES) + 1
    ours = found["synthetic.inferno.B2"]
    assert ours.published == 16.95
    assert ours.value == np.median([seed["expected"]["B2"] for seed in content[1][1]["seeds"]])
    many = len(content[1][1]["seeds"]) > 1
    assert (ours.uncertainty > 0) == many
    assert ours.uncertainty_kind == ("seeds" if many else "single training, spread unknown")


def test_table(content, tmp_path):
    (table,) = found = tables(*content)
    write_tables(tmp_path / "tables.json", "inference", found)
    assert [row[0] for row in table.rows][::2] == [
        "classifier (cross-entropy)",
        "INFERNO of the case",
        "density ratio",
        "likelihood",
    ]
    assert table.rows[2][1] is None and table.rows[2][3] is not None


def test_figures_are_those_that_are_announced(content):
    found = figures(*content)
    assert list(found) == synthetic_figure_names(SyntheticSettings())
    for figure, caption in found.values():
        assert caption.endswith(".")
        plt.close(figure)


def test_no_benchmark_has_no_figures():
    assert synthetic_figure_names(None) == []
    assert synthetic_figure_names(SyntheticSettings(cases=(), classifier=None)) == []


def test_the_error_of_the_median_is_that_of_repeated_draws():
    chance = np.random.default_rng(6)
    drawn = chance.normal(size=(4000, 9))
    errors = [median(row)[1] for row in drawn[:400]]
    assert np.mean(errors) == pytest.approx(np.std(np.median(drawn, axis=1)), rel=0.05)
    assert median([3.0]) == (3.0, None)
