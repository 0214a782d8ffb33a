"""The `fullchain` command: every step of every stage, and a few commands about the workflow.

Steps are found by looking at the package's files; only the one that runs is imported. The command
line of a step is made from the signature of its `main` (see `fullchain.step`), and its provenance
is written here, so that no step depends on this module.
"""

import ast
import gc
import importlib
import inspect
import json
import os
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fullchain.errors import InputError
from fullchain.step import Given, Input, Option, Output

PACKAGE_FOLDER = Path(__file__).resolve().parent
COMMANDS = {
    "status": "Say what is done, running, waiting and failed, with logs and times.",
    "why": "Say what would rerun, and for which reason.",
    "cache": "Show or prune the results that runs and users share.",
    "verify": "Recompute the checksums of a run and tell what no longer matches.",
    "crate": "Export a run as a Workflow Run RO-Crate, for an archive.",
    "config": "Show the effective configuration, or write the default one and its schema.",
}


def _first_line(source: Path) -> str:
    documentation = ast.get_docstring(ast.parse(source.read_bytes())) or ""
    return documentation.splitlines()[0] if documentation else ""


def steps() -> dict[str, dict[str, Path]]:
    """Give the steps of each stage: modules with `def main(*, ...)`, not imported here."""
    found: dict[str, dict[str, Path]] = {}
    for source in sorted(PACKAGE_FOLDER.glob("*/*.py")):
        if b"\ndef main(\n    *,\n" in source.read_bytes():
            found.setdefault(source.parent.name, {})[source.stem] = source
    return found


def _usage(stage: str | None = None) -> str:
    lines = ["usage: fullchain <stage> <step> [options]", ""]
    everything = steps()
    for name, modules in everything.items():
        if stage not in (None, name):
            continue
        lines.append(f"{name}: {_first_line(PACKAGE_FOLDER / name / '__init__.py')}")
        lines += [f"  {step:<14} {_first_line(source)}" for step, source in modules.items()]
        lines.append("")
    if stage is None:
        lines.append("about the workflow:")
        lines += [f"  {name:<14} {text}" for name, text in COMMANDS.items()]
        lines += ["", "fullchain <stage> <step> --help explains the options of a step."]
    return "\n".join(lines)


