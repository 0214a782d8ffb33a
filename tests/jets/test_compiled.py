"""The cache of compiled functions notices an edit of a function in another module."""

import subprocess
import sys
from pathlib import Path

from fullchain.compiled import digest

HELPER = "from fullchain.compiled import compiled\n\n@compiled\ndef helper(x):\n    return x + {}\n"
CALLER = """from fullchain.compiled import compiled
from fullchain_toy.helper import helper

@compiled
def caller(x):
    return helper(x)
"""
# the toy package stands in for the project: its sources are hashed
RUN = """import sys
from pathlib import Path
import fullchain.compiled as c
c.digest = lambda original=c.digest: original(Path(sys.argv[1]))
from fullchain_toy.caller import caller
print(caller(1), caller.stats.cache_hits)
"""


def run(folder: Path) -> str:
    found = subprocess.run(
        [sys.executable, "-c", RUN, str(folder / "fullchain_toy")],
        env={"PYTHONPATH": str(folder), "NUMBA_CACHE_DIR": str(folder / "cache"), "HOME": "/"},
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.strip()


def run_stats(folder: Path) -> tuple[int, bool]:
    value, hits = run(folder).split(" ", 1)
    return int(value), "caller" in hits or hits != "Counter()"


def test_edit_of_a_called_function_is_noticed(tmp_path):
    package = tmp_path / "fullchain_toy"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "helper.py").write_text(HELPER.format(1))
    (package / "caller.py").write_text(CALLER)
    assert run_stats(tmp_path) == (2, False), "compiled"
    assert run_stats(tmp_path) == (2, True), "from the cache"
    (package / "helper.py").write_text(HELPER.format(10))
    assert run_stats(tmp_path) == (11, False), "compiled anew"


def test_digest_sees_only_modules_with_compiled_functions(tmp_path):
    (tmp_path / "a.py").write_text(HELPER.format(1))
    before = digest(tmp_path)
    (tmp_path / "b.py").write_text("x = 1\n")
    assert digest(tmp_path) == before
    (tmp_path / "a.py").write_text(HELPER.format(2))
    assert digest(tmp_path) != before
