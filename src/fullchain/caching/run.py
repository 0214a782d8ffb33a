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

from fullchain import faults
from fullchain.atomic import write_text
from fullchain.caching.key import NotCached, Question, is_of_present_code, question, state
from fullchain.caching.store import Damaged, Store, user, warn
from fullchain.provenance import forget_records, provenance_of, read_record

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
    asked = _asked(step, source, words) if store else None
    if store is None or asked is None:
        run()
    elif not _restored(store, asked):
        run()
        _keep(store, asked)


def _asked(step: str, source: Path, words: list[str]) -> Question | None:
    try:
        return question(step, source, words)
    except NotCached as problem:
        warn(f"not used for {step}: {problem}")
    except Exception as problem:
        # What is wrong with the command line, a setting or the code the step itself tells better.
        warn(f"not used for {step}: {problem!r}")
    return None


def given_store() -> Store | None:
    """The cache that the environment names, None where it names none or there is none."""
    name = os.environ.get(FOLDER)
    if not name:
        return None
    # Unlike that of pathlib it answers where a folder above is closed, too.
    if not os.path.isdir(name):  # noqa: PTH112
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
        record = _record_of(store, asked, content)
        forget_records(asked.outputs[:1])
        store.restore(asked.key, content["files"], places)
    except (Damaged, KeyError, TypeError, ValueError) as problem:
        warn(f"the entry {asked.key} is damaged and is removed: {problem!r}")
        try:
            store.remove(asked.key)
        except OSError as second:
            warn(f"it cannot be removed, ask who owns it: {second}")
        return False
    except Exception as problem:
        warn(f"the entry {asked.key} cannot be read: {problem}")
        return False
    # The cache is done. What is wrong now is so with the folder of the results.
    with faults.named([], asked.outputs):
        write_text(provenance_of(asked.outputs[0]), json.dumps(record, indent=1) + "\n")
        forget_records(path for path in places if path != asked.outputs[0])
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


def _is_as_asked(asked: Question, record: dict[str, Any]) -> bool:
    """Whether the step read the files, and ran the code, that the key was made of."""
    return (
        all(state(Path(path)) == before for path, before in asked.states.items())
        and all(asked.inputs.get(path) == found for path, found in record["inputs"].items())
        and record["code"] == asked.ingredients["code"]
        and is_of_present_code(asked)
    )


def _keep(store: Store, asked: Question) -> None:
    try:
        record = read_record(provenance_of(asked.outputs[0]))
        if not _is_as_asked(asked, record):
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
    except Exception as problem:
        warn(f"{asked.step} cannot be kept in {store.folder}: {problem}")
