"""Run programs that YoWASP packs as WebAssembly, such as Yosys and nextpnr.

A program is compiled to machine code when it first runs, and the code is kept. The runtime writes
that file in place, so that a job that starts meanwhile may read half of it, or lose what it has
mapped into memory. Here one job compiles into a folder of its own and moves the whole file to its
name, while the others wait.
"""

import contextlib
import fcntl
import hashlib
import importlib.metadata
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from fullchain.errors import InputError
from fullchain.processor import instructions


@dataclass(frozen=True)
class Program:
    """A program of a package.

    Parameters
    ----------
    name
        As messages call it.
    package
        Python package that holds it.
    file
        Name of its WebAssembly file in the package.
    function
        Function of the package that runs it.
    version
        Option that makes it say its version and end.
    """

    name: str
    package: ModuleType
    file: str
    function: str
    version: str

    @property
    def folder(self) -> Path:
        """Folder of the package."""
        return Path(str(self.package.__file__)).parent


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, and what it wrote to both streams."""

    code: int
    text: str

    @property
    def errors(self) -> list[str]:
        """Lines that say ERROR; the last line where there is none."""
        lines = [line.strip() for line in self.text.splitlines() if line.strip()]
        said = [line for line in lines if "ERROR" in line]
        return said or lines[-1:] or ["it said nothing"]


def run(program: Program, arguments: Sequence[str], folder: Path) -> Ended:
    """Run a program in a folder; it sees files below that folder only.

    Raises
    ------
    InputError
        It cannot be compiled to machine code.
    """
    return _call(program, arguments, folder, _compiled(program))


def prepare(program: Program) -> Path:
    """Compile a program to machine code where that was not done yet; give the folder of the code.

    Raises
    ------
    InputError
        It cannot be compiled.
    """
    return _compiled(program)


def _call(program: Program, arguments: Sequence[str], folder: Path, cached: Path) -> Ended:
    module = program.package.__name__
    code = f"import sys, {module}; sys.exit({module}.{program.function}(sys.argv[1:]))"
    environment = {**os.environ, "YOWASP_CACHE_DIR": str(cached)}
    environment.pop("YOWASP_MOUNT", None)
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return Ended(done.returncode, done.stdout.decode(errors="replace"))


def _compiled(program: Program) -> Path:
    """Give the folder of machine code, after compiling where there is none of this program."""
    folder = cache_folder()
    digest = hashlib.sha1((program.folder / program.file).read_bytes()).hexdigest()
    inside = Path(program.package.__name__) / program.file / digest
    if (folder / inside).is_file():
        return folder
    with _alone(folder / f"{program.package.__name__}.lock"):
        if not (folder / inside).is_file():
            with tempfile.TemporaryDirectory(dir=folder) as own:
                ended = _call(program, [program.version], Path(own), Path(own))
                made = Path(own) / inside
                if ended.code or not made.is_file():
                    raise InputError(
                        f"{program.name} cannot be compiled to machine code (2 GB of memory and "
                        f"0.5 GB on the disk of {folder} are needed): {ended.errors[-1]}"
                    )
                (folder / inside).parent.mkdir(parents=True, exist_ok=True)
                os.replace(made, folder / inside)
    return folder


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process is in this block."""
    with path.open("w") as file:
        # Some network disks have no locks: then several compile, and the last one's file stays.
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def cache_folder() -> Path:
    """Find a folder to write to: the user's cache, or a temporary one where there is none.

    It is named by the runtime and the processor, whose machine code another one does not take.
    """
    given = os.environ.get("XDG_CACHE_HOME")
    places = [
        Path(given or Path.home() / ".cache") / "fullchain",
        Path(tempfile.gettempdir()) / f"fullchain-{os.getuid()}",
    ]
    for place in places:
        folder = place / "yowasp" / f"wasmtime-{_runtime()}-{_processor()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise InputError(
        f"{' and '.join(map(str, places))} cannot be written to; set XDG_CACHE_HOME to a folder "
        "for the machine code of Yosys and nextpnr"
    )


def _runtime() -> str:
    try:
        return importlib.metadata.version("wasmtime")
    except importlib.metadata.PackageNotFoundError:
        raise InputError(
            "the package wasmtime, which runs Yosys and nextpnr, is not installed: "
            "pip install wasmtime"
        ) from None


@cache
def _processor() -> str:
    """Name the processor by a hash of its features."""
    named = f"{platform.machine()} {instructions() or platform.processor()}"
    return hashlib.sha256(named.encode()).hexdigest()[:12]
