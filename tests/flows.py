"""What tests of whole workflows share: folders to run in, rules that fail, waiting, processes.

Processes are found in `/proc`, so that what looks for them needs Linux.
"""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

LINKED = ("Snakefile", "rules", "config", "workflow", "profiles")
"""What a folder needs for the project's workflow to run in it."""


def link(folder: Path, project: Path) -> Path:
    """Link the project's workflow into a folder, and give the folder."""
    for name in LINKED:
        (folder / name).symlink_to(project / name)
    return folder


def hangs_once(rule: str, resources: str) -> str:
    """Give a rule whose first attempt hangs, and whose second makes `out/<rule>.txt`."""
    return f"""
rule {rule}:
    output: "out/{rule}.txt"
    resources: {resources}
    shell:
        "if [ -e first.{rule} ]; then echo 2 > {{output}}; "
        "else touch first.{rule}; sleep 600; fi"
"""


def faults(*ended: str) -> str:
    """Give rules for a batch system whose first attempt does not succeed.

    `time` and `memory` exceed what they asked for, and ask for twice as much the second time; the
    jobs of the rules called `ended` hang until the test ends them.
    """
    targets = ", ".join(f'"out/{rule}.txt"' for rule in ("time", "memory", *ended))
    return f"""
def memory(megabytes):
    return lambda wildcards, attempt: megabytes * attempt

def minutes(number):
    return lambda wildcards, attempt: number * attempt

rule all:
    input: {targets}

rule memory:
    output: "out/memory.txt"
    resources: mem_mb=memory(700), runtime=5
    shell:
        "echo >> tries.memory; "
        "python -c 'import time; x = bytes([1]) * 10**9; time.sleep(60)' && echo > {{output}}"
{hangs_once("time", "runtime=minutes(1), mem_mb=300")}
{"".join(hangs_once(rule, "runtime=10, mem_mb=300") for rule in ended)}"""


WRONG = """
rule wrong:
    output: "out/wrong.txt"
    log: "logs/wrong.log"
    resources: mem_mb=300, runtime=5
    shell: "echo 'error: file x.root, branch Jet_pt: not there' > {log}; exit 3"
"""
"""A rule that fails every time, with a log that says why."""


def wait_for(
    found: Callable[[], object],
    seconds: float,
    what: str,
    process: subprocess.Popen[str] | None = None,
) -> None:
    """Wait until `found` gives something true.

    Fails with `what` after so many seconds, and with what `process` printed as soon as it ends.
    """
    end = time.monotonic() + seconds
    while not found():
        if process is not None:
            assert process.poll() is None, f"{what}: {process.communicate()[0]}"
        assert time.monotonic() < end, what
        time.sleep(0.05)


def processes(folder: Path, mark: str | None = None) -> dict[int, list[str]]:
    """Give the words of each process that works in a folder or below it, by its number.

    With `mark`, `NAME=value`, those that have it in their environment count too, wherever they
    work.
    """
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            here = Path(os.readlink(entry / "cwd")).is_relative_to(folder)
            if not here and mark is not None:
                here = mark.encode() in (entry / "environ").read_bytes().split(b"\0")
            if here:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
                found[int(entry.name)] = words.split("\0")
        except OSError:
            continue
    return found


def steps_running(folder: Path, step: str) -> list[int]:
    """Numbers of the processes of a stage (`ntuples`) or step (`ntuples.generate`) in a folder."""
    wanted = step.split(".")
    return [
        number
        for number, words in processes(folder).items()
        if "fullchain" in " ".join(words[:2]) and words[2 : 2 + len(wanted)] == wanted
    ]


def results(folder: Path) -> dict[str, bytes]:
    """Give what a run made in its folder of results, without what says when, where, how long."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
        and path.relative_to(folder).parts[0] not in ("logs", "benchmarks")
        and not path.name.endswith(".provenance.json")
    }
