"""Say in words what would rerun, and for which reason.

Snakemake knows that the parameters of a rule differ from those recorded with its outputs. Here the
two parameters that every rule carries, the identity of its code and its settings, are taken apart:
which module, which package, which setting, before and after.
"""

import argparse
import ast
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fullchain.errors import InputError


@dataclass
class Rerun:
    """A job that would run, and why.

    Parameters
    ----------
    rule, wildcards
        Which job.
    reasons
        One line each.
    after
        Rules whose new output it reads, when that is a reason.
    """

    rule: str
    wildcards: dict[str, str]
    reasons: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    def title(self) -> str:
        """Name the job: the rule and its wildcards."""
        marks = ", ".join(f"{name}={value}" for name, value in self.wildcards.items())
        return f"{self.rule} ({marks})" if marks else self.rule


def flatten(values: Any, path: str = "") -> dict[str, Any]:
    """Give the leaves of a nested mapping by their dotted path."""
    if not isinstance(values, Mapping) or not values:
        return {path: values}
    leaves: dict[str, Any] = {}
    for key, value in values.items():
        leaves |= flatten(value, f"{path}.{key}" if path else str(key))
    return leaves


def _show(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], what: str) -> list[str]:
    lines = []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            lines.append(f"{what} {name} is gone (was {_show(old[name])})")
        elif name not in old:
            lines.append(f"{what} {name} is new: {_show(new[name])}")
        elif old[name] != new[name]:
            lines.append(f"{what} {name}: {_show(old[name])} -> {_show(new[name])}")
    return lines


def _code_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    before, after = old["modules"], new["modules"]
    lines = [f"module {name} changed" for name in sorted(before.keys() & after.keys())
             if before[name] != after[name]]  # fmt: skip
    lines += [f"module {name} is imported now" for name in sorted(after.keys() - before.keys())]
    lines += [
        f"module {name} is no longer imported" for name in sorted(before.keys() - after.keys())
    ]
    return lines + _differences(old["packages"], new["packages"], "package")


def _decode(representation: str) -> Any:
    """Undo what Snakemake records of a parameter: its `repr`, here of JSON text."""
    try:
        value = ast.literal_eval(representation)
        return json.loads(value) if isinstance(value, str) and value.startswith("{") else value
    except (ValueError, SyntaxError):
        return representation


def explain_parameters(old: Iterable[str], new: Iterable[str]) -> list[str]:
    """Turn recorded and present parameters into lines.

    Parameters
    ----------
    old, new
        Representations, as Snakemake records them, that stand on one side only.

    Returns
    -------
    list of str
        One line for each module, package or setting that differs.
    """
    lines: list[str] = []
    sides = []
    for representations in (old, new):
        code: dict[str, Any] = {"modules": {}, "packages": {}}
        settings: dict[str, Any] = {}
        others: list[str] = []
        for representation in representations:
            value = _decode(representation)
            if isinstance(value, dict) and {"step", "modules", "packages"} <= value.keys():
                code = value
            elif isinstance(value, dict):
                settings |= flatten(value)
            else:
                others.append(str(value))
        sides.append((code, settings, others))
    (old_code, old_settings, old_others), (new_code, new_settings, new_others) = sides
    lines += _differences(old_settings, new_settings, "setting")
    lines += _code_differences(old_code, new_code)
    if old_others or new_others:
        lines.append(f"parameter: {', '.join(old_others) or '-'} -> {', '.join(new_others) or '-'}")
    return lines


def _explain(job: Any, reason: Any) -> Rerun:
    rerun = Rerun(job.rule.name, dict(job.wildcards_dict))
    if reason.forced:
        rerun.reasons.append("asked for")
    if reason.missing_output:
        rerun.reasons.append(f"missing: {', '.join(sorted(map(str, reason.missing_output)))}")
    if reason.incomplete_output:
        rerun.reasons.append(f"unfinished: {', '.join(sorted(map(str, reason.incomplete_output)))}")
    changed = set(map(str, reason.updated_input)) - set(map(str, reason.updated_input_run))
    if changed:
        rerun.reasons.append(f"changed input: {', '.join(sorted(changed))}")
    if reason.params_changed:
        change = reason.params_changed
        rerun.reasons += explain_parameters(change.only_old, change.only_new)
    if reason.input_changed:
        rerun.reasons.append("the list of input files changed")
    if reason.code_changed:
        rerun.reasons.append("the command of the rule changed")
    if reason.updated_input_run:
        rerun.reasons.append("after new input")
    return rerun


