"""The workflow of a crate: its steps, their tools, and what these take and give."""

import json
from collections.abc import Sequence
from urllib.parse import quote

from fullchain.dag.crate_entities import Entity, Shared, named, reference
from fullchain.dag.crate_files import Run, RunFile, RunJob
from fullchain.dag.crate_workflow import CONFIGURATION, LICENCE, WorkflowSource
from fullchain.paper.lineage import steps_of

COMPUTATIONAL_WORKFLOW = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
FORMAL_PARAMETER = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
LANGUAGE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
WORKFLOW, PACKAGE = "Snakefile", "src/fullchain/"


class Tools:
    """The workflow, its steps and tools.

    Parameters
    ----------
    run
        Jobs and files.
    source
        The workflow's files.
    shared
        Where entities are kept that several others point to.
    """

    def __init__(self, run: Run, source: WorkflowSource, shared: Shared) -> None:
        self.run, self.source, self.shared = run, source, shared
        self.order = steps_of([job.job for job in run.jobs])
        self.roles: dict[str, dict[str, None]] = {}
        for job in run.jobs:
            self._play(f"{job.job.step}/inputs", job.inputs)
            self._play(f"{job.job.step}/outputs", job.outputs)
        self._play("workflow/data", run.external)
        self._play("workflow/results", run.final)

    def _play(self, parameter: str, files: Sequence[RunFile]) -> None:
        for file in files:
            self.roles.setdefault(file.identifier, {})[f"#parameter/{parameter}"] = None

    def parameters_of(self, file: RunFile) -> list[str]:
        """Give the parameters that a file is a value of."""
        return list(self.roles.get(file.identifier, ()))

    def workflow(self) -> Entity:
        """Give the workflow."""
        developers = named("#developers", "Organization", self.source.author, url=self.source.url)
        licence = named(LICENCE, "CreativeWork", 'BSD 3-Clause "New" License')
        profile = named(
            COMPUTATIONAL_WORKFLOW,
            "CreativeWork",
            "Bioschemas ComputationalWorkflow",
            version="1.0",
        )
        inputs = ["configuration", "data"] if self.run.external else ["configuration"]
        return named(
            WORKFLOW,
            ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "fullchain",
            description="LHC ROOT ntuples through reconstruction machine learning to inference and "
            "firmware, in one workflow",
            version=self.source.version,
            url=self.source.url,
            encodingFormat="text/plain",
            conformsTo={"@id": self.shared.keep(profile)},
            programmingLanguage={"@id": LANGUAGE},
            creator={"@id": self.shared.keep(developers)},
            license={"@id": self.shared.keep(licence)},
            input=reference(f"#parameter/workflow/{name}" for name in inputs),
            output=reference(["#parameter/workflow/results"]),
            hasPart=reference(self.tool(job) for job in self.run.jobs),
            step=reference(f"#step/{step.name}" for step in self.order),
        )

    def tool(self, job: RunJob) -> str:
        """Keep the tool of a job: a step of fullchain with one identity of its code."""
        step, identity = job.job.step, job.job.identity
        base = f"{self.source.url}#" if self.source.url else "#"
        identifier = f"{base}tool/{step}/{identity}"
        if identifier in self.shared.entities:
            return identifier
        reads = any(other.inputs for other in self.run.jobs if other.job.step == step)
        packages = sorted(job.job.packages.items())
        return self.shared.keep(
            named(
                identifier,
                "SoftwareApplication",
                f"fullchain {step.replace('.', ' ')}",
                softwareVersion=f"{self.source.version}, code {identity}",
                description="A step of fullchain; its code identity is a hash of the syntax trees "
                "of all project modules that it imports and of the versions of packages.",
                url=self.source.url,
                isPartOf={"@id": PACKAGE},
                input=reference(
                    f"#parameter/{step}/{name}" for name in ("settings", *["inputs"] * reads)
                ),
                output=reference([f"#parameter/{step}/outputs"]),
                softwareRequirements=reference(self._package(*one) for one in packages),
            )
        )

    def _package(self, name: str, version: str) -> str:
        """Keep a package; its page is that of the release, whatever the build (``+cpu``)."""
        release = quote(version.partition("+")[0])
        page = f"https://pypi.org/project/{name}/{release}/"
        if name == "python":
            page = f"https://docs.python.org/{release}/"
        identifier = page if release == version else f"{page}#{quote(version)}"
        return self.shared.keep(
            named(identifier, "SoftwareApplication", name, softwareVersion=version, url=page)
        )

    def steps(self) -> list[Entity]:
        """Give the steps in their order, and which of them passes files to which."""
        found = []
        for position, step in enumerate(self.order, 1):
            tools = [self.tool(job) for job in self.run.jobs if job.job.step == step.name]
            connections = {before: f"#connection/{before}/{step.name}" for before in step.after}
            entity = named(
                f"#step/{step.name}",
                "HowToStep",
                step.name,
                position=str(position),
                workExample=reference(tools),
                connection=reference(connections.values()),
            )
            found.append(entity)
            found += [
                {
                    "@id": identifier,
                    "@type": "ParameterConnection",
                    "sourceParameter": {"@id": f"#parameter/{before}/outputs"},
                    "targetParameter": {"@id": f"#parameter/{step.name}/inputs"},
                }
                for before, identifier in connections.items()
            ]
        return found

    def parameters(self) -> list[Entity]:
        """Give what the workflow and its steps take and give, with the values of this run."""
        values: dict[str, list[str]] = {"#parameter/workflow/configuration": [CONFIGURATION]}
        for identifier, parameters in self.roles.items():
            for parameter in parameters:
                values.setdefault(parameter, []).append(identifier)
        settings: dict[str, list[str]] = {}
        for job in self.run.jobs:
            name = f"#parameter/{job.job.step}/settings"
            settings.setdefault(name, []).append(self.settings(job))
        profile = self.shared.keep(
            named(FORMAL_PARAMETER, "CreativeWork", "Bioschemas FormalParameter", version="1.0")
        )
        return [
            named(
                identifier,
                "FormalParameter",
                identifier.removeprefix("#parameter/").replace("/", ": "),
                additionalType=kind,
                conformsTo={"@id": profile},
                workExample=reference(examples),
            )
            for kind, parameters in (("File", values), ("PropertyValue", settings))
            for identifier, examples in sorted(parameters.items())
        ]

    def settings(self, job: RunJob) -> str:
        """Keep the settings of a job; jobs of a step with equal ones share them."""
        step = job.job.step
        text = json.dumps(dict(job.job.settings), sort_keys=True, ensure_ascii=False)
        number, known = 1, self.shared.entities
        while (name := f"#settings/{step}/{number}") in known and known[name]["value"] != text:
            number += 1
        parameter = {"@id": f"#parameter/{step}/settings"}
        return self.shared.keep(
            named(name, "PropertyValue", "settings", value=text, exampleOfWork=parameter)
        )
