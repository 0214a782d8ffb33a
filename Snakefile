# fullchain: LHC ROOT ntuples through reconstruction machine learning, fast simulation, unfolding,
# inference and firmware. One include a stage; what a stage is stands in docs/architecture.md.
from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "rules/common.smk"
include: "rules/ntuples.smk"
include: "rules/jets.smk"


# A stage that the configuration sets to null is left out.
if CONFIG.pileup is not None:

    include: "rules/pileup.smk"


if CONFIG.tagging is not None:

    include: "rules/tagging.smk"


if CONFIG.decorrelation is not None:

    include: "rules/decorrelation.smk"


if CONFIG.calorimetry is not None:

    include: "rules/calorimetry.smk"


if CONFIG.unfolding is not None:

    include: "rules/unfolding.smk"


if CONFIG.inference is not None:

    include: "rules/inference.smk"


if CONFIG.firmware is not None:

    include: "rules/firmware.smk"


include: "rules/paper.smk"


onerror:
    # The Snakemake inside a group of jobs, or a job on a cluster, gets --no-hooks from the one above.
    print(failures.of_workflow(workflow), file=sys.stderr)


rule all:
    default_target: True
    input:
        report=result("paper/index.html"),
        exported=EXPORTED,
    message:
        "the report is at {input.report}"


# For a batch system: the profile says how (docs/batch/index.md).
batch.adapt(workflow)
