"""The key of a result: a hash of all that decides what it is."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from fullchain.caching import machine, policy, signature
from fullchain.checksums import checksum
from fullchain.dag.closure import PACKAGE_FOLDER, code

FORMAT = 1
"""Raised when the key, or what is kept under it, changes its meaning."""


LARGE = 100_000_000
"""Bytes up to which Snakemake compares inputs by checksum, too (profiles/default)."""


State = tuple[int, int, int] | None
"""Size [bytes], time of change [ns] and number of a file; None where there is none."""


class NotCached(Exception):
    """A run of a step is not cached; the message says why."""


@dataclass(frozen=True)
class Question:
    """A run of a step, before it runs.

    Parameters
    ----------
    step
        Stage and step, for example ``tagging.train``.
    ingredients
        All that decides the result, as JSON can hold it.
    inputs
        SHA-256 of the files that it reads, by path: those of the command line, those that
        manifests among them list, and those that settings name.
    states
        Of the same files, each taken before it was read for its checksum.
    outputs
        Files that it is to write, in the order of the signature, as `fullchain.cli` has them.
    """

    step: str
    ingredients: Mapping[str, Any]
    inputs: Mapping[str, str]
    states: Mapping[str, State]
    outputs: tuple[Path, ...]

    @property
    def key(self) -> str:
        """SHA-256 of the ingredients."""
        text = json.dumps(self.ingredients, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def question(step: str, source: Path, words: list[str]) -> Question:
    """Say what a command line asks for.

    Paths are taken as they are written: names of folders tell samples and analyses apart, and
    manifests hold names of files.

    Raises
    ------
    NotCached
        The step is not to be cached, or this run of it cannot be.
    """
    if step in policy.NOT_CACHED:
        raise NotCached(policy.NOT_CACHED[step])
    try:
        known = signature.parameters(source)
        given = signature.arguments(known, words)
        settings = json.loads(given.pop("settings")[0])
    except signature.NotUnderstood as problem:
        raise NotCached(f"its command line is not that of the workflow: {problem}") from None
    except json.JSONDecodeError:
        raise NotCached("its settings are not given as JSON text") from None

    def of_kind(kind: str) -> dict[str, list[str]]:
        # In the order of the signature, as the record of a result has them.
        return {name: given[name] for name in known if name in given and known[name].kind == kind}

    outputs = tuple(Path(path) for paths in of_kind("Output").values() for path in paths)
    if not outputs:
        raise NotCached("it writes no file")
    read = _Read()
    for paths in of_kind("Input").values():
        for path in paths:
            read.input(Path(path))
    for name in [*_texts(settings), *_texts(of_kind("Option"))]:
        if name not in read.checksums and _is_file(name):
            read.file(Path(name), checksum)
    source_code = _source_code(code(step))
    without_effect = policy.WITHOUT_EFFECT.get(step, frozenset())
    ingredients = {
        "format": FORMAT,
        **source_code,
        "packages": machine.distributions(
            [*source_code["code"]["packages"], *policy.PACKAGES.get(step, ())],
        ),
        "programs": {name: machine.program(name) for name in policy.programs(step, settings)},
        "machine": machine.machine(),
        "numerical_choices": machine.numerical_choices(),
        "settings": settings,
        "options": {
            name: value for name, value in of_kind("Option").items() if name not in without_effect
        },
        "input_paths": of_kind("Input"),
        "inputs": read.checksums,
        "outputs": of_kind("Output"),
    }
    return Question(step, ingredients, read.checksums, read.states, outputs)


def is_of_present_code(asked: Question) -> bool:
    """Whether the code and data of the package still are what the key says.

    A step is imported after its key was made, which takes seconds: an edit meanwhile is what runs.
    In this process `code` gives the same answer for ever, so the files are read again.
    """
    present = _source_code(code.__wrapped__(asked.step))
    return all(asked.ingredients[name] == value for name, value in present.items())


def state(path: Path) -> State:
    """Say what of a file differs when it has been written again."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def _source_code(identity: str) -> dict[str, Any]:
    known = json.loads(identity)
    return {"code": known, "data": _package_data(known["modules"])}


def _texts(values: Any) -> Iterator[str]:
    """All texts of nested settings."""
    if isinstance(values, str):
        yield values
    elif isinstance(values, Mapping):
        for value in values.values():
            yield from _texts(value)
    elif isinstance(values, list):
        for value in values:
            yield from _texts(value)


def _is_file(name: str) -> bool:
    """Whether a text of the settings names a file, such as a geometry of one's own."""
    try:
        return bool(name) and Path(name).is_file()
    except (OSError, ValueError):
        # Too long for a name, or with a character that none has.
        return False


def _package_data(modules: Iterable[str]) -> dict[str, str]:
    """Checksums of files that are no modules, of the stages that a step imports from."""
    stages = {name.split(".")[1] for name in modules if "." in name}
    return {
        path.relative_to(PACKAGE_FOLDER).as_posix(): checksum(path)
        for stage in sorted(stages)
        for path in sorted((PACKAGE_FOLDER / stage).rglob("*"))
        if path.is_file() and path.suffix not in (".py", ".pyc") and "__pycache__" not in path.parts
    }


class _Read:
    """Files that a step is to read: their checksums, and their states from before that."""

    def __init__(self) -> None:
        self.checksums: dict[str, str] = {}
        self.states: dict[str, State] = {}

    def file(self, path: Path, compute: Callable[[Path], str]) -> None:
        """Take the state of a file, and then its checksum by `compute`."""
        self.states[str(path)] = state(path)
        self.checksums[str(path)] = compute(path)

    def input(self, path: Path) -> None:
        """Read an input and, where it is a manifest, the files that it lists."""
        if not path.is_file():
            raise NotCached(f"the input {path} is no file")
        self.file(path, checksum)
        for listed, entry in _listed(path):
            if str(listed) not in self.checksums:
                self.file(listed, partial(_checksum_of_listed, entry=entry, manifest=path))


def _checksum_of_listed(listed: Path, entry: Mapping[str, Any], manifest: Path) -> str:
    """Checksum of a file that a manifest lists.

    A large one that was not changed since has that of the manifest, as for Snakemake: to read
    millions of jets in every job would take longer than some jobs.
    """
    if not listed.is_file():
        return "absent"
    found = listed.stat()
    is_as_listed = found.st_size == entry.get("size") and entry.get("sha256")
    if is_as_listed and found.st_size > LARGE and found.st_mtime <= manifest.stat().st_mtime:
        return str(entry["sha256"])
    return checksum(listed)


def _listed(path: Path) -> list[tuple[Path, Mapping[str, Any]]]:
    """Local files that a manifest of ntuples lists, with what it says; none for another file.

    Raises
    ------
    NotCached
        It lists a remote file without a checksum, or is not as expected.
    """
    if path.suffix != ".json" or b'"relative_to"' not in path.read_bytes():
        return []
    found = []
    try:
        content = json.loads(path.read_bytes())
        for part in content.get("parts", [content]):
            for entry in part["files"]:
                name = str(entry["path"])
                if "://" not in name:
                    is_beside = part["relative_to"] == "manifest"
                    found.append((path.parent / name if is_beside else Path(name), entry))
                elif not entry.get("sha256"):
                    raise NotCached(f"{path} lists {name} without a checksum")
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise NotCached(f"{path} is no manifest as expected ({problem!r})") from None
    return found
