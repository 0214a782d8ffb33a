"""Make the virtual environment from the pinned lock; do nothing when it is up to date.

Only the standard library is used: this runs before anything is installed.
"""

import argparse
import hashlib
import platform
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
LOCK = PROJECT / "envs" / "requirements.lock"
PYTHON = (3, 11)
PYTORCH_INDEX = "https://download.pytorch.org/whl"
# Yosys comes as WebAssembly: a minute of compiling, once for each user and processor.
PREPARE = "from fullchain.firmware import yosys, yowasp; yowasp.prepare(yosys.program())"
PROGRAMS = {
    "git": "the provenance of every result names the commit",
    "make": "the two commands of the README",
    "g++": "emulations of firmware are compiled",
}


def missing_prerequisites() -> list[str]:
    """Name what is not there, and how Debian calls it."""
    missing = []
    if sys.version_info < PYTHON:
        needed = ".".join(map(str, PYTHON))
        missing.append(
            f"Python {needed} or newer (this is {platform.python_version()} at {sys.executable}): "
            "install it, then `make run PYTHON=/path/to/python3`"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        missing.append("the Python module venv: `apt-get install python3-venv`")
    for program, purpose in PROGRAMS.items():
        if shutil.which(program) is None:
            missing.append(f"{program} ({purpose}): `apt-get install {program}`")
    return missing


def torch_pin() -> str:
    """The pinned version of torch, as the lock has it."""
    for line in LOCK.read_text().splitlines():
        if line.startswith("torch=="):
            return line.split(";")[0].split("==")[1].strip()
    sys.exit(f"{LOCK}: names no version of torch")


def fingerprint(torch: str) -> str:
    """What the environment depends on: lock, project file, Python, kind of torch."""
    digest = hashlib.sha256()
    for file in (LOCK, PROJECT / "pyproject.toml", Path(__file__)):
        digest.update(file.read_bytes())
    digest.update(f"{sys.version} {torch}".encode())
    return digest.hexdigest()


def install_torch(pip: list[str], version: str, build: str) -> None:
    """Install torch first and alone: asked for as a dependency it would bring the CUDA build.

    On Linux a build is chosen by its local version (``+cpu``, ``+cu130``). PyTorch's own index is
    added only when the configured ones do not have it.
    """
    if sys.platform != "linux":
        subprocess.run([*pip, f"torch=={version}"], check=True)
        return
    wanted = f"torch=={version}+{build}"
    # CUDA builds need their libraries too, which are not in the lock of the CPU environment.
    dependencies = ["--no-deps"] if build == "cpu" else []
    plain = [word for word in pip if word != "--no-deps"] + dependencies + [wanted]
    if subprocess.run(plain, stderr=subprocess.DEVNULL).returncode:
        subprocess.run([*plain, "--extra-index-url", f"{PYTORCH_INDEX}/{build}"], check=True)


def main(arguments: list[str] | None = None) -> None:
    """Check the prerequisites, then install what the lock names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("environment", type=Path, help="folder of the virtual environment")
    parser.add_argument(
        "--torch", help="build of torch: cpu, cu130, ...; what is installed, or cpu, when left out"
    )
    chosen = parser.parse_args(arguments)
    stamp = chosen.environment / "fullchain.stamp"
    installed = stamp.read_text().split() if stamp.is_file() else []
    build = chosen.torch or (installed[1] if len(installed) == 2 else "cpu")
    wanted = [fingerprint(build), build]
    if installed == wanted:
        return
    if missing := missing_prerequisites():
        sys.exit("fullchain needs, and did not find:\n" + "\n".join(f"  - {m}" for m in missing))
    print(f"making the environment in {chosen.environment} (about three minutes, 2 GB)", flush=True)
    stamp.unlink(missing_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(chosen.environment)], check=True)
    python = str(chosen.environment / "bin" / "python")
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-deps"]
    install_torch(pip, torch_pin(), build)
    rest = [line for line in LOCK.read_text().splitlines() if not line.startswith("torch==")]
    others = chosen.environment / "requirements.txt"
    others.write_text("\n".join(rest) + "\n")
    subprocess.run([*pip, "-r", str(others)], check=True)
    subprocess.run([*pip, "--no-build-isolation", "--editable", str(PROJECT)], check=True)
    subprocess.run([python, "-m", "pip", "check"], check=True)
    if subprocess.run([python, "-c", PREPARE], stderr=subprocess.DEVNULL).returncode:
        print("Yosys is not compiled yet: the first job that needs it will, with 2 GB of memory")
    stamp.write_text(" ".join(wanted))


if __name__ == "__main__":
    main()
