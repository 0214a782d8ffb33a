"""One run of a step with the shared cache: restored from it, or run and kept in it.

Nothing that is wrong with the cache fails the step. It says in its log what was restored, from
where, or why not, and then runs as if there were no cache.
"""

import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fullchain.atomic import write_text
from fullchain.caching.key import NotCached, Question, question
from fullchain.caching.store import Damaged, Store, user, warn
from fullchain.provenance import provenance_of

FOLDER = "FULLCHAIN_CACHE"
"""Environment variable: the folder of the cache."""


def run_cached(step: str, source: Path, words: list[str], run: Callable[[], None]) -> None:
    """Restore the outputs of a step, or run it and keep them.

    Parameters
    ----------
    step
        Stage and step.
    source
        The file of the step.
    words
        Its command line.
    run
        Runs it.
    """
    store = given_store()
    try:
        asked = question(step, source, words) if store else None
    except (NotCached, OSError) as problem:
        warn(f"not used for {step}: {problem}")
        asked = None
    if store is None or asked is None:
        run()
    elif not _restored(store, asked):
        before = _states(asked)
        run()
        _keep(store, asked, before)


def given_store() -> Store | None:
    """The cache that the environment names, None where it names none or there is none."""
    name = os.environ.get(FOLDER)
    if not name:
        return None
    if not Path(name).is_dir():
        warn(f"{FOLDER} names {name}, which is no folder here; make it, or unset {FOLDER}")
        return None
    return Store(Path(name))


def _restored(store: Store, asked: Question) -> bool:
    try:
        content = store.read(asked.key)
        if content is None:
            return False
        places = [_place(asked, file["name"]) for file in content["files"]]
        if not set(asked.outputs) <= set(places):
            raise Damaged("it does not have all outputs")
        store.restore(asked.key, content["files"], places)
        record = _record_of(store, asked, content)
    except (Damaged, KeyError, TypeError, ValueError) as problem:
        warn(f"the entry {asked.key} is damaged and is removed: {problem!r}")
        try:
            store.remove(asked.key)
        except OSError as second:
            warn(f"it cannot be removed, ask who owns it: {second}")
        return False
    except OSError as problem:
        warn(f"the entry {asked.key} cannot be read: {problem}")
        return False
    write_text(provenance_of(asked.outputs[0]), json.dumps(record, indent=1) + "\n")
    print(f"restored from {store.place(asked.key)}, made by {content['user']}")
    return True


def _place(asked: Question, name: Any) -> Path:
    """Where a file of an entry goes: an output or, as figures, below the folder of the first."""
    for path in asked.outputs:
        if name == str(path):
            return path
    other = Path(str(name))
    if _is_beside(other, asked):
        return other
    raise Damaged(f"{name} is none of the outputs")


def _is_beside(path: Path, asked: Question) -> bool:
    """Whether a file that the record has, and no option names, lies below the first output."""
    return path.is_relative_to(asked.outputs[0].parent) and ".." not in path.parts


def _record_of(store: Store, asked: Question, content: dict[str, Any]) -> dict[str, Any]:
    """Give the record of the run that made the result, which says that it was restored."""
    restored = {
        "from": str(store.place(asked.key)),
        "made_by": content["user"],
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "host": platform.node(),
    }
    return {**content["record"], "restored": restored}


def _states(asked: Question) -> list[tuple[int, int, int] | None]:
    """Size, time and number of each input: whether it changed while the step ran."""
    return [_state(Path(path)) for path in asked.inputs]


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def _keep(store: Store, asked: Question, before: list[tuple[int, int, int] | None]) -> None:
    try:
        record = json.loads(provenance_of(asked.outputs[0]).read_bytes())
        if _states(asked) != before or record["code"] != asked.ingredients["code"]:
            warn(f"{asked.step} is not kept: its inputs or its code changed while it ran")
            return
        checksums = record["output_checksums"]
        named = {name: Path(name) for name in checksums}
        declared = {str(path) for path in asked.outputs}
        if not declared <= set(named) or not all(
            _is_beside(path, asked) for name, path in named.items() if name not in declared
        ):
            warn(f"{asked.step} is not kept: its record has other files than its outputs")
            return
        files = [
            {"name": name, "sha256": checksums[name], "size": path.stat().st_size}
            for name, path in named.items()
        ]
        content = {
            "ingredients": asked.ingredients,
            "files": files,
            "record": record,
            "stored": time.time(),
            "user": user(),
        }
        store.keep(asked.key, content, list(named.values()))
    except (OSError, Damaged, ValueError, KeyError) as problem:
        warn(f"{asked.step} cannot be kept in {store.folder}: {problem}")
