# Templates from jets and scores, statistical models, fits, limits; learned summaries and ratios.
import shlex

from fullchain.decorrelation.settings import base_of
from fullchain.inference.figure_names import names as inference_figure_names

ANALYSES = CONFIG.inference.analyses
WORKSPACES = CONFIG.inference.workspaces
# Statistical models of all kinds, in the order of figures and tables.
FITTED = [*ANALYSES, *WORKSPACES]
SYNTHETIC = CONFIG.inference.synthetic
SUMMARIES = CONFIG.inference.summaries
RATIO = CONFIG.inference.ratio
INFERENCE_FIGURES = inference_figure_names(CONFIG.inference)


wildcard_constraints:
    analysis="|".join(ANALYSES) or "(?!)",
    workspace="|".join(WORKSPACES) or "(?!)",
    fitted="|".join(FITTED) or "(?!)",


def tagger_of_analysis(wildcards):
    """The tagger of the score, or the one it was before it was decorrelated."""
    chosen = ANALYSES[wildcards.analysis].tagger
    return base_of(CONFIG.decorrelation, chosen) if CONFIG.decorrelation else chosen


def jets_of_analysis(wildcards):
    return [
        file
        for sample in ANALYSES[wildcards.analysis].ntuple_samples()
        for file in part_files("jets/{sample}/{part}.parquet", sample)
    ]


def scores_of_analysis(wildcards):
    chosen = ANALYSES[wildcards.analysis]
    return [scores_of(chosen.tagger, sample) for sample in chosen.ntuple_samples()]


def manifests_of_analysis(wildcards):
    return [
        result(f"ntuples/{sample}/manifest.json")
        for sample in ANALYSES[wildcards.analysis].ntuple_samples()
    ]


def template_settings(wildcards):
    """What the templates depend on: of the data, only the name of a recorded sample."""
    where = f"inference.analyses.{wildcards.analysis}"
    recorded = ANALYSES[wildcards.analysis].recorded_data()
    return settings(
        f"{where}.tagger",
        f"{where}.selection",
        f"tagging.taggers.{tagger_of_analysis(wildcards)}.classes",
        *([f"{where}.data"] if recorded else []),
    )


def workspace_settings(wildcards):
    """What the workspace depends on: the seed only where data are drawn."""
    where = f"inference.analyses.{wildcards.analysis}"
    paths = ["luminosity", "samples", "hypotheses", "systematics"]
    return settings(
        *(f"{where}.{path}" for path in [*paths, "blind", "data", "model"]),
        *(["seed"] if ANALYSES[wildcards.analysis].fitted.kind == "pseudo" else []),
    )


def patches_option(wildcards, input):
    return f"--patches {shlex.quote(str(input.patches))}" if input.patches else ""


def scores_of_summaries(wildcards):
    chosen = ANALYSES[wildcards.analysis]
    return [
        scores_of(name, sample)
        for name in SUMMARIES.score_names(chosen.tagger)
        for sample in chosen.ntuple_samples()
    ]


def preparation_settings(wildcards):
    """What the events of summaries depend on: not on how summaries are trained."""
    where = f"inference.analyses.{wildcards.analysis}"
    paths = [
        "tagger",
        "selection",
        "samples",
        "hypotheses",
        "luminosity",
        "systematics",
    ]
    return settings(
        "seed",
        *(f"inference.summaries.{path}" for path in ("features", "scores", "split")),
        *(f"{where}.{path}" for path in [*paths, "model"]),
    )


def of_fitted(name, among=FITTED):
    return [result(f"inference/{one}/{name}") for one in among]


def summary_numbers():
    if SUMMARIES is None:
        return []
    where = f"inference/summaries/{SUMMARIES.analysis}"
    return [result(f"{where}/{name}.json") for name in SUMMARIES.summaries()]


def known_numbers():
    return [result("inference/synthetic/known.json")] if SYNTHETIC else []


