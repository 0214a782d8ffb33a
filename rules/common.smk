# What every rule uses: the checked configuration, the identity of code and settings, and paths.
import sys
from pathlib import Path

from fullchain.dag import (
    batch,
    closure,
    failures,
    locks,
    parts as dag_parts,
    shared_folders,
)
from fullchain.errors import InputError
from fullchain.guardian import announce
from fullchain.ntuples.sources import part_names
from fullchain.setting_files import merge, read_files
from fullchain.settings import validate
from fullchain.warm_start import driver as warm_start
from snakemake.exceptions import WorkflowError
from snakemake.settings.types import ExecMode, SharedFSUsage

# A name of its own, because `report` at the start of a line is a keyword here.
in_report = report


def checked_configuration():
    """Validate the configuration before any rule exists, and fill in all defaults.

    The files are read again and laid over each other by fullchain's own rules, which refuse a key
    that stands twice and know that a sample of another kind replaces the default one.
    """
    given = workflow.config_settings
    overlays = [Path(file) for file in given.configfiles]
    bases = [Path(file) for file in workflow.configfiles if Path(file) not in overlays]
    files = [*bases, *overlays]
    try:
        values = merge(read_files(files), given.config or {})
        return validate(values, ", ".join(map(str, files)))
    except InputError as problem:
        raise WorkflowError(str(problem))


CONFIG = checked_configuration()
# Steps end when the process that started them does.
announce()
# Held open until Snakemake ends; the Snakemake inside a job on a cluster takes none.
if workflow.exec_mode == ExecMode.DEFAULT:
    LOCK = locks.take(Path(".snakemake"))
VALUES = CONFIG.model_dump(mode="json")
RESULTS = f"results/{CONFIG.run}"
# Files for use elsewhere that no report shows, which stages add and a whole run makes.
EXPORTED = []


onstart:
    refuse_unshared_folder()
    # With FULLCHAIN_WARM=1 jobs on this machine are forked from a process that has imported much.
    warm_start.start_for(workflow)


wildcard_constraints:
    sample=r"[A-Za-z0-9_]+",
    part=r"\d{4}\d*",
    tagger=r"[A-Za-z0-9_]+",
    variant=r"[A-Za-z0-9_]+",
    member=r"fold\d+_seed\d+",


def refuse_unshared_folder():
    """End a run on a batch system whose jobs would not see the working folder."""
    executor = workflow.executor_plugin
    if workflow.exec_mode != ExecMode.DEFAULT or executor.common_settings.local_exec:
        return
    shared = SharedFSUsage.INPUT_OUTPUT in workflow.storage_settings.shared_fs_usage
    try:
        shared_folders.refuse_unshared(Path.cwd(), executor.name, shared)
    except InputError as problem:
        raise WorkflowError(str(problem))


def code(step):
    """The identity of a step's code: its import closure (see docs/architecture.md)."""
    return closure.code(step)


def settings(*paths):
    """The settings at these dotted paths, as JSON text for the command line."""
    return dag_parts.text(VALUES, *paths)


def generation_settings(sample, part, *paths, without=()):
    """The settings of one part of a generated sample, but for the keys that do not matter to it.

    Of the number of events only what this part needs is passed: with more events a sample gets
    more parts, and the ones that are there stay as they are.
    """
    path = f"ntuples.samples.{sample}"
    chosen = dag_parts.part(VALUES, "seed", path, *paths)
    values = chosen["ntuples"]["samples"][sample]
    enough = (int(part) + 1) * values["events_per_job"]
    values = values | {"events": min(values["events"], enough)}
    chosen["ntuples"]["samples"][sample] = {
        key: value for key, value in values.items() if key not in without
    }
    return dag_parts.text(chosen, *chosen)


def memory(megabytes):
    """Memory of a job [MB]: a repetition, where a profile allows any, gets as much more."""
    return lambda wildcards, attempt: megabytes * attempt


def minutes(number):
    """Time of a job [min]: a repetition, where a profile allows any, gets as much more."""
    return lambda wildcards, attempt: number * attempt


def result(path):
    return f"{RESULTS}/{path}"


def log_of(rule, wildcards="all"):
    """The log of a rule; wildcards, where it has any, tell its jobs apart."""
    return result(f"logs/{rule}/{wildcards}.log")


def bench_of(rule, wildcards="all"):
    """The table of run time and memory of a rule."""
    return result(f"benchmarks/{rule}/{wildcards}.tsv")


def samples(kind=None):
    return [
        name
        for name, sample in CONFIG.ntuples.samples.items()
        if kind in (None, sample.kind)
    ]


def converted_samples(yes=True):
    """Ingested samples whose files are no ROOT files: a rule makes ROOT files of them."""
    chosen = CONFIG.ntuples.samples
    return [name for name in samples("ingested") if chosen[name].is_converted == yes]


def clustered_samples():
    """Samples whose particles become jets: all but tables of observables."""
    chosen = CONFIG.ntuples.samples
    tables = [name for name in samples("ingested") if chosen[name].is_table]
    return [name for name in samples() if name not in tables]


def parts(sample):
    """Names of the parts that a sample is made or read in, one job each."""
    try:
        return part_names(CONFIG.ntuples.samples[sample])
    except InputError as problem:
        raise WorkflowError(f"ntuples.samples.{sample}: {problem}")


def part_files(pattern, sample):
    """One path for each part of a sample; the pattern holds {sample} and {part}."""
    return [result(pattern.format(sample=sample, part=part)) for part in parts(sample)]


def scores_of(name, sample):
    """The scores of a tagger, or of a decorrelated classifier, for a sample."""
    decorrelated = CONFIG.decorrelation and name in CONFIG.decorrelation.variants
    stage = "decorrelation" if decorrelated else "tagging"
    return result(f"{stage}/{name}/scores/{sample}.parquet")


def figures(stage, names):
    """The PDF files of a stage's figures."""
    return [result(f"{stage}/figures/{name}.pdf") for name in names]


def report_figures(stage, names):
    """The PNG files of a stage's figures, marked for `snakemake --report`."""
    caption = f"../workflow/report/{stage}.rst"
    paths = [result(f"{stage}/figures/{name}.png") for name in names]
    return [in_report(path, caption=caption, category=stage) for path in paths]
