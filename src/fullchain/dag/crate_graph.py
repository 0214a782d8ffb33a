"""The graph of a crate: a run as entities of RO-Crate 1.1.

It follows the Provenance Run Crate profile 0.5 (https://w3id.org/ro/wfrun/provenance/0.5) of
S. Leo et al., "Recording provenance of workflow runs with RO-Crate", PLoS ONE 19 (2024) e0309210:
the Snakefile is the workflow, each ``fullchain <stage> <step>`` a tool with a place among its
steps, each job an action of a tool, and Snakemake the engine that organised them.
"""

from dataclasses import dataclass
from urllib.parse import quote

from fullchain.dag.crate_entities import (
    Entity,
    Shared,
    file_entity,
    is_local,
    moment,
    named,
    reference,
)
from fullchain.dag.crate_files import Run, RunFile, RunJob
from fullchain.dag.crate_tools import LANGUAGE, PACKAGE, WORKFLOW, Tools
from fullchain.dag.crate_workflow import CONFIGURATION, WorkflowSource

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/provenance/0.5": ("Provenance Run Crate", "0.5"),
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": ("Workflow RO-Crate", "1.0"),
}
ENGINE, DOCUMENTATION = "https://snakemake.github.io", "https://snakemake.readthedocs.io"
SECONDS = "https://qudt.org/vocab/unit/SEC"
COMPLETED = "http://schema.org/CompletedActionStatus"
RUN, ORGANISATION, OPERATOR = "#run", "#organisation", "#operator"


@dataclass(frozen=True)
class About:
    """What the user says about a run.

    Parameters
    ----------
    name, description
        Title, and a sentence or two.
    licence
        URL of the licence of the results; empty where it is not stated.
    agent, orcid
        Who ran it: a name and the URL of an ORCID iD; empty where nobody is named.
    """

    name: str
    description: str
    licence: str = ""
    agent: str = ""
    orcid: str = ""


def graph(run: Run, source: WorkflowSource, about: About, origin: str) -> list[Entity]:
    """Give the entities of a run, the root of the crate first.

    Parameters
    ----------
    run
        Jobs and files.
    source
        The workflow.
    about
        What the user says.
    origin
        Where the packed configuration comes from, a sentence.
    """
    return _Graph(run, source, about, origin).entities()


