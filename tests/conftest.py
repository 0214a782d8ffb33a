"""Fixtures that several stages use."""

import os
from pathlib import Path

import hypothesis
import pytest

# Time is measured in benchmarks/; on a busy machine a limit per example fails by chance.
hypothesis.settings.register_profile("fullchain", deadline=None)
hypothesis.settings.load_profile("fullchain")

# What somebody's own cache holds is not computed, and tests are about what is.
os.environ.pop("FULLCHAIN_CACHE", None)

PROJECT = Path(__file__).resolve().parents[1]
SHARED_DATA = PROJECT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def project() -> Path:
    """The root of the project."""
    return PROJECT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with real CMS files; they are not part of the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no folder {SHARED_DATA.name} with real CMS files beside the project")
    return SHARED_DATA
