"""Laws of the classifiers on particles, and that members do not know of each other."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from fullchain.tagging.cloud import ParticleCloud
from fullchain.tagging.pfn import ParticleFlowNetwork
from fullchain.unfolding.grouped_attention import AttentionBlock, ClassAttentionBlock
from fullchain.unfolding.particle_network_settings import (
    ParticleNetworkSettings,
    PfnClassifierSettings,
    TransformerClassifierSettings,
)
from fullchain.unfolding.particle_networks import build

FEATURES = 4
ROWS = 120
PFN = PfnClassifierSettings(phi=(12, 16), f=(10, 8), typical=5)
TRANSFORMER = TransformerClassifierSettings(width=8, heads=2, blocks=2, class_blocks=1)
BOTH = pytest.mark.parametrize("settings", [PFN, TRANSFORMER], ids=lambda chosen: chosen.kind)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of products this small only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def jets(rows: int, places: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Jets of 0 to all places with particles."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.randint(0, places + 1, (rows, 1), generator=generator)
    counts[0], counts[-1] = 0, places
    mask = torch.arange(places) < counts
    particles = torch.randn(rows, places, FEATURES, generator=generator)
    values = torch.randn(rows, 2, generator=generator)
    return {"particles": particles * mask.unsqueeze(-1), "mask": mask, "values": values}


def network(settings: ParticleNetworkSettings, members: int = 3, seed: int = 1) -> torch.nn.Module:
    return build(settings, members, FEATURES, seed, n_values=2)


@BOTH
@hypothesis_settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**20))
def test_order_of_particles_changes_nothing(settings, seed):
    inputs = jets(6, 9, seed)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(seed))
    moved = {
        **inputs,
        "particles": inputs["particles"][:, order],
        "mask": inputs["mask"][:, order],
    }
    chosen = network(settings)
    torch.testing.assert_close(chosen(moved), chosen(inputs), rtol=1e-4, atol=1e-5)


@BOTH
@hypothesis_settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    more=st.integers(0, 20),
    content=st.sampled_from([0.0, -7.0, 1e20, float("nan"), float("inf")]),
)
def test_padding_changes_nothing(settings, seed, more, content):
    inputs = jets(6, 9, seed)
    particles = torch.nn.functional.pad(inputs["particles"], (0, 0, 0, more))
    mask = torch.nn.functional.pad(inputs["mask"], (0, more))
    padded = {
        **inputs,
        "particles": particles.masked_fill(~mask.unsqueeze(-1), content),
        "mask": mask,
    }
    chosen = network(settings)
    torch.testing.assert_close(chosen(padded), chosen(inputs), rtol=1e-4, atol=1e-5)


@BOTH
def test_padding_has_no_gradient(settings):
    inputs = jets(6, 9)
    inputs["particles"].requires_grad_()
    network(settings)(inputs).sum().backward()
    gradient = inputs["particles"].grad
    assert (gradient[~inputs["mask"]] == 0).all()
    assert (gradient[inputs["mask"]] != 0).any(dim=-1).all()


@BOTH
def test_jets_without_particles_have_finite_logits_and_gradients(settings):
    inputs = {"particles": torch.zeros(3, 4, FEATURES), "mask": torch.zeros(3, 4) > 0}
    chosen = network(settings)
    logits = chosen({**inputs, "values": torch.zeros(3, 2)})
    logits.sum().backward()
    assert logits.shape == (3, 3)
    assert logits.isfinite().all()
    found = [parameter.grad for parameter in chosen.parameters() if parameter.grad is not None]
    assert all(gradient.isfinite().all() for gradient in found)


@BOTH
def test_every_particle_and_every_value_counts(settings):
    inputs = jets(6, 9)
    chosen = network(settings)
    less = {**inputs, "mask": inputs["mask"].clone()}
    less["mask"][-1, 3] = False
    assert ((chosen(less) - chosen(inputs))[:, -1].abs() > 1e-6).all()
    other = {**inputs, "values": inputs["values"] + 1.0}
    assert ((chosen(other) - chosen(inputs)).abs() > 1e-6).any(dim=1).all()


@BOTH
def test_a_member_starts_the_same_however_many_there_are(settings):
    alone, together = network(settings, 1), network(settings, 4)
    other = network(settings, 4, seed=2)
    for (name, one), all_of, else_ in zip(
        alone.named_parameters(), together.parameters(), other.parameters(), strict=True
    ):
        assert len(all_of) == 4, name
        torch.testing.assert_close(one[0], all_of[0], rtol=0, atol=0)
        if "weight" in name and "norm" not in name and "before" not in name:
            assert not torch.equal(all_of[0], all_of[1])
            assert not torch.equal(all_of[0], else_[0])


@BOTH
def test_building_moves_no_other_stream_of_random_numbers(settings):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    network(settings)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def toy(rows: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Jets whose class is in the spread of their particles, which no single particle shows."""
    generator = torch.Generator().manual_seed(3)
    label = (torch.arange(rows) % 2).float()
    inputs = jets(rows, 8, 3)
    inputs["mask"][:, :3] = True
    width = torch.where(label > 0, 1.6, 0.5)[:, None, None]
    particles = width * torch.randn(rows, 8, FEATURES, generator=generator)
    inputs["particles"] = particles * inputs["mask"].unsqueeze(-1)
    return inputs, label


