"""Energy Flow Networks are infrared and collinear safe; Particle Flow Networks are not."""

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
from torch.nn.functional import cross_entropy

from fullchain.learning.training import initialised
from fullchain.tagging.cloud import ParticleCloud
from fullchain.tagging.efn import EnergyFlowNetwork, pt_fractions
from fullchain.tagging.efn_settings import EfnSettings
from fullchain.tagging.pfn import ParticleFlowNetwork

SIZES: dict[str, Any] = {"phi": (20, 16), "f": (16,)}


def particles(jets: int, entries: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Transverse momenta [GeV], (jets, entries), and angles, (jets, entries, 2)."""
    generator = torch.Generator().manual_seed(seed)
    pt = 1 + 40 * torch.rand(jets, entries, generator=generator, dtype=torch.float64)
    angles = torch.randn(jets, entries, 2, generator=generator, dtype=torch.float64)
    return pt, 0.3 * angles


def cloud(pt: Tensor, angles: Tensor, mask: Tensor | None = None) -> ParticleCloud:
    """Massless particles about an axis at eta 0.4 and phi 1; what a PFN sees has ln pT."""
    eta, phi = 0.4 + angles[..., 0], 1.0 + angles[..., 1]
    momenta = torch.stack([pt * eta.cosh(), pt * phi.cos(), pt * phi.sin(), pt * eta.sinh()], -1)
    features = torch.cat([pt.unsqueeze(-1).log(), angles], dim=-1)
    mask = torch.ones_like(pt, dtype=torch.bool) if mask is None else mask
    return ParticleCloud(features, mask, angles, momenta)


def network(kind: type[nn.Module], seed: int = 3) -> nn.Module:
    return initialised(seed, lambda: kind(3, 2, **SIZES)).double().eval()


@torch.no_grad()
def change(chosen: nn.Module, before: ParticleCloud, after: ParticleCloud) -> float:
    """Largest difference of a logit, relative to how much it differs from jet to jet."""
    reference = chosen(before)
    return float(((chosen(after) - reference) / reference.std(dim=0)).abs().max())


def with_soft(part: float, seed: int) -> tuple[ParticleCloud, ParticleCloud]:
    """Jets, and the same with five particles that have this part of the momentum."""
    pt, angles = particles(20, 12, seed)
    more, where = particles(20, 5, seed + 1)
    more = more * (part * pt.sum(dim=1, keepdim=True) / more.sum(dim=1, keepdim=True))
    after = cloud(torch.cat([pt, more], dim=1), torch.cat([angles, where], dim=1))
    return cloud(pt, angles), after


def with_split(fraction: float, seed: int, kind: torch.dtype) -> tuple[ParticleCloud, ...]:
    """Jets, and the same with each particle split in two along its direction."""
    pt, angles = particles(20, 12, seed)
    halves = torch.cat([fraction * pt, (1 - fraction) * pt], dim=1)
    jets = (cloud(pt, angles), cloud(halves, torch.cat([angles, angles], dim=1)))
    return tuple(
        ParticleCloud(*(one.to(kind) if one.is_floating_point() else one for one in jet))
        for jet in jets
    )


@hypothesis_settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**20))
def test_soft_particles_count_by_their_momentum(seed: int) -> None:
    efn = network(EnergyFlowNetwork)
    first, second = (change(efn, *with_soft(part, seed)) for part in (1e-5, 1e-6))
    assert 0 < first < 1e-3
    assert second == pytest.approx(first / 10, rel=0.05)


@hypothesis_settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**20), fraction=st.floats(0.01, 0.99))
def test_collinear_splitting_changes_nothing(seed: int, fraction: float) -> None:
    efn = network(EnergyFlowNetwork)
    assert change(efn, *with_split(fraction, seed, torch.float64)) < 1e-11
    assert change(efn.float(), *with_split(fraction, seed, torch.float32)) < 1e-4


def test_particle_flow_networks_are_not_safe() -> None:
    pfn = network(ParticleFlowNetwork)
    assert change(pfn, *with_soft(1e-6, seed=1)) > 0.1
    assert change(pfn, *with_split(0.3, 1, torch.float64)) > 0.1


def test_score_depends_on_angles_and_momenta() -> None:
    efn = network(EnergyFlowNetwork)
    pt, angles = particles(20, 12)
    assert change(efn, cloud(pt, angles), cloud(pt, 1.2 * angles)) > 0.01
    assert change(efn, cloud(pt, angles), cloud(pt.flip(1), angles)) > 0.01
    assert change(efn, cloud(pt, angles), cloud(2 * pt, angles)) < 1e-11


@hypothesis_settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**20), scale=st.sampled_from([0.0, 1.0, 1e30]))
def test_padding_and_order_change_no_score(seed: int, scale: float) -> None:
    efn = network(EnergyFlowNetwork).float()
    pt, angles = particles(5, 16, seed)
    mask = torch.arange(16) < torch.tensor([16, 9, 4, 1, 0])[:, None]
    jets = ParticleCloud(
        *(one.float() if one.dim() == 3 else one for one in cloud(pt, angles, mask))
    )

    def other(values: Tensor) -> Tensor:
        if values.dtype == torch.bool:
            longer = torch.cat([values, torch.zeros(5, 3, dtype=torch.bool)], dim=1)
        else:
            filled = torch.where(mask[..., None], values, scale)
            longer = torch.cat([filled, torch.full((5, 3, values.shape[2]), scale)], dim=1)
        return longer[:, torch.randperm(19, generator=torch.Generator().manual_seed(seed))]

    changed = ParticleCloud(*(other(values) for values in jets))
    with torch.no_grad():
        before, after = efn(jets), efn(changed)
    assert torch.isfinite(before).all()
    torch.testing.assert_close(after, before, rtol=0, atol=1e-5)


def test_parts_of_the_momentum() -> None:
    momenta = torch.tensor([[[9.0, 3.0, 4.0, 1.0], [9.0, 0.0, -15.0, 2.0], [1.0, 7.0, 7.0, 7.0]]])
    mask = torch.tensor([[True, True, False]])
    torch.testing.assert_close(pt_fractions(momenta, mask), torch.tensor([[0.25, 0.75, 0.0]]))


def test_published_sizes() -> None:
    # 1810.05165: 2-100-100-256, then 256-100-100-100, and the two classes of its softmax.
    efn = EnergyFlowNetwork(7, 2, **EfnSettings().model_dump(exclude={"kind"}))
    expected = 3 * 100 + 101 * 100 + 101 * 256 + 257 * 100 + 2 * 101 * 100 + 101 * 2
    assert sum(weights.numel() for weights in efn.parameters()) == expected


def test_learns_from_angles_with_finite_gradients() -> None:
    efn = initialised(1, lambda: EnergyFlowNetwork(3, 2, **SIZES)).train()
    optimiser = torch.optim.Adam(efn.parameters(), lr=0.01)
    label = torch.arange(400) % 2

    def jets(seed: int) -> ParticleCloud:
        pt, angles = particles(400, 12, seed)
        wide = torch.where(label == 0, 0.5, 1.0)[:, None, None]
        # Particles at the same place, some without momentum: no gradient may be infinite.
        pt[:, 5], angles[:, 4] = 0.0, angles[:, 3]
        return ParticleCloud(
            *(one.float() if one.is_floating_point() else one for one in cloud(pt, wide * angles))
        )

    for step in range(40):
        optimiser.zero_grad()
        batch = jets(step)
        momenta = batch.momenta.clone().requires_grad_()
        cross_entropy(efn(batch._replace(momenta=momenta)), label).backward()
        assert momenta.grad is not None and torch.isfinite(momenta.grad).all()
        optimiser.step()
    with torch.no_grad():
        right = efn.eval()(jets(1000)).argmax(dim=1) == label
    assert right.float().mean() > 0.85


class Inputs(nn.Module):
    """The cloud as separate inputs of a graph."""

    def __init__(self, chosen: nn.Module) -> None:
        super().__init__()
        self.chosen = chosen

    def forward(self, features: Tensor, mask: Tensor, angles: Tensor, momenta: Tensor) -> Tensor:
        return self.chosen(ParticleCloud(features, mask, angles, momenta))


def test_onnx_gives_the_same(tmp_path: Path) -> None:
    efn = network(EnergyFlowNetwork).float()

    def jets(counts: list[int]) -> ParticleCloud:
        pt, angles = particles(len(counts), 9, seed=len(counts))
        mask = torch.arange(9) < torch.tensor(counts)[:, None]
        return ParticleCloud(
            *(one.float() if one.is_floating_point() else one for one in cloud(pt, angles, mask))
        )

    dimension, names = torch.export.Dim("jets"), ParticleCloud._fields
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Inputs(efn).eval(),
            tuple(jets([9, 3])),
            dynamo=True,
            input_names=list(names),
            dynamic_shapes={name: {0: dimension} for name in names},
            verbose=False,
        )
    assert program is not None
    program.save(tmp_path / "efn.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "efn.onnx")
    used = {one.name for one in session.get_inputs()}
    for counts in ([9, 5, 1, 0, 7], [4]):
        batch = jets(counts)
        values = {name: one.numpy() for name, one in batch._asdict().items() if name in used}
        (found,) = session.run(None, values)
        with torch.no_grad():
            np.testing.assert_allclose(found, efn(batch).numpy(), rtol=0, atol=1e-5)
