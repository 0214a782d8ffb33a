import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fullchain.atomic import atomic, workplace, write_text


def test_content_arrives_under_the_final_name_only_when_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "model.pt"
    with atomic(target) as temporary:
        assert temporary.suffix == ".pt"
        temporary.write_text("weights")
        assert not target.exists()
    assert target.read_text() == "weights"
    assert os.listdir(target.parent) == ["model.pt"]


def test_an_error_keeps_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "numbers.json"
    write_text(target, "old")
    with pytest.raises(RuntimeError), atomic(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("stop")
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["numbers.json"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic(tmp_path / "x.json"):
        pass


def test_kill_leaves_no_file_under_the_final_name(tmp_path: Path) -> None:
    target = tmp_path / "events.root"
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom fullchain.atomic import atomic\n"
        "with atomic(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half')\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(target)])
    assert done.returncode == -signal.SIGKILL
    assert not target.exists()
    write_text(target, "whole")
    assert os.listdir(tmp_path) == ["events.root"]


def test_two_writers_each_move_a_whole_file(tmp_path: Path) -> None:
    """A job whose driver was killed goes on writing while its repetition does."""
    target = tmp_path / "events.root"
    program = (
        "import sys\nfrom pathlib import Path\nfrom fullchain.atomic import atomic\n"
        "with atomic(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('first')\n"
        "    print('ready', flush=True)\n    sys.stdin.readline()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(target)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as orphan:
        assert orphan.stdout is not None
        orphan.stdout.readline()
        with atomic(target) as temporary:
            temporary.write_text("half of the sec")
            orphan.communicate("go on\n")
            assert target.read_text() == "first"
            temporary.write_text("second")
    assert target.read_text() == "second"
    assert os.listdir(tmp_path) == ["events.root"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "numbers.json"
    write_text(target, "old")
    with pytest.raises(OSError, match="No space left"), atomic(target) as temporary:
        temporary.symlink_to("/dev/full")
        with temporary.open("w") as stream:
            stream.write("new" * 10_000)
    assert target.read_text() == "old"


def in_a_container(program: str, *arguments: object) -> None:
    """Run Python with process numbers of its own, under the same host name."""
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("no unshare here")
    apart = [unshare, "--pid", "--fork"]
    if subprocess.run([*apart, "true"], capture_output=True).returncode:
        pytest.skip("a PID namespace of its own is not allowed here")
    subprocess.run([*apart, sys.executable, "-c", program, *map(str, arguments)], check=True)


def test_a_container_leaves_what_others_write(tmp_path: Path) -> None:
    target = tmp_path / "events.root"
    program = (
        "import sys\nfrom pathlib import Path\nfrom fullchain.atomic import write_text\n"
        "write_text(Path(sys.argv[1]), 'second')\n"
    )
    with atomic(target) as temporary:
        temporary.write_text("first")
        in_a_container(program, target)
        assert target.read_text() == "second"
        assert temporary.read_text() == "first"
    assert os.listdir(tmp_path) == ["events.root"]


def test_a_container_leaves_what_others_put_into_the_shared_cache(tmp_path: Path) -> None:
    from fullchain.caching.store import Store, _mark

    written = tmp_path / "incoming" / f"{_mark()}.key"
    written.mkdir(parents=True)
    program = (
        "import sys\nfrom pathlib import Path\nfrom fullchain.caching.store import Store\n"
        "Store(Path(sys.argv[1]))._clean()\n"
    )
    in_a_container(program, tmp_path)
    assert written.exists()
    Store(tmp_path)._clean()
    assert written.exists(), "this process is alive"


def test_a_host_has_the_same_name_after_it_was_switched_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = workplace()
    assert "." not in here
    monkeypatch.setattr(Path, "stat", lambda path: SimpleNamespace(st_ino=0xEFFFFFFC))
    host = workplace()
    monkeypatch.setattr(Path, "stat", lambda path: SimpleNamespace(st_ino=7))
    assert workplace().startswith(f"{host}-")

    def absent(path: Path) -> None:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "stat", absent)
    assert workplace() == host, "a system without namespaces"
