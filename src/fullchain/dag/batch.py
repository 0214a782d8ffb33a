"""Resources of rules under the names that an executor reads, and what is too short for a batch job.

Rules state ``mem_mb``, ``runtime`` [min] and ``gpu``. The executor of HTCondor reads none of them,
and that of Kubernetes takes ``gpu=0`` for a wish for a GPU. A profile says which names it wants by
giving them a default; here every rule gets its own value under these names.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

# Name of an executor's resource: the rule's own, and by what it is multiplied.
# MaxRuntime is read at CERN, RequestRuntime at DESY, allowed_execute_duration by HTCondor itself.
FORWARDED = {
    "htcondor_request_mem_mb": ("mem_mb", 1),
    "allowed_execute_duration": ("runtime", 60),
    "classad_MaxRuntime": ("runtime", 60),
    "classad_RequestRuntime": ("runtime", 60),
    "request_gpus": ("gpu", 1),
}
# What the executor of Kubernetes may find beside a GPU only.
ONLY_WITH_GPU = ("gpu", "gpu_manufacturer")
# Jobs of one group run one after another: each takes the only slot.
SLOT = "slot"
# Rules of some seconds, which run beside the driver: a scheduler takes longer to start them.
SHORT = ("ntuples_manifest", "tagging_tables", "paper_collect", "paper_figures", "paper_report")
SHORT_ENDINGS = ("_tabulate", "_plot")


def adapt(workflow: Any) -> None:
    """Fit the rules of Snakemake's workflow, which are all there by now, to a batch system.

    Without a profile for one nothing changes.
    """
    rules = list(workflow.rules)
    workflow.localrules(*short(rule.name for rule in rules))
    # Snakemake has read the groups only when it asks for resources.
    length = partial(group_length, lambda: workflow.group_settings)
    forward(rules, workflow.resource_settings.default_resources or (), length)


def short(names: Iterable[str]) -> list[str]:
    """Give those of the rules that are too short for a batch job."""
    return [name for name in names if name in SHORT or name.endswith(SHORT_ENDINGS)]


def group_length(settings: Callable[[], Any], rule: str) -> int | None:
    """Give the largest number of jobs in the group of a rule; None if it has no group."""
    groups = settings().overwrite_groups
    group = groups.get(rule)
    if group is None:
        return None
    parts: int = settings().group_components.get(group, 1)
    return parts * list(groups.values()).count(group)


def forward(
    rules: Iterable[Any], wanted: Iterable[str], length: Callable[[str], int | None]
) -> None:
    """Give rules the resources that a profile wants, under the executor's names.

    Times of a rule in a group are those of all jobs of the group, one after another: Snakemake adds
    up ``runtime``, but of other resources it takes the largest.

    Parameters
    ----------
    rules
        Snakemake's rules, which are changed.
    wanted
        Names of the resources that the profile gives a default for.
    length
        Number of jobs in the group of a rule, None without one; asked when a job is submitted.
    """
    wanted = set(wanted)
    for rule in rules:
        rule.resources[SLOT] = _slot(length)
        for name in wanted & FORWARDED.keys():
            source, factor = FORWARDED[name]
            given = rule.resources.get(source)
            if given is not None:
                together = length if source == "runtime" else None
                rule.resources[name] = _scaled(given, factor, together)
        if "gpu_manufacturer" in wanted:
            gpu = rule.resources.get("gpu")
            for name in ONLY_WITH_GPU:
                rule.resources[name] = _where(gpu, rule.resources.get(name))


def _slot(length: Callable[[str], int | None]) -> Callable[..., int | None]:
    """Give the slot of a job in a group."""

    # The names of the arguments tell Snakemake what to pass.
    def value(wildcards: Any, rulename: str) -> int | None:
        return None if length(rulename) is None else 1

    return value


def _scaled(
    resource: Any, factor: int, length: Callable[[str], int | None] | None = None
) -> Callable[..., Any]:
    """Give a multiple of a resource; zero becomes nothing at all."""

    def value(
        wildcards: Any, input: Any, attempt: int, threads: int, rulename: str, async_run: Any
    ) -> Any:
        found = resource.evaluate(
            wildcards,
            input=input,
            attempt=attempt,
            threads=threads,
            rulename=rulename,
            async_run=async_run,
        ).value
        # A string stands for what is not known before the inputs are there.
        if not isinstance(found, int):
            return found
        together = length(rulename) if length is not None else None
        return found * factor * (together or 1) or None

    return value


def _where(condition: Any, resource: Any) -> Callable[..., Any]:
    """Give a resource where another is neither zero nor nothing."""

    def value(
        wildcards: Any, input: Any, attempt: int, threads: int, rulename: str, async_run: Any
    ) -> Any:
        given = (wildcards, input, attempt, threads, rulename, async_run)
        wanted = condition is not None and _scaled(condition, 1)(*given)
        return _scaled(resource, 1)(*given) if wanted and resource is not None else None

    return value
