"""Where a result comes from: written beside the first output of every step."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from fullchain import further_outputs
from fullchain.atomic import write_text
from fullchain.checksums import checksum
from fullchain.dag.closure import code

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


class Record:
    """Context of one run of a step; on success it writes ``<first output>.provenance.json``.

    Beside the declared outputs it covers those that the step tells of
    (`fullchain.further_outputs`), such as figures.

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
            "cpu_seconds": round(usage.user + usage.system, 3),
            "host": platform.node(),
            "platform": platform.platform(),
        }
        write_text(provenance_of(self.outputs[0]), json.dumps(content, indent=1) + "\n")
