"""Export a run as a Workflow Run RO-Crate, for an archive or a reader elsewhere.

What ran, on what, with which settings and code, is taken from the provenance records; see
`fullchain.dag.crate_graph` for what becomes of it.
"""

import argparse
import json
import re
from pathlib import Path
from typing import Any

from fullchain.dag.crate_archive import write_crate
from fullchain.dag.crate_files import WITH_DATA, Run, read_run
from fullchain.dag.crate_graph import About, graph
from fullchain.dag.crate_workflow import (
    CONFIGURATION,
    WorkflowSource,
    configuration,
    configuration_text,
    read_workflow,
)
from fullchain.dag.verify import Verification, records, verify
from fullchain.errors import InputError

METADATA = "ro-crate-metadata.json"
TERMS = "https://w3id.org/ro/terms/workflow-run/context"
WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
NAMED = 10
"""How many files that do not match are named in a refusal."""

_ORCID = re.compile(r"(?:https://orcid\.org/)?(\d{4}-\d{4}-\d{4}-\d{3}[\dX])")


def check(folder: Path, root: Path, found: list[dict[str, Any]], force: bool) -> Verification:
    """Compare a run with its records.

    Raises
    ------
    InputError
        Something does not match, and it is not forced.
    """
    verification = verify(folder, root, found)
    problems = verification.problems
    if problems and not force:
        shown = "\n  ".join(problems[:NAMED])
        more = f"\n  and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        raise InputError(
            f"{folder}: not all of this run is as its records say, so they would describe other "
            f"files than those packed:\n  {shown}{more}\n"
            "make it anew, say by --root where the workflow ran, or export it all the same with "
            "--force"
        )
    return verification


def metadata(entities: list[dict[str, Any]]) -> str:
    """Write the graph of a crate as JSON-LD."""
    # Imported where it is needed: it brings a client of web services.
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(TERMS)
    crate.metadata["conformsTo"] = [
        {"@id": "https://w3id.org/ro/crate/1.1"},
        {"@id": WORKFLOW_CRATE},
    ]
    root, *others = entities
    crate.root_dataset.properties().update(root)
    for entity in others:
        crate.add_jsonld(entity)
    return json.dumps(crate.metadata.generate(), indent=1, ensure_ascii=False) + "\n"


def contents(
    run: Run, source: WorkflowSource, about: About, root: Path
) -> tuple[dict[str, str], dict[str, Path]]:
    """Give the texts and the files that a crate holds, by their path in it."""
    values, origin = configuration(run.jobs)
    texts = {
        METADATA: metadata(graph(run, source, about, origin)),
        CONFIGURATION: configuration_text(values),
        "README.md": readme(about, run),
    }
    files = {**source.files, **source.package}
    files |= {job.record: root / job.record for job in run.jobs if job.record}
    files |= {file.path: root / file.path for file in run.files if file.is_packed}
    return texts, files


def readme(about: About, run: Run) -> str:
    """Write the page that says what is in the crate."""
    packed = sum(file.is_packed for file in run.files)
    return f"""# {about.name}

{about.description}

This is a Workflow Run RO-Crate of [RO-Crate 1.1](https://w3id.org/ro/crate/1.1), profile
[Provenance Run Crate 0.5](https://w3id.org/ro/wfrun/provenance/0.5), written by `fullchain crate`.
`{METADATA}` describes {len(run.jobs)} jobs and {len(run.files)} files that they read or wrote, with
their SHA-256; {packed} of these files are packed.

| path | what |
| --- | --- |
| `Snakefile`, `rules/`, `workflow/`, `config/` | the workflow |
| `src/fullchain/` | its Python package, as it was when the crate was made |
| `envs/requirements.lock` | the versions of all packages |
| `{CONFIGURATION}` | the settings of the run |
| `results/` | packed results, and beside the first file of each job its record |

To run it again:

```console
python3 envs/bootstrap.py .venv
PATH=$PWD/.venv/bin:$PATH snakemake --cores 4 --configfile {CONFIGURATION}
```
"""


