"""State of an unfinished training on disk.

A checkpoint belongs to exactly one training: its fingerprint covers the code, the settings and the
data. One of another training, or a damaged one, is left aside.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fullchain.learning import torch_file

_BLOCK = 4096


def fingerprint(texts: Mapping[str, str], tensors: Mapping[str, torch.Tensor]) -> str:
    """Hash of named texts (settings, code) and of the bytes of named tensors."""
    digest = hashlib.sha256()
    for name, text in sorted(texts.items()):
        digest.update(f"{name}={len(text)}:{text};".encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}={tensor.dtype}{tuple(tensor.shape)};".encode())
        # Block by block: rows may lie in a file that is larger than the memory.
        rows = tensor.detach().reshape(1) if tensor.ndim == 0 else tensor.detach()
        for block in rows.split(_BLOCK):
            digest.update(block.cpu().contiguous().numpy().data)
    return digest.hexdigest()


def of_training(
    identity: Mapping[str, str],
    settings: Mapping[str, Any],
    place: str,
    parts: Mapping[str, Mapping[str, torch.Tensor]],
) -> str:
    """Fingerprint of a training.

    Parameters
    ----------
    identity
        What tells trainings of the same settings apart: code, names.
    settings
        All settings that the step was given.
    place
        Type of the device: the setting may be auto, and a training must not change it halfway.
    parts
        Tensors of the training and the validation part, by name.
    """
    texts = {**identity, "settings": json.dumps(settings, sort_keys=True), "device": place}
    tensors = {f"{part}.{name}": rows for part, one in parts.items() for name, rows in one.items()}
    return fingerprint(texts, tensors)


def save(path: Path, mark: str, state: Mapping[str, Any]) -> None:
    """Write `state` (tensors, numbers, text and containers of them) with its fingerprint."""
    torch_file.write(path, {"fingerprint": mark, "state": dict(state)})


def load(path: Path, mark: str) -> dict[str, Any] | None:
    """State at `path` if it has the fingerprint `mark`; None where it is not there or not ours."""
    try:
        content = torch_file.read(path)
    except FileNotFoundError:
        return None
    except torch_file.Unreadable as problem:
        print(f"{path}: no checkpoint ({problem}); training starts afresh", file=sys.stderr)
        return None
    if content.get("fingerprint") != mark:
        print(f"{path}: of other code, settings or data; training starts afresh", file=sys.stderr)
        return None
    return dict(content["state"])
