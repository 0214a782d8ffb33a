"""Restoring and keeping, and all that can go wrong with a folder that others use, too."""

import errno
import functools
import json
import multiprocessing
import os
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fullchain import provenance
from fullchain.caching import key, policy, run, store
from fullchain.caching.store import Damaged, Entry, Store
from fullchain.dag import cache, closure
from fullchain.dag.verify import records, verify
from fullchain.errors import InputError
from fullchain.provenance import checksum
from fullchain.unchanged import check_unchanged

KEY = "ab" * 32


def test_a_second_run_restores_all_outputs(bench: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.run()
    made = bench.model.read_bytes(), bench.history.read_bytes()
    bench.clear()
    assert not bench.run()
    assert (bench.model.read_bytes(), bench.history.read_bytes()) == made
    assert "restored from" in capsys.readouterr().out
    assert not bench.model.is_symlink()
    assert bench.entry().joinpath("uses").stat().st_size == 1


def test_the_record_says_that_and_from_where(bench: Any) -> None:
    bench.run()
    first = bench.record()
    bench.clear()
    bench.run()
    second = bench.record()
    restored = second.pop("restored")
    assert second == first, "how the result was made stays as it was"
    assert restored["from"] == str(bench.entry())
    assert {"made_by", "at", "host"} <= set(restored)
    found = verify(bench.model.parent, Path(), records(bench.model.parent))
    assert found.matching == 2
    assert not found.problems


def test_without_a_folder_every_run_computes(
    bench: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(run.FOLDER)
    assert bench.run()
    assert bench.run()
    monkeypatch.setenv(run.FOLDER, str(bench.folder / "nowhere"))
    assert bench.run()
    assert "nowhere, which is no folder here" in capsys.readouterr().err
    assert not list(bench.cache.iterdir())


def test_a_step_that_is_not_cached_says_why(
    bench: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(policy.NOT_CACHED, bench.step, "it measures time")
    assert bench.run()
    assert bench.run()
    assert "it measures time" in capsys.readouterr().err


def test_an_edit_of_a_result_does_not_reach_the_cache(bench: Any) -> None:
    bench.run()
    good = bench.model.read_bytes()
    for _ in range(2):
        with bench.model.open("ab") as stream:
            stream.write(b"edited in place")
        bench.run()
        assert bench.model.read_bytes() == good
    assert bench.runs == 1


def flip_a_byte(entry: Path) -> None:
    file = entry / "1"
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)


def cut(entry: Path) -> None:
    (entry / "0").chmod(0o644)
    os.truncate(entry / "0", 1)


def lose_a_file(entry: Path) -> None:
    (entry / "1").unlink()


def lose_the_description(entry: Path) -> None:
    (entry / "entry.json").unlink()


def rewrite(entry: Path, text: str) -> None:
    (entry / "entry.json").unlink()
    (entry / "entry.json").write_text(text)


def break_json(entry: Path) -> None:
    rewrite(entry, "{")


def empty_json(entry: Path) -> None:
    rewrite(entry, "[]")


def take_another_key(entry: Path) -> None:
    content = json.loads((entry / "entry.json").read_text())
    rewrite(entry, json.dumps({**content, "key": KEY}))


def point_elsewhere(entry: Path) -> None:
    content = json.loads((entry / "entry.json").read_text())
    content["files"][0]["name"] = "/tmp/../elsewhere"
    rewrite(entry, json.dumps(content))


def lose_a_name(entry: Path) -> None:
    content = json.loads((entry / "entry.json").read_text())
    del content["files"][0]
    rewrite(entry, json.dumps(content))


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte,
        cut,
        lose_a_file,
        lose_the_description,
        break_json,
        empty_json,
        take_another_key,
        point_elsewhere,
        lose_a_name,
    ],
)
def test_a_damaged_entry_is_removed_and_made_again(
    bench: Any, capsys: pytest.CaptureFixture[str], damage: Callable[[Path], None]
) -> None:
    bench.run()
    good = bench.history.read_bytes()
    damage(bench.entry())
    bench.clear()
    assert bench.run()
    assert bench.history.read_bytes() == good
    assert "is damaged and is removed" in capsys.readouterr().err
    bench.clear()
    assert not bench.run(), "it was kept again"


def test_a_damaged_entry_restores_no_file_at_all(bench: Any) -> None:
    bench.run()
    flip_a_byte(bench.entry())
    bench.clear()
    kept = Store(bench.cache)
    content = kept.read(bench.question().key)
    assert content is not None
    with pytest.raises(Damaged, match=r"history\.json does not have its checksum"):
        kept.restore(content["key"], content["files"], [bench.model, bench.history])
    assert not list(bench.model.parent.iterdir())


