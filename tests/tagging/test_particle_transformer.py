"""Laws of the Particle Transformer and of its pairs."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from fullchain.tagging import pair_embedding
from fullchain.tagging.cloud import ParticleCloud
from fullchain.tagging.features import cartesian
from fullchain.tagging.part_settings import TINY, ParticleTransformerSettings
from fullchain.tagging.particle_transformer import ParticleTransformer, attention, dropped

SMALL = {"embedding": (16, 16), "pairs": (8,), "heads": 2, "blocks": 2, "class_blocks": 1}


def cloud(jets: int, particles: int, seed: int = 0, prongs: int = 1) -> ParticleCloud:
    """Jets of 1 to `particles` pions with pT of 1 to 40 GeV, around one axis or two."""
    generator = torch.Generator().manual_seed(seed)
    pt = 1 + 40 * torch.rand(jets, particles, generator=generator)
    angles = 0.05 * torch.randn(jets, particles, 2, generator=generator)
    if prongs > 1:
        angles[:, ::2] += 0.3
    px, py = pt * torch.cos(angles[..., 1]), pt * torch.sin(angles[..., 1])
    pz = pt * torch.sinh(angles[..., 0])
    energy = torch.sqrt(pt**2 + pz**2 + 0.14**2)
    number = torch.randint(1, particles + 1, (jets, 1), generator=generator)
    mask = torch.arange(particles) < number
    features = torch.cat((torch.log(pt).unsqueeze(-1), angles), dim=-1)
    return ParticleCloud(features, mask, angles, torch.stack((energy, px, py, pz), dim=-1))


def network(**sizes: object) -> ParticleTransformer:
    """A small network whose batch norms have seen some jets."""
    torch.manual_seed(3)
    built = ParticleTransformer(3, 2, **{**SMALL, **sizes})  # type: ignore[arg-type]
    with torch.no_grad():
        for k in range(20):
            built(cloud(16, 12, k))
    return built.eval()


def transformed(jets: ParticleCloud, change: Tensor) -> ParticleCloud:
    """Take the particles of every jet in another order."""
    return ParticleCloud(*(part[:, change] for part in jets))


def n_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ("sizes", "features", "classes"),
    [(ParticleTransformerSettings(), 17, 10), (TINY, 7, 2)],
    ids=["published", "tiny"],
)
def test_number_of_parameters(
    sizes: ParticleTransformerSettings, features: int, classes: int
) -> None:
    d, ffn = sizes.embedding[-1], sizes.expansion * sizes.embedding[-1]
    embedding = 2 * features
    for a, b in zip((features, *sizes.embedding[:-1]), sizes.embedding, strict=True):
        embedding += 2 * a + (a + 1) * b
    widths = (4, *sizes.pairs, sizes.heads)
    pairs = sum((a + 2) * b for a, b in itertools.pairwise(widths))
    norms = 2 * (3 * d + ffn)
    block = norms + (d + 1) * 4 * d + (d + 1) * ffn + (ffn + 1) * d + sizes.heads + d
    blocks = (sizes.blocks + sizes.class_blocks) * block
    expected = embedding + pairs + blocks + d + 2 * d + (d + 1) * classes
    built = ParticleTransformer(features, classes, **sizes.model_dump(exclude={"kind"}))
    assert n_parameters(built) == expected
    # With a bias under each batch norm of the pairs and an affine norm of their features, both of
    # which cancel, these are the parameters of the authors' implementation.
    reference = n_parameters(built) + sum(widths[1:]) + 2 * widths[0]
    assert reference == {17: 2_143_486, 7: 44_206}[features]


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValidationError, match="multiple of heads"):
        ParticleTransformerSettings(heads=7)
    with pytest.raises(ValueError, match="7 heads"):
        ParticleTransformer(3, 2, heads=7)


def test_pair_features_against_numpy() -> None:
    generator = np.random.default_rng(4)
    pt, y = generator.uniform(1, 100, (2, 50)), generator.uniform(-2, 2, (2, 50))
    # Either side of the cut of phi, so that differences wrap.
    phi = np.pi + generator.uniform(-0.4, 0.4, (2, 50))
    mass = generator.uniform(0, 2, (2, 50))
    mt = np.hypot(pt, mass)
    momenta = np.stack((mt * np.cosh(y), pt * np.cos(phi), pt * np.sin(phi), mt * np.sinh(y)), -1)
    delta = np.hypot(y[0] - y[1], phi[0] - phi[1])
    energy, *p = momenta.sum(0).T
    softer = pt.min(0)
    mass2 = energy**2 - sum(x**2 for x in p)
    expected = np.log(np.stack((softer * delta, softer / pt.sum(0), delta, mass2)))
    particles = pair_embedding.kinematics(torch.from_numpy(momenta), torch.ones(2, 50).bool())
    found = pair_embedding.pair_features(particles[:, :50], particles[:, 50:]).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_pair_features_of_limits_are_finite_and_right() -> None:
    massless = torch.tensor([50.0, 50.0, 0.0, 0.0])
    collinear = torch.tensor([10.0, 10.0, 0.0, 0.0])
    near = torch.tensor([10.0, 10.0 * np.cos(1e-4), 10.0 * np.sin(1e-4), 0.0])
    along_the_beam = torch.tensor([100.0, 0.0, 0.0, 100.0])
    at_rest = torch.tensor([0.0, 0.0, 0.0, 0.0])
    momenta = torch.stack((massless, collinear, near, along_the_beam, at_rest)).unsqueeze(0)
    particles = pair_embedding.kinematics(momenta, torch.ones(1, 5).bool())
    rows, columns = torch.cartesian_prod(torch.arange(5), torch.arange(5)).unbind(-1)
    found = pair_embedding.pair_features(particles[:, rows], particles[:, columns])
    assert found.isfinite().all()
    found = found.view(4, 5, 5)
    floor = np.log(1e-8)
    np.testing.assert_allclose(found[:, 0, 1], [floor, np.log(1 / 6), floor, floor], rtol=1e-5)
    # m^2 = pT pT' dphi^2 in this limit, far below what E^2 - p^2 resolves in single precision
    expected = [np.log(1e-3), np.log(1 / 6), np.log(1e-4), np.log(5e-6)]
    np.testing.assert_allclose(found[:, 0, 2], expected, rtol=1e-4)


def test_nearly_collinear_fast_particles_keep_mass_and_distance() -> None:
    # Two pions of 1.5 and 1 TeV, 3e-4 apart: E^2 - p^2 in single precision is rounding here.
    angles = torch.tensor([[[1.2, 3.1412], [1.2002, 3.1414236]]], dtype=torch.float32)
    pt, mass = torch.tensor([[1500.0, 1000.0]]), torch.full((1, 2), 0.13957)
    constituents = torch.cat((pt.unsqueeze(-1), angles, mass.unsqueeze(-1)), dim=-1)
    momenta, mask = cartesian(constituents), torch.ones(1, 2, dtype=torch.bool)
    own = pair_embedding.centred(pair_embedding.kinematics(momenta, mask), 1, 2)
    found = pair_embedding.pair_features(own[:, :1], own[:, 1:])[:, 0].numpy()
    eta, phi = angles[0].double().unbind(-1)
    delta = float(torch.hypot(eta[0] - eta[1], phi[0] - phi[1]))
    ratio = np.cosh(eta[0] - eta[1]) - np.cos(phi[0] - phi[1])
    mass2 = 2 * 1500 * 1000 * float(ratio) + 0.13957**2 * (2 + 1500 / 1000 + 1000 / 1500)
    expected = [np.log(1000 * delta), np.log(0.4), np.log(delta), np.log(mass2)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-4)


def test_lower_triangle_is_that_of_torch() -> None:
    for size in (0, 1, 2, 17, 200):
        found = torch.stack(pair_embedding._lower_triangle(size, torch.device("cpu")))
        assert torch.equal(found, torch.tril_indices(size, size))


@pytest.fixture(scope="module")
def trained() -> ParticleTransformer:
    return network()


@hypothesis_settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**20), more=st.integers(0, 9), scale=st.sampled_from([0.0, 1.0, 1e30]))
def test_no_score_depends_on_padding_or_order(
    trained: ParticleTransformer, seed: int, more: int, scale: float
) -> None:
    jets = cloud(5, 12, seed)
    generator = torch.Generator().manual_seed(seed)
    noise = [scale * torch.randn(5, 12 + more, n, generator=generator) for n in (3, 2, 4)]
    longer = ParticleCloud(*(nn.functional.pad(x, (0, 0, 0, more)) for x in jets[:1]), *jets[1:])
    mask = nn.functional.pad(jets.mask, (0, more))
    features, angles, momenta = (
        torch.where(mask.unsqueeze(-1), nn.functional.pad(x, (0, 0, 0, more)), y)
        for x, y in zip((longer.features[:, :12], jets.angles, jets.momenta), noise, strict=True)
    )
    other = ParticleCloud(features, mask, angles, momenta)
    order = torch.randperm(12 + more, generator=generator)
    with torch.no_grad():
        expected = trained(jets)
        assert (trained(transformed(other, order)) - expected).abs().max() < 1e-5
        # Without particles that are real, another score; by chance no jet may have any to lose.
        if jets.mask[:, 5:].any():
            assert (trained(transformed(jets, torch.arange(5))) - expected).abs().max() > 1e-4


def test_statistics_of_batch_norms_do_not_see_padding() -> None:
    states = []
    for padding in (0, 7):
        torch.manual_seed(3)
        built = ParticleTransformer(3, 2, **SMALL, dropout=0.0)  # type: ignore[arg-type]
        jets = cloud(8, 12)
        padded = (nn.functional.pad(x, (0, 0, 0, padding), value=7.0) for x in jets[::2])
        features, angles = padded
        mask = nn.functional.pad(jets.mask, (0, padding))
        momenta = nn.functional.pad(jets.momenta, (0, 0, 0, padding), value=7.0)
        built(ParticleCloud(features, mask, angles, momenta)).sum().backward()
        states.append(built)
    for a, b in zip(states[0].buffers(), states[1].buffers(), strict=True):
        torch.testing.assert_close(a, b)
    for p, q in zip(states[0].parameters(), states[1].parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, atol=1e-5, rtol=1e-3)


def test_layer_of_pairs_is_linear_and_batch_norm() -> None:
    torch.manual_seed(0)
    layer = pair_embedding._Layer(4, 6)
    norm = nn.BatchNorm1d(6)
    x, other = (3 + 2 * torch.randn(4, 200, requires_grad=True) for _ in range(2))
    other = x.detach().clone().requires_grad_()
    x = x.detach().clone().requires_grad_()
    weight = layer.weight.detach().clone().requires_grad_()
    expected = norm((weight @ other).t()).t()
    found = layer(x, None)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    direction = torch.randn(6, 200)
    (found * direction).sum().backward()
    (expected * direction).sum().backward()
    torch.testing.assert_close(x.grad, other.grad, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(layer.weight.grad, weight.grad, atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(layer.running_mean, norm.running_mean)
    torch.testing.assert_close(layer.running_variance, norm.running_var, atol=1e-4, rtol=1e-4)
    layer.eval(), norm.eval()
    torch.testing.assert_close(layer(x, None), norm((weight @ x).t()).t(), atol=1e-4, rtol=1e-4)


def test_pairs_of_padding_change_neither_values_nor_gradients() -> None:
    # What is exported goes over all pairs, what trains over the real ones.
    jets = cloud(6, 10)
    results = []
    for way in ("_real_pairs", "_all_pairs"):
        torch.manual_seed(1)
        built = pair_embedding.PairEmbedding((8,), 2)
        bias = getattr(built, way)(jets.momenta, jets.mask)
        weights = torch.arange(bias.numel()).view_as(bias).sin()
        (torch.where(bias > -1e8, bias, 0.0) * weights).sum().backward()
        results.append((bias, [p.grad for p in built.parameters()]))
    torch.testing.assert_close(results[0][0], results[1][0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(results[0][1], results[1][1], atol=1e-3, rtol=1e-3)
    bias = results[0][0]
    torch.testing.assert_close(bias, bias.transpose(2, 3))
    allowed = jets.mask.unsqueeze(2) & jets.mask.unsqueeze(1)
    assert torch.equal(bias > -1e8, allowed.expand_as(bias))


def test_dropout_keeps_the_mean_and_drops_as_many_as_asked() -> None:
    torch.manual_seed(0)
    values = dropped(torch.ones(301, 1001), 0.1)
    part = (values == 0).double().mean().item()
    assert abs(part - 0.1) < 5 * np.sqrt(0.1 * 0.9 / values.numel())
    torch.testing.assert_close(values.max().item(), 1 / 0.9)
    assert torch.equal(dropped(values, 0.0), values)


def test_attention_with_dropout_has_the_mean_of_attention_without() -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 1, 1, 6, 4).unbind(0)
    bias = torch.randn(1, 1, 6, 6)
    expected = attention(query, key, value, bias)
    repeated = (x.expand(1, 20000, -1, -1) for x in (query, key, value, bias))
    found = attention(*repeated, dropout=0.1).mean(1)
    torch.testing.assert_close(found, expected[:, 0], atol=0.02, rtol=0)


def test_gradients_are_finite_for_odd_jets() -> None:
    jets = cloud(4, 6)
    jets.momenta[0] = jets.momenta[0, :1]  # six times the same particle
    jets.momenta[1] = jets.momenta[1, :1] * torch.arange(1, 7).unsqueeze(-1)  # all collinear
    jets.mask[:2], jets.mask[2], jets.mask[3] = True, torch.arange(6) == 0, False
    torch.manual_seed(0)
    built = ParticleTransformer(3, 2, **SMALL)  # type: ignore[arg-type]
    logits = built(jets)
    logits.square().sum().backward()
    assert logits.isfinite().all()
    for parameter in built.parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all()


def test_learns_one_prong_from_two() -> None:
    torch.manual_seed(0)
    built = ParticleTransformer(3, 2, **SMALL)  # type: ignore[arg-type]
    halves = [cloud(64, 10, k, prongs=k) for k in (1, 2)]
    jets = ParticleCloud(*map(torch.cat, zip(*halves, strict=True)))
    labels = torch.arange(2).repeat_interleave(64)
    optimiser = torch.optim.AdamW(built.parameters(), lr=5e-3)
    for _ in range(40):
        optimiser.zero_grad()
        nn.functional.cross_entropy(built(jets), labels).backward()
        optimiser.step()
    right = (built.eval()(jets).argmax(1) == labels)[jets.mask.sum(1) > 2]
    assert right.double().mean() > 0.9
