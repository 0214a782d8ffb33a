"""The workflow of a run for its crate: source files, settings, who wrote it."""

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from fullchain import __version__
from fullchain.dag.closure import PACKAGE_FOLDER
from fullchain.dag.crate_files import RunJob
from fullchain.errors import InputError

SINGLE = (
    "CITATION.cff",
    "LICENSE",
    "Snakefile",
    "envs/bootstrap.py",
    "envs/requirements.lock",
    "pyproject.toml",
)
PATTERNS = ("config/config.yaml", "config/schema.json", "rules/*.smk", "workflow/**/*")
SOURCES = frozenset({".py", ".json", ".html", ".css", ".js", ".j2", ".xml", ".yaml"})

LICENCE = "https://spdx.org/licenses/BSD-3-Clause"
CONFIGURATION = "configuration.json"


@dataclass(frozen=True)
class WorkflowSource:
    """What the workflow consists of.

    Parameters
    ----------
    files
        For each path in the crate the file to copy there.
    package
        The same of the Python package, which the crate describes as one folder.
    author, url
        As `CITATION.cff` has them; `url` is empty where it has none.
    version
        Of fullchain.
    snakemake
        Version of Snakemake that is installed now.
    """

    files: dict[str, Path]
    package: dict[str, Path]
    author: str
    url: str
    version: str
    snakemake: str


def read_workflow(root: Path, configfiles: Sequence[Path]) -> WorkflowSource:
    """Find the files of the workflow: where it ran, and for what is not there, beside the package.

    Raises
    ------
    InputError
        There is no Snakefile, or a configuration file is not there.
    """
    bases = [root, PACKAGE_FOLDER.parents[1]]
    files: dict[str, Path] = {}
    for base in reversed(bases):
        for pattern in (*SINGLE, *PATTERNS):
            for path in sorted(base.glob(pattern)):
                if path.is_file():
                    files[path.relative_to(base).as_posix()] = path
    if "Snakefile" not in files:
        raise InputError(f"{root}: no Snakefile there; give the folder of the workflow by --root")
    for path in configfiles:
        if not path.is_file():
            raise InputError(f"{path}: no such configuration file")
        files[f"config/{path.name}"] = path
    package = {
        f"src/{PACKAGE_FOLDER.name}/{path.relative_to(PACKAGE_FOLDER).as_posix()}": path
        for path in sorted(PACKAGE_FOLDER.rglob("*"))
        if path.is_file() and path.suffix in SOURCES and "__pycache__" not in path.parts
    }
    cited = _citation(files.get("CITATION.cff"))
    author = "; ".join(
        one.get("name") or f"{one.get('given-names', '')} {one.get('family-names', '')}".strip()
        for one in cited.get("authors", [])
    )
    return WorkflowSource(
        dict(sorted(files.items())),
        package,
        author or "The fullchain developers",
        str(cited.get("repository-code") or cited.get("url") or ""),
        __version__,
        importlib.metadata.version("snakemake"),
    )


def _citation(path: Path | None) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8"))) if path else {}


def configuration(jobs: Sequence[RunJob]) -> tuple[dict[str, Any], str]:
    """Give the settings of a run and say where they come from.

    The report of a run is given all of them; without one they are put together from what the jobs
    were given, and where jobs differ, the later one counts.
    """
    for job in reversed(jobs):
        if job.job.step == "paper.report":
            return dict(job.job.settings), "The whole configuration, as the report was given it."
    merged: dict[str, Any] = {}
    for job in jobs:
        merged = _merged(merged, job.job.settings)
    return merged, "Put together from what the jobs were given; other settings had no effect."


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(first)
    for key, value in second.items():
        known = merged.get(key)
        both = isinstance(known, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(known, value) if both else value  # type: ignore[arg-type]
    return merged


def configuration_text(values: Mapping[str, Any]) -> str:
    """Write settings as the crate holds them."""
    return json.dumps(values, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
