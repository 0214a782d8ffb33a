"""Draw docs/dag.svg from the rules of the default configuration.

.venv/bin/python docs/_hooks/dag_picture.py
"""

from pathlib import Path
from typing import Any

from snakemake.api import SnakemakeApi
from snakemake.settings.enums import Quietness
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

from fullchain.atomic import write_text
from fullchain.cli import steps
from fullchain.paper.graph import Node, draw

PROJECT = Path(__file__).resolve().parents[2]


def plan() -> Any:
    """Let Snakemake plan the default configuration, and give its DAG."""
    output = OutputSettings(dryrun=True, quiet={Quietness.ALL}, nocolor=True)
    with SnakemakeApi(output) as api:
        workflow = api.workflow(
            resource_settings=ResourceSettings(cores=1),
            config_settings=ConfigSettings(),
            snakefile=PROJECT / "Snakefile",
            workdir=PROJECT,
        )
        dag = workflow.dag(DAGSettings())
        dag.execute_workflow(executor="local", pseudo_executor="dryrun")
        return workflow._workflow.dag


def once_for(wildcards: frozenset[str]) -> str:
    """Say how often a rule runs."""
    if {"sample", "part"} <= wildcards:
        return "for each part"
    return "for each " + ", ".join(sorted(wildcards)) if wildcards else ""


def nodes(dag: Any) -> list[Node]:
    """Give the rules that are steps, each after those that it reads from."""
    after: dict[str, set[str]] = {}
    wildcards: dict[str, frozenset[str]] = {}
    order: list[str] = []
    for level in dag.toposorted():
        for job in sorted(level, key=lambda job: job.rule.name):
            name = job.rule.name
            wildcards[name] = frozenset(job.rule.wildcard_names)
            after.setdefault(name, set()).update(d.rule.name for d in dag.dependencies[job])
            if name not in order:
                order.append(name)
    known = {f"{stage}_{step}" for stage, modules in steps().items() for step in modules}
    found: list[Node] = []
    placed: set[str] = set()
    waiting = [name for name in order if name in known]
    # Rules with wildcards stand on several levels: each waits until all that it reads are placed.
    while waiting:
        ready = next(name for name in waiting if (after[name] - {name}) & set(waiting) <= {name})
        waiting.remove(ready)
        placed.add(ready)
        stage, _, step = ready.partition("_")
        parents = tuple(sorted(p.replace("_", ".", 1) for p in after[ready] & (placed - {ready})))
        found.append(Node(stage, step, once_for(wildcards[ready]), parents))
    return found


if __name__ == "__main__":
    write_text(PROJECT / "docs" / "dag.svg", draw(nodes(plan()), standalone=True))