def synthetic_numbers():
    names = SYNTHETIC.summaries if SYNTHETIC else []
    return [result(f"inference/synthetic/{name}.json") for name in names]


def ratio_numbers():
    return [result("inference/ratio/ratio.json")] if RATIO else []


EXPORTED += [
    *of_fitted("datacard.txt", ANALYSES),
    *of_fitted(
        "hepdata.tar.gz", [one for one in CONFIG.inference.publication if one in FITTED]
    ),
]


rule inference_templates:
    input:
        jets=jets_of_analysis,
        scores=scores_of_analysis,
        manifests=manifests_of_analysis,
    output:
        templates=result("inference/{analysis}/templates.root"),
        summary=result("inference/{analysis}/templates.json"),
    log:
        log_of("inference_templates", "{analysis}"),
    benchmark:
        bench_of("inference_templates", "{analysis}")
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(30),
        gpu=0,
    params:
        code=code("inference.templates"),
        settings=template_settings,
    message:
        "templates of {wildcards.analysis}"
    shell:
        "fullchain inference templates --jets {input.jets:q} --scores {input.scores:q}"
        " --manifests {input.manifests:q} --analysis {wildcards.analysis}"
        " --templates {output.templates:q} --summary {output.summary:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule inference_workspace:
    input:
        templates=result("inference/{analysis}/templates.root"),
        summary=result("inference/{analysis}/templates.json"),
    output:
        workspace=result("inference/{analysis}/workspace.json"),
        report=result("inference/{analysis}/model.json"),
        patchset=result("inference/{analysis}/patchset.json"),
    log:
        log_of("inference_workspace", "{analysis}"),
    benchmark:
        bench_of("inference_workspace", "{analysis}")
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("inference.workspace"),
        settings=workspace_settings,
    message:
        "statistical model of {wildcards.analysis}"
    shell:
        "fullchain inference workspace --templates {input.templates:q}"
        " --summary {input.summary:q} --analysis {wildcards.analysis}"
        " --workspace-json {output.workspace:q} --report {output.report:q}"
        " --patchset {output.patchset:q} --settings {params.settings:q} > {log:q} 2>&1"


rule inference_adopt:
    input:
        source=lambda w: WORKSPACES[w.workspace].path,
        patches=lambda w: WORKSPACES[w.workspace].patchset or [],
        files=lambda w: WORKSPACES[w.workspace].files,
    output:
        workspace=result("inference/{workspace}/workspace.json"),
        report=result("inference/{workspace}/model.json"),
        patchset=result("inference/{workspace}/patchset.json"),
    log:
        log_of("inference_adopt", "{workspace}"),
    benchmark:
        bench_of("inference_adopt", "{workspace}")
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("inference.adopt"),
        settings=lambda w: settings(f"inference.workspaces.{w.workspace}"),
        patches=patches_option,
    message:
        "statistical model of {wildcards.workspace}"
    shell:
        "fullchain inference adopt --source {input.source:q} {params.patches}"
        " --files {input.files:q} --name {wildcards.workspace}"
        " --workspace-json {output.workspace:q} --report {output.report:q}"
        " --patchset {output.patchset:q} --settings {params.settings:q} > {log:q} 2>&1"


rule inference_fit:
    input:
        workspace=result("inference/{fitted}/workspace.json"),
        report=result("inference/{fitted}/model.json"),
    output:
        fit=result("inference/{fitted}/fit.json"),
    log:
        log_of("inference_fit", "{fitted}"),
    benchmark:
        bench_of("inference_fit", "{fitted}")
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(30),
        gpu=0,
    params:
        code=code("inference.fit"),
        settings=settings("inference.results.fit"),
    message:
        "fit of {wildcards.fitted}"
    shell:
        "fullchain inference fit --workspace {input.workspace:q} --report {input.report:q}"
        " --analysis {wildcards.fitted} --fit-json {output.fit:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule inference_impacts:
    input:
        workspace=result("inference/{fitted}/workspace.json"),
        report=result("inference/{fitted}/model.json"),
    output:
        impacts=result("inference/{fitted}/impacts.json"),
    log:
        log_of("inference_impacts", "{fitted}"),
    benchmark:
        bench_of("inference_impacts", "{fitted}")
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(30),
        gpu=0,
    params:
        code=code("inference.impacts"),
        settings=settings("inference.results.fit", "inference.results.impacts"),
    message:
        "impacts on {wildcards.fitted}"
    shell:
        "fullchain inference impacts --workspace {input.workspace:q}"
        " --report {input.report:q} --analysis {wildcards.fitted}"
        " --impacts-json {output.impacts:q} --settings {params.settings:q} > {log:q} 2>&1"