class _Graph:
    def __init__(self, run: Run, source: WorkflowSource, about: About, origin: str) -> None:
        self.run, self.source, self.about, self.origin = run, source, about, origin
        self.shared = Shared()
        self.tools = Tools(run, source, self.shared)
        self.span = {
            "startTime": min(moment(job.job.started) for job in run.jobs),
            "endTime": max(moment(job.job.started, job.job.duration) for job in run.jobs),
        }
        self.agent = self._agent()

    def entities(self) -> list[Entity]:
        files = [self._file(file) for file in self.run.files]
        files += [_record(job) for job in self.run.jobs if job.record]
        profiles = [
            named(identifier, "CreativeWork", name, version=version)
            for identifier, (name, version) in PROFILES.items()
        ]
        return [
            self._root([file["@id"] for file in files]),
            *profiles,
            self.tools.workflow(),
            *self.tools.steps(),
            *self.tools.parameters(),
            *self._engine(),
            self._run(),
            *(one for job in self.run.jobs for one in self._job(job)),
            *files,
            *self._source_files(),
            *self.shared.entities.values(),
        ]

    def _root(self, files: list[str]) -> Entity:
        actions = [RUN, *(_action(job) for job in self.run.jobs), ORGANISATION]
        source = [*map(quote, self.source.files), PACKAGE, CONFIGURATION, "README.md"]
        return named(
            "./",
            "Dataset",
            self.about.name,
            description=self.about.description,
            datePublished=self.span["endTime"],
            license={"@id": self._licence()},
            author=self.agent,
            conformsTo=reference(PROFILES),
            mainEntity={"@id": WORKFLOW},
            hasPart=reference([*source, *(one for one in files if not is_local(one))]),
            mentions=reference([*actions, *(one for one in files if is_local(one))]),
        )

    def _licence(self) -> str:
        if self.about.licence:
            return self.shared.keep(named(self.about.licence, "CreativeWork", self.about.licence))
        return self.shared.keep(
            named(
                "#licence-not-stated",
                "CreativeWork",
                "No licence stated",
                description="Whoever made this run has not said how its results may be used.",
            )
        )

    def _agent(self) -> Entity | None:
        if not self.about.agent:
            return None
        person = named(self.about.orcid or OPERATOR, "Person", self.about.agent)
        return {"@id": self.shared.keep(person)}

    def _engine(self) -> list[Entity]:
        """Give Snakemake, as a language and as what started the jobs."""
        return [
            named(
                LANGUAGE,
                "ComputerLanguage",
                "Snakemake",
                identifier={"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
                url={"@id": DOCUMENTATION},
            ),
            named(
                ENGINE,
                "SoftwareApplication",
                "Snakemake",
                softwareVersion=self.source.snakemake,
                url=DOCUMENTATION,
                description="The version is that of the environment that the crate was made in.",
            ),
            named(
                ORGANISATION,
                "OrganizeAction",
                "Snakemake runs the jobs",
                instrument={"@id": ENGINE},
                object=reference(_control(job) for job in self.run.jobs),
                result={"@id": RUN},
                actionStatus=COMPLETED,
                agent=self.agent,
                **self.span,
            ),
        ]

    def _run(self) -> Entity:
        return named(
            RUN,
            "CreateAction",
            self.about.name,
            description=f"Run of the workflow: {len(self.run.jobs)} jobs. It begins with the first "
            "of them and ends with the last, though days may lie between.",
            instrument={"@id": WORKFLOW},
            object=reference([CONFIGURATION, *(file.identifier for file in self.run.external)]),
            result=reference(file.identifier for file in self.run.final),
            actionStatus=COMPLETED,
            agent=self.agent,
            **self.span,
        )

    def _job(self, job: RunJob) -> list[Entity]:
        """Give the action of a job, and that of Snakemake which started it."""
        step, first = job.job.step, job.job.outputs[0]
        usage = [
            named(
                f"#usage/{kind}/{quote(first)}",
                "PropertyValue",
                kind.replace("-", " "),
                propertyID=f"https://w3id.org/ro/terms/workflow-run#{kind}",
                unitCode=SECONDS,
                value=str(value),
            )
            for kind, value in (("wall-time", job.job.duration), ("CPU-time", job.job.cpu))
        ]
        circumstances = [
            self.shared.keep(named(f"#{kind}/{quote(text)}", "PropertyValue", kind, value=text))
            for kind, text in (("commit", job.commit), ("platform", job.job.platform))
        ]
        action = named(
            _action(job),
            "CreateAction",
            f"{step} of {first}",
            description=f"Run of fullchain {step.replace('.', ' ')}.",
            instrument={"@id": self.tools.tool(job)},
            object=reference([*(file.identifier for file in job.inputs), self.tools.settings(job)]),
            result=reference(file.identifier for file in job.outputs),
            startTime=moment(job.job.started),
            endTime=moment(job.job.started, job.job.duration),
            actionStatus=COMPLETED,
            agent=self.agent,
            resourceUsage=reference(one["@id"] for one in usage),
            additionalProperty=reference(circumstances),
            subjectOf={"@id": quote(job.record)} if job.record else None,
        )
        control = named(
            _control(job),
            "ControlAction",
            f"Snakemake starts {step} for {first}",
            instrument={"@id": f"#step/{step}"},
            object={"@id": _action(job)},
            actionStatus=COMPLETED,
        )
        return [action, control, *usage]

    def _file(self, file: RunFile) -> Entity:
        return file_entity(
            file.identifier,
            file.path,
            file.size,
            sha256=file.sha256,
            description="" if file.is_packed else f"Not packed; it lay at {file.path}.",
            mentions=reference(one.identifier for one in file.mentions),
            exampleOfWork=reference(self.tools.parameters_of(file)),
        )

    def _source_files(self) -> list[Entity]:
        files = [file_entity(quote(path), path) for path in self.source.files if path != WORKFLOW]
        package = named(
            PACKAGE,
            "Dataset",
            "fullchain",
            description="The Python package, as it was when the crate was made.",
        )
        settings = file_entity(
            CONFIGURATION,
            CONFIGURATION,
            description=self.origin,
            exampleOfWork={"@id": "#parameter/workflow/configuration"},
        )
        return [
            *files,
            package,
            settings,
            file_entity("README.md", "README.md", about={"@id": "./"}),
        ]


def _action(job: RunJob) -> str:
    return f"#job/{quote(job.job.outputs[0])}"


def _control(job: RunJob) -> str:
    return f"#control/{quote(job.job.outputs[0])}"


def _record(job: RunJob) -> Entity:
    return file_entity(
        quote(job.record),
        job.record,
        description="Provenance record that the step wrote.",
        about={"@id": _action(job)},
    )
