# Jets of every part of every sample with all object shifts, control histograms, numbers, figures.
from fullchain.jets.figures import names as jets_figure_names
from fullchain.jets.settings import OF_THE_FILE
from fullchain.ntuples.sources import local_inputs

JETS_FIGURES = jets_figure_names(
    CONFIG.jets.figures, clustered_samples(), sorted(CONFIG.jets.shifts)
)


def ntuple_files(wildcards):
    """The ROOT files of a part that lie on this machine: a change of one is seen."""
    sample = CONFIG.ntuples.samples[wildcards.sample]
    if sample.kind == "generated" or sample.is_converted:
        return [result(f"ntuples/{wildcards.sample}/{wildcards.part}.root")]
    return local_inputs(sample, wildcards.part)


def pileup_weights(wildcards):
    """The weights of a part's candidates, where the stage pileup computes them."""
    method = CONFIG.jets.clustering.mitigation
    if method in OF_THE_FILE:
        return []
    return [
        result(f"pileup/weights/{method}/{wildcards.sample}/{wildcards.part}.parquet")
    ]


rule jets_cluster:
    input:
        ntuple_files,
        manifest=result("ntuples/{sample}/{part}.json"),
        weights=pileup_weights,
    output:
        jets=result("jets/{sample}/{part}.parquet"),
        summary=result("jets/{sample}/{part}.json"),
    log:
        log_of("jets_cluster", "{sample}_{part}"),
    benchmark:
        bench_of("jets_cluster", "{sample}_{part}")
    threads: CONFIG.jets.reading.processes
    # How events are read stands among the resources: it changes no result, so a change of it must
    # not make the jets run again.
    resources:
        mem_mb=memory(3000),
        runtime=minutes(120),
        gpu=0,
        executor=CONFIG.jets.reading.executor,
        workers=CONFIG.jets.reading.workers,
        dask=CONFIG.jets.reading.dask.model_dump_json(exclude_defaults=True),
        events_per_chunk=CONFIG.jets.reading.events_per_chunk,
    params:
        code=code("jets.cluster"),
        settings=settings(
            "seed",
            "jets.clustering",
            "jets.selection",
            "jets.substructure",
            "jets.truth",
            "jets.shifts",
        ),
    message:
        "Jets: clustering {wildcards.sample}, part {wildcards.part}, with all shifts"
    shell:
        "fullchain jets cluster --manifest {input.manifest} --weights {input.weights}"
        " --jets {output.jets}"
        " --summary {output.summary} --executor {resources.executor}"
        " --workers {resources.workers} --dask {resources.dask:q}"
        " --events-per-chunk {resources.events_per_chunk}"
        " --settings {params.settings:q} > {log} 2>&1"


rule jets_histograms:
    input:
        jets=[
            path
            for sample in clustered_samples()
            for path in part_files("jets/{sample}/{part}.parquet", sample)
        ],
    output:
        histograms=result("jets/histograms.root"),
        metrics=result("jets/metrics.json"),
        accounts=result("jets/accounts.json"),
    log:
        log_of("jets_histograms"),
    benchmark:
        bench_of("jets_histograms")
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
        gpu=0,
    params:
        code=code("jets.histograms"),
        settings=settings(
            "seed", "jets.measurement", "jets.selection", "jets.clustering.radius"
        ),
    message:
        "Jets: control histograms and numbers of all samples"
    shell:
        "fullchain jets histograms --jets {input.jets} --histograms {output.histograms}"
        " --metrics {output.metrics} --accounts {output.accounts}"
        " --settings {params.settings:q} > {log} 2>&1"


rule jets_plot:
    input:
        histograms=result("jets/histograms.root"),
    output:
        figures("jets", JETS_FIGURES),
        report_figures("jets", JETS_FIGURES),
        index=result("jets/figures/index.json"),
    log:
        log_of("jets_plot"),
    benchmark:
        bench_of("jets_plot")
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
        gpu=0,
    params:
        code=code("jets.plot"),
        settings=settings("jets.figures", "jets.shifts"),
    message:
        "Jets: control plots"
    shell:
        "fullchain jets plot --histograms {input.histograms} --index {output.index}"
        " --settings {params.settings:q} > {log} 2>&1"
