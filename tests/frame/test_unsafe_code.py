"""Nothing that is read can run code: ways to do so are not in the project, or stand here.

The rules S102, S301, S302, S307 and S506 of ruff look for some; here are the others, and what
Snakefiles say.
"""

import ast
import re
from pathlib import Path

import pytest

FOLDERS = ("src", "benchmarks", "envs", "workflow", "docs/_hooks")

MODULES = {
    "pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal",
    "jsonpickle",
}  # fmt: skip
BUILTINS = {"eval", "exec", "compile", "__import__"}
YAML_LOADERS = {"load", "load_all", "unsafe_load", "full_load", "unsafe_load_all", "full_load_all"}
NAMES = {
    *(f"yaml.{name}" for name in YAML_LOADERS),
    "asyncio.create_subprocess_shell", "os.popen", "os.system", "pandas.read_hdf",
    "pandas.read_pickle", "pty.spawn", "runpy.run_module", "runpy.run_path",
    "subprocess.getoutput", "subprocess.getstatusoutput", "torch.hub.load", "torch.jit.load",
    "torch.package.PackageImporter",
}  # fmt: skip
"""Wherever they are named, called or not."""

DEPENDS = {"torch.load", "numpy.load"}
"""Safe with the right arguments, which only a call shows."""

USUAL = {"np": "numpy", "pd": "pandas"}
"""Short names of modules, where no import says what they are."""

ALLOWED = {
    ("src/fullchain/learning/torch_file.py", "import of pickle"): "for its UnpicklingError only",
    ("src/fullchain/setting_files.py", "yaml.load"): "with a subclass of SafeLoader",
    ("benchmarks/unfolding/omnifold_side.py", "import of pickle"): "reads what the same benchmark "
    "made with OmniFold's own code a moment before",
}
"""(file, what is found) -> why it is no danger."""


class Names:
    """Full names of what is imported in a file, by the names it has there."""

    def __init__(self, tree: ast.AST) -> None:
        self.full = dict(USUAL)
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for one in node.names:
                    first = one.name.split(".")[0]
                    self.full[one.asname or first] = one.name if one.asname else first
            elif isinstance(node, ast.ImportFrom):
                module = "." * node.level + (node.module or "")
                for one in node.names:
                    self.full[one.asname or one.name] = f"{module}.{one.name}"

    def of(self, node: ast.expr) -> str:
        """Give the full name of an expression, with ? for what is none."""
        if isinstance(node, ast.Attribute):
            name = f"{self.of(node.value)}.{node.attr}"
        elif isinstance(node, ast.Name):
            name = self.full.get(node.id, node.id)
        elif isinstance(node, ast.Call) and self.of(node.func) == "getattr" and len(node.args) > 1:
            name = f"{self.of(node.args[0])}.{constant(node.args[1])}"
        else:
            name = "?"
        return name.removeprefix("builtins.")


