"""Training of summaries of the synthetic benchmark."""

import json

import numpy as np
import pytest
import torch

from fullchain.errors import InputError
from fullchain.inference import fisher, learn
from fullchain.inference import synthetic_model as model
from fullchain.inference.synthetic_settings import SummaryTrainingSettings, SyntheticSettings
from fullchain.inference.synthetic_templates import profile, templates
from fullchain.inference.synthetic_training import (
    Events,
    classifier_templates,
    inferno_templates,
    learn_classifier,
    learn_inferno,
)
from fullchain.step import Given

SMALL = {
    "cases": ["B2"],
    "seeds": 2,
    "inferno": {"epochs": 2, "batch": 500},
    "classifier": {"epochs": 2, "learning_rate": 1e-2, "batch": 64},
    "events": 4000,
    "validation": 2000,
    "evaluation": 4000,
}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def learned(kind, members, **changes):
    how = SyntheticSettings.model_validate({**SMALL, **changes})
    events, validation = (
        Events.drawn(how.events, 1, "training"),
        Events.drawn(how.validation, 1, "validation"),
    )
    if kind == "classifier":
        return learn_classifier(events, validation, members, how, seed=1)
    return learn_inferno(kind, events, validation, members, how, seed=1)


@pytest.mark.parametrize("kind", ["B0", "B2", "B4", "classifier"])
def test_a_member_learns_the_same_in_company_and_alone(kind):
    # Several parts of validation, whose sums must not depend on the number of members.
    how = {"validation": 12_000}
    together = learned(kind, [0, 1, 2], **how)
    for place, member in enumerate((0, 1, 2)):
        alone = learned(kind, [member], **how)
        for ours, theirs in zip(
            alone.networks.parameters, together.networks.parameters, strict=True
        ):
            assert torch.equal(ours[0], theirs[place])
        assert [one[0] for one in alone.training] == [one[place] for one in together.training]
        assert [one[0] for one in alone.validation] == [one[place] for one in together.validation]
        assert alone.epoch[0] == together.epoch[place]


def test_other_members_differ():
    found = learned("B2", [0, 1])
    assert found.validation[0][0] != found.validation[0][1]


def test_the_weights_of_the_lowest_validation_loss_are_kept():
    found = learned("B2", [0, 1], inferno={"epochs": 4, "batch": 500})
    np.testing.assert_array_equal(found.epoch, np.argmin(found.validation, axis=0) + 1)


def test_a_rate_that_is_too_high_is_named():
    with pytest.raises(InputError, match=r"B2, training 0, epoch 1|epoch 1: the information"):
        learned("B2", [0], inferno={"epochs": 2, "batch": 500, "learning_rate": 1e6})


def test_templates_of_known_bins_are_parts_of_the_densities():
    chance = np.random.default_rng(4)
    signal = model.sample_signal(100_000, chance)
    background = model.sample_background(100_000, 0.0, 3.0, chance)
    found = templates(lambda rows: (rows[:1] > 0).long(), 2, signal, background)
    np.testing.assert_allclose(found.signal, [[0.5, 0.5]], atol=0.01)
    down, up = found.variations["r"]
    assert (up - down)[0, 1] == pytest.approx(0.4 * np.exp(-0.4) / np.sqrt(10 * np.pi), rel=0.05)
    down, up = found.variations["rate"]
    np.testing.assert_array_equal(down, up)


def test_the_profile_is_a_parabola_of_the_expected_uncertainty_near_the_minimum():
    chance = np.random.default_rng(5)
    found = templates(
        lambda rows: (rows[:1] > 0).long() + 2 * (rows[2:] > 0.3).long(),
        4,
        model.sample_signal(50_000, chance),
        model.sample_background(50_000, 0.0, 3.0, chance),
    )
    for case in ("B0", "B3", "B4"):
        width = found.uncertainty(0, case)
        low, middle, high = profile(
            found.of(0), case, np.array([50 - 0.1 * width, 50.0, 50 + 0.1 * width])
        )
        assert middle == pytest.approx(0.0, abs=1e-6)
        assert (low + high) / 2 == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("summary", ["B2", "classifier"])
def test_step(tmp_path, summary):
    numbers = tmp_path / "numbers.json"
    given = Given({"seed": 1, "inference": {"synthetic": SMALL}})
    learn.main(summary=summary, numbers=numbers, model=tmp_path / "model.pt", settings=given)
    content = json.loads(numbers.read_text())
    assert len(content["seeds"]) == 2
    assert content["seeds"][0]["expected"].keys() == model.CASES.keys()
    assert len(content["seeds"][0]["validation"]) == 2
    assert (tmp_path / "model.pt").is_file()
    before = numbers.read_bytes()
    learn.main(summary=summary, numbers=numbers, model=tmp_path / "model.pt", settings=given)
    assert numbers.read_bytes() == before


def test_a_summary_that_is_not_configured_is_named(tmp_path):
    given = Given({"seed": 1, "inference": {"synthetic": SMALL}})
    with pytest.raises(InputError, match=r"'B3' is not one of inference.synthetic: classifier, B2"):
        learn.main(summary="B3", numbers=tmp_path / "n", model=tmp_path / "m", settings=given)


def test_step_without_training(tmp_path):
    given = Given({"seed": 1, "inference": {"synthetic": SMALL}})
    fisher.main(numbers=tmp_path / "known.json", settings=given)
    content = json.loads((tmp_path / "known.json").read_text())
    assert content["likelihood"]["B0"] == pytest.approx(14.70, abs=0.01)
    assert content["best_classifier"].keys() == model.CASES.keys()


@pytest.mark.slow
def test_both_summaries_learn():
    how = SyntheticSettings(
        inferno=SummaryTrainingSettings(epochs=6),
        classifier=SummaryTrainingSettings(epochs=3, learning_rate=1e-2, batch=32),
    )
    events, other = Events.drawn(50_000, 1, "training"), Events.drawn(20_000, 1, "validation")
    inferno = learn_inferno("B2", events, other, [0], how, 1)
    assert inferno_templates(inferno.networks, 10, other).uncertainty(0, "B2") < 23.0
    classifier = learn_classifier(events, other, [0], how, 1)
    assert classifier_templates(classifier.networks, 10, other).uncertainty(0, "B0") < 15.6