def trained(settings, members: int, weights: torch.Tensor, steps: int) -> torch.Tensor:
    """Train for some steps on the toy; give logits (members, rows)."""
    inputs, label = toy(weights.shape[1])
    chosen = network(settings, members)
    optimiser = torch.optim.Adam(chosen.parameters(), lr=1e-2)
    for _ in range(steps):
        optimiser.zero_grad()
        logits = chosen(inputs)
        loss = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, label.expand_as(logits), weight=weights, reduction="none"
        )
        loss.mean(dim=1).sum().backward()
        optimiser.step()
    with torch.no_grad():
        return chosen(inputs)


@BOTH
def test_members_learn_and_do_so_alone_as_together(settings):
    weights = torch.rand(3, ROWS, generator=torch.Generator().manual_seed(4)) + 0.5
    together = trained(settings, 3, weights, 30)
    alone = trained(settings, 1, weights[:1], 30)
    torch.testing.assert_close(together[0], alone[0], rtol=1e-3, atol=1e-3)
    label = torch.arange(ROWS) % 2 > 0
    right = ((together > 0) == label).float().mean(dim=1)
    assert (right > 0.85).all()
    assert not torch.allclose(together[0], together[1], atol=0.05)


def test_each_member_of_the_pfn_is_the_network_of_tagging():
    inputs = jets(6, 9)
    grouped = build(PFN, 3, FEATURES, 1)
    for member in range(3):
        single = ParticleFlowNetwork(FEATURES, 1, phi=PFN.phi, f=PFN.f, typical=PFN.typical)
        layers = [*grouped.phi, *grouped.f, grouped.output]
        plain = [layer for layer in single.modules() if isinstance(layer, torch.nn.Linear)]
        for ours, theirs in zip(layers, plain, strict=True):
            theirs.weight.data = ours.weight[member].T
            theirs.bias.data = ours.bias[member, 0]
        nothing = torch.zeros(6, 9, 2)
        expected = single(ParticleCloud(inputs["particles"], inputs["mask"], nothing, nothing))
        torch.testing.assert_close(grouped(inputs)[member], expected[:, 0])


def test_published_sizes_of_the_pfn_have_the_published_number_of_parameters():
    # Four inputs, 100-100-256 and 256-100-100-100, as tests/tagging counts them; one logit.
    grouped = build(PfnClassifierSettings(), 2, 4, 1)
    one = (4 + 1) * 100 + 101 * 100 + 101 * 256 + 257 * 100 + 2 * 101 * 100 + 101
    assert sum(parameter.numel() for parameter in grouped.parameters()) == 2 * one


def attention_of_torch(block, member: int, joint, mix) -> torch.nn.MultiheadAttention:
    """The layer of torch with the weights of a member."""
    width = mix.weight.shape[-1]
    layer = torch.nn.MultiheadAttention(width, block.heads, batch_first=True)
    layer.in_proj_weight.data = torch.cat([one.weight[member].T for one in joint])
    layer.in_proj_bias.data = torch.cat([one.bias[member, 0] for one in joint])
    layer.out_proj.weight.data = mix.weight[member].T
    layer.out_proj.bias.data = mix.bias[member, 0]
    return layer


def dense_of(block, member: int, rows: torch.Tensor) -> torch.Tensor:
    dense = block.dense
    hidden = torch.nn.functional.layer_norm(rows, rows.shape[-1:])
    hidden = hidden @ dense.wide.weight[member] + dense.wide.bias[member, 0]
    hidden = torch.nn.functional.gelu(hidden)
    return rows + hidden @ dense.narrow.weight[member] + dense.narrow.bias[member, 0]


def test_blocks_are_the_attention_of_torch():
    inputs = jets(5, 7)
    mask, cloud = inputs["mask"], torch.randn(2, 5, 7, 8)
    mask[0, 0] = True
    token = torch.randn(2, 5, 8)
    block, last = AttentionBlock(2, 8, 2, 16), ClassAttentionBlock(2, 8, 2, 16)
    found, found_token = block(cloud, mask), last(token, cloud, mask)
    for member in range(2):
        normal = torch.nn.functional.layer_norm(cloud[member], (8,))
        layer = attention_of_torch(block, member, [block.triple], block.mix)
        moved = cloud[member] + layer(normal, normal, normal, key_padding_mask=~mask)[0]
        torch.testing.assert_close(
            found[member][mask], dense_of(block, member, moved)[mask], rtol=1e-4, atol=1e-5
        )
        both = torch.cat((token[member].unsqueeze(1), cloud[member]), dim=1)
        normal = torch.nn.functional.layer_norm(both, (8,))
        there = torch.cat((torch.ones(5, 1) > 0, mask), dim=1)
        layer = attention_of_torch(last, member, [last.query, last.memory], last.mix)
        seen = layer(normal[:, :1], normal, normal, key_padding_mask=~there)[0][:, 0]
        torch.testing.assert_close(
            found_token[member], dense_of(last, member, token[member] + seen), rtol=1e-4, atol=1e-5
        )


def test_wrong_number_of_values_is_an_error():
    inputs = jets(4, 5)
    inputs["values"] = torch.zeros(4, 3)
    with pytest.raises(ValueError, match="3 values of a jet, where the network takes 2"):
        network(PFN)(inputs)


def test_settings_are_told_apart_by_kind():
    union = TypeAdapter(ParticleNetworkSettings)
    assert isinstance(union.validate_python({"kind": "pfn"}), PfnClassifierSettings)
    found = union.validate_python({"kind": "transformer", "width": 12, "heads": 3})
    assert isinstance(found, TransformerClassifierSettings)
    with pytest.raises(ValidationError, match="do not divide the width of 12"):
        union.validate_python({"kind": "transformer", "width": 12, "heads": 5})
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        union.validate_python({"kind": "pfn", "phi": [10, 0]})
