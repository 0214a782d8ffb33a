"""Lorentz-equivariant transformers for jets: L-GATr and L-GATr-slim.

Layers come from the authors' package `lgatr`; here stands what makes a tagger of them, as published
in 2411.00446 and 2512.17011: momenta divided by 20 GeV, reference vectors that say where beam and
rest frame are, and a token whose scalar part is the result.

With neither reference and without scalar inputs the logits are exactly invariant under proper
Lorentz transformations. References leave the transformations that keep them:

==========  =====  ===========================================================
beam        time   remaining symmetry
==========  =====  ===========================================================
none        no     all rotations and boosts
none        yes    all rotations
lightlike   any    rotations about the beam (a boost along it scales the two
                   vectors, and so changes what they measure)
timelike    any    rotations about the beam
spacelike   no     rotations about the beam and boosts across it
spacelike   yes    rotations about the beam
xyplane     no     rotations about the beam and boosts along it
xyplane     yes    rotations about the beam
==========  =====  ===========================================================
"""

import torch
from lgatr import (
    LGATr,
    LGATrSlim,
    embed_vector,
    extract_scalar,
    get_spurions,
)
from lgatr.primitives.config import PrimitivesConfig
from torch import Tensor, nn
from torch.nn import functional

from fullchain.tagging.cloud import ParticleCloud

_FORBIDDEN = -1e9
"""Logit of attention to padding; finite, so that nothing becomes NaN."""