def constant(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else "?"


def keywords(call: ast.Call) -> dict[str, ast.expr]:
    """Arguments with names, those of a literal ``**{...}`` too."""
    found = {}
    for one in call.keywords:
        if one.arg is not None:
            found[one.arg] = one.value
        elif isinstance(one.value, ast.Dict):
            pairs = zip(one.value.keys, one.value.values, strict=True)
            found |= {str(constant(key)): value for key, value in pairs}
    return found


def fault_of_call(call: ast.Call, names: Names) -> str | None:
    name, given = names.of(call.func), keywords(call)
    if name == "torch.load" and constant(given.get("weights_only")) is not True:
        return "torch.load without weights_only=True"
    if name == "numpy.load" and len(call.args) > 2:
        given.setdefault("allow_pickle", call.args[2])
    if "allow_pickle" in given and constant(given["allow_pickle"]) is not False:
        return "allow_pickle"
    if "shell" in given and constant(given["shell"]) is not False:
        return "shell=True"
    if "trust_remote_code" in given and constant(given["trust_remote_code"]) is not False:
        return "trust_remote_code"
    if name == "importlib.import_module" and call.args:
        module = str(constant(call.args[0])).split(".")[0]
        return f"import of {module}" if module in MODULES else None
    return None


def imported(node: ast.AST) -> list[str]:
    """Faults of an import."""
    if isinstance(node, ast.Import):
        modules = [one.name.split(".")[0] for one in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
        modules = [(node.module or "").split(".")[0]]
        whole = {f"{node.module}.{one.name}".removeprefix("builtins.") for one in node.names}
        dangerous = {name.rpartition(".")[0] for name in NAMES | DEPENDS} | {"builtins"}
        if f"{node.module}.*" in whole and node.module in dangerous:
            return [f"import of everything of {node.module}"]
        if named := sorted(whole & (NAMES | BUILTINS)):
            return [f"import of {name}" for name in named]
    else:
        return []
    return [f"import of {name}" for name in modules if name in MODULES]


def faults(source: str) -> list[tuple[int, str]]:
    """Give line and name of what can run code that is read."""
    tree = ast.parse(source)
    names, found = Names(tree), []
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        found += [(node.lineno, fault) for fault in imported(node)]  # type: ignore[attr-defined]
        if isinstance(node, ast.Call) and (fault := fault_of_call(node, names)):
            found.append((node.lineno, fault))
        if isinstance(node, ast.Call) or (
            isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)
        ):
            name = names.of(node)
            handed_on = name in DEPENDS and id(node) not in called
            if name in NAMES | BUILTINS or handed_on:
                found.append((node.lineno, name))
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
        ("builtins.eval(text)", "eval"),
        ("import builtins as b; b.exec(text)", "exec"),
        ("map(eval, texts)", "eval"),
        ("getattr(builtins, 'eval')(text)", "eval"),
        ("import pickle", "import of pickle"),
        ("from joblib import load", "import of joblib"),
        ("import cloudpickle; cloudpickle.loads(text)", "import of cloudpickle"),
        ("importlib.import_module('pickle')", "import of pickle"),
        ("yaml.load(text)", "yaml.load"),
        ("yaml.unsafe_load(text)", "yaml.unsafe_load"),
        ("from yaml import unsafe_load", "import of yaml.unsafe_load"),
        ("from yaml import *", "import of everything of yaml"),
        ("import yaml as y; y.unsafe_load(text)", "yaml.unsafe_load"),
        ("torch.load(path)", "torch.load without weights_only=True"),
        ("torch.load(path, weights_only=no)", "torch.load without weights_only=True"),
        ("from torch import load; load(path)", "torch.load without weights_only=True"),
        ("import torch as t; t.load(path)", "torch.load without weights_only=True"),
        ("partial(torch.load, path)", "torch.load"),
        ("torch.jit.load(path)", "torch.jit.load"),
        ("from torch import jit; jit.load(path)", "torch.jit.load"),
        ("np.load(path, allow_pickle=True)", "allow_pickle"),
        ("np.load(path, allow_pickle=chosen)", "allow_pickle"),
        ("np.load(path, None, True)", "allow_pickle"),
        ("import numpy; numpy.load(path, **{'allow_pickle': True})", "allow_pickle"),
        ("pd.read_pickle(path)", "pandas.read_pickle"),
        ("pd.read_hdf(path)", "pandas.read_hdf"),
        ("os.system(text)", "os.system"),
        ("import os as o; o.popen(text)", "os.popen"),
        ("from os import system", "import of os.system"),
        ("subprocess.getoutput(text)", "subprocess.getoutput"),
        ("subprocess.run(text, shell=True)", "shell=True"),
        ("run(text, **{'shell': True})", "shell=True"),
    ],
)
def test_each_way_is_found(source: str, fault: str) -> None:
    assert faults(source) == [(1, fault)]


@pytest.mark.parametrize(
    "source",
    [
        "network.eval()", "re.compile(x)", "yaml.safe_load(text)", "ast.literal_eval(text)",
        "torch.load(path, weights_only=True)", "np.load(path)", "np.load(path, allow_pickle=False)",
        "np.load(path, 'r', False)", "import pickletools", "from re import compile; compile(x)",
        "import os as torch; torch.load(path)", "from json import load; load(path)",
        "subprocess.run(command, **{'shell': False})", "compile: bool = True",
    ],
)  # fmt: skip
def test_what_is_safe_is_left_alone(source: str) -> None:
    assert faults(source) == []
