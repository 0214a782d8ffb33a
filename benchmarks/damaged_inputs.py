"""Run the steps of a finished workflow with one input damaged, and see what they say.

    python benchmarks/damaged_inputs.py --configfile config/test.yaml

In the folder of a finished run. For one job of each rule, and one input of each kind that it has,
the step's own command runs in a folder with links to its inputs, one of which is replaced by a
damaged copy: cut in the middle, with a block of zeros, empty, of another format, or with one bit
flipped. The results are left alone. With --records the records of the inputs are there, as in real
life, and every damage must be named; without, the step and what looks at its inputs after a failure
must do by themselves.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from fullchain.dag.plan import in_order, planned, title

FIGURES = "index.json"
"""A list of figures, which lie beside it."""

WAYS = ("cut", "zeros", "empty", "other", "flip")


def damaged(content: bytes, way: str) -> bytes:
    """Give content that is damaged in one of `WAYS`."""
    middle, size = len(content) // 2, max(len(content) // 8, 1)
    if way == "cut":
        return content[:middle]
    if way == "zeros":
        return content[:middle] + bytes(size) + content[middle + size :]
    if way == "empty":
        return b""
    if way == "other":
        return b"%PDF-1.7 this is something else\n" * 20
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def jobs(configfiles: list[Path]) -> list[dict[str, Any]]:
    """Give one job of each rule that has inputs: name, words of its command, inputs, outputs."""
    found: dict[str, dict[str, Any]] = {}
    with planned(Path("Snakefile"), configfiles, [], {}) as dag:
        for job in in_order(dag):
            words = shlex.split(job.shellcmd or "")
            inputs = [str(path) for path in job.input]
            if job.rule.name in found or not inputs or words[:1] != ["fullchain"]:
                continue
            if all(Path(path).exists() for path in inputs):
                found[job.rule.name] = {
                    "name": title(job.rule.name, dict(job.wildcards_dict)),
                    "words": words[1 : words.index(">")],
                    "inputs": inputs,
                }
    return list(found.values())


def sandbox(job: dict[str, Any], target: str, way: str, records: bool, folder: Path) -> None:
    """Link the inputs of a job into a folder, one of them damaged."""
    for path in job["inputs"]:
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if path == target:
            place.write_bytes(damaged(Path(path).read_bytes(), way))
        elif Path(path).is_dir():
            shutil.copytree(path, place, copy_function=os.link)
        elif not place.exists():
            place.hardlink_to(Path(path).resolve())
        beside = "*" if place.name == FIGURES else "*.provenance.json" if records else ""
        for other in Path(path).parent.glob(beside) if beside else ():
            if not (folder / other).exists() and str(other) not in job["inputs"]:
                (folder / other).hardlink_to(other.resolve())


def run(words: list[str], folder: Path, limit: int) -> tuple[int, str]:
    """Run a step in a fork of this process, which has its libraries already."""
    log = folder / "log"
    child = os.fork()
    if not child:
        descriptor = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.chdir(folder)
        signal.alarm(limit)
        sys.argv[1:] = words
        from fullchain.cli import main

        try:
            main()
        except SystemExit as ended:
            sys.stdout.flush()
            os._exit(ended.code if isinstance(ended.code, int) else 1)
        except BaseException:
            import traceback

            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return status, log.read_text(errors="replace")


def judge(status: int, said: str, target: str) -> str:
    """Say what became of a run."""
    if status == 0:
        return "accepted"
    if "Traceback (most recent call last)" in said:
        return "traceback"
    if status == 2 and "error:" in said:
        end = said.rpartition("error:")[2]
        return "named" if target in end.replace("\n", "") else "not named"
    return f"status {status}"


def targets(job: dict[str, Any]) -> list[str]:
    """Give one input of each kind; a directory has none, nor a ROOT file that a manifest lists."""
    kinds: dict[str, str] = {}
    command = set(job["words"])
    for path in job["inputs"]:
        if Path(path).is_file() and path in command:
            kinds.setdefault("".join(Path(path).suffixes[-2:]), path)
    return list(kinds.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--configfile", type=Path, nargs="+", default=[])
    parser.add_argument("--records", action="store_true", help="keep the records of the inputs")
    parser.add_argument("--ways", nargs="+", choices=WAYS, help="default: one of them, by turns")
    parser.add_argument("--rules", nargs="+", default=[], help="only rules that begin so")
    parser.add_argument("--limit", type=int, default=120, help="longest run of a step [s]")
    parser.add_argument("--out", type=Path, help="write all outcomes there, JSON")
    chosen = parser.parse_args()
    # Imported once; a step that is forked from here begins at once.
    import awkward, h5py, matplotlib.pyplot, onnxruntime, pyarrow.parquet, torch, uproot  # noqa

    outcomes = []
    for job in jobs(chosen.configfile):
        if chosen.rules and not job["name"].startswith(tuple(chosen.rules)):
            continue
        for target in targets(job):
            key = zlib.crc32(f"{job['name']} {target}".encode())
            for way in chosen.ways or (WAYS[key % len(WAYS)],):
                with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".damaged.") as name:
                    sandbox(job, target, way, chosen.records, Path(name))
                    status, said = run(job["words"], Path(name), chosen.limit)
                outcome = judge(status, said, target)
                outcomes.append([outcome, job["name"], target, way, said[-1500:]])
                if outcome != "named":
                    print(f"{outcome:10} {job['name']}: {target} ({way})", flush=True)
    print(dict(Counter(outcome for outcome, *_ in outcomes)))
    if chosen.out:
        chosen.out.write_text(json.dumps(outcomes, indent=1))


if __name__ == "__main__":
    main()
