"""Resolve envs/requirements.in, and make the conda and Apptainer recipes from the result.

The lock is universal: one file for every platform and Python from 3.11, with markers. torch is held
out of the resolution, because its Linux wheel asks for gigabytes of CUDA libraries that its CPU
build does not need; its own dependencies stand in requirements.in instead.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

ENVS = Path(__file__).resolve().parent
REQUIREMENTS = ENVS / "requirements.in"
LOCK = ENVS / "requirements.lock"
TOOLS = ENVS / "tools.in"
TOOLS_LOCK = ENVS / "tools.lock"
# Executors for batch systems, which few need: what each adds to the lock.
EXECUTORS = ("htcondor", "kubernetes")
HEADER = "# Made from requirements.in by `make lock`; do not edit.\n"
TOOLS_HEADER = "# Made from tools.in by `make lock`; do not edit.\n"
UNTRIED = "# Not tried: no environment has been made from this recipe so far."


def resolve(requirements: Path, *options: str | Path) -> str:
    """Give the text of the lock of a file of requirements; options are those of uv."""
    pin = next(line for line in REQUIREMENTS.read_text().splitlines() if line.startswith("torch=="))
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        subprocess.run([sys.executable, "-m", "venv", str(scratch / "uv")], check=True)
        subprocess.run([scratch / "uv/bin/pip", "install", "--quiet", "uv"], check=True)
        override = scratch / "override.txt"
        override.write_text(f"{pin} ; sys_platform == 'never'\n")
        subprocess.run(
            [
                *(scratch / "uv/bin/uv", "pip", "compile", "--quiet", "--universal"),
                *("--python-version", "3.11", "--no-annotate", "--no-header"),
                *("--no-emit-index-url", "--override", override),
                *(requirements, "--output-file", scratch / "lock", *options),
            ],
            check=True,
        )
        lines = (scratch / "lock").read_text().splitlines()
    return "".join(f"{pin if line.startswith('torch==') else line}\n" for line in lines)


def additions(requirements: Path) -> str:
    """Give the lines that requirements add to the lock, whose versions hold for them too."""
    there = {line.partition("==")[0] for line in LOCK.read_text().splitlines()}
    found = resolve(requirements, "--constraint", LOCK).splitlines()
    return "".join(f"{line}\n" for line in found if line.partition("==")[0] not in there)


def conda_recipe(lock: str) -> str:
    """Give an environment.yaml whose pip part is the lock."""
    lines = [
        HEADER.rstrip(),
        UNTRIED,
        "# conda env create -f envs/environment.yaml && conda activate fullchain",
        "# pip install --no-deps --editable .",
        "name: fullchain",
        "channels:",
        "  - conda-forge",
        "dependencies:",
        "  - python=3.11",
        "  - pip",
        "  - git",
        "  - make",
        "  - gxx",
        "  - pip:",
        "      - --extra-index-url https://download.pytorch.org/whl/cpu",
    ]
    for line in lock.splitlines():
        if line.startswith("torch=="):
            lines.append(f"      - \"{line}+cpu ; sys_platform == 'linux'\"")
            lines.append(f"      - \"{line} ; sys_platform != 'linux'\"")
        elif line and not line.startswith("#"):
            lines.append(f'      - "{line}"')
    return "\n".join(lines) + "\n"


def apptainer_recipe() -> str:
    """Give a definition file that runs the same bootstrap in a container.

    A line of %files is one source and one destination; Apptainer takes no list of sources.
    """
    return (
        f"{HEADER}{UNTRIED}\n"
        + """\
# apptainer build fullchain.sif envs/fullchain.def
# apptainer exec fullchain.sif snakemake --cores 4
Bootstrap: docker
From: python:3.11-slim-bookworm

%files
    envs /opt/fullchain/envs
    pyproject.toml /opt/fullchain/pyproject.toml
    README.md /opt/fullchain/README.md
    LICENSE /opt/fullchain/LICENSE
    src /opt/fullchain/src

%post
    apt-get update
    apt-get install --yes --no-install-recommends git make g++
    rm -rf /var/lib/apt/lists/*
    python3 /opt/fullchain/envs/bootstrap.py /opt/fullchain/venv

%environment
    export PATH=/opt/fullchain/venv/bin:$PATH

%runscript
    exec fullchain "$@"
"""
    )


def main() -> None:
    """Write the locks and both recipes; ``--recipes`` keeps the locks as they are."""
    if "--recipes" not in sys.argv[1:]:
        LOCK.write_text(HEADER + resolve(REQUIREMENTS))
        TOOLS_LOCK.write_text(TOOLS_HEADER + resolve(TOOLS))
        for name in EXECUTORS:
            header = HEADER.replace("requirements.in", f"{name}.in")
            lines = additions(ENVS / f"{name}.in")
            (ENVS / f"{name}.lock").write_text(header + lines)
    (ENVS / "environment.yaml").write_text(conda_recipe(LOCK.read_text()))
    (ENVS / "fullchain.def").write_text(apptainer_recipe())


if __name__ == "__main__":
    main()
