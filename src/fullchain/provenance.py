"""Where a result comes from: written beside the first output of every step."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from fullchain import further_outputs
from fullchain.atomic import write_text
from fullchain.checksums import checksum
from fullchain.dag.closure import code
from fullchain.errors import InputError

SUFFIX = ".provenance.json"


def commit() -> str:
    """Describe the state of the source code: the commit in git, and whether files differ."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        )
        return answer.stdout.strip()

    try:
        name = git("rev-parse", "--short=12", "HEAD")
        changed = git("status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return "not in git"
    return f"{name} with uncommitted changes" if changed else name


def provenance_of(output: Path) -> Path:
    """Name the provenance file of a step whose first output is `output`."""
    return output.with_name(output.name + SUFFIX)


def read_record(path: Path) -> dict[str, Any]:
    """Read the record of a step.

    Raises
    ------
    InputError
        It cannot be read, or is not what a `Record` writes.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record["step"], str) or not isinstance(record["inputs"], dict):
            raise TypeError("a step with its inputs is expected")
        if not isinstance(record["outputs"], list) or not record["outputs"]:
            raise TypeError("a list of outputs is expected")
        if not isinstance(record.get("output_checksums", {}), dict):
            raise TypeError("checksums of outputs by their paths are expected")
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise InputError(
            f"{path}: not a provenance record ({problem!r}); delete it, and the result beside it, "
            "to make both again"
        ) from None
    return dict(record)


def forget_records(outputs: Iterable[Path]) -> None:
    """Remove the records beside outputs of a step: they tell of what it has replaced.

    Another step may have written a file of the same name as its first output, such as the manifest
    of a sample that was ingested once and is generated now.
    """
    for path in outputs:
        provenance_of(path).unlink(missing_ok=True)


class Record:
    """Context of one run of a step; on success it writes ``<first output>.provenance.json``.

    Beside the declared outputs it covers those that the step tells of
    (`fullchain.further_outputs`), such as figures. An older record of the same output is removed
    before the step runs, so that none is left of an output that it replaces and then fails; those
    beside its other outputs are removed when it is done.

    Parameters
    ----------
    step
        Stage and step, for example ``tagging.train``.
    settings
        The settings that the step was given.
    inputs, outputs
        Files that it reads and writes, as its command line names them.
    """

    def __init__(
        self,
        step: str,
        settings: Mapping[str, Any],
        inputs: Sequence[Path],
        outputs: Sequence[Path],
    ) -> None:
        self.step = step
        self.settings = settings
        self.inputs = list(inputs)
        self.outputs = list(outputs)

    def __enter__(self) -> "Record":
        further_outputs.forget()
        self.start = time.time()
        self.code = json.loads(code(self.step))
        self.commit = commit()
        # Taken before the step runs: what it reads is what is described.
        self.checksums = {str(path): checksum(path) for path in self.inputs if path.is_file()}
        forget_records(self.outputs[:1])
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None or not self.outputs:
            return
        usage = os.times()
        # With processes that the step has waited for: compilers and simulators do the work of some.
        cpu = usage.user + usage.system + usage.children_user + usage.children_system
        outputs = list(dict.fromkeys([*self.outputs, *further_outputs.told()]))
        content = {
            "step": self.step,
            "settings": self.settings,
            "code": self.code,
            "commit": self.commit,
            "inputs": self.checksums,
            "outputs": [str(path) for path in outputs],
            "output_checksums": {str(path): checksum(path) for path in outputs if path.is_file()},
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.start)),
            "duration_seconds": round(time.time() - self.start, 3),
            "cpu_seconds": round(cpu, 3),
            "host": platform.node(),
            "platform": platform.platform(),
        }
        write_text(provenance_of(self.outputs[0]), json.dumps(content, indent=1) + "\n")
        forget_records(path for path in outputs if path != self.outputs[0])
