import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fullchain.atomic import atomic, write_text


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


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "numbers.json"
    write_text(target, "old")
    with pytest.raises(OSError, match="No space left"), atomic(target) as temporary:
        temporary.symlink_to("/dev/full")
        with temporary.open("w") as stream:
            stream.write("new" * 10_000)
    assert target.read_text() == "old"
