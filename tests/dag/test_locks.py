import subprocess
import sys
from pathlib import Path

from fullchain.dag.locks import take

HOLD = (
    "import sys; from pathlib import Path; from fullchain.dag.locks import take; "
    "lock = take(Path(sys.argv[1])); print('held', flush=True); sys.stdin.readline()"
)


def stale(folder: Path) -> Path:
    lock = folder / "locks" / "0.output.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("results/a.root")
    return lock


def test_locks_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    lock = stale(tmp_path)
    held = take(tmp_path)
    assert held is not None
    assert not lock.exists()


def test_locks_of_a_living_run_stay(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        lock = stale(tmp_path)
        held = take(tmp_path)
        assert held is not None
        assert lock.exists()
        held.close()
        other.kill()
    again = take(tmp_path)
    assert again is not None
    assert not lock.exists()
