"""Laws of the Lorentz-equivariant transformers."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fullchain.tagging.cloud import ParticleCloud
from fullchain.tagging.lgatr_settings import FULL, SLIM_23K, LorentzTransformerSettings
from fullchain.tagging.lorentz import LorentzTransformer

SMALL: dict[str, dict[str, Any]] = {
    "slim": {"variant": "slim", "vector_channels": 4, "scalar_channels": 8, "expansion": 2},
    "full": {"variant": "full", "vector_channels": 4, "scalar_channels": 4, "expansion": 1},
}
VARIANTS = sorted(SMALL)


def cloud(jets: int, particles: int, seed: int = 0, prongs: int = 1) -> ParticleCloud:
    """Jets of 1 to `particles` pions with pT of 1 to 40 GeV, around one axis or two."""
    generator = torch.Generator().manual_seed(seed)
    pt = 1 + 40 * torch.rand(jets, particles, generator=generator)
    angles = 0.1 * torch.randn(jets, particles, 2, generator=generator)
    if prongs > 1:
        angles[:, ::2] += 0.5
    px, py = pt * torch.cos(angles[..., 1]), pt * torch.sin(angles[..., 1])
    pz = pt * torch.sinh(angles[..., 0])
    momenta = torch.stack((torch.sqrt(pt**2 + pz**2 + 0.14**2), px, py, pz), dim=-1)
    number = torch.randint(1, particles + 1, (jets, 1), generator=generator)
    mask = torch.arange(particles) < number
    return ParticleCloud(torch.log(pt).unsqueeze(-1), mask, angles, momenta)


def network(variant: str, **choices: Any) -> LorentzTransformer:
    torch.manual_seed(2)
    sizes = {"blocks": 2, "heads": 2, **SMALL[variant], **choices}
    return LorentzTransformer(1, 2, **sizes).eval()


def boost(rapidity: float, axis: int) -> Tensor:
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[0, 0] = matrix[axis, axis] = np.cosh(rapidity)
    matrix[0, axis] = matrix[axis, 0] = np.sinh(rapidity)
    return matrix


def rotation(angle: float, axis: int) -> Tensor:
    matrix = torch.eye(4, dtype=torch.float64)
    a, b = [k for k in (1, 2, 3) if k != axis]
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[a, b], matrix[b, a] = -np.sin(angle), np.sin(angle)
    return matrix


def change(built: LorentzTransformer, transformation: Tensor) -> float:
    """Largest change of a logit under a Lorentz transformation, in double precision."""
    built = built.double()
    jets = cloud(4, 8, 3)
    momenta = jets.momenta.double()
    here = jets._replace(features=jets.features.double(), momenta=momenta)
    there = here._replace(momenta=momenta @ transformation.t())
    with torch.no_grad():
        return (built(here) - built(there)).abs().max().item()


def test_numbers_of_parameters() -> None:
    def number(sizes: LorentzTransformerSettings) -> int:
        built = LorentzTransformer(7, 2, **sizes.model_dump(exclude={"kind"}))
        return sum(parameter.numel() for parameter in built.parameters())

    # Sizes of the published configurations, with the layers of lgatr 2.
    assert number(SLIM_23K) == 22_698
    assert number(LorentzTransformerSettings()) == 2_030_242
    assert number(FULL) == 1_952_772


@pytest.mark.parametrize("pooling", ["token", "mean"])
@pytest.mark.parametrize("variant", VARIANTS)
@hypothesis_settings(max_examples=10, deadline=None)
@given(
    rapidities=st.tuples(*[st.floats(-1.5, 1.5)] * 3), angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3)
)
def test_invariant_without_references(
    variant: str, pooling: str, rapidities: tuple[float, ...], angles: tuple[float, ...]
) -> None:
    built = network(variant, beam="none", time=False, pooling=pooling)
    transformation = torch.eye(4, dtype=torch.float64)
    for axis in (1, 2, 3):
        transformation = boost(rapidities[axis - 1], axis) @ transformation
        transformation = rotation(angles[axis - 1], axis) @ transformation
    assert change(built, transformation) < 1e-8


@pytest.mark.parametrize(
    ("variant", "beam", "time", "along", "across", "turned"),
    [
        # Is the result kept by boosts along the beam, boosts across it, rotations off the beam?
        ("slim", "none", True, False, False, True),
        ("slim", "lightlike", True, False, False, False),
        ("slim", "lightlike", False, False, False, False),
        ("slim", "spacelike", False, False, True, False),
        ("full", "lightlike", True, False, False, False),
        ("full", "xyplane", True, False, False, False),
        ("full", "xyplane", False, True, False, False),
    ],
)
def test_references_leave_what_keeps_them(
    variant: str, beam: str, time: bool, along: bool, across: bool, turned: bool
) -> None:
    built = network(variant, beam=beam, time=time)
    with torch.no_grad():
        for parameter in built.parameters():  # attention starts out almost uniform
            parameter += 0.2 * torch.randn_like(parameter)
    assert change(built, rotation(1.0, 3)) < 1e-8
    for transformation, kept in (
        (boost(0.7, 3), along),
        (boost(0.7, 1), across),
        (rotation(1.0, 1), turned),
    ):
        found = change(built, transformation)
        assert found < 1e-8 if kept else found > 1e-5


@pytest.mark.parametrize("variant", VARIANTS)
def test_features_are_no_lorentz_scalars_but_are_seen(variant: str) -> None:
    built = network(variant, beam="none", time=False, scalars="features")
    jets = cloud(4, 8)
    with torch.no_grad():
        other = jets._replace(features=jets.features + 1)
        assert (built(jets) - built(other)).abs().max() > 1e-4
    blind = network(variant)
    with torch.no_grad():
        assert torch.equal(blind(jets), blind(other))


@pytest.mark.parametrize("choices", [{}, {"pooling": "mean", "scalars": "features"}])
@pytest.mark.parametrize("variant", VARIANTS)
@hypothesis_settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**20), more=st.integers(0, 9), scale=st.sampled_from([0.0, 1.0, 1e30]))
def test_no_score_depends_on_padding_or_order(
    variant: str, choices: dict[str, Any], seed: int, more: int, scale: float
) -> None:
    built = network(variant, **choices)
    jets = cloud(5, 8, seed)
    generator = torch.Generator().manual_seed(seed)
    mask = nn.functional.pad(jets.mask, (0, more))
    features, angles, momenta = (
        torch.where(
            mask.unsqueeze(-1),
            nn.functional.pad(x, (0, 0, 0, more)),
            scale * torch.randn(5, 8 + more, x.shape[-1], generator=generator),
        )
        for x in (jets.features, jets.angles, jets.momenta)
    )
    order = torch.randperm(8 + more, generator=generator)
    other = ParticleCloud(*(part[:, order] for part in (features, mask, angles, momenta)))
    with torch.no_grad():
        expected = built(jets)
        assert (built(other) - expected).abs().max() < 1e-5


@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_are_finite_for_odd_jets(variant: str) -> None:
    jets = cloud(4, 6)
    jets.momenta[0] = jets.momenta[0, :1]
    jets.momenta[1] = jets.momenta[1, :1] * torch.arange(1, 7).unsqueeze(-1)
    jets.mask[:2], jets.mask[2], jets.mask[3] = True, torch.arange(6) == 0, False
    built = network(variant).train()
    logits = built(jets)
    logits.square().sum().backward()
    assert logits.isfinite().all()
    for parameter in built.parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in built.parameters())


@pytest.mark.parametrize("variant", VARIANTS)
def test_learns_one_prong_from_two(variant: str) -> None:
    built = network(variant, beam="none", time=False).train()
    halves = [cloud(40, 8, k, prongs=k) for k in (1, 2)]
    jets = ParticleCloud(*map(torch.cat, zip(*halves, strict=True)))
    jets = jets._replace(mask=torch.ones_like(jets.mask))
    labels = torch.arange(2).repeat_interleave(40)
    optimiser = torch.optim.AdamW(built.parameters(), lr=1e-2)
    for _ in range(30):
        optimiser.zero_grad()
        nn.functional.cross_entropy(built(jets), labels).backward()
        optimiser.step()
    assert (built(jets).argmax(1) == labels).double().mean() > 0.9


def test_slim_has_no_plane_to_refer_to() -> None:
    with pytest.raises(ValueError, match="xyplane"):
        network("slim", beam="xyplane")


class _Flat(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, features: Tensor, mask: Tensor, momenta: Tensor) -> Tensor:
        return self.inner(ParticleCloud(features, mask, momenta[..., :2], momenta))


@pytest.mark.parametrize("variant", VARIANTS)
def test_onnx_gives_the_same_logits(variant: str, tmp_path: Path) -> None:
    built = network(variant, blocks=1, scalars="features")
    names = ("features", "mask", "momenta")
    jets = torch.export.Dim("jets")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            _Flat(built).eval(),
            tuple(getattr(cloud(2, 8), name) for name in names),
            dynamo=True,
            input_names=names,
            output_names=["logits"],
            dynamic_shapes={name: {0: jets} for name in names},
            verbose=False,
        )
    assert program is not None
    program.save(tmp_path / "lgatr.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "lgatr.onnx")
    for number in (1, 9):
        others = cloud(number, 8, 5)
        found = session.run(None, {name: getattr(others, name).numpy() for name in names})[0]
        np.testing.assert_allclose(found, built(others).detach().numpy(), atol=1e-5)


def test_a_slim_network_without_any_scalar_is_refused() -> None:
    with pytest.raises(ValueError, match="no scalar input"):
        LorentzTransformerSettings(pooling="mean")
    # It is so: whatever the jets, the logits are zero.
    network = LorentzTransformer(
        7, 2, blocks=1, vector_channels=2, scalar_channels=4, heads=2, pooling="mean"
    )
    mask = torch.ones(3, 5, dtype=torch.bool)
    momenta = torch.rand(3, 5, 4) + torch.tensor([2.0, 0.0, 0.0, 0.0])
    cloud = ParticleCloud(torch.rand(3, 5, 7), mask, torch.rand(3, 5, 2), momenta)
    assert network(cloud).abs().max() == 0
