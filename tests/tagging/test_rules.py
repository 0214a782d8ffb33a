"""What the rules of the stage ask for."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fullchain.settings import Settings, validate


def definitions(text: str, settings: Settings) -> dict[str, Any]:
    """The request for a GPU and the function for the memory, which are plain Python."""
    found: dict[str, Any] = {"CONFIG": settings}
    for pattern in (r"^TAGGING_GPU = .*\n", r"^def training_memory\(.*\n(?:    .*\n)+"):
        (source,) = re.findall(pattern, text, re.MULTILINE)
        exec(source, found)
    return found


@pytest.fixture
def text(project: Path) -> str:
    return (project / "rules/tagging.smk").read_text()


def test_paths_are_quoted(text: str) -> None:
    assert "{input.signal:q}" in text
    assert not re.findall(r"\{(?:input|output)\.\w+\}|\{log\}", text)


@pytest.mark.parametrize(("device", "gpus"), [("cpu", 0), ("auto", 1), ("cuda", 1)])
def test_a_gpu_is_asked_for_where_one_may_be_used(text: str, device: str, gpus: int) -> None:
    settings = validate({"tagging": {"training": {"device": device}}})
    assert definitions(text, settings)["TAGGING_GPU"] == gpus
    assert text.count("gpu=TAGGING_GPU") == 2


def test_memory_of_training_follows_the_jets(text: str) -> None:
    def memory(size_mb: float, particles: int) -> int:
        settings = validate({"tagging": {"taggers": {"pfn": {"n_constituents": particles}}}})
        function = definitions(text, settings)["training_memory"]
        megabytes: int = function(SimpleNamespace(tagger="pfn"), SimpleNamespace(size_mb=size_mb))
        return megabytes

    assert "mem_mb=training_memory" in text
    assert memory(5, 64) < 3000
    # Each of the jets in Parquet in memory, and room for a second copy.
    assert memory(6000, 64) > 12000
    assert memory(6000, 128) > 24000
