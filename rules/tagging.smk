# Jet taggers: training, scores for every sample, performance, figures.
def tagger_samples(tagger, side):
    """Names of the signal or background samples of a tagger."""
    return getattr(CONFIG.tagging.taggers[tagger], side).samples


def tagger_jets(tagger, side):
    return [
        path
        for sample in tagger_samples(tagger, side)
        for path in part_files("jets/{sample}/{part}.parquet", sample)
    ]


def tagger_scores(tagger, side):
    return [
        result(f"tagging/{tagger}/scores/{sample}.parquet")
        for sample in tagger_samples(tagger, side)
    ]


def every_tagger(path):
    return [result(path.format(tagger=name)) for name in CONFIG.tagging.taggers]


TAGGING_FIGURES = [
    "roc",
    "rejection",
    "calibration",
    *(f"score_{name}" for name in CONFIG.tagging.taggers),
    *(f"history_{name}" for name in CONFIG.tagging.taggers),
]
TAGGING_GPU = int(CONFIG.tagging.training.device != "cpu")


def training_memory(wildcards, input):
    """Memory in MB: libraries, and the padded jets twice, as while they are read."""
    particles = CONFIG.tagging.taggers[wildcards.tagger].n_constituents
    return int(2000 + 2 * input.size_mb * max(1, particles / 64))


rule tagging_train:
    input:
        signal=lambda w: tagger_jets(w.tagger, "signal"),
        background=lambda w: tagger_jets(w.tagger, "background"),
    output:
        model=result("tagging/{tagger}/model.pt"),
        onnx=result("tagging/{tagger}/model.onnx"),
        history=result("tagging/{tagger}/history.json"),
    log:
        log_of("tagging_train", "{tagger}"),
    benchmark:
        bench_of("tagging_train", "{tagger}")
    threads: CONFIG.tagging.training.threads
    resources:
        mem_mb=training_memory,
        runtime=720,
        gpu=TAGGING_GPU,
    params:
        code=code("tagging.train"),
        settings=lambda w: settings(
            "seed",
            "tagging.selection",
            "tagging.split",
            "tagging.training",
            f"tagging.taggers.{w.tagger}",
        ),
    message:
        "training the tagger {wildcards.tagger}"
    shell:
        "fullchain tagging train --signal {input.signal:q} --background {input.background:q}"
        " --tagger {wildcards.tagger} --model {output.model:q} --onnx {output.onnx:q}"
        " --history {output.history:q} --settings {params.settings:q} > {log:q} 2>&1"


rule tagging_predict:
    input:
        jets=lambda w: part_files("jets/{sample}/{part}.parquet", w.sample),
        model=result("tagging/{tagger}/model.pt"),
    output:
        scores=result("tagging/{tagger}/scores/{sample}.parquet"),
    log:
        log_of("tagging_predict", "{tagger}/{sample}"),
    benchmark:
        bench_of("tagging_predict", "{tagger}/{sample}")
    threads: CONFIG.tagging.training.threads
    resources:
        mem_mb=2000,
        runtime=120,
        gpu=TAGGING_GPU,
    params:
        code=code("tagging.predict"),
        settings=settings(
            "seed",
            "tagging.split",
            "tagging.training.device",
            "tagging.training.threads",
        ),
    message:
        "scores of {wildcards.tagger} for {wildcards.sample}"
    shell:
        "fullchain tagging predict --jets {input.jets:q} --model {input.model:q}"
        " --scores {output.scores:q} --settings {params.settings:q} > {log:q} 2>&1"


rule tagging_evaluate:
    input:
        signal_jets=lambda w: tagger_jets(w.tagger, "signal"),
        signal_scores=lambda w: tagger_scores(w.tagger, "signal"),
        background_jets=lambda w: tagger_jets(w.tagger, "background"),
        background_scores=lambda w: tagger_scores(w.tagger, "background"),
    output:
        performance=result("tagging/{tagger}/performance.json"),
    log:
        log_of("tagging_evaluate", "{tagger}"),
    benchmark:
        bench_of("tagging_evaluate", "{tagger}")
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
        gpu=0,
    params:
        code=code("tagging.evaluate"),
        settings=lambda w: settings(
            "seed",
            "tagging.selection",
            "tagging.evaluation",
            f"tagging.taggers.{w.tagger}",
        ),
    message:
        "performance of the tagger {wildcards.tagger}"
    shell:
        "fullchain tagging evaluate --signal-jets {input.signal_jets:q}"
        " --signal-scores {input.signal_scores:q} --background-jets {input.background_jets:q}"
        " --background-scores {input.background_scores:q} --tagger {wildcards.tagger}"
        " --performance {output.performance:q} --settings {params.settings:q} > {log:q} 2>&1"


rule tagging_tabulate:
    input:
        performance=every_tagger("tagging/{tagger}/performance.json"),
    output:
        metrics=result("tagging/metrics.json"),
    log:
        log_of("tagging_tabulate"),
    benchmark:
        bench_of("tagging_tabulate")
    threads: 1
    resources:
        mem_mb=500,
        runtime=10,
        gpu=0,
    params:
        code=code("tagging.tabulate"),
        settings=settings(),
    message:
        "numbers of all taggers"
    shell:
        "fullchain tagging tabulate --performance {input.performance:q}"
        " --metrics {output.metrics:q} --settings {params.settings:q} > {log:q} 2>&1"


rule tagging_plot:
    input:
        performance=every_tagger("tagging/{tagger}/performance.json"),
        history=every_tagger("tagging/{tagger}/history.json"),
    output:
        index=result("tagging/figures/index.json"),
        pdf=figures("tagging", TAGGING_FIGURES),
        png=report_figures("tagging", TAGGING_FIGURES),
    log:
        log_of("tagging_plot"),
    benchmark:
        bench_of("tagging_plot")
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
        gpu=0,
    params:
        code=code("tagging.plot"),
        settings=settings(),
    message:
        "figures of the taggers"
    shell:
        "fullchain tagging plot --performance {input.performance:q} --history {input.history:q}"
        " --index {output.index:q} --settings {params.settings:q} > {log:q} 2>&1"