class Command:
    """The command line of one step.

    Parameters
    ----------
    name
        Stage and step, for example ``tagging.train``.
    function
        The step's `main`.
    """

    def __init__(self, name: str, function: Callable[..., None]) -> None:
        self.name = name
        self.function = function
        self.markers: dict[str, Input | Output | Option] = {}
        self.types: dict[str, Any] = {}
        hints = typing.get_type_hints(function, include_extras=True)
        for parameter in inspect.signature(function).parameters:
            hint = hints[parameter]
            if hint is Given:
                continue
            self.types[parameter], self.markers[parameter] = typing.get_args(hint)[:2]

    def run(self, arguments: list[str]) -> None:
        """Parse the arguments, run the step and write its provenance."""
        from fullchain import faults
        from fullchain.provenance import Record
        from fullchain.unchanged import check_unchanged

        values = self._parse(arguments)
        given = Given(_read_settings(values.pop("settings")))
        inputs = self._paths(values, Input)
        outputs = self._paths(values, Output)
        for path in inputs:
            if not path.exists():
                raise InputError(f"{path}: no such input file")
        record = Record(self.name, given.values, inputs, outputs)
        with faults.named(inputs, outputs), record:
            check_unchanged(record.checksums)
            self.function(**values, settings=given)

    def _paths(self, values: dict[str, Any], marker: type) -> list[Path]:
        found: list[Path] = []
        for name, value in values.items():
            if isinstance(self.markers[name], marker) and value is not None:
                found += value if isinstance(value, list) else [value]
        return [path for path in found if isinstance(path, Path)]

    def _parse(self, arguments: list[str]) -> dict[str, Any]:
        import typer

        parsed: dict[str, Any] = {}

        def collect(**values: Any) -> None:
            parsed.update(values)

        defaults = inspect.signature(self.function).parameters
        parameters = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=typer.Option(
                    ...
                    if defaults[name].default is inspect.Parameter.empty
                    else defaults[name].default,
                    "--" + name.replace("_", "-"),
                    help=marker.help,
                ),
                annotation=self.types[name],
            )
            for name, marker in self.markers.items()
        ]
        parameters.append(
            inspect.Parameter(
                "settings",
                inspect.Parameter.KEYWORD_ONLY,
                default=typer.Option(
                    "config/config.yaml",
                    "--settings",
                    help="settings as JSON text, or a YAML configuration file",
                ),
                annotation=str,
            )
        )
        collect.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        collect.__annotations__ = {p.name: p.annotation for p in parameters}
        collect.__doc__ = inspect.cleandoc(sys.modules[self.function.__module__].__doc__ or "")
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command()(collect)
        app(
            self._repeat_options(arguments),
            prog_name=f"fullchain {self.name.replace('.', ' ')}",
            standalone_mode=bool({"-h", "--help"} & set(arguments)),
        )
        return parsed

    def _repeat_options(self, arguments: list[str]) -> list[str]:
        """Turn ``--jets a b`` into ``--jets a --jets b``, as Snakemake writes lists of files."""
        lists = {
            "--" + name.replace("_", "-")
            for name, kind in self.types.items()
            if list in (kind, typing.get_origin(kind))
        }
        repeated: list[str] = []
        option: str | None = None
        for word in arguments:
            if word.startswith("--"):
                option = word if word in lists else None
                repeated += [] if option else [word]
            elif option:
                repeated += [option, word]
            else:
                repeated.append(word)
        return repeated


def _read_settings(text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        try:
            return dict(json.loads(text))
        except json.JSONDecodeError as problem:
            raise InputError(f"--settings: not valid JSON: {problem}") from None
    from fullchain.settings import load

    return load(Path(text)).model_dump(mode="json")


def _imported(name: str) -> Any:
    """Import a module without the garbage collector, which would look for garbage among modules.

    Nothing of what an import makes is garbage; with torch the search takes a fifth of the time.
    """
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        gc.enable()


def _dispatch(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return
    if arguments[0] == "--version":
        from fullchain import __version__

        print(__version__)
        return
    if arguments[0] in COMMANDS:
        module = "configuration" if arguments[0] == "config" else arguments[0]
        importlib.import_module(f"fullchain.dag.{module}").main(arguments[1:])
        return
    stage, *rest = arguments
    known = steps()
    if stage not in known:
        raise InputError(f"no stage is called {stage!r}; there are {', '.join(known)}")
    if not rest or rest[0] in ("-h", "--help"):
        print(_usage(stage))
        return
    step = rest[0].replace("-", "_")
    if step not in known[stage]:
        raise InputError(
            f"no step of {stage} is called {rest[0]!r}; there are {', '.join(known[stage])}"
        )
    from fullchain.ancestors import asked_by, opened
    from fullchain.guardian import end_together

    name = f"{stage}.{step}"
    # Before the cache is asked: a Snakemake that is killed meanwhile is found no more afterwards.
    watched = opened(asked_by())

    def run() -> None:
        end_together(watched)
        Command(name, _imported(f"fullchain.{name}").main).run(rest[1:])

    if os.environ.get("FULLCHAIN_CACHE") and not {"-h", "--help"} & set(rest):
        from fullchain.caching.run import run_cached

        run_cached(name, known[stage][step], rest[1:], run)
    else:
        run()


def main() -> None:
    """Run the command line; an `InputError` ends it with a message and status 2."""
    try:
        _dispatch(sys.argv[1:])
    except InputError as problem:
        print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except Exception as problem:
        if type(problem).__module__.startswith(("click", "typer")) and hasattr(problem, "show"):
            problem.show()
            sys.exit(getattr(problem, "exit_code", 2))
        raise
