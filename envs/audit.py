"""Ask for known vulnerabilities of what the locks pin, with pip-audit; only the standard library.

pip-audit ends well where no advisory could be had at all, and leaves out what a marker of the lock
excludes on this machine. Here all pinned versions are asked for, whatever their markers say, and
the answer is held against the lock:

====  ==================================================================================
exit  meaning
====  ==================================================================================
0     every pinned version was looked up; nothing is known but what is accepted
1     a vulnerability is known that envs/advisories.toml does not accept
3     NOT AUDITED: no advisories could be had for some or all of the pinned versions, or the
      audit itself failed (no pip-audit, a faulty envs/advisories.toml)
====  ==================================================================================
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
LOCKS = ("requirements.lock", "tools.lock", "htcondor.lock", "kubernetes.lock")
Pin = tuple[str, str]
"""Name and version, as `normal` writes them."""

_PINNED = re.compile(r"([A-Za-z0-9][\w.-]*)(?:\[[^]]*\])?==([^\s;+\\]+)")
PASSED, VULNERABLE, NOT_AUDITED = 0, 1, 3


@dataclass
class Outcome:
    """What is known of the packages of one lock.

    Parameters
    ----------
    audited
        Versions that were looked up.
    unknown
        Package, or package and version -> why it was not.
    vulnerable
        (package and version, identifiers of the advisory, versions that mend it).
    """

    audited: set[Pin] = field(default_factory=set)
    unknown: dict[str, str] = field(default_factory=dict)
    vulnerable: list[tuple[str, frozenset[str], str]] = field(default_factory=list)


def normal(name: str, version: str) -> Pin:
    """Give name and version as pip-audit writes them, by PEP 503 and PEP 440."""
    numbers = re.sub(r"(?<![0-9A-Za-z])0+(?=[0-9])", "", version.lower())
    return re.sub(r"[-_.]+", "-", name).lower(), numbers


def pinned(lock: str) -> list[Pin]:
    """Give every version of a lock, whatever its marker; ``2.13.0`` for ``2.13.0+cpu``.

    Advisories know nothing of labels such as ``+cpu``.

    Raises
    ------
    ValueError
        A line pins nothing, or there is none that does.
    """
    found = []
    for line in lock.splitlines():
        text = line.strip()
        if not text or text.startswith(("#", "--")):
            continue
        pin = _PINNED.match(text)
        if pin is None:
            raise ValueError(f"the lock has a line without a version: {text}")
        found.append(normal(*pin.groups()))
    if not found:
        raise ValueError("the lock pins nothing")
    return list(dict.fromkeys(found))


def requests(pins: Sequence[Pin]) -> list[list[Pin]]:
    """Divide the versions so that no name stands twice: pip-audit would look up one of them."""
    found: list[list[Pin]] = []
    for name, version in pins:
        free = next((one for one in found if all(name != other for other, _ in one)), None)
        if free is None:
            found.append(free := [])
        free.append((name, version))
    return found


def parse(text: str) -> Outcome:
    """Read the JSON of pip-audit.

    Raises
    ------
    ValueError
        It is none.
    """
    found = Outcome()
    for package in json.loads(text)["dependencies"]:
        name = package["name"]
        if "skip_reason" in package:
            found.unknown[name] = package["skip_reason"]
            continue
        found.audited.add(normal(name, package["version"]))
        for one in package["vulns"]:
            identifiers = frozenset([one["id"], *one.get("aliases", [])])
            mended = ", ".join(one.get("fix_versions", [])) or "no version yet"
            found.vulnerable.append((f"{name} {package['version']}", identifiers, mended))
    return found


def read_accepted(path: Path) -> dict[str, str]:
    """Give the accepted advisories: identifier -> reason.

    Raises
    ------
    ValueError
        One has no identifier or no reason.
    """
    try:
        entries: Any = tomllib.loads(path.read_text("utf-8")).get("accepted", [])
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None
    if not isinstance(entries, list):
        raise ValueError(f"{path}: accepted is no list; write [[accepted]]")
    for entry in entries:
        whole = isinstance(entry, dict) and set(entry) == {"id", "reason"}
        if not whole or not all(isinstance(one, str) and one.strip() for one in entry.values()):
            raise ValueError(f"{path}: each [[accepted]] needs an id and a reason, not {entry}")
    return {entry["id"]: entry["reason"] for entry in entries}


def judge(lock: str, found: Outcome, accepted: dict[str, str]) -> tuple[int, list[str]]:
    """Give the exit status, and the lines to print."""
    lines, status = [], PASSED
    if found.unknown or not found.audited:
        status = NOT_AUDITED
        some = ", ".join(list(found.unknown)[:5])
        if found.audited:
            more = ", ..." if len(found.unknown) > 5 else ""
            lines.append(f"NOT AUDITED: {lock}: {len(found.unknown)} packages: {some}{more}")
        else:
            lines.append(f"NOT AUDITED: {lock}: no advisories reachable, for none of its packages")
    for package, identifiers, mended in found.vulnerable:
        reasons = [accepted[name] for name in sorted(identifiers) if name in accepted]
        names = " ".join(sorted(identifiers))
        if reasons:
            lines.append(f"accepted: {lock}: {package}: {names}: {reasons[0]}")
        else:
            status = VULNERABLE
            lines.append(f"VULNERABLE: {lock}: {package}: {names}; mended in: {mended}")
    if status == PASSED:
        lines.append(f"audited: {lock}: {len(found.audited)} packages")
    return status, lines


def ask(program: Path, lock: Path) -> Outcome:
    """Look up every version of a lock; what pip-audit says nothing of is unknown.

    Raises
    ------
    OSError
        There is no such program, or no lock.
    ValueError
        The lock cannot be read.
    """
    pins = pinned(lock.read_text("utf-8"))
    found = Outcome()
    reasons: dict[str, str] = {}
    for some in requests(pins):
        answer = _ask(program, some)
        found.audited |= answer.audited
        found.vulnerable += answer.vulnerable
        reasons |= {normal(name, "")[0]: reason for name, reason in answer.unknown.items()}
    for name, version in pins:
        if (name, version) not in found.audited:
            found.unknown[f"{name} {version}"] = reasons.get(name, "pip-audit says nothing of it")
    return found


def _ask(program: Path, pins: Sequence[Pin]) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "requirements.txt"
        plain.write_text("".join(f"{name}=={version}\n" for name, version in pins), "utf-8")
        answer = subprocess.run(
            [program, "-r", plain, "--no-deps", "--disable-pip", "--format", "json",
             "--progress-spinner", "off"],
            capture_output=True, text=True,
        )  # fmt: skip
    try:
        return parse(answer.stdout)
    except (AttributeError, KeyError, TypeError, ValueError):
        print(answer.stderr.strip()[-2000:], file=sys.stderr)
        return Outcome()


def worst(statuses: Sequence[int]) -> int:
    """Give the status of all: a known vulnerability counts more than what is not known."""
    return next((one for one in (VULNERABLE, NOT_AUDITED) if one in statuses), PASSED)


def main() -> int:
    """Audit the locks; give the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--program", type=Path, default=Path(".venv-tools/bin/pip-audit"))
    chosen = parser.parse_args()
    try:
        return audit(chosen.program, [FOLDER / name for name in LOCKS])
    except (OSError, ValueError) as problem:
        # not the status of a vulnerability, with which an exception would end
        print(f"NOT AUDITED: {problem}")
        return NOT_AUDITED


def audit(program: Path, locks: Sequence[Path]) -> int:
    """Audit locks, print what is found, and give the exit status."""
    accepted = read_accepted(FOLDER / "advisories.toml")
    statuses = []
    for lock in locks:
        status, lines = judge(lock.name, ask(program, lock), accepted)
        statuses.append(status)
        print("\n".join(lines), flush=True)
    return worst(statuses)


if __name__ == "__main__":
    sys.exit(main())