def orcid(text: str) -> str:
    """Give an ORCID iD as a URL.

    Raises
    ------
    InputError
        It is none: 16 digits, of which the last is a check digit (ISO 7064, MOD 11-2).
    """
    found = _ORCID.fullmatch(text.strip())
    digits = found[1].replace("-", "") if found else ""
    total = 0
    for digit in digits[:-1]:
        total = (total + int(digit)) * 2
    expected = (12 - total % 11) % 11
    if not found or digits[-1] != ("X" if expected == 10 else str(expected)):
        raise InputError(f"--agent-orcid {text}: not an ORCID iD, such as 0000-0002-1825-0097")
    return f"https://orcid.org/{found[1]}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fullchain crate",
        description="Export a run as a Workflow Run RO-Crate (profile Provenance Run Crate 0.5).",
    )
    parser.add_argument("folder", type=Path, help="folder of the run, results/<run>")
    parser.add_argument(
        "--to", type=Path, help="FILE.zip or a new folder; default: <run>.crate.zip"
    )
    parser.add_argument(
        "--root", type=Path, default=Path(), help="folder that the workflow ran in; default: this"
    )
    parser.add_argument(
        "--with-data",
        choices=WITH_DATA,
        default="figures",
        help="what is packed of the results: nothing; the report, figures, tables and numbers "
        "(the default); or everything. What is not is named with checksum and size",
    )
    parser.add_argument(
        "--configfile", type=Path, nargs="+", default=[], help="configuration files to pack as well"
    )
    parser.add_argument("--name", help="title; default: fullchain run <run>")
    parser.add_argument("--description", help="what was run and why")
    parser.add_argument("--license", default="", help="URL of the licence of the results")
    parser.add_argument("--agent-name", default="", help="who ran it; default: nobody is named")
    parser.add_argument("--agent-orcid", default="", help="the ORCID iD of whoever ran it")
    parser.add_argument(
        "--force", action="store_true", help="export although files differ from their records"
    )
    return parser


def _about(chosen: argparse.Namespace, problems: list[str]) -> About:
    if chosen.agent_orcid and not chosen.agent_name:
        raise InputError("--agent-orcid: say the name, too: --agent-name 'Josiah Carberry'")
    if chosen.license and "://" not in chosen.license:
        raise InputError(
            f"--license {chosen.license}: give its URL, such as https://spdx.org/licenses/CC-BY-4.0"
        )
    run = chosen.folder.resolve().name
    description = chosen.description or f"The run {run} of fullchain, with all its jobs."
    if problems:
        description += (
            f" {len(problems)} files were not as recorded when this was made; none of them is "
            "packed: " + "; ".join(problems)
        )
    return About(
        chosen.name or f"fullchain run {run}",
        description,
        chosen.license,
        chosen.agent_name,
        orcid(chosen.agent_orcid) if chosen.agent_orcid else "",
    )


def main(arguments: list[str]) -> None:
    """Run ``fullchain crate``."""
    chosen = _parser().parse_args(arguments)
    if not chosen.folder.is_dir():
        raise InputError(f"{chosen.folder}: no such folder; give that of a run, results/<run>")
    found = records(chosen.folder)
    verification = check(chosen.folder, chosen.root, found, chosen.force)
    about = _about(chosen, verification.problems)
    source = read_workflow(chosen.root, chosen.configfile)
    run = read_run(found, chosen.root, chosen.with_data, verification.checksums)
    texts, files = contents(run, source, about, chosen.root)
    target = chosen.to or Path(f"{chosen.folder.resolve().name}.crate.zip")
    write_crate(target, texts, files)
    packed = sum(file.is_packed for file in run.files)
    print(f"{target}: {len(run.jobs)} jobs, {len(run.files)} files, {packed} of them packed")
    for problem in verification.problems:
        print(f"does not match: {problem}")
