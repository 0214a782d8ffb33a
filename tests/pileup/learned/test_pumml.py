"""PUMML: sizes, images, what it learns, and weights from its output."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from fullchain.learning.settings import TrainingSettings
from fullchain.learning.training import initialised, train
from fullchain.pileup import pumml_images
from fullchain.pileup.candidate_events import CandidateEvents
from fullchain.pileup.learned_rows import pumml_rows
from fullchain.pileup.learned_weights import learned_weights, pumml_weights
from fullchain.pileup.pumml_network import LogarithmicLoss, PummlNetwork
from fullchain.pileup.pumml_settings import PummlSettings

Toy = Callable[..., CandidateEvents]

SETTINGS = PummlSettings(samples=("toy",))


def network(seed: int = 1) -> PummlNetwork:
    built = initialised(seed, lambda: PummlNetwork(SETTINGS))
    assert isinstance(built, PummlNetwork)
    return built.eval()


def test_number_of_parameters_is_the_published_one() -> None:
    assert sum(weights.numel() for weights in network().parameters()) == 4711


def test_images_of_36_pixels_become_9_and_are_not_negative() -> None:
    found = network()(torch.rand(2, 3, 36, 36, generator=torch.Generator().manual_seed(1)))
    assert found.shape == (2, 9, 9)
    assert (found >= 0).all() and (found > 0).any()


def test_an_image_covers_nine_tenths() -> None:
    assert SETTINGS.pixels * SETTINGS.fine_pixel == pytest.approx(0.9)
    assert pumml_images.COARSE * SETTINGS.fine_pixel == pytest.approx(0.1)


def test_loss_is_the_published_one() -> None:
    class Constant(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.full((len(images), 9, 9), 30.0)

    target = torch.zeros(2, 9, 9)
    target[0] = 10.0
    loss = LogarithmicLoss(SETTINGS)(Constant(), {"image": target, "target": target})["loss"]
    assert float(loss) == pytest.approx(0.5 * (np.log(2.0) ** 2 + np.log(4.0) ** 2), rel=1e-6)


def test_a_candidate_is_in_the_pixel_of_its_direction() -> None:
    """Also across the end of azimuth; beyond the tracker there is nothing."""
    pt = np.array([1.0, 2.0, 4.0, 8.0])
    eta, phi = np.array([0.01, -0.44, 0.01, 2.6]), np.array([3.13, -2.70, -3.13, 3.13])
    centres = np.array([[0.0, np.pi], [2.3, np.pi]])
    drawn = pumml_images.images(pt, eta, phi, np.array([0, 1, 2, 2]), centres, SETTINGS)
    assert drawn.shape == (2, 3, 36, 36)
    assert drawn[0, 0, 18, 17] == 1.0 and drawn[0, 0].sum() == 1.0
    assert drawn[0, 1, 0, 35] == 2.0 and drawn[0, 1].sum() == 2.0
    np.testing.assert_allclose(drawn[0, 2, 16:20, 16:20], 4.0 / 16)
    assert drawn[0, 2].sum() == 4.0
    assert drawn[1].sum() == 0.0


def test_images_hold_the_sums_of_all_candidates(toy_events: Toy) -> None:
    events = toy_events(1)
    centres, which = pumml_images.covering(events.eta, events.phi, SETTINGS)
    channel = pumml_images.channels(events.origin)
    drawn = pumml_images.images(events.pt, events.eta, events.phi, channel, centres, SETTINGS)
    for k, centre in enumerate(centres):
        turn = (events.phi - centre[1] + np.pi) % (2 * np.pi) - np.pi
        inside = (np.abs(events.eta - centre[0]) < 0.45) & (np.abs(turn) < 0.45)
        inside &= np.abs(events.eta) < 2.5
        sums = np.bincount(channel[inside], events.pt[inside], minlength=3)
        np.testing.assert_allclose(drawn[k].sum(axis=(1, 2)), sums, rtol=1e-5)
        # each candidate lies in the image that it takes its weight from
        assert inside[which == k].all()


def test_weights_are_predicted_over_observed() -> None:
    """A third of the neutral pT of a pixel; never more than one; nothing for what is beyond."""

    class Predicts(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(1.0))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            observed = torch.nn.functional.avg_pool2d(images[:, 2], 4) * 16
            return torch.where(observed > 5, observed / 3, 2 * observed)

    pt = np.array([1.0, 4.0, 2.0, 3.0, 7.0, 7.0])
    events = CandidateEvents(
        pt=pt,
        eta=np.array([0.01, 0.03, 0.56, 3.0, 0.02, 0.02]),
        phi=np.array([0.01, 0.01, 0.01, 0.01, 0.02, 0.02]),
        charge=np.array([0, 0, 0, 0, 1, 1]),
        pdg_id=np.array([22, 22, 22, 1, 211, 211]),
        origin=np.array([0, 0, 0, 0, 1, 2], np.int8),
        from_pv=np.array([3, 3, 3, 3, 3, 0]),
        dz=np.full(6, np.nan),
        hard_fraction=None,
        offsets=np.array([0, 6]),
        vertices=np.ones(1),
        identity=np.ones((1, 3), int),
    )
    settings = SETTINGS.model_copy(update={"step": 0.9})
    events = replace(events, pt=np.array([2.0, 4.0, 2.0, 3.0, 7.0, 7.0]))
    found = pumml_weights(Predicts(), events, settings)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, [1 / 3, 1 / 3, 1.0, 1.0, 1.0, 0.0], rtol=1e-6)
    dropping = settings.model_copy(update={"beyond": "drop"})
    assert pumml_weights(Predicts(), events, dropping)[3] == 0.0  # type: ignore[arg-type]


def test_recovers_the_neutral_image_better_than_scaling(toy_events: Toy) -> None:
    """A tenth better than the neutral image times the charged share of the leading vertex."""
    sizes = ((200, 1), (30, 2))
    rows = [pumml_rows(toy_events(n, s, 0.2), SETTINGS, 1, "toy") for n, s in sizes]
    training, validation = (
        {name: torch.from_numpy(values) for name, values in one.items()}
        for one in rows
        if one is not None
    )
    built, loss = network(), LogarithmicLoss(SETTINGS)
    how = TrainingSettings(epochs=10, batch_size=40, learning_rate=6e-3)
    train(built, loss, training, validation, how, seed=1)
    held_out = pumml_rows(toy_events(60, 3, 0.2), SETTINGS, 1, "toy")
    assert held_out is not None
    image, target = torch.from_numpy(held_out["image"]), torch.from_numpy(held_out["target"])
    with torch.no_grad():
        found = built(image)
    sums = image.sum(dim=(2, 3))
    share = sums[:, 0] / (sums[:, 0] + sums[:, 1]).clamp(min=1e-6)
    scaled = torch.nn.functional.avg_pool2d(image[:, 2], 4) * 16 * share[:, None, None]
    pbar = SETTINGS.pbar

    def distance(of: torch.Tensor) -> float:
        return float((torch.log((of + pbar) / (target + pbar)) ** 2).mean())

    assert distance(found) < 0.9 * distance(scaled)


@pytest.mark.parametrize("problem", ["no_pileup", "no_leading_vertex", "no_association", "empty"])
def test_bad_events_give_weights(problem: str, toy_events: Toy) -> None:
    events = toy_events(2, 9)
    origin, kept = events.origin.copy(), np.ones(len(events.pt), bool)
    if problem == "no_pileup":
        kept = origin != 2
    elif problem == "no_leading_vertex":
        kept = origin != 1
    elif problem == "no_association":
        origin[:] = 0
    else:
        kept[:] = False
    events = replace(events, origin=origin).select(kept)
    found = learned_weights(network(), events, SETTINGS)
    assert found.shape == (kept.sum(),)
    assert np.isfinite(found).all() and (found >= 0).all() and (found <= 1).all()


def test_images_that_leave_gaps_are_refused() -> None:
    with pytest.raises(ValueError, match="must not exceed the side of an image"):
        PummlSettings(samples=("a",), step=1.0)