rule inference_scan:
    input:
        workspace=result("inference/{fitted}/workspace.json"),
        report=result("inference/{fitted}/model.json"),
    output:
        scans=result("inference/{fitted}/scans.json"),
    log:
        log_of("inference_scan", "{fitted}"),
    benchmark:
        bench_of("inference_scan", "{fitted}")
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(30),
        gpu=0,
    params:
        code=code("inference.scan"),
        settings=settings("inference.results.fit", "inference.results.scan"),
    message:
        "likelihood scans of {wildcards.fitted}"
    shell:
        "fullchain inference scan --workspace {input.workspace:q} --report {input.report:q}"
        " --analysis {wildcards.fitted} --scans-json {output.scans:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule inference_limit:
    input:
        workspace=result("inference/{fitted}/workspace.json"),
        report=result("inference/{fitted}/model.json"),
        patchset=result("inference/{fitted}/patchset.json"),
    output:
        limits=result("inference/{fitted}/limits.json"),
    log:
        log_of("inference_limit", "{fitted}"),
    benchmark:
        bench_of("inference_limit", "{fitted}")
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(120),
        gpu=0,
    params:
        code=code("inference.limit"),
        settings=settings("seed", "inference.limits"),
    message:
        "limits of {wildcards.fitted}"
    shell:
        "fullchain inference limit --workspace {input.workspace:q} --report {input.report:q}"
        " --analysis {wildcards.fitted} --patchset {input.patchset:q}"
        " --limits {output.limits:q} --settings {params.settings:q} > {log:q} 2>&1"


rule inference_toys:
    input:
        workspace=result("inference/{fitted}/workspace.json"),
        report=result("inference/{fitted}/model.json"),
    output:
        toys=result("inference/{fitted}/toys.json"),
    log:
        log_of("inference_toys", "{fitted}"),
    benchmark:
        bench_of("inference_toys", "{fitted}")
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(120),
        gpu=0,
    params:
        code=code("inference.toys"),
        settings=settings("seed", "inference.toys"),
    message:
        "toys of {wildcards.fitted}"
    shell:
        "fullchain inference toys --workspace {input.workspace:q} --report {input.report:q}"
        " --analysis {wildcards.fitted} --toys {output.toys:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule inference_datacard:
    input:
        workspace=result("inference/{fitted}/workspace.json"),
        report=result("inference/{fitted}/model.json"),
    output:
        datacard=result("inference/{fitted}/datacard.txt"),
        shapes=result("inference/{fitted}/datacard_shapes.root"),
    log:
        log_of("inference_datacard", "{fitted}"),
    benchmark:
        bench_of("inference_datacard", "{fitted}")
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("inference.datacard"),
        settings=settings(),
    message:
        "datacard of {wildcards.fitted}"
    shell:
        "fullchain inference datacard --workspace {input.workspace:q}"
        " --report {input.report:q} --datacard {output.datacard:q} --shapes {output.shapes:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule inference_publish:
    input:
        fit=result("inference/{fitted}/fit.json"),
        workspace=result("inference/{fitted}/workspace.json"),
        model=result("inference/{fitted}/model.json"),
        patchset=result("inference/{fitted}/patchset.json"),
        impacts=result("inference/{fitted}/impacts.json"),
        limits=result("inference/{fitted}/limits.json"),
    output:
        submission=result("inference/{fitted}/hepdata.tar.gz"),
        listing=result("inference/{fitted}/hepdata/submission.yaml"),
    log:
        log_of("inference_publish", "{fitted}"),
    benchmark:
        bench_of("inference_publish", "{fitted}")
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("inference.publish"),
        settings=lambda w: settings(f"inference.publication.{w.fitted}"),
    message:
        "HEPData record of {wildcards.fitted}"
    shell:
        "fullchain inference publish --fit {input.fit:q} --workspace {input.workspace:q}"
        " --model {input.model:q} --patchset {input.patchset:q} --impacts {input.impacts:q}"
        " --limits {input.limits:q} --analysis {wildcards.fitted}"
        " --submission {output.submission:q} --listing {output.listing:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