class LorentzTransformer(nn.Module):
    """Logits of a jet from the four-momenta of its particles.

    Parameters
    ----------
    features
        Number of features of a particle, used where `scalars` is "features".
    classes
        Number of classes.
    variant
        "slim": vectors and scalars (2512.17011); "full": multivectors of the geometric algebra and
        scalars (2411.00446, 2405.14806).
    blocks, vector_channels, scalar_channels, heads, expansion, attention_expansion, dropout
        Sizes, see `LorentzTransformerSettings`; the defaults are the published slim network.
    momentum_scale
        Momenta are divided by this [GeV].
    beam, time
        References that break the symmetry; "xyplane" is a bivector, which only "full" has.
    scalars
        "none", or "features" for the features of the particles as further inputs.
    pooling
        "token" for a token beside the particles, "mean" for the mean over the particles.
    conditions
        Last features that are the same for all particles of a jet: they are inputs with any
        `scalars`, and invariant.

    Raises
    ------
    ValueError
        Where the slim network is asked for the transverse plane as reference.
    """

    references: Tensor

    def __init__(
        self,
        features: int,
        classes: int,
        *,
        variant: str = "slim",
        blocks: int = 12,
        vector_channels: int = 32,
        scalar_channels: int = 96,
        heads: int = 8,
        expansion: int = 4,
        attention_expansion: int = 1,
        dropout: float = 0.0,
        momentum_scale: float = 20.0,
        beam: str = "lightlike",
        time: bool = True,
        scalars: str = "none",
        pooling: str = "token",
        conditions: int = 0,
    ) -> None:
        super().__init__()
        if variant == "slim" and beam == "xyplane":
            raise ValueError("L-GATr-slim has no xyplane: choose another beam, or variant full")
        self.slim = variant == "slim"
        self.momentum_scale = momentum_scale
        # Which of the features are inputs, counted from the last.
        self.seen = features if scalars == "features" else conditions
        self.with_token = pooling == "token"
        references = get_spurions(None if beam == "none" else beam, time)
        references = references[:, 1:5] if self.slim else references
        self.register_buffer("references", references, persistent=False)
        # One scalar marks the token: all its other inputs are zero, as those of nothing are.
        inputs = 1 + self.seen
        self.net: nn.Module
        if self.slim:
            self.net = LGATrSlim(
                num_blocks=blocks,
                in_v_channels=1,
                out_v_channels=0,
                hidden_v_channels=vector_channels,
                in_s_channels=inputs,
                out_s_channels=classes,
                hidden_s_channels=scalar_channels,
                num_heads=heads,
                mlp_ratio=expansion,
                attn_ratio=attention_expansion,
                dropout_prob=dropout or None,
            )
        else:
            self.net = LGATr(
                num_blocks=blocks,
                in_mv_channels=1,
                out_mv_channels=classes,
                hidden_mv_channels=vector_channels,
                in_s_channels=inputs,
                out_s_channels=0,
                hidden_s_channels=scalar_channels,
                attention={
                    "num_heads": heads,
                    "attn_ratio": attention_expansion,
                    "head_scale": True,
                },
                mlp={"mlp_ratio": expansion},
                # The dense product is what can be exported; results are the same.
                primitives=PrimitivesConfig(sparse_gp=False),
                dropout_prob=dropout or None,
            )
            # Fills the package's caches of constants, which an export would fill with symbols.
            self.net.to(torch.float32)

    def forward(self, cloud: ParticleCloud) -> Tensor:
        """Give the logits, shape (jets, classes)."""
        outputs, outputs_s = self._through(cloud)
        logits = outputs_s if self.slim else extract_scalar(outputs).squeeze(-1)
        return self._pooled(logits, cloud.mask)

    def latent(self, cloud: ParticleCloud) -> Tensor:
        """Give the invariants of which the last layer makes the logits, shape (jets, width).

        Of the slim network these are its scalars; of the full one also the scalar and the
        pseudoscalar part of its multivectors. The logits are linear in them.
        """
        seen: list[Tensor] = []

        def keep(_: nn.Module, given: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
            scalars = named.get("scalars", given[-1])
            if self.slim:
                seen.append(scalars)
                return
            parts = given[0][..., 0], given[0][..., 15], scalars
            seen.append(torch.cat(parts, dim=-1))

        # The package gives no other access to what its last layer sees.
        hook = self.net.linear_out.register_forward_pre_hook(keep, with_kwargs=True)  # type: ignore[union-attr]
        try:
            self._through(cloud)
        finally:
            hook.remove()
        return self._pooled(seen[0], cloud.mask)

    def _through(self, cloud: ParticleCloud) -> tuple[Tensor, Tensor]:
        """Give what the package's network makes of token, references and particles."""
        features, mask, _, momenta = cloud
        vectors, scalars = self._inputs(features, mask, momenta.to(features.dtype))
        allowed = torch.where(mask, 0.0, _FORBIDDEN).to(vectors.dtype)
        # Token and references come before the particles and are never padding.
        allowed = functional.pad(allowed, (vectors.shape[1] - mask.shape[1], 0))[:, None, None]
        outputs: tuple[Tensor, Tensor] = self.net(vectors, scalars, attn_mask=allowed)
        return outputs

    def _pooled(self, values: Tensor, mask: Tensor) -> Tensor:
        """From (jets, items, n) to (jets, n): what stands at the token, or the mean."""
        if self.with_token:
            return values[:, 0]
        particles = values[:, self.references.shape[0] :]
        number = mask.sum(1, keepdim=True).clamp(min=1)
        return torch.where(mask.unsqueeze(-1), particles, 0.0).sum(1) / number

    def _inputs(self, features: Tensor, mask: Tensor, momenta: Tensor) -> tuple[Tensor, Tensor]:
        """Items are the token, the references and the particles, in this order."""
        jets = mask.shape[0]
        real = mask.unsqueeze(-1)
        vectors = torch.where(real, momenta / self.momentum_scale, 0.0)
        if not self.slim:
            vectors = embed_vector(vectors)
        references = self.references.to(vectors.dtype).expand(jets, -1, -1)
        items = [references, vectors]
        if self.with_token:
            items.insert(0, vectors.new_zeros(jets, 1, vectors.shape[-1]))
        inputs = torch.cat(items, dim=1).unsqueeze(2)
        scalars = inputs.new_zeros(jets, inputs.shape[1], 1)
        if self.with_token:
            first = torch.arange(inputs.shape[1], device=inputs.device) == 0
            scalars = scalars + first.to(inputs.dtype)[None, :, None]
        if self.seen:
            others = inputs.shape[1] - mask.shape[1]
            seen = torch.where(real, features[..., -self.seen :], 0.0)
            scalars = torch.cat((scalars, functional.pad(seen, (0, 0, others, 0))), dim=-1)
        return inputs, scalars
