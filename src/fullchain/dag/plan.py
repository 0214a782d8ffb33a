"""What Snakemake plans to do, found by a dry run that prints nothing."""

import argparse
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fullchain.errors import InputError

Chosen = tuple[Path, list[Path], list[str], dict[str, Any]]
"""Snakefile, configuration files, targets, and values as those of ``--config``."""


def parse(arguments: list[str], *, prog: str, description: str) -> Chosen:
    """Read the command line of a command about the workflow.

    Raises
    ------
    InputError
        A file is not there.
    """
    parser = argparse.ArgumentParser(prog=prog, description=description)
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

    return chosen.snakefile, chosen.configfiles, chosen.targets, parse_config(chosen.config)


@contextmanager
def planned(
    snakefile: Path, configfiles: list[Path], targets: list[str], values: Mapping[str, Any]
) -> Iterator[Any]:
    """Give the DAG of Snakemake after a dry run, for a block.

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
            dag_api = workflow.dag(
                # Else what a killed run left half done would forbid to look at it.
                DAGSettings(targets=set(targets), force_incomplete=True)
            )
            dag_api.execute_workflow(executor="local", pseudo_executor="dryrun")
        except Exception as problem:
            api.print_exception(problem)
            raise InputError("the workflow cannot be planned; see above") from None
        yield workflow._workflow.dag


def in_order(dag: Any) -> list[Any]:
    """Give all jobs that write something, each after those whose output it reads."""
    return [job for level in dag.toposorted() for job in sorted(level, key=str) if job.output]


def needed_jobs(dag: Any) -> list[Any]:
    """Give the jobs that would run, in their order."""
    # The dry run has marked every job as finished.
    needed = set(dag.needrun_jobs(exclude_finished=False))
    return [job for job in in_order(dag) if job in needed]


def unfinished(dag: Any, job: Any) -> set[str]:
    """Give the outputs of a job that are there, and marked as begun and not as ended."""
    there = [str(path) for path in job.output if Path(path).exists()]
    return set(dag.workflow.persistence._filter_incomplete_keys(there))


def title(rule: str, wildcards: Mapping[str, str]) -> str:
    """Name a job: the rule and its wildcards."""
    marks = ", ".join(f"{name}={value}" for name, value in wildcards.items())
    return f"{rule} ({marks})" if marks else rule