if SYNTHETIC is not None:

    rule inference_fisher:
        output:
            numbers=result("inference/synthetic/known.json"),
        log:
            log_of("inference_fisher"),
        benchmark:
            bench_of("inference_fisher")
        threads: 1
        resources:
            mem_mb=memory(1000),
            runtime=minutes(10),
            gpu=0,
        params:
            code=code("inference.fisher"),
            settings=settings("inference.synthetic"),
        message:
            "synthetic benchmark, known results"
        shell:
            "fullchain inference fisher --numbers {output.numbers:q}"
            " --settings {params.settings:q} > {log:q} 2>&1"

    rule inference_learn:
        output:
            numbers=result("inference/synthetic/{summary}.json"),
            model=result("inference/synthetic/{summary}.pt"),
        log:
            log_of("inference_learn", "{summary}"),
        benchmark:
            bench_of("inference_learn", "{summary}")
        wildcard_constraints:
            summary="|".join(SYNTHETIC.summaries) or "(?!)",
        priority: 10
        threads: SYNTHETIC.threads
        resources:
            mem_mb=memory(2000),
            runtime=minutes(720),
            gpu=0,
        params:
            code=code("inference.learn"),
            settings=settings("seed", "inference.synthetic"),
        message:
            "synthetic benchmark, summary {wildcards.summary}"
        shell:
            "fullchain inference learn --summary {wildcards.summary} --numbers {output.numbers:q}"
            " --model {output.model:q} --settings {params.settings:q} > {log:q} 2>&1"


if SUMMARIES is not None:

    rule inference_prepare:
        input:
            jets=jets_of_analysis,
            scores=scores_of_summaries,
            manifests=manifests_of_analysis,
        output:
            events=result("inference/summaries/{analysis}/events.parquet"),
            summary=result("inference/summaries/{analysis}/prepared.json"),
        log:
            log_of("inference_prepare", "{analysis}"),
        benchmark:
            bench_of("inference_prepare", "{analysis}")
        threads: 1
        resources:
            mem_mb=memory(3000),
            runtime=minutes(30),
            gpu=0,
        params:
            code=code("inference.prepare"),
            settings=preparation_settings,
        message:
            "events for summaries of {wildcards.analysis}"
        shell:
            "fullchain inference prepare --jets {input.jets:q} --scores {input.scores:q}"
            " --manifests {input.manifests:q} --analysis {wildcards.analysis}"
            " --events {output.events:q} --summary {output.summary:q}"
            " --settings {params.settings:q} > {log:q} 2>&1"

    rule inference_summarise:
        input:
            events=result("inference/summaries/{analysis}/events.parquet"),
            summary=result("inference/summaries/{analysis}/prepared.json"),
        output:
            numbers=result("inference/summaries/{analysis}/{method}.json"),
            model=result("inference/summaries/{analysis}/{method}.pt"),
        log:
            log_of("inference_summarise", "{analysis}/{method}"),
        benchmark:
            bench_of("inference_summarise", "{analysis}/{method}")
        wildcard_constraints:
            method="|".join(SUMMARIES.summaries()),
        priority: 10
        threads: 1
        resources:
            mem_mb=memory(3000),
            runtime=minutes(240),
            gpu=0,
        params:
            code=code("inference.summarise"),
            settings=settings("seed", "inference.summaries"),
        message:
            "summary {wildcards.method} of {wildcards.analysis}"
        shell:
            "fullchain inference summarise --events {input.events:q} --summary {input.summary:q}"
            " --method {wildcards.method} --numbers {output.numbers:q} --model {output.model:q}"
            " --settings {params.settings:q} > {log:q} 2>&1"


