# Templates from jets and scores, a statistical model, a fit.
from fullchain.decorrelation.settings import base_of

INFERENCE_SAMPLES = CONFIG.inference.ntuple_samples()
# The tagger of the score, or the one it was before it was decorrelated.
INFERENCE_TAGGER = (
    base_of(CONFIG.decorrelation, CONFIG.inference.tagger)
    if CONFIG.decorrelation
    else CONFIG.inference.tagger
)
INFERENCE_FIGURES = [
    *(f"prefit_{region}" for region in CONFIG.inference.selection.regions),
    *(f"postfit_{region}" for region in CONFIG.inference.selection.regions),
    *(f"templates_{region}" for region in CONFIG.inference.selection.regions),
    "pulls",
    "correlations",
]


def inference_template_settings():
    """What the templates depend on: of the data, only the name of a recorded sample."""
    paths = [
        "inference.tagger",
        "inference.selection",
        f"tagging.taggers.{INFERENCE_TAGGER}.classes",
    ]
    return settings(
        *paths, *(["inference.data"] if CONFIG.inference.recorded_data() else [])
    )


def inference_workspace_settings():
    """What the workspace depends on: the seed only where data are drawn."""
    paths = ["luminosity", "samples", "systematics", "data", "model"]
    return settings(
        *(f"inference.{path}" for path in paths),
        *(["seed"] if CONFIG.inference.data.kind == "pseudo" else []),
    )


rule inference_templates:
    input:
        jets=[
            file
            for sample in INFERENCE_SAMPLES
            for file in part_files("jets/{sample}/{part}.parquet", sample)
        ],
        scores=[
            scores_of(CONFIG.inference.tagger, sample) for sample in INFERENCE_SAMPLES
        ],
        manifests=[
            result(f"ntuples/{sample}/manifest.json") for sample in INFERENCE_SAMPLES
        ],
    output:
        templates=result("inference/templates.root"),
        summary=result("inference/templates.json"),
    log:
        log_of("inference_templates"),
    benchmark:
        bench_of("inference_templates")
    threads: 1
    resources:
        mem_mb=3000,
        runtime=30,
        gpu=0,
    params:
        code=code("inference.templates"),
        settings=inference_template_settings(),
    message:
        "templates of {input.scores}"
    shell:
        "fullchain inference templates --jets {input.jets:q} --scores {input.scores:q} "
        "--manifests {input.manifests:q} --templates {output.templates:q} "
        "--summary {output.summary:q} --settings {params.settings:q} > {log:q} 2>&1"


rule inference_workspace:
    input:
        templates=result("inference/templates.root"),
        summary=result("inference/templates.json"),
    output:
        workspace=result("inference/workspace.json"),
        report=result("inference/model.json"),
    log:
        log_of("inference_workspace"),
    benchmark:
        bench_of("inference_workspace")
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpu=0,
    params:
        code=code("inference.workspace"),
        settings=inference_workspace_settings(),
    message:
        "statistical model {output.workspace}"
    shell:
        "fullchain inference workspace --templates {input.templates:q} "
        "--summary {input.summary:q} --workspace-json {output.workspace:q} "
        "--report {output.report:q} --settings {params.settings:q} > {log:q} 2>&1"


rule inference_fit:
    input:
        workspace=result("inference/workspace.json"),
        report=result("inference/model.json"),
    output:
        fit=result("inference/fit.json"),
        metrics=result("inference/metrics.json"),
    log:
        log_of("inference_fit"),
    benchmark:
        bench_of("inference_fit")
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
        gpu=0,
    params:
        code=code("inference.fit"),
        settings=settings(),
    message:
        "fit of {input.workspace}"
    shell:
        "fullchain inference fit --workspace {input.workspace:q} --report {input.report:q} "
        "--fit-json {output.fit:q} --metrics {output.metrics:q} "
        "--settings {params.settings:q} > {log:q} 2>&1"


rule inference_plot:
    input:
        fit=result("inference/fit.json"),
        workspace=result("inference/workspace.json"),
    output:
        index=result("inference/figures/index.json"),
        pdf=figures("inference", INFERENCE_FIGURES),
        png=report_figures("inference", INFERENCE_FIGURES),
    log:
        log_of("inference_plot"),
    benchmark:
        bench_of("inference_plot")
    threads: 1
    resources:
        mem_mb=1500,
        runtime=10,
        gpu=0,
    params:
        code=code("inference.plot"),
        settings=settings(),
    message:
        "figures of {input.fit}"
    shell:
        "fullchain inference plot --fit {input.fit:q} --workspace {input.workspace:q} "
        "--index {output.index:q} --settings {params.settings:q} > {log:q} 2>&1"
