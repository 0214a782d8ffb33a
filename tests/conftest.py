"""Fixtures that several stages use."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

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


@pytest.fixture(scope="session")
def toy_events() -> ModuleType:
    """What the tests of the stage jets write small files of events with."""
    path = PROJECT / "tests/jets/conftest.py"
    spec = importlib.util.spec_from_file_location("toy_events", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(project: Path, tmp_path: Path) -> Path:
    """A folder with the project's profiles, for a workflow that the test writes itself."""
    (tmp_path / "workflow").symlink_to(project / "workflow")
    return tmp_path


@pytest.fixture
def validate(tmp_path: Path) -> Callable[..., tuple[bool, list[list[str]]]]:
    """Validate a crate by roc-validator, which has an environment of its own (`make tools`).

    Gives whether it passes, and the findings: severity, check, message, entity.
    """
    python = Path(f"{sys.prefix}-tools") / "bin" / "python"
    if not python.is_file():
        pytest.skip(f"no {python.parents[1].name} with roc-validator; make tools")

    def findings(crate: Path | str, severity: str = "REQUIRED") -> tuple[bool, list[list[str]]]:
        script = PROJECT / "tests" / "dag" / "validate_crate.py"
        cache, target = tmp_path / "contexts", tmp_path / "findings.json"
        done = subprocess.run(
            [str(python), str(script), str(crate), severity, str(cache), str(target)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        answer = json.loads(target.read_text())
        return answer["passed"], answer["findings"]

    return findings