def reruns(
    snakefile: Path, configfiles: list[Path], targets: list[str], values: Mapping[str, Any]
) -> list[Rerun]:
    """Ask Snakemake what would run and why, without running it.

    Parameters
    ----------
    snakefile
        The workflow.
    configfiles, values
        As ``--configfile`` and ``--config``.
    targets
        Files or rules; empty for the default.

    Raises
    ------
    InputError
        Snakemake cannot build the DAG; its own message stands above.
    """
    from snakemake.api import SnakemakeApi
    from snakemake.settings.enums import Quietness
    from snakemake.settings.types import (
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        ResourceSettings,
    )

    quiet = OutputSettings(
        dryrun=True, quiet={Quietness.ALL}, nocolor=True, log_level_override=logging.ERROR
    )
    with SnakemakeApi(quiet) as api:
        try:
            workflow = api.workflow(
                resource_settings=ResourceSettings(cores=1),
                config_settings=ConfigSettings(configfiles=configfiles, config=dict(values)),
                snakefile=snakefile,
            )
            dag_api = workflow.dag(DAGSettings(targets=set(targets)))
            dag_api.execute_workflow(executor="local", pseudo_executor="dryrun")
        except Exception as problem:
            api.print_exception(problem)
            raise InputError("the workflow cannot be planned; see above") from None
        dag = workflow._workflow.dag
        return [_explain(job, dag.reason(job)) for job in _toposorted(dag)]


def _toposorted(dag: Any) -> list[Any]:
    # The dry run has marked every job as finished.
    needed = set(dag.needrun_jobs(exclude_finished=False))
    return [
        job
        for level in dag.toposorted()
        for job in sorted(level, key=str)
        if job in needed and job.output
    ]


def describe(found: list[Rerun]) -> str:
    """Write the jobs that would run as text: first the causes, then what follows from them."""
    if not found:
        return "Nothing would rerun: everything is there and up to date."
    causes = [rerun for rerun in found if rerun.reasons != ["after new input"]]
    followers = [rerun for rerun in found if rerun.reasons == ["after new input"]]
    lines: list[str] = []
    groups: dict[tuple[str, tuple[str, ...]], list[Rerun]] = {}
    for rerun in causes:
        groups.setdefault((rerun.rule, tuple(rerun.reasons)), []).append(rerun)
    for (rule, reasons), jobs in groups.items():
        lines.append(jobs[0].title() if len(jobs) == 1 else f"{rule} ({len(jobs)} jobs)")
        lines += [f"    {reason}" for reason in reasons if reason != "after new input"]
    if followers:
        counts: dict[str, int] = {}
        for rerun in followers:
            counts[rerun.rule] = counts.get(rerun.rule, 0) + 1
        names = [rule if n == 1 else f"{rule} ({n} jobs)" for rule, n in counts.items()]
        lines.append(f"and after them: {', '.join(names)}")
    return "\n".join(lines)


def main(arguments: list[str]) -> None:
    """Run ``fullchain why``."""
    parser = argparse.ArgumentParser(
        prog="fullchain why", description="Say what would rerun, and for which reason."
    )
    parser.add_argument("targets", nargs="*", help="files or rules; all when left out")
    parser.add_argument("--snakefile", type=Path, default=Path("Snakefile"))
    parser.add_argument("--configfile", type=Path, nargs="+", default=[], dest="configfiles")
    parser.add_argument("--config", nargs="+", default=[], metavar="KEY=VALUE")
    chosen = parser.parse_args(arguments)
    if not chosen.snakefile.is_file():
        raise InputError(f"{chosen.snakefile}: no such file; run this in the project's folder")
    for file in chosen.configfiles:
        if not file.is_file():
            raise InputError(f"{file}: no such configuration file")
    from snakemake.cli import parse_config

    values = parse_config(chosen.config)
    print(describe(reruns(chosen.snakefile, chosen.configfiles, chosen.targets, values)))
