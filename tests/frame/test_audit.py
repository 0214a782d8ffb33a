"""The audit of the locks passes only where advisories were read and none counts."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

# As pip-audit 2.10 wrote them: one package looked up, one with an advisory, one without answer.
CLEAN = {"name": "attrs", "version": "26.1.0", "vulns": []}
FLAWED = {
    "name": "jinja2",
    "version": "2.4.1",
    "vulns": [
        {
            "id": "PYSEC-2019-217",
            "fix_versions": ["2.10.1"],
            "aliases": ["CVE-2019-10906", "GHSA-462w-v97r-4m45"],
            "description": "a sandbox escape",
        }
    ],
}
ABSENT = {
    "name": "torch",
    "skip_reason": "Dependency not found on PyPI and could not be audited: torch (2.13.0)",
}


@pytest.fixture(scope="module")
def audit(project: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", project / "envs/audit.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def judged(
    audit: ModuleType, *packages: object, accepted: dict[str, str] | None = None
) -> tuple[int, str]:
    found = audit.parse(json.dumps({"dependencies": packages, "fixes": []}))
    status, lines = audit.judge("my.lock", found, accepted or {})
    return status, "\n".join(lines)


def test_a_clean_lock_passes(audit: ModuleType) -> None:
    assert judged(audit, CLEAN) == (audit.PASSED, "audited: my.lock: 1 packages")


def test_no_answer_at_all_is_no_pass(audit: ModuleType) -> None:
    status, text = judged(audit, ABSENT)
    assert status == audit.NOT_AUDITED
    assert (
        text.startswith("NOT AUDITED: my.lock: no advisories reachable") and "audited:" not in text
    )
    assert judged(audit)[0] == audit.NOT_AUDITED


def test_one_package_without_answer_is_named(audit: ModuleType) -> None:
    status, text = judged(audit, CLEAN, ABSENT)
    assert status == audit.NOT_AUDITED and "1 packages: torch" in text


def test_a_known_vulnerability_fails_even_beside_unknown_ones(audit: ModuleType) -> None:
    status, text = judged(audit, FLAWED, ABSENT)
    assert status == audit.VULNERABLE
    assert "jinja2 2.4.1" in text and "CVE-2019-10906" in text and "2.10.1" in text


@pytest.mark.parametrize("name", ["PYSEC-2019-217", "GHSA-462w-v97r-4m45"])
def test_an_accepted_advisory_passes_with_its_reason(audit: ModuleType, name: str) -> None:
    status, text = judged(audit, CLEAN, FLAWED, accepted={name: "no templates of others"})
    assert status == audit.PASSED and "no templates of others" in text


def test_acceptance_needs_a_reason(audit: ModuleType, tmp_path: Path, project: Path) -> None:
    path = tmp_path / "advisories.toml"
    path.write_text('[[accepted]]\nid = "CVE-1"\nreason = " "\n')
    with pytest.raises(ValueError, match="reason"):
        audit.read_accepted(path)
    path.write_text('[[accepted]]\nid = "CVE-1"\nreason = "because"\n')
    assert audit.read_accepted(path) == {"CVE-1": "because"}
    audit.read_accepted(project / "envs/advisories.toml")


def test_a_pip_audit_that_fails_is_no_pass(audit: ModuleType, tmp_path: Path) -> None:
    program = tmp_path / "pip-audit"
    program.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    program.chmod(0o755)
    lock = tmp_path / "a.lock"
    lock.write_text("attrs==26.1.0\n")
    found = audit.ask(program, lock)
    assert audit.judge("a.lock", found, {})[0] == audit.NOT_AUDITED


def test_local_versions_are_asked_for_without_their_label(audit: ModuleType) -> None:
    lock = "# made+by x\ntorch==2.13.0+cpu ; sys_platform == 'linux'\nattrs==26.1.0\n"
    wanted = "# made+by x\ntorch==2.13.0 ; sys_platform == 'linux'\nattrs==26.1.0\n"
    assert audit.without_local_labels(lock) == wanted


def test_the_worst_lock_counts(audit: ModuleType) -> None:
    assert audit.worst([0, 0]) == 0
    assert audit.worst([0, 3]) == 3
    assert audit.worst([3, 1]) == 1