if RATIO is not None:

    rule inference_ratio:
        input:
            events=lambda w: RATIO.own.events if RATIO.own else [],
            data=lambda w: RATIO.own.data if RATIO.own else [],
        output:
            numbers=result("inference/ratio/ratio.json"),
            networks=result("inference/ratio/ratio.pt"),
        log:
            log_of("inference_ratio"),
        benchmark:
            bench_of("inference_ratio")
        priority: 10
        threads: RATIO.training.threads
        resources:
            mem_mb=memory(3000),
            runtime=minutes(240),
            gpu=0,
        params:
            code=code("inference.ratio"),
            settings=settings("seed", "inference.ratio"),
        message:
            "learned likelihood ratios"
        shell:
            "fullchain inference ratio --events {input.events:q} --data {input.data:q}"
            " --ratio-json {output.numbers:q} --networks {output.networks:q}"
            " --settings {params.settings:q} > {log:q} 2>&1"


rule inference_tabulate:
    input:
        fit=of_fitted("fit.json"),
        workspace=of_fitted("workspace.json"),
        model=of_fitted("model.json"),
        impacts=of_fitted("impacts.json"),
        limits=of_fitted("limits.json"),
        toys=of_fitted("toys.json"),
        known=known_numbers(),
        learned=synthetic_numbers(),
        summaries=summary_numbers(),
        ratio=ratio_numbers(),
    output:
        metrics=result("inference/metrics.json"),
        tables=result("inference/tables.json"),
    log:
        log_of("inference_tabulate"),
    benchmark:
        bench_of("inference_tabulate")
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("inference.tabulate"),
        settings=settings(),
    message:
        "numbers of the inference"
    shell:
        "fullchain inference tabulate --fit {input.fit:q} --workspace {input.workspace:q}"
        " --model {input.model:q} --impacts {input.impacts:q} --limits {input.limits:q}"
        " --toys {input.toys:q} --known {input.known:q} --learned {input.learned:q}"
        " --summaries {input.summaries:q} --ratio {input.ratio:q} --metrics {output.metrics:q}"
        " --listed {output.tables:q} --settings {params.settings:q} > {log:q} 2>&1"


rule inference_plot:
    input:
        fit=of_fitted("fit.json"),
        workspace=of_fitted("workspace.json"),
        model=of_fitted("model.json"),
        impacts=of_fitted("impacts.json"),
        scans=of_fitted("scans.json"),
        limits=of_fitted("limits.json"),
        toys=of_fitted("toys.json"),
        known=known_numbers(),
        learned=synthetic_numbers(),
        summaries=summary_numbers(),
        ratio=ratio_numbers(),
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
        mem_mb=memory(2000),
        runtime=minutes(20),
        gpu=0,
    params:
        code=code("inference.plot"),
        adopted=list(WORKSPACES),
        settings=settings("inference.figures"),
    message:
        "figures of the inference"
    shell:
        "fullchain inference plot --fit {input.fit:q} --workspace {input.workspace:q}"
        " --model {input.model:q} --impacts {input.impacts:q} --scans {input.scans:q}"
        " --limits {input.limits:q} --toys {input.toys:q} --known {input.known:q}"
        " --learned {input.learned:q} --summaries {input.summaries:q} --ratio {input.ratio:q}"
        " --adopted {params.adopted:q} --index {output.index:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"
