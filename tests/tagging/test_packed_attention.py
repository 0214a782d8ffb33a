"""Training on packed jets: the same as on padded ones, values and gradients."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fullchain.tagging import packed_attention, packed_layers, pair_embedding
from fullchain.tagging.cloud import ParticleCloud
from fullchain.tagging.packed_attention import Packing
from fullchain.tagging.particle_transformer import ParticleTransformer

SIZES = {"embedding": (16, 12), "pairs": (8,), "heads": 2, "blocks": 2, "class_blocks": 1}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def cloud(jets: int, entries: int, seed: int = 0) -> ParticleCloud:
    """Jets with particles anywhere among their entries, the first with none and the next full."""
    generator = torch.Generator().manual_seed(seed)
    pt = 1 + 40 * torch.rand(jets, entries, generator=generator)
    angles = 0.1 * torch.randn(jets, entries, 2, generator=generator)
    px, py = pt * torch.cos(angles[..., 1]), pt * torch.sin(angles[..., 1])
    pz = pt * torch.sinh(angles[..., 0])
    energy = torch.sqrt(pt**2 + pz**2 + 0.14**2)
    mask = torch.rand(jets, entries, generator=generator) < 0.6
    mask[0], mask[1] = False, True
    features = torch.cat((torch.log(pt).unsqueeze(-1), angles), dim=-1)
    return ParticleCloud(features, mask, angles, torch.stack((energy, px, py, pz), dim=-1))


@pytest.mark.parametrize("jets", [2, 7])
def test_packed_training_is_padded_training(jets: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given = cloud(jets, 37)
    found = []
    for packs in (True, False):
        monkeypatch.setattr(ParticleTransformer, "_packs", lambda *_, packs=packs: packs)
        torch.manual_seed(5)
        built = ParticleTransformer(3, 2, **SIZES, dropout=0.0)  # type: ignore[arg-type]
        logits = built(given)
        (logits * torch.arange(logits.numel()).view_as(logits).sin()).sum().backward()
        gradients = {name: p.grad for name, p in built.named_parameters()}
        found.append((logits, gradients, dict(built.named_buffers())))
    (logits, gradients, buffers), expected = found
    torch.testing.assert_close(logits, expected[0], atol=5e-5, rtol=0)
    torch.testing.assert_close(buffers, expected[2], atol=1e-5, rtol=1e-4)
    for name, gradient in gradients.items():
        largest = expected[1][name].abs().max().item()
        assert (gradient - expected[1][name]).abs().max() <= 1e-3 * largest + 1e-6, name


def test_only_training_in_single_precision_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    built = ParticleTransformer(3, 2, **SIZES)  # type: ignore[arg-type]
    given = cloud(3, 5)
    assert built._packs(given) and not built.eval()._packs(given)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not built.train()._packs(given)


def test_padding_content_and_number_do_not_matter() -> None:
    torch.manual_seed(5)
    built = ParticleTransformer(3, 2, **SIZES, dropout=0.0)  # type: ignore[arg-type]
    given = cloud(5, 12)
    expected = built(given)
    noise = [torch.full((5, 21, n), 1e30) for n in (3, 2, 4)]
    mask = nn.functional.pad(given.mask, (0, 9))
    padded = [nn.functional.pad(x, (0, 0, 0, 9)) for x in (given[0], given[2], given[3])]
    features, angles, momenta = (
        torch.where(mask.unsqueeze(-1), x, y) for x, y in zip(padded, noise, strict=True)
    )
    order = torch.randperm(21)
    other = ParticleCloud(*(x[:, order] for x in (features, mask, angles, momenta)))
    torch.testing.assert_close(built(other), expected, atol=2e-5, rtol=0)


def reference(projected: Tensor, bias: Tensor, kept: Tensor) -> Tensor:
    """Attention of one jet, written as in the paper; `kept` has the factors of dropout."""
    heads, size = kept.shape[:2]
    query, key, value = projected.unflatten(1, (3, heads, -1)).permute(1, 2, 0, 3).unbind(0)
    rows, columns = torch.tril_indices(size, size)
    matrix = bias.new_zeros(heads, size, size).index_put(
        (torch.arange(heads)[:, None], rows, columns), bias
    )
    matrix = matrix + matrix.tril(-1).transpose(1, 2)
    weights = torch.softmax(query @ key.transpose(1, 2) / query.shape[-1] ** 0.5 + matrix, -1)
    return (weights * kept @ value).permute(1, 0, 2).flatten(1)


def test_attention_with_dropout_has_the_gradients_of_its_mask() -> None:
    torch.manual_seed(1)
    size, heads, channels = 33, 2, 5
    packing = Packing.of(torch.ones(1, size, dtype=torch.bool))
    projected = torch.randn(size, 3 * heads * channels, dtype=torch.float64)
    bias = torch.randn(heads, size * (size + 1) // 2, dtype=torch.float64)
    # With values that are unit vectors the result is the weights: what is dropped can be seen.
    kept = torch.empty(heads, size, size, dtype=torch.float64)
    for start in range(0, size, channels):
        shown = projected.float().clone()
        shown[:, 2 * heads * channels :] = 0
        for head, c in np.ndindex(heads, channels):
            if start + c < size:
                shown[start + c, (2 * heads + head) * channels + c] = 1
        torch.manual_seed(7)
        weights = packed_attention.attention(shown, bias.float(), packing, 0.3)
        for head in range(heads):
            columns = weights[:, head * channels : (head + 1) * channels][:, : size - start]
            kept[head, :, start : start + channels] = (columns != 0).double() / 0.7
    part = (kept == 0).double().mean().item()
    assert abs(part - 0.3) < 5 * (0.21 / kept.numel()) ** 0.5
    given = [x.clone().requires_grad_() for x in (projected, bias)]
    expected = reference(*given, kept)
    single = [x.float().clone().requires_grad_() for x in (projected, bias)]
    torch.manual_seed(7)
    found = packed_attention.attention(*single, packing, 0.3)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-5)
    direction = torch.randn_like(expected)
    (expected * direction).sum().backward()
    (found * direction.float()).sum().backward()
    for mine, true in zip(single, given, strict=True):
        assert mine.grad is not None and true.grad is not None
        torch.testing.assert_close(mine.grad.double(), true.grad, atol=2e-5, rtol=1e-4)


def test_threads_change_no_bit() -> None:
    given = cloud(7, 20)
    results = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        torch.manual_seed(2)
        packing = Packing.of(given.mask)
        projected = torch.randn(len(packing.index), 24, requires_grad=True)
        bias = torch.randn(2, int(packing.pair_starts[-1]), requires_grad=True)
        found = packed_attention.attention(projected, bias, packing, 0.1)
        found.square().sum().backward()
        results.append((found, projected.grad, bias.grad))
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_dropout_draws_anew_and_goes_back_through_what_it_kept() -> None:
    torch.manual_seed(0)
    x = torch.ones(1000, 7, requires_grad=True)
    first, second = (packed_attention.dropped(x, 0.1) for _ in range(2))
    assert not torch.equal(first, second)
    both = ((first == 0) & (second == 0)).double().mean().item()
    assert abs(both - 0.01) < 5 * (0.0099 / x.numel()) ** 0.5
    first.sum().backward()
    assert torch.equal(x.grad, first)


def test_features_of_pairs_are_those_of_torch() -> None:
    given = cloud(6, 25, seed=3)
    given.momenta[1, :3] = given.momenta[1, :1]  # the same particle three times
    given.momenta[1, 3:5] *= torch.tensor([[1.0], [1e3]])
    packing = Packing.of(given.mask)
    own = pair_embedding.centred(pair_embedding.kinematics(given.momenta, given.mask), 6, 25)
    own = own.index_select(1, packing.index)
    # Far apart in rapidity, and on the other side in azimuth.
    own[1, -2:] += torch.tensor([3.0, -4.0])
    own[2, -1] += 3.0
    found = packed_attention.pair_features(own, packing)
    places = []
    for begin, end in zip(packing.starts[:-1], packing.starts[1:], strict=True):
        places.append(begin + torch.tril_indices(end - begin, end - begin))
    first, second = torch.cat(places, dim=1)
    expected = pair_embedding.pair_features(own[:, first], own[:, second])
    torch.testing.assert_close(found, expected, atol=5e-6, rtol=2e-6)


def test_gelu_and_its_gradient() -> None:
    x = torch.linspace(-20, 20, 4001, requires_grad=True)
    exact = x.detach().double().requires_grad_()
    found, expected = packed_layers.gelu(x), nn.functional.gelu(exact)
    assert (found - expected).abs().max() < 2e-6
    (found.sum() + expected.sum()).backward()
    assert (x.grad - exact.grad).abs().max() < 1e-6


@pytest.mark.parametrize("pairs", [1, 5, 20000])
def test_layer_in_pieces_is_the_layer_at_once(pairs: int) -> None:
    torch.manual_seed(0)
    inputs = [torch.randn(4, pairs), torch.randn(8, 4), torch.randn(8)]
    results = []
    for way in ("pieces", "once"):
        x, weight, offset = (value.clone().requires_grad_() for value in inputs)
        if way == "pieces":
            y, *sums = packed_layers.linear_gelu(x, weight, offset)
        else:
            y = nn.functional.gelu(weight @ x + offset.unsqueeze(1))
            sums = [y.sum(1), y @ y.t()]
        total, second = (one / pairs for one in sums)
        loss = (y * y.detach().cos()).mean() + (total.sin() + second.cos()).sum()
        loss.backward()
        results.append([y, total, second, x.grad, weight.grad, offset.grad])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, atol=2e-6, rtol=1e-3)
