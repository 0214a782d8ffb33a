"""What the last layer of each network sees: the logits follow from it, and padding does not."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.learning.standardise import Standardisation
from fullchain.tagging.settings import TaggerSettings
from fullchain.tagging.tagger import Tagger
from fullchain.tagging.views import Arrays, view_of

SIZES: dict[str, dict[str, Any]] = {
    "pfn": {"phi": [8, 8], "f": [8, 6]},
    "efn": {"phi": [8, 8], "f": [8, 6]},
    "particlenet": {"neighbours": 3, "blocks": [[8, 8], [8, 8]], "fc": [6]},
    "part": {"embedding": [8, 8], "pairs": [4], "heads": 2, "blocks": 1, "class_blocks": 1},
    "lund": {"blocks": [[8, 8]], "fusion": 8, "head": [6]},
    "mlp": {"layers": [8, 6]},
}
LGATR = {"kind": "lgatr", "blocks": 1, "vector_channels": 4, "scalar_channels": 6, "heads": 2}
FEATURES = ("mass", "pt")
HEADS: dict[str, Callable[[nn.Module], Any]] = {
    "lund": lambda network: network.head[-1],  # type: ignore[index]
    "mlp": lambda network: network.layers[-1],  # type: ignore[index]
}


def tagger_of(architecture: dict[str, Any], particles: int = 12) -> Tagger:
    settings = TaggerSettings.model_validate(
        {"architecture": architecture, "n_constituents": particles}
    )
    features = len(view_of(settings).features)
    scale = Standardisation((0.1,) * features, (0.5,) * features)
    torch.manual_seed(5)
    return Tagger(settings, scale).eval()


def jets(number: int, particles: int, longest: int) -> dict[str, Tensor]:
    """Jets with up to `longest` particles in `particles` entries, and two observables."""
    generator = np.random.default_rng(3)
    momenta = np.zeros((number, particles, 4), dtype=np.float32)
    pt = -np.sort(-generator.exponential(30.0, (number, longest)), axis=1)
    counts = generator.integers(3, longest + 1, number)
    real = np.arange(longest) < counts[:, None]
    momenta[:, :longest, 0] = pt * real
    momenta[:, :longest, 1:3] = generator.normal(0, 0.2, (number, longest, 2)) * real[..., None]
    momenta[:, :longest, 3] = 0.14 * real
    jet = np.stack([momenta[..., 0].sum(1), *np.zeros((2, number)), 20 + counts], axis=1)
    return {
        "constituents": torch.from_numpy(momenta),
        "jet": torch.from_numpy(jet.astype(np.float32)),
        "features": torch.from_numpy(jet[:, [3, 0]].astype(np.float32)),
    }


def lund_arrays(tagger: Tagger, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    from fullchain.tagging.jets_reading import Jets

    arrays: Arrays = tagger.view.arrays(Jets({}, tensors["constituents"].numpy()))
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def inputs(tagger: Tagger, particles: int) -> dict[str, Tensor]:
    tensors = jets(40, particles, 8)
    return lund_arrays(tagger, tensors) if tagger.kind == "lund" else tensors


def architecture(kind: str) -> dict[str, Any]:
    extra = {"features": list(FEATURES)} if kind == "mlp" else {}
    return {"kind": kind, **SIZES[kind], **extra}


@pytest.mark.parametrize("kind", SIZES)
@torch.no_grad()
def test_the_last_layer_makes_the_logits_of_the_latent_features(kind: str) -> None:
    tagger = tagger_of(architecture(kind))
    tensors = inputs(tagger, 12)
    latent = tagger.latent(tensors)
    assert latent.shape == (40, 8 if kind == "part" else 6)
    last = HEADS.get(kind, lambda network: network.output)(tagger.network)
    assert torch.equal(last(latent), tagger(tensors))


@pytest.mark.parametrize("variant", ["slim", "full"])
@pytest.mark.parametrize("pooling", ["token", "mean"])
@torch.no_grad()
def test_logits_of_the_lorentz_transformer_are_linear_in_its_invariants(
    variant: str, pooling: str
) -> None:
    # Without a token no scalar goes in but the features.
    scalars = "none" if pooling == "token" else "features"
    tagger = tagger_of({**LGATR, "variant": variant, "pooling": pooling, "scalars": scalars})
    tensors = inputs(tagger, 12)
    latent = tagger.latent(tensors).double().numpy()
    assert latent.shape == (40, 6 if variant == "slim" else 14)
    logits = tagger(tensors).double().numpy()
    with_constant = np.column_stack([latent, np.ones(len(latent))])
    solution, *_ = np.linalg.lstsq(with_constant, logits, rcond=None)
    assert np.std(logits) > 1e-4
    np.testing.assert_allclose(with_constant @ solution, logits, atol=1e-4 * np.std(logits))


@pytest.mark.parametrize("kind", ["pfn", "efn", "particlenet", "part", "lund", "lgatr"])
@torch.no_grad()
def test_padding_does_not_change_the_latent_features(kind: str) -> None:
    sizes = LGATR if kind == "lgatr" else architecture(kind)
    short, long = tagger_of(sizes, 8), tagger_of(sizes, 15)
    if kind == "pfn":
        long.network.typical = short.network.typical
    long.load_state_dict(short.state_dict())
    first, second = short.latent(inputs(short, 8)), long.latent(inputs(long, 15))
    assert first.std() > 1e-4
    torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-5)


def test_trees_say_that_they_have_no_layers() -> None:
    tagger = tagger_of({"kind": "trees", "features": list(FEATURES)})
    with pytest.raises(InputError, match="no layers"):
        tagger.latent({"features": torch.ones(1, 2)})
