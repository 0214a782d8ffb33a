"""Which steps are cached: those that read and write nothing but what they declare."""

import ast
import importlib
import inspect
import json
from pathlib import Path

import pytest

from fullchain import cli
from fullchain.caching import policy, signature
from fullchain.dag.closure import PACKAGE_FOLDER, code

STEPS = {
    f"{stage}.{step}": source
    for stage, modules in cli.steps().items()
    for step, source in modules.items()
}


def modules(step: str) -> set[str]:
    return set(json.loads(code(step))["modules"])


def test_every_exception_is_a_step() -> None:
    named = [policy.NOT_CACHED, policy.PROGRAMS, policy.PACKAGES]
    assert {name for some in [*named, policy.WITHOUT_EFFECT] for name in some} <= set(STEPS)


def test_options_without_effect_exist() -> None:
    for step, options in policy.WITHOUT_EFFECT.items():
        known = signature.parameters(STEPS[step])
        assert all(known[option].kind == "Option" for option in options)


def test_steps_that_read_sources_are_not_cached() -> None:
    """Files that settings name are opened by the steps of ingested samples only."""
    opening = {
        step for step in STEPS if {"fullchain.ntuples.sources"} & set(imported_by(STEPS[step]))
    }
    assert opening
    assert opening <= set(policy.NOT_CACHED)


def test_steps_that_write_submissions_are_not_cached() -> None:
    """A submission is an archive and a folder, which the signature does not have."""
    writing = {step for step in STEPS if "fullchain.hepdata_submission" in modules(step)}
    assert writing
    assert writing <= set(policy.NOT_CACHED)


def test_steps_that_run_programs_say_which() -> None:
    """Whoever runs a program is in one of the lists; the modules are found by `subprocess`."""
    running = {
        name_of(source)
        for source in sources()
        if source.parent != PACKAGE_FOLDER and "import subprocess" in source.read_text()
    }
    # The programs of a batch system: where a step runs changes no result.
    running.remove("fullchain.jets.dask_cluster")
    assert running
    listed = {*policy.NOT_CACHED, *policy.PROGRAMS, *policy.PACKAGES}
    assert {step for step in STEPS if running & modules(step)} <= listed


def test_steps_that_read_files_beside_their_inputs_are_not_cached() -> None:
    """Files that an input names and no option does: the key has manifests' alone."""
    reading = {name_of(source) for source in sources() if reads_beside(source)}
    assert {"fullchain.paper.records", "fullchain.inference.combine_reader"} <= reading
    # What manifests list is in the key; an index of figures names them without a folder.
    reading = reading - {"fullchain.ntuples.manifests"} | {"fullchain.paper.indexes"}
    assert {step for step in STEPS if reading & modules(step)} <= set(policy.NOT_CACHED)


def sources() -> list[Path]:
    """Source files of the stages and of what they share."""
    found = [*PACKAGE_FOLDER.glob("*.py"), *PACKAGE_FOLDER.glob("*/*.py")]
    return [source for source in found if source.parent.name not in ("dag", "caching")]


def name_of(source: Path) -> str:
    return ".".join(["fullchain", *source.relative_to(PACKAGE_FOLDER).with_suffix("").parts])


def reads_beside(source: Path) -> bool:
    """Whether a file reads records, or joins a name to the folder of a file that it was given."""
    if "fullchain.provenance.read_record" in imported_by(source):
        return True
    return any(
        isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Div)
        and isinstance(node.left, ast.Attribute)
        and node.left.attr == "parent"
        and "__file__" not in ast.unparse(node.left)
        for node in ast.walk(ast.parse(source.read_bytes()))
    )


@pytest.mark.slow
@pytest.mark.parametrize("stage", sorted(cli.steps()))
def test_the_text_of_a_step_says_what_its_function_does(stage: str) -> None:
    for step, source in cli.steps()[stage].items():
        function = importlib.import_module(f"fullchain.{stage}.{step}").main
        command = cli.Command(f"{stage}.{step}", function)
        read = signature.parameters(source)
        assert {name: one.kind for name, one in read.items()} == {
            name: type(marker).__name__ for name, marker in command.markers.items()
        }
        defaults = inspect.signature(function).parameters
        for name, one in read.items():
            kind = str(command.types[name])
            assert one.is_list is ("list[" in kind)
            assert one.is_flag is (command.types[name] is bool)
            assert one.is_required is (defaults[name].default is inspect.Parameter.empty)


def imported_by(source: Path) -> list[str]:
    tree = ast.parse(source.read_bytes())
    return [
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for name in (node.module or "", *(f"{node.module}.{one.name}" for one in node.names))
    ]


def test_a_signature_that_is_not_written_out_is_refused(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    source = tmp_path_factory.mktemp("odd") / "step.py"
    source.write_text("def main(\n    *,\n    jets: Files,\n    settings: Given,\n): ...\n")
    with pytest.raises(signature.NotUnderstood, match="jets"):
        signature.parameters(source)
    source.write_text("x = 1\n")
    with pytest.raises(signature.NotUnderstood, match="no function main"):
        signature.parameters(source)
