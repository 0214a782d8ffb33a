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


# In place of pip-audit: looks up what it is given but `absent`, and writes down each request.
STAND_IN = """#!/bin/sh
cat "$2" >> {folder}/asked; echo end >> {folder}/asked
echo '{{"dependencies": ['
sed -e /^absent=/d -e 's/\\(.*\\)==\\(.*\\)/{{"name": "\\1", "version": "\\2", "vulns": []}},/' "$2"
echo '{{"name": "extra", "version": "1", "vulns": []}}]}}'
"""

LOCK = """# made by x
torch==2.13.0+cpu ; sys_platform == 'linux'
numpy==2.4.6 ; python_full_version < '3.12'
numpy==2.5.5 ; python_full_version >= '3.12'
Pyreadline3==2026.04.1 ; sys_platform == 'win32'
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    program = tmp_path / "pip-audit"
    program.write_text(STAND_IN.format(folder=tmp_path))
    program.chmod(0o755)
    return program


def test_every_version_is_asked_for_whatever_its_marker(
    audit: ModuleType, stand_in: Path, tmp_path: Path
) -> None:
    lock = tmp_path / "a.lock"
    lock.write_text(LOCK)
    found = audit.ask(stand_in, lock)
    assert (tmp_path / "asked").read_text().split() == [
        "torch==2.13.0", "numpy==2.4.6", "pyreadline3==2026.4.1", "end", "numpy==2.5.5", "end",
    ]  # fmt: skip
    assert not found.unknown
    assert {("numpy", "2.4.6"), ("numpy", "2.5.5"), ("torch", "2.13.0")} < found.audited


def test_a_version_that_the_answer_lacks_is_no_pass(
    audit: ModuleType, stand_in: Path, tmp_path: Path
) -> None:
    lock = tmp_path / "a.lock"
    lock.write_text(LOCK + "absent==1.0 ; sys_platform == 'win32'\n")
    found = audit.ask(stand_in, lock)
    assert list(found.unknown) == ["absent 1.0"]
    assert audit.judge("a.lock", found, {})[0] == audit.NOT_AUDITED


def test_a_line_that_pins_nothing_is_refused(audit: ModuleType) -> None:
    with pytest.raises(ValueError, match="without a version: attrs>=26"):
        audit.pinned("attrs>=26\n")
    with pytest.raises(ValueError, match="pins nothing"):
        audit.pinned("# nothing\n")


def test_all_locks_of_the_project_can_be_read(audit: ModuleType, project: Path) -> None:
    for name in audit.LOCKS:
        lines = (project / "envs" / name).read_text().splitlines()
        pins = audit.pinned("\n".join(lines))
        assert len(pins) == sum("==" in line.split(";")[0] for line in lines if line[0] != "#")


def test_an_audit_that_fails_is_not_taken_for_a_vulnerability(
    audit: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["audit", "--program", str(tmp_path / "none")])
    assert audit.main() == audit.NOT_AUDITED
    assert "NOT AUDITED" in capsys.readouterr().out
    (tmp_path / "advisories.toml").write_text("accepted = 3\n")
    monkeypatch.setattr(audit, "FOLDER", tmp_path)
    assert audit.main() == audit.NOT_AUDITED
    assert "advisories.toml" in capsys.readouterr().out


def test_the_worst_lock_counts(audit: ModuleType) -> None:
    assert audit.worst([0, 0]) == 0
    assert audit.worst([0, 3]) == 3
    assert audit.worst([3, 1]) == 1
