"""The sizes of networks in the documentation are those that tests and numbers are of."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fullchain.tagging.lgatr_settings import FULL, SLIM_23K
from fullchain.tagging.part_settings import TINY
from fullchain.tagging.particlenet_settings import LITE
from fullchain.tagging.settings import TaggerSettings


@pytest.fixture(scope="module")
def documented() -> dict[str, Any]:
    """Taggers of all examples of the page, by name."""
    page = Path(__file__).parents[2] / "docs/stages/tagging.md"
    found: dict[str, Any] = {}
    for example in re.findall(
        r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S
    ):
        found |= yaml.safe_load(example).get("tagging", {}).get("taggers", {})
    return found


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("particlenet_lite", LITE),
        ("part_tiny", TINY),
        ("lgatr_slim_23k", SLIM_23K),
        ("lgatr_full", FULL),
    ],
)
def test_examples_have_the_sizes_that_have_names(
    name: str, sizes: Any, documented: dict[str, Any]
) -> None:
    assert TaggerSettings.model_validate(documented[name]).architecture == sizes
