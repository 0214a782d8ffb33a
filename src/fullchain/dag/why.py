"""Say in words what would rerun, and for which reason.

Snakemake knows that the parameters of a rule differ from those recorded with its outputs. Here the
two parameters that every rule carries, the identity of its code and its settings, are taken apart:
which module, which package, which setting, before and after.
"""

import ast
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fullchain.dag.plan import needed_jobs, parse, planned, title, unfinished


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
        return title(self.rule, self.wildcards)


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


def _explain(job: Any, reason: Any, unfinished: Iterable[str]) -> Rerun:
    rerun = Rerun(job.rule.name, dict(job.wildcards_dict))
    if left := sorted(unfinished):
        # A plan goes on where a run was cut off as if these files had been asked for.
        rerun.reasons.append(f"unfinished: {', '.join(left)}")
    elif reason.forced:
        rerun.reasons.append("asked for")
    if reason.missing_output:
        rerun.reasons.append(f"missing: {', '.join(sorted(map(str, reason.missing_output)))}")
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
    """Ask Snakemake what would run and why, without running it; arguments as `plan.planned`."""
    with planned(snakefile, configfiles, targets, values) as dag:
        return [_explain(job, dag.reason(job), unfinished(dag, job)) for job in needed_jobs(dag)]


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
    chosen = parse(
        arguments, prog="fullchain why", description="Say what would rerun, and for which reason."
    )
    print(describe(reruns(*chosen)))
