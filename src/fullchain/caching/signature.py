"""The command line of a step, read from its source: the step and its libraries are not imported.

`fullchain.cli.Command` makes the command line from the function; this says the same of the text, as
far as the workflow uses it. Whatever is written in another way is not cached, and left to `Command`
to run or to refuse.
"""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

KINDS = ("Input", "Output", "Option")


class NotUnderstood(Exception):
    """The command line of a step, or an argument, is written in another way than expected."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a step.

    Parameters
    ----------
    kind
        Input, Output or Option.
    is_list
        Whether it takes several values.
    is_flag
        Whether it takes none.
    is_required
        Whether it has no default.
    """

    kind: str
    is_list: bool
    is_flag: bool
    is_required: bool


def parameters(source: Path) -> dict[str, Parameter]:
    """Read the parameters of the `main` of a step, but for the settings.

    Raises
    ------
    NotUnderstood
        The file has no such function, or one whose annotations are not written out.
    """
    tree = ast.parse(source.read_bytes())
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name == "main":
            named = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
            return {
                one.arg: _parameter(one, default is None)
                for one, default in named
                if not (isinstance(one.annotation, ast.Name) and one.annotation.id == "Given")
            }
    raise NotUnderstood(f"{source} has no function main")


def _parameter(argument: ast.arg, is_required: bool) -> Parameter:
    match argument.annotation:
        case ast.Subscript(
            value=ast.Name(id="Annotated"),
            slice=ast.Tuple(elts=[kind, ast.Call(func=ast.Name(id=marker)), *_]),
        ) if marker in KINDS:
            words = {one.id for one in ast.walk(kind) if isinstance(one, ast.Name)}
            return Parameter(marker, "list" in words, "bool" in words, is_required)
    raise NotUnderstood(f"the parameter {argument.arg} is not Annotated[..., {' | '.join(KINDS)}]")


def arguments(known: Mapping[str, Parameter], words: Sequence[str]) -> dict[str, list[str]]:
    """Sort the words of a command line by parameter; ``settings`` is one of them.

    Raises
    ------
    NotUnderstood
        An option is not known or is given twice, or has too few or too many values.
    """
    names = {"--" + name.replace("_", "-"): name for name in [*known, "settings"]}
    found: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            name = names.get(word)
            if name is None or name in found:
                raise NotUnderstood(f"the option {word}")
            values = found.setdefault(name, [])
        elif found:
            values.append(word)
        else:
            raise NotUnderstood(f"the argument {word}")
    for name, values in found.items():
        one = known.get(name)
        if one is not None and not one.is_list and len(values) != (0 if one.is_flag else 1):
            raise NotUnderstood(f"the option --{name}")
    missing = [name for name, one in known.items() if one.is_required and name not in found]
    if missing or len(found.get("settings", [])) != 1:
        raise NotUnderstood(f"no option --{(missing or ['settings'])[0]}")
    return found