def test_a_full_disk_of_the_cache_does_not_fail_the_step(
    bench: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(source: Path, target: Path) -> str:
        target.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store, "_copy", full)
    assert bench.run()
    assert bench.model.is_file()
    assert "No space left on device" in capsys.readouterr().err
    assert not list(bench.cache.glob("entries/*/*"))
    assert not list(bench.cache.glob("incoming/*"))


def test_an_input_that_changes_meanwhile_is_not_kept(
    bench: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.before_end = lambda: bench.jets[0].write_text("changed while it ran")
    assert bench.run()
    assert "changed while it ran" in capsys.readouterr().err
    assert not list(bench.cache.glob("entries/*/*"))


def test_code_that_is_edited_before_it_is_imported_is_not_kept(
    bench: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The identity of the code is found once in a process: before the step is imported."""
    folder = bench.folder / "package"
    (folder / "frame").mkdir(parents=True)
    module = folder / "frame" / "twice.py"
    for path in (folder / "__init__.py", folder / "frame" / "__init__.py", module):
        path.write_text("FACTOR = 2\n")

    @functools.cache
    def code(step: str) -> str:
        return closure.code.__wrapped__(step, folder)

    monkeypatch.setattr(key, "code", code)
    monkeypatch.setattr(provenance, "code", code)
    monkeypatch.setattr(key, "PACKAGE_FOLDER", folder)
    bench.before_import = lambda: module.write_text("FACTOR = 3\n")
    assert bench.run()
    assert "is not kept: its inputs or its code changed" in capsys.readouterr().err
    assert not list(bench.cache.glob("entries/*/*"))
    code.cache_clear()
    assert bench.run()
    assert bench.entry()


def test_an_input_that_changes_while_it_is_read_is_not_kept(
    bench: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = key.checksum
    geometry = bench.folder / "geometry.yaml"
    geometry.write_text("layers: 3")
    # No input of the command line: the record of the step does not have its checksum.
    bench.settings["geometry"] = str(geometry)

    def meanwhile(path: Path) -> str:
        found = whole(path)
        if path == geometry:
            path.write_text("written again when its checksum was taken")
        return found

    monkeypatch.setattr(key, "checksum", meanwhile)
    assert bench.run()
    assert "is not kept: its inputs" in capsys.readouterr().err
    assert not list(bench.cache.glob("entries/*/*"))


def test_an_input_whose_content_is_not_that_of_the_key_is_not_kept(
    bench: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Written in place with its old time, as by a copy that keeps times."""
    path = bench.jets[0]
    old, times = path.read_text(), path.stat()

    def write_in_place() -> None:
        path.write_text(old[::-1])
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    bench.before_import = write_in_place
    assert bench.run()
    assert "is not kept: its inputs" in capsys.readouterr().err
    assert not list(bench.cache.glob("entries/*/*"))


@pytest.mark.parametrize("problem", [KeyError("firmware"), TypeError("no text"), SyntaxError("x")])
def test_whatever_is_wrong_with_a_key_the_step_runs(
    bench: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    problem: Exception,
) -> None:
    def fail(step: str, settings: object) -> tuple[str, ...]:
        raise problem

    monkeypatch.setattr(policy, "programs", fail)
    assert bench.run()
    assert f"not used for {bench.step}: {problem!r}" in capsys.readouterr().err


def test_whatever_is_wrong_with_keeping_the_step_has_run(
    bench: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*arguments: object) -> bool:
        raise RuntimeError("strange folder")

    monkeypatch.setattr(Store, "keep", fail)
    assert bench.run()
    assert "cannot be kept in" in capsys.readouterr().err


def test_a_full_disk_at_the_record_of_a_restored_result_has_a_name(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run()
    bench.clear()

    def full(path: Path, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(run, "write_text", full)
    with pytest.raises(InputError, match=r"model\.pt\.provenance\.json: the disk is full"):
        bench.run()


def test_restoring_leaves_no_record_of_what_was_there(bench: Any) -> None:
    bench.run()
    bench.clear()
    stale = provenance.provenance_of(bench.history)
    stale.write_text("of another step that wrote it before")
    assert not bench.run()
    assert not stale.exists()
    check_unchanged({str(bench.history): checksum(bench.history)})


def test_an_output_that_changes_meanwhile_is_not_kept(
    bench: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.before_end = lambda: bench.history.write_text("changed after its record")
    assert bench.run()
    assert "has changed since it was written" in capsys.readouterr().err
    assert not list(bench.cache.glob("entries/*/*"))
    assert not list(bench.cache.glob("incoming/*"))


def test_a_step_that_fails_is_not_kept(bench: Any) -> None:
    def fail() -> None:
        raise InputError("no jets")

    bench.before_end = fail
    with pytest.raises(InputError):
        bench.run()
    assert not list(bench.cache.glob("entries/*/*"))


CONTENT = {"record": {"step": "frame.twice"}, "stored": 0.0, "user": "somebody"}


def content_of(*paths: Path) -> dict[str, Any]:
    files = [
        {"name": path.name, "sha256": checksum(path), "size": path.stat().st_size} for path in paths
    ]
    return {**CONTENT, "files": files}


def write_together(folder: Path, file: Path, gate: Any, told: Any) -> None:
    gate.wait()
    told.put(Store(folder).keep(KEY, content_of(file), [file]))


def test_of_writers_of_one_key_one_wins(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) * 4000)
    folder = tmp_path / "cache"
    folder.mkdir()
    context = multiprocessing.get_context("fork")
    gate, told = context.Barrier(4), context.SimpleQueue()
    writers = [
        context.Process(target=write_together, args=(folder, file, gate, told)) for _ in range(4)
    ]
    for writer in writers:
        writer.start()
    answers = [told.get() for _ in writers]
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert sorted(answers) == [False, False, False, True]
    target = tmp_path / "restored"
    Store(folder).restore(KEY, content_of(file)["files"], [target])
    assert target.read_bytes() == file.read_bytes()
    assert not list((folder / "incoming").iterdir())


def stop_in_the_middle(folder: Path, file: Path) -> None:
    def killed(source: Path, target: Path) -> str:
        target.write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
        return ""

    store._copy = killed
    Store(folder).keep(KEY, content_of(file), [file])


def test_a_killed_writer_leaves_nothing_half(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("content")
    folder = tmp_path / "cache"
    folder.mkdir()
    writer = multiprocessing.get_context("fork").Process(
        target=stop_in_the_middle, args=(folder, file)
    )
    writer.start()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    assert list((folder / "incoming").iterdir())
    assert Store(folder).read(KEY) is None
    assert Store(folder).keep(KEY, content_of(file), [file])
    assert not list((folder / "incoming").iterdir()), "the next one cleans up"


def test_what_another_host_writes_is_left_until_it_is_old(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("content")
    folder = tmp_path / "cache"
    others = folder / "incoming" / f"otherhost:1.{KEY}"
    others.mkdir(parents=True)
    Store(folder).keep(KEY, content_of(file), [file])
    assert others.exists()
    long_ago = time.time() - 2 * store.ABANDONED
    os.utime(others, (long_ago, long_ago))
    Store(folder).keep(KEY[::-1], content_of(file), [file])
    assert not others.exists()


@pytest.mark.parametrize(("mode", "of_file"), [(0o2770, 0o440), (0o755, 0o444), (0o700, 0o400)])
def test_an_entry_is_open_to_whom_the_folder_is(tmp_path: Path, mode: int, of_file: int) -> None:
    file = tmp_path / "file"
    file.write_text("content")
    file.chmod(0o600)
    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(mode)
    before = os.umask(0o077)
    try:
        assert Store(folder).keep(KEY, content_of(file), [file])
    finally:
        os.umask(before)
    place = Store(folder).place(KEY)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (place, place.parent, place / "0")}
    assert modes == {place: mode, place.parent: mode, place / "0": of_file}


def as_nobody(action: Callable[[], None]) -> int:
    """Run as another user, in a process of its own; give its exit status."""
    process = os.fork()
    if process == 0:
        status = 1
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            action()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.fixture
def open_bench(bench: Any) -> Any:
    """A bench whose folders another user can reach."""
    folder = bench.folder
    while folder != Path("/"):
        if folder.stat().st_uid == os.geteuid() and not folder.stat().st_mode & 0o005:
            folder.chmod(folder.stat().st_mode | 0o055)
        folder = folder.parent
    bench.model.parent.mkdir(exist_ok=True)
    bench.model.parent.chmod(0o777)
    return bench


@needs_root
def test_another_user_restores(open_bench: Any) -> None:
    bench = open_bench
    bench.cache.chmod(0o777)
    bench.run()
    bench.clear()

    def restore() -> None:
        assert not bench.run()
        assert bench.entry().joinpath("uses").stat().st_size == 1

    assert as_nobody(restore) == 0
    assert bench.model.stat().st_uid == 65534
    assert bench.record()["restored"]["made_by"] == "root"


@needs_root
def test_what_another_user_cannot_read_is_computed(
    open_bench: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    bench = open_bench
    bench.cache.chmod(0o777)
    bench.run()
    bench.clear()
    (bench.entry() / "0").chmod(0o600)

    def compute() -> None:
        assert bench.run()

    assert as_nobody(compute) == 0
    assert "cannot be read: [Errno 13]" in capfd.readouterr().err
    assert bench.entry().stat().st_uid == 0, "it is not theirs to remove"


@needs_root
def test_a_folder_that_cannot_be_written_still_restores(
    open_bench: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    bench = open_bench
    bench.run()
    bench.clear()
    for path in [bench.cache, *bench.cache.rglob("*")]:
        path.chmod(path.stat().st_mode & ~0o222)

    def use() -> None:
        assert not bench.run()
        bench.sample = "tt"
        assert bench.run()

    assert as_nobody(use) == 0
    assert "cannot be kept" in capfd.readouterr().err


def test_figures_are_kept_with_their_index(bench: Any) -> None:
    """A plotting step tells of files that its command line does not name."""
    folder = bench.model.parent
    drawn = {folder / "mass.pdf": b"pdf", folder / "mass.png": b"png"}
    writing = [
        "    from fullchain.further_outputs import tell",
        *(
            f"    model.with_suffix({path.suffix!r}).with_stem('mass').write_bytes({content!r})\n"
            f"    tell(model.with_suffix({path.suffix!r}).with_stem('mass'))"
            for path, content in drawn.items()
        ),
    ]
    lines = ["    model.write_text(text)", *writing]
    bench.source.write_text(
        bench.source.read_text().replace("    model.write_text(text)", "\n".join(lines))
    )
    assert bench.run()
    bench.clear()
    assert not bench.run()
    assert {path: path.read_bytes() for path in drawn} == drawn
    bench.clear()
    content = json.loads((bench.entry() / "entry.json").read_text())
    content["files"][-1]["name"] = str(folder / "../mass.png")
    rewrite(bench.entry(), json.dumps(content))
    assert bench.run(), "a figure lies beside its index and nowhere else"


def entry(step: str, size: int, days: float, uses: int = 0) -> Entry:
    used = 1e9 - days * 86400
    return Entry(Path(f"/cache/{step}{days}"), step, size, used, used, uses)


def test_the_table_sums_by_step() -> None:
    told = cache.describe(
        [entry("jets.cluster", 3_000_000, 1, 2), entry("jets.cluster", 1_000_000, 2)]
    )
    lines = [line.split()[:4] for line in told.splitlines()]
    assert lines[1:] == [["jets.cluster", "2", "4.0", "2"], ["all", "2", "4.0", "2"]]
    assert cache.describe([]) == "no entries"


def test_unused_entries_go_first() -> None:
    entries = [entry("a", 10**9, 1), entry("b", 10**9, 40), entry("c", 10**9, 20)]

    def steps(days: float | None, size: float | None) -> list[str]:
        return [one.step for one in cache.superfluous(entries, 1e9, days, size)]

    assert steps(30, None) == ["b"]
    assert steps(None, 1) == ["b", "c"]
    assert steps(30, 2) == ["b"]
    assert steps(None, None) == []


def test_the_command_shows_and_prunes(bench: Any, capsys: pytest.CaptureFixture[str]) -> None:
    bench.run()
    cache.main([])
    assert "frame.twice" in capsys.readouterr().out
    cache.main(["--folder", str(bench.cache), "--shrink-to", "0"])
    assert "removed 1 of 1 entries" in capsys.readouterr().out
    assert not list(bench.cache.glob("entries/*/*"))
    assert not list(bench.cache.glob("incoming/*"))
    with pytest.raises(InputError, match="no such folder"):
        cache.main(["--folder", str(bench.folder / "nowhere")])


def test_the_command_names_what_it_cannot_read(
    bench: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.run()
    break_json(bench.entry())
    cache.main([])
    told = capsys.readouterr()
    assert "no entries" in told.out
    assert f"{bench.entry()} is left out" in told.err


def test_the_command_needs_a_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(run.FOLDER, raising=False)
    with pytest.raises(InputError, match="FULLCHAIN_CACHE"):
        cache.main([])
