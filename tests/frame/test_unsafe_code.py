"""Nothing that is read can run code: ways to do so are not in the project, or stand here.

The rules S102, S301, S302, S307 and S506 of ruff look for some; here are the others, and what
Snakefiles say.
"""

import ast
import re
from pathlib import Path

import pytest

FOLDERS = ("src", "benchmarks", "envs", "workflow", "docs/_hooks")

MODULES = {"pickle", "cPickle", "_pickle", "dill", "joblib", "shelve", "marshal", "jsonpickle"}
CALLS = {"eval", "exec", "compile", "__import__"}
YAML_LOADERS = {"load", "load_all", "unsafe_load", "full_load", "unsafe_load_all", "full_load_all"}

ALLOWED = {
    ("src/fullchain/learning/torch_file.py", "import of pickle"): "for its UnpicklingError only",
    ("src/fullchain/setting_files.py", "yaml.load"): "with a subclass of SafeLoader",
    ("benchmarks/unfolding/omnifold_side.py", "import of pickle"): "reads what the same benchmark "
    "made with OmniFold's own code a moment before",
}
"""(file, what is found) -> why it is no danger."""


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def is_true(call: ast.Call, name: str) -> bool:
    values = [one.value for one in call.keywords if one.arg == name]
    return bool(values) and isinstance(values[0], ast.Constant) and values[0].value is True


def fault_of_call(call: ast.Call) -> str | None:
    name = dotted(call.func)
    last = name.rpartition(".")[2]
    if name in CALLS:
        return name
    if name.startswith("yaml.") and last in YAML_LOADERS:
        return name
    if name == "torch.load" and not is_true(call, "weights_only"):
        return "torch.load without weights_only=True"
    allowing = [one.value for one in call.keywords if one.arg == "allow_pickle"]
    if allowing and not (isinstance(allowing[0], ast.Constant) and allowing[0].value is False):
        return "allow_pickle"
    if last in ("read_pickle", "trust_remote_code") or name == "joblib.load":
        return name
    shells = [one.value for one in call.keywords if one.arg == "shell"]
    if shells and not (isinstance(shells[0], ast.Constant) and shells[0].value is False):
        return "shell=True"
    return None


def faults(source: str) -> list[tuple[int, str]]:
    """Give line and name of what can run code that is read."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").split(".")[0]]
        else:
            names = []
            if isinstance(node, ast.Call) and (fault := fault_of_call(node)):
                found.append((node.lineno, fault))
        found += [(node.lineno, f"import of {name}") for name in names if name in MODULES]  # type: ignore[attr-defined]
    return sorted(found)


def test_no_code_runs_what_it_reads(project: Path) -> None:
    found, used = [], set()
    for folder in FOLDERS:
        for path in sorted((project / folder).rglob("*.py")):
            where = str(path.relative_to(project))
            for line, fault in faults(path.read_text("utf-8")):
                if (where, fault) in ALLOWED:
                    used.add((where, fault))
                else:
                    found.append(f"{where}:{line}: {fault}")
    assert not found, "\n".join(found)
    assert used == set(ALLOWED), "allowed, and no longer there"


def test_rules_run_nothing_but_their_commands(project: Path) -> None:
    unsafe = re.compile(
        r"(?<![\w.])(eval|exec|compile|__import__)\(|\b(pickle|dill|joblib|marshal)\b|yaml\.\w*load"
    )
    found = [
        f"{path.relative_to(project)}:{number}: {line.strip()}"
        for path in [project / "Snakefile", *sorted((project / "rules").glob("*.smk"))]
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if unsafe.search(line.split("#")[0])
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("eval(text)", "eval"),
        ("exec(text)", "exec"),
        ("import pickle", "import of pickle"),
        ("from joblib import load", "import of joblib"),
        ("yaml.load(text)", "yaml.load"),
        ("yaml.unsafe_load(text)", "yaml.unsafe_load"),
        ("torch.load(path)", "torch.load without weights_only=True"),
        ("torch.load(path, weights_only=no)", "torch.load without weights_only=True"),
        ("np.load(path, allow_pickle=True)", "allow_pickle"),
        ("np.load(path, allow_pickle=chosen)", "allow_pickle"),
        ("pd.read_pickle(path)", "pd.read_pickle"),
        ("subprocess.run(text, shell=True)", "shell=True"),
    ],
)
def test_each_way_is_found(source: str, fault: str) -> None:
    assert faults(source) == [(1, fault)]


@pytest.mark.parametrize(
    "source",
    [
        "network.eval()", "re.compile(x)", "yaml.safe_load(text)", "ast.literal_eval(text)",
        "torch.load(path, weights_only=True)", "np.load(path)", "np.load(path, allow_pickle=False)",
        "import pickletools",
    ],
)  # fmt: skip
def test_what_is_safe_is_left_alone(source: str) -> None:
    assert faults(source) == []
