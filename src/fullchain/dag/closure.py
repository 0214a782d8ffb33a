"""The identity of a step's code: which modules it imports, and what they mean.

Snakemake does not see a change in an imported module. Each rule therefore carries
``params: code=code("stage.step")``, the text made here: a hash of the syntax tree of each project
module that the step imports, directly or not, and the installed version of each third-party
distribution that these modules import. Comments, docstrings and layout are not part of a syntax
tree as hashed here, so that only a change of meaning counts.

Third-party code is followed no further than its version: hashing it would take half a minute, and
its own dependencies are pinned by the same lock.
"""

import ast
import hashlib
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from fullchain.dag import analyses
from fullchain.dag.analyses import Analysis
from fullchain.errors import InputError

PACKAGE_FOLDER = Path(__file__).resolve().parents[1]

PRESENTATION = frozenset({"rich", "dask-jobqueue"})
"""Distributions that show what happens or choose where it happens, and cannot change a result."""

IDENTITY = frozenset({"fullchain.dag", "fullchain.dag.analyses", "fullchain.dag.closure"})
"""Modules that find the identity of code: how it is found changes no result."""

FINDING = ("import_module", "find_spec")
"""Functions of importlib whose first argument names a package that the code uses."""


def _without_docstrings(tree: ast.Module) -> ast.Module:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _executed_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under ``if TYPE_CHECKING:``, which never run."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            waiting.extend(node.orelse)
        else:
            waiting.extend(ast.iter_child_nodes(node))


def _named_in_call(node: ast.Call) -> str | None:
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name in FINDING and node.args and isinstance(node.args[0], ast.Constant):
        value = node.args[0].value
        return value if isinstance(value, str) else None
    return None


def _imported_names(tree: ast.Module, module: str, is_package: bool) -> Iterator[str]:
    """Give the dotted names that a module may import; an attribute may be among them."""
    for node in _executed_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")
                keep = len(parents) - node.level + is_package
                base = ".".join([*parents[:keep], *([base] if base else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and (name := _named_in_call(node)):
            yield name


def _data_files(tree: ast.Module) -> list[str]:
    """Read the module-level tuple ``__data__`` of files that the module reads."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id == "__data__" for target in node.targets
        ):
            return list(ast.literal_eval(node.value))
    return []


def _analysed(source: bytes, checksum: str, name: str, is_package: bool) -> Analysis:
    """Read a source file."""
    tree = ast.parse(source)
    imported, data = tuple(_imported_names(tree, name, is_package)), tuple(_data_files(tree))
    text = ast.dump(_without_docstrings(tree)).encode()
    return Analysis(checksum, hashlib.sha256(text).hexdigest(), imported, data)


class ImportClosure:
    """The project modules and the distributions that a module imports, directly or not.

    Parameters
    ----------
    module
        Dotted name of the module to start from, for example ``fullchain.tagging.train``.
    folder
        Folder of the top-level package that `module` belongs to.

    Raises
    ------
    InputError
        The module, or a file that it names in ``__data__``, does not exist, or a source file
        cannot be parsed.
    """

    def __init__(self, module: str, folder: Path = PACKAGE_FOLDER) -> None:
        self.folder = folder
        self.package = module.split(".")[0]
        self.modules: dict[str, str] = {}
        self.imports: set[str] = set()
        if self._source(module) is None:
            raise InputError(f"{module}: no such module below {folder}")
        self._is_new = False
        self._visit(module)
        if self._is_new:
            analyses.keep(folder)

    def _source(self, module: str) -> Path | None:
        words = module.split(".")
        if words[0] != self.package:
            return None
        base = self.folder.joinpath(*words[1:])
        for source in (base / "__init__.py", base.with_suffix(".py")):
            if len(words) == 1 and source.name != "__init__.py":
                continue
            if source.is_file():
                return source
        return None

    def _visit(self, module: str) -> None:
        waiting = [module]
        while waiting:
            name = waiting.pop()
            source = self._source(name)
            if source is None or name in self.modules:
                continue
            if "." in name:
                waiting.append(name.rpartition(".")[0])
            found = self._analysis(source, name)
            self.modules[name] = _identity(source, found)
            for other in found.imported:
                top = other.split(".")[0]
                if top == self.package:
                    waiting.append(other)
                elif top not in sys.stdlib_module_names:
                    self.imports.add(top)

    def _analysis(self, source: Path, name: str) -> Analysis:
        """Say what a source file says; read it unless that is known of the same content."""
        content = source.read_bytes()
        checksum = hashlib.sha256(content).hexdigest()
        known = analyses.known(self.folder)
        if name not in known or known[name].source != checksum:
            try:
                found = _analysed(content, checksum, name, source.name == "__init__.py")
            except SyntaxError as problem:
                raise InputError(f"{source}:{problem.lineno}: {problem.msg}") from None
            known[name] = found
            self._is_new = True
        return known[name]

    def packages(self) -> dict[str, str]:
        """Installed version of each distribution that provides an imported package."""
        versions = {"python": f"{sys.version_info.major}.{sys.version_info.minor}"}
        for name in self.imports:
            for distribution in _providers(name):
                if distribution not in PRESENTATION:
                    versions[distribution] = _version(distribution)
        return versions


def _identity(source: Path, found: Analysis) -> str:
    """Hash of the syntax tree of a module, and of the files that it reads where it names some."""
    if not found.data:
        return found.tree[:16]
    digest = hashlib.sha256(found.tree.encode())
    for file in found.data:
        path = source.parent / file
        if not path.is_file():
            raise InputError(f"{source}: __data__ names {file}, which does not exist")
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


DISTRIBUTIONS = {"sklearn": "scikit-learn", "yaml": "PyYAML"}
"""Distributions of packages that we import under another name; whether it is so is looked up."""


@cache
def _providers(name: str) -> list[str]:
    """Distributions that provide a top-level package: most bear its name.

    Only for the others all installed files are looked through, which takes longer than all else
    here, and every job of a workflow does it.
    """
    if importlib.util.find_spec(name) is None:
        return [name]
    distribution = DISTRIBUTIONS.get(name, name)
    try:
        named = importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return _distributions().get(name, [name])
    # A folder, a single file, or an extension module (name.cpython-311-x86_64-linux-gnu.so).
    place = Path(str(named.locate_file(name)))
    if place.is_dir() or any(place.parent.glob(f"{name}.*")):
        return [distribution.lower()]
    return _distributions().get(name, [name])


@cache
def _distributions() -> dict[str, list[str]]:
    return {
        name: [distribution.lower() for distribution in distributions]
        for name, distributions in importlib.metadata.packages_distributions().items()
    }


@cache
def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@cache
def code(step: str, folder: Path = PACKAGE_FOLDER) -> str:
    """Give the identity of a step's code as JSON text.

    Parameters
    ----------
    step
        Name within the package, for example ``tagging.train``.
    folder
        Folder of the package; its name is the package's name.

    Returns
    -------
    str
        ``{"step": ..., "modules": {name: hash}, "packages": {name: version}}``, keys sorted.

    Raises
    ------
    InputError
        There is no such step, or one of its modules cannot be parsed.
    """
    closure = ImportClosure(f"{folder.name}.{step}", folder)
    modules = {name: tree for name, tree in closure.modules.items() if name not in IDENTITY}
    identity = {"step": step, "modules": modules, "packages": closure.packages()}
    return json.dumps(identity, sort_keys=True)
