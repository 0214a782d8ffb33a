"""Weights of ParticleNet that were trained with weaver-core.

Such a file (`*.pt`, a state dict; github.com/hqucms/weaver-core, `ParticleNet`) says neither how
many neighbours a particle sees, nor which inputs in which order, nor which class an output is for:
they must be those of the training. The weights for JetClass that came with 2202.03772
(`ParticleNet_kin.pt`, `ParticleNet_kinpid.pt`, `ParticleNet_full.pt`) take the inputs `kin`,
`kinpid` and `full` in the order of `features.NAMES` with the published scale, 128 particles and 16
neighbours; names in them begin with `WRAPPER`. A network of weaver
that divides by the number of all entries and not of the particles (`use_counts=False`) has the
same weights, and is not the network here.
"""

import copy
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.learning import torch_file
from fullchain.tagging.particlenet import ParticleNet

WRAPPER = "mod."
"""What the names begin with where the network was trained inside another module."""

_NAMES = (
    (r"bn_fts\.(\w+)", r"normalise.\1"),
    (r"edge_convs\.(\d+)\.convs\.(\d+)\.weight", r"blocks.\1.linears.\2.weight"),
    (r"edge_convs\.(\d+)\.bns\.(\d+)\.(\w+)", r"blocks.\1.norms.\2.\3"),
    (r"edge_convs\.(\d+)\.sc\.weight", r"blocks.\1.shortcut.weight"),
    (r"edge_convs\.(\d+)\.sc_bn\.(\w+)", r"blocks.\1.shortcut_norm.\2"),
    (r"fusion_block\.0\.weight", r"fusion.linear.weight"),
    (r"fusion_block\.1\.(\w+)", r"fusion.norm.\1"),
    (r"fc\.(\d+)\.0\.(weight|bias)", r"fc.\1.\2"),
    (r"fc\.\d+\.(weight|bias)", r"output.\1"),
)
"""Names in weaver, and the same here. The last layer is the one of `fc` that is in no group."""

_LISTED = 8
"""Names in a message, at most, of each kind."""


_LAST = ("output.weight", "output.bias")


def load(path: Path, network: ParticleNet, *, outputs: int, rows: Sequence[int]) -> None:
    """Set the weights of `network` to those of the file.

    Parameters
    ----------
    outputs
        Number of outputs of the network in the file.
    rows
        For each output of `network`, the one in the file.

    Raises
    ------
    InputError
        There is no such file, it holds no state dict, or that of another architecture; the network
        is then as it was.
    """
    try:
        content = torch_file.read(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file of weights") from None
    except torch_file.Unreadable as problem:
        raise InputError(
            f"{path}: no file of weights ({problem}); give the state dict that weaver-core saved"
        ) from None
    whole = copy.deepcopy(network)
    last = network.output
    whole.output = nn.Linear(last.in_features, outputs, dtype=last.weight.dtype)
    try:
        state = translated(content, whole)
    except InputError as problem:
        raise InputError(f"{path}: {problem}") from None
    network.load_state_dict(state | {name: state[name][list(rows)] for name in _LAST})


def translated(weights: Mapping[str, object], network: ParticleNet) -> dict[str, Tensor]:
    """State dict of `network` from one of weaver's ParticleNet.

    Raises InputError with the names and shapes that are not those of `network`, and with those of
    numbers that are not finite.
    """
    wanted = network.state_dict()
    found: dict[str, Tensor] = {}
    unexpected, shapes, broken = [], [], []
    for name, tensor in weights.items():
        ours = _translated_name(name)
        if ours not in wanted or not isinstance(tensor, Tensor) or ours in found:
            unexpected.append(name)
            continue
        expected = wanted[ours].shape
        flat = _as_matrix(tensor)
        if flat.shape != expected:
            shapes.append(f"{name} {tuple(tensor.shape)} instead of {tuple(expected)}")
        if not flat.isfinite().all():
            broken.append(name)
        found[ours] = flat.to(wanted[ours].dtype)
    # Files that are old enough do not count the batches; nothing here depends on it.
    missing = [
        name for name in wanted if name not in found and not name.endswith("num_batches_tracked")
    ]
    problems = [
        f"{what}: {_list(names)}"
        for what, names in (
            ("missing", [_weaver_name(name, len(network.fc)) for name in missing]),
            ("unexpected", unexpected),
            ("shape", shapes),
            ("not finite", broken),
        )
        if names
    ]
    if problems:
        raise InputError(
            "not the weights of this ParticleNet: "
            + "; ".join(problems)
            + ". Set blocks, fc and fusion of the architecture, the inputs and weights.outputs to "
            "those of the training"
        )
    return wanted | found


def _translated_name(name: str) -> str | None:
    name = name.removeprefix(WRAPPER)
    for pattern, ours in _NAMES:
        if match := re.fullmatch(pattern, name):
            return match.expand(ours)
    return None


def _weaver_name(ours: str, last: int) -> str:
    """The name that a user finds, or misses, in the file."""
    for pattern, name in (
        (r"normalise\.(\w+)", r"bn_fts.\1"),
        (r"blocks\.(\d+)\.linears\.(\d+)\.(\w+)", r"edge_convs.\1.convs.\2.\3"),
        (r"blocks\.(\d+)\.norms\.(\d+)\.(\w+)", r"edge_convs.\1.bns.\2.\3"),
        (r"blocks\.(\d+)\.shortcut\.(\w+)", r"edge_convs.\1.sc.\2"),
        (r"blocks\.(\d+)\.shortcut_norm\.(\w+)", r"edge_convs.\1.sc_bn.\2"),
        (r"fusion\.linear\.(\w+)", r"fusion_block.0.\1"),
        (r"fusion\.norm\.(\w+)", r"fusion_block.1.\1"),
        (r"fc\.(\d+)\.(\w+)", r"fc.\1.0.\2"),
        (r"output\.(\w+)", rf"fc.{last}.\1"),
    ):
        if match := re.fullmatch(pattern, ours):
            return match.expand(name)
    raise AssertionError(f"{ours}: a layer of ParticleNet without its name in weaver")


def _as_matrix(tensor: Tensor) -> Tensor:
    """A convolution of size one as the matrix that it is."""
    if tensor.dim() > 2 and tensor.shape[2:].numel() == 1:
        return tensor.flatten(1)
    return tensor


def _list(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
