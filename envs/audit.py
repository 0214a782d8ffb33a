"""Ask for known vulnerabilities of what the locks pin, with pip-audit; only the standard library.

pip-audit ends well where no advisory could be had at all. Here that is an outcome of its own:

====  ==================================================================================
exit  meaning
====  ==================================================================================
0     every pinned version was looked up; nothing is known but what is accepted
1     a vulnerability is known that envs/advisories.toml does not accept
3     NOT AUDITED: no advisories could be had for some or all of the pinned versions
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
LOCKS = ("requirements.lock", "tools.lock")
PASSED, VULNERABLE, NOT_AUDITED = 0, 1, 3


@dataclass
class Outcome:
    """What is known of the packages of one lock, or of several.

    Parameters
    ----------
    audited
        How many packages were looked up.
    unknown
        Package -> why it was not.
    vulnerable
        (package and version, identifiers of the advisory, versions that mend it).
    """

    audited: int = 0
    unknown: dict[str, str] = field(default_factory=dict)
    vulnerable: list[tuple[str, frozenset[str], str]] = field(default_factory=list)


def without_local_labels(lock: str) -> str:
    """Give the lock with ``torch==2.13.0`` for ``torch==2.13.0+cpu``: advisories know no others."""
    return re.sub(r"(?m)^([^#\s;]+==[^+\s;]+)\+[^\s;]+", r"\1", lock)


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
        found.audited += 1
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
    entries: list[dict[str, Any]] = tomllib.loads(path.read_text("utf-8")).get("accepted", [])
    for entry in entries:
        if set(entry) != {"id", "reason"} or not all(str(text).strip() for text in entry.values()):
            raise ValueError(f"{path}: each [[accepted]] needs an id and a reason, not {entry}")
    return {entry["id"]: entry["reason"] for entry in entries}


def judge(lock: str, found: Outcome, accepted: dict[str, str]) -> tuple[int, list[str]]:
    """Give the exit status, and the lines to print."""
    lines, status = [], PASSED
    if found.unknown or not found.audited:
        status = NOT_AUDITED
        some = ", ".join(list(found.unknown)[:5])
        if found.audited:
            lines.append(f"NOT AUDITED: {lock}: {len(found.unknown)} packages: {some}, ...")
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
        lines.append(f"audited: {lock}: {found.audited} packages")
    return status, lines


def ask(program: Path, lock: Path) -> Outcome:
    """Run pip-audit on a lock."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / lock.name
        plain.write_text(without_local_labels(lock.read_text("utf-8")), "utf-8")
        answer = subprocess.run(
            [program, "-r", plain, "--no-deps", "--disable-pip", "--format", "json",
             "--progress-spinner", "off"],
            capture_output=True, text=True,
        )  # fmt: skip
    try:
        return parse(answer.stdout)
    except (ValueError, KeyError, TypeError):
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
    accepted = read_accepted(FOLDER / "advisories.toml")
    statuses = []
    for name in LOCKS:
        status, lines = judge(name, ask(chosen.program, FOLDER / name), accepted)
        statuses.append(status)
        print("\n".join(lines), flush=True)
    return worst(statuses)


if __name__ == "__main__":
    sys.exit(main())
