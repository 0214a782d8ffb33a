from pathlib import Path

import torch

from fullchain.learning.torch_file import read, write


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    """Neither the name nor the process that wrote it is in the file."""
    content = {"format": 1, "weights": torch.arange(10.0)}
    first, second = tmp_path / "first.pt", tmp_path / "second.pt"
    write(first, content)
    write(second, content)
    assert first.read_bytes() == second.read_bytes()
    assert read(first)["weights"].tolist() == list(range(10))
