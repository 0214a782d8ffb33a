# Unfolding: tables of events, each measurement with each method, numbers, figures, publication.
from fullchain.unfolding.figures import names as unfolding_figure_names

UNFOLDING = CONFIG.unfolding
UNFOLDING_FIGURES = unfolding_figure_names(UNFOLDING)
METHODS_IN_BINS = [name for name, one in UNFOLDING.methods.items() if one.kind == "ibu"]
METHODS_BY_WEIGHTS = [
    name for name, one in UNFOLDING.methods.items() if one.kind == "omnifold"
]
METHODS_BY_SAMPLES = [
    name
    for name, one in UNFOLDING.methods.items()
    if one.kind in ("cinn", "flow_matching")
]
# (measurement, method) of all results.
UNFOLDED = [
    (measurement, method)
    for measurement in UNFOLDING.measurements
    for method in UNFOLDING.methods_of(measurement)
]
COVERED = list(UNFOLDING.coverage.methods) if UNFOLDING.coverage else []


wildcard_constraints:
    measurement="|".join(UNFOLDING.measurements),
    method="|".join(UNFOLDING.methods),
    alternative=r"[A-Za-z0-9_]+",


def one_of(names):
    """The pattern of a wildcard with these values; of none, one that nothing fits."""
    return "|".join(names) or "(?!)"


def memory_of_events(megabytes):
    """Memory of a job [MB] that holds all its events at once, in six times their size on disk.

    Reading takes 3.8 times the size of tables with particles, 5.4 times that of tables of jets,
    at its peak (benchmarks/scale/memory_of_events.py); steps copy what they use of it.
    """
    return lambda wildcards, input, attempt: attempt * int(
        megabytes + 6 * input.size_mb
    )


def event_tables(samples):
    """The tables of events of some samples, toys or pairs of jets."""
    paths = []
    for name in samples:
        if name in UNFOLDING.toys or name in UNFOLDING.pairs:
            paths.append(result(f"unfolding/events/{name}/0000.parquet"))
        else:
            paths += part_files("unfolding/events/{sample}/{part}.parquet", name)
    return paths


def simulated_events(wildcards):
    chosen = UNFOLDING.measurements[wildcards.measurement]
    name = getattr(wildcards, "alternative", "")
    return event_tables(chosen.simulated(name or None).samples)


def data_events(wildcards):
    return event_tables(UNFOLDING.measurements[wildcards.measurement].data.samples)


def background_events(wildcards):
    background = UNFOLDING.measurements[wildcards.measurement].background
    return event_tables(background.samples) if background else []


def unfolding_settings(wildcards, *also):
    """What one result depends on: of other measurements, methods and alternatives, nothing."""
    chosen = UNFOLDING.measurements[wildcards.measurement]
    where = f"unfolding.measurements.{wildcards.measurement}"
    name = getattr(wildcards, "alternative", "")
    own = (f"alternatives.{name}",) if name else ("shifts", "factors")
    return settings(
        "seed",
        *(
            f"{where}.{key}"
            for key in ("simulation", "data", "background", "observables", *own, *also)
        ),
        f"unfolding.methods.{wildcards.method}",
        *(f"unfolding.observables.{name}" for name in chosen.observables),
    )


def alternative_events(wildcards):
    """Tables of events of all other simulations."""
    chosen = UNFOLDING.measurements[wildcards.measurement]
    return [
        path
        for name in chosen.alternatives
        for path in event_tables(chosen.simulated(name).samples)
    ]


def names_of_alternative_events(wildcards):
    """Name of the other simulation of each of these files."""
    chosen = UNFOLDING.measurements[wildcards.measurement]
    return [
        name
        for name in chosen.alternatives
        for _ in event_tables(chosen.simulated(name).samples)
    ]


def alternative_samples(wildcards):
    """The unfolded samples that a method makes with the other simulations."""
    where = f"unfolding/{wildcards.measurement}/{wildcards.method}/alternatives"
    return [result(f"{where}/{name}.parquet") for name in alternative_names(wildcards)]


def alternative_names(wildcards):
    return list(UNFOLDING.measurements[wildcards.measurement].alternatives)


def sample_of_method(wildcards):
    """The unfolded sample of a method that makes one."""
    if wildcards.method in METHODS_IN_BINS:
        return []
    return [
        result(f"unfolding/{wildcards.measurement}/{wildcards.method}/unfolded.parquet")
    ]


def alternatives_of_sample(wildcards):
    """The unfolded samples with the other simulations, of a method that makes samples."""
    return [] if wildcards.method in METHODS_IN_BINS else alternative_samples(wildcards)


def names_of_alternatives_of_sample(wildcards):
    return [] if wildcards.method in METHODS_IN_BINS else alternative_names(wildcards)


def history_of_method(wildcards):
    if wildcards.method in METHODS_IN_BINS:
        return []
    return [
        result(f"unfolding/{wildcards.measurement}/{wildcards.method}/history.json")
    ]


def how_to_calculate(wildcards):
    """Where a method has its threads and its device, if it has any."""
    chosen = UNFOLDING.methods[wildcards.method]
    return chosen.training if wildcards.method in METHODS_BY_SAMPLES else chosen


def coverage_settings(wildcards):
    """What the coverage of one method depends on: of the sizes of other methods, nothing."""
    where, name = "unfolding.coverage", wildcards.method
    return settings(
        "seed",
        *(
            f"{where}.{key}"
            for key in type(UNFOLDING.coverage).model_fields
            if key not in ("methods", "of_method")
        ),
        *(
            [f"{where}.of_method.{name}"]
            if name in UNFOLDING.coverage.of_method
            else []
        ),
        "unfolding.observables.x",
        f"unfolding.methods.{name}",
    )


def every_unfolded(name):
    return [
        result(f"unfolding/{measurement}/{method}/{name}")
        for measurement, method in UNFOLDED
    ]


EXPORTED += [
    result(f"unfolding/{measurement}/{method}/hepdata.tar.gz")
    for measurement, methods in UNFOLDING.published.items()
    for method in methods
]


rule unfolding_select:
    input:
        ntuple_files,
        manifest=result("ntuples/{sample}/{part}.json"),
        weights=pileup_weights,
    output:
        events=result("unfolding/events/{sample}/{part}.parquet"),
        summary=result("unfolding/events/{sample}/{part}.json"),
    log:
        log_of("unfolding_select", "{sample}_{part}"),
    benchmark:
        bench_of("unfolding_select", "{sample}_{part}")
    wildcard_constraints:
        sample=one_of(UNFOLDING.samples),
    threads: CONFIG.jets.reading.processes
    # As in jets_cluster: how events are read changes no result.
    resources:
        mem_mb=memory(3000),
        runtime=minutes(120),
        gpu=0,
        executor=CONFIG.jets.reading.executor,
        workers=CONFIG.jets.reading.workers,
        dask=CONFIG.jets.reading.dask.model_dump_json(exclude_defaults=True),
        events_per_chunk=CONFIG.jets.reading.events_per_chunk,
    params:
        code=code("unfolding.select"),
        settings=settings(
            "seed", "jets.clustering.mitigation", "jets.shifts", "unfolding.selection"
        ),
    message:
        "events of {wildcards.sample}, part {wildcards.part}, for unfolding"
    shell:
        "fullchain unfolding select --manifest {input.manifest} --weights {input.weights}"
        " --events {output.events} --summary {output.summary}"
        " --executor {resources.executor} --workers {resources.workers}"
        " --dask {resources.dask:q}"
        " --events-per-chunk {resources.events_per_chunk}"
        " --settings {params.settings:q} > {log} 2>&1"


rule unfolding_toy:
    output:
        events=result("unfolding/events/{toy}/0000.parquet"),
    log:
        log_of("unfolding_toy", "{toy}"),
    benchmark:
        bench_of("unfolding_toy", "{toy}")
    wildcard_constraints:
        toy=one_of(UNFOLDING.toys),
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("unfolding.toy"),
        settings=lambda w: settings("seed", f"unfolding.toys.{w.toy}"),
    message:
        "events of {wildcards.toy}, whose truth is known"
    shell:
        "fullchain unfolding toy --name {wildcards.toy} --events {output.events:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule unfolding_pair:
    input:
        jets=lambda w: part_files(
            "jets/{sample}/{part}.parquet", UNFOLDING.pairs[w.pairs].sample
        ),
    output:
        events=result("unfolding/events/{pairs}/0000.parquet"),
    log:
        log_of("unfolding_pair", "{pairs}"),
    benchmark:
        bench_of("unfolding_pair", "{pairs}")
    wildcard_constraints:
        pairs=one_of(UNFOLDING.pairs),
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("unfolding.pair"),
        settings=lambda w: settings(f"unfolding.pairs.{w.pairs}"),
    message:
        "jets of {wildcards.pairs} at both levels"
    shell:
        "fullchain unfolding pair --jets {input.jets:q} --name {wildcards.pairs}"
        " --events {output.events:q} --settings {params.settings:q} > {log:q} 2>&1"


rule unfolding_iterate:
    input:
        simulation=simulated_events,
        data=data_events,
        background=background_events,
        # Quickly made, so that they need no jobs of their own.
        alternatives=alternative_events,
    output:
        spectra=result("unfolding/{measurement}/{method}/spectra.json"),
    log:
        log_of("unfolding_iterate", "{measurement}/{method}"),
    benchmark:
        bench_of("unfolding_iterate", "{measurement}/{method}")
    wildcard_constraints:
        method=one_of(METHODS_IN_BINS),
    threads: 1
    resources:
        mem_mb=memory_of_events(2000),
        runtime=minutes(30),
        gpu=0,
    params:
        names=names_of_alternative_events,
        code=code("unfolding.iterate"),
        settings=lambda w: unfolding_settings(w, "alternatives"),
    message:
        "{wildcards.measurement} with {wildcards.method}"
    shell:
        "fullchain unfolding iterate --simulation {input.simulation:q} --data {input.data:q}"
        " --background {input.background:q} --alternatives {input.alternatives:q}"
        " --names {params.names:q} --measurement {wildcards.measurement}"
        " --method {wildcards.method} --spectra {output.spectra:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule unfolding_reweight:
    input:
        simulation=simulated_events,
        data=data_events,
        background=background_events,
    output:
        unfolded=result("unfolding/{measurement}/{method}/unfolded.parquet"),
        history=result("unfolding/{measurement}/{method}/history.json"),
    log:
        log_of("unfolding_reweight", "{measurement}/{method}"),
    benchmark:
        bench_of("unfolding_reweight", "{measurement}/{method}")
    wildcard_constraints:
        method=one_of(METHODS_BY_WEIGHTS),
    priority: 10
    threads: lambda w: UNFOLDING.methods[w.method].threads
    resources:
        mem_mb=memory_of_events(4000),
        runtime=minutes(720),
        gpu=lambda w: int(UNFOLDING.methods[w.method].device != "cpu"),
    params:
        code=code("unfolding.reweight"),
        settings=unfolding_settings,
    message:
        "{wildcards.measurement} with {wildcards.method}"
    shell:
        "fullchain unfolding reweight --simulation {input.simulation:q} --data {input.data:q}"
        " --background {input.background:q} --measurement {wildcards.measurement}"
        " --method {wildcards.method} --unfolded {output.unfolded:q}"
        " --history {output.history:q} --settings {params.settings:q} > {log:q} 2>&1"


rule unfolding_reweight_alternative:
    input:
        simulation=simulated_events,
        data=data_events,
        background=background_events,
    output:
        unfolded=result(
            "unfolding/{measurement}/{method}/alternatives/{alternative}.parquet"
        ),
        history=result(
            "unfolding/{measurement}/{method}/alternatives/{alternative}.history.json"
        ),
    log:
        log_of("unfolding_reweight_alternative", "{measurement}/{method}/{alternative}"),
    benchmark:
        bench_of(
            "unfolding_reweight_alternative", "{measurement}/{method}/{alternative}"
        )
    wildcard_constraints:
        method=one_of(METHODS_BY_WEIGHTS),
    threads: lambda w: UNFOLDING.methods[w.method].threads
    resources:
        mem_mb=memory_of_events(4000),
        runtime=minutes(720),
        gpu=lambda w: int(UNFOLDING.methods[w.method].device != "cpu"),
    params:
        code=code("unfolding.reweight"),
        settings=unfolding_settings,
    message:
        "{wildcards.measurement} with {wildcards.method}, simulation {wildcards.alternative}"
    shell:
        "fullchain unfolding reweight --simulation {input.simulation:q} --data {input.data:q}"
        " --background {input.background:q} --measurement {wildcards.measurement}"
        " --method {wildcards.method} --alternative {wildcards.alternative}"
        " --unfolded {output.unfolded:q} --history {output.history:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule unfolding_generate:
    input:
        simulation=simulated_events,
        data=data_events,
        background=background_events,
    output:
        unfolded=result("unfolding/{measurement}/{method}/unfolded.parquet"),
        history=result("unfolding/{measurement}/{method}/history.json"),
    log:
        log_of("unfolding_generate", "{measurement}/{method}"),
    benchmark:
        bench_of("unfolding_generate", "{measurement}/{method}")
    wildcard_constraints:
        method=one_of(METHODS_BY_SAMPLES),
    priority: 10
    threads: lambda w: UNFOLDING.methods[w.method].training.threads
    resources:
        mem_mb=memory_of_events(4000),
        runtime=minutes(720),
        gpu=lambda w: int(UNFOLDING.methods[w.method].training.device != "cpu"),
    params:
        code=code("unfolding.generate"),
        settings=unfolding_settings,
    message:
        "{wildcards.measurement} with {wildcards.method}"
    shell:
        "fullchain unfolding generate --simulation {input.simulation:q} --data {input.data:q}"
        " --background {input.background:q} --measurement {wildcards.measurement}"
        " --method {wildcards.method} --unfolded {output.unfolded:q}"
        " --history {output.history:q} --settings {params.settings:q} > {log:q} 2>&1"


rule unfolding_generate_alternative:
    input:
        simulation=simulated_events,
        data=data_events,
        background=background_events,
    output:
        unfolded=result(
            "unfolding/{measurement}/{method}/alternatives/{alternative}.parquet"
        ),
        history=result(
            "unfolding/{measurement}/{method}/alternatives/{alternative}.history.json"
        ),
    log:
        log_of("unfolding_generate_alternative", "{measurement}/{method}/{alternative}"),
    benchmark:
        bench_of(
            "unfolding_generate_alternative", "{measurement}/{method}/{alternative}"
        )
    wildcard_constraints:
        method=one_of(METHODS_BY_SAMPLES),
    threads: lambda w: UNFOLDING.methods[w.method].training.threads
    resources:
        mem_mb=memory_of_events(4000),
        runtime=minutes(720),
        gpu=lambda w: int(UNFOLDING.methods[w.method].training.device != "cpu"),
    params:
        code=code("unfolding.generate"),
        settings=unfolding_settings,
    message:
        "{wildcards.measurement} with {wildcards.method}, simulation {wildcards.alternative}"
    shell:
        "fullchain unfolding generate --simulation {input.simulation:q} --data {input.data:q}"
        " --background {input.background:q} --measurement {wildcards.measurement}"
        " --method {wildcards.method} --alternative {wildcards.alternative}"
        " --unfolded {output.unfolded:q} --history {output.history:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule unfolding_project:
    input:
        unfolded=result("unfolding/{measurement}/{method}/unfolded.parquet"),
        alternatives=alternative_samples,
    output:
        spectra=result("unfolding/{measurement}/{method}/spectra.json"),
    log:
        log_of("unfolding_project", "{measurement}/{method}"),
    benchmark:
        bench_of("unfolding_project", "{measurement}/{method}")
    wildcard_constraints:
        method=one_of([*METHODS_BY_WEIGHTS, *METHODS_BY_SAMPLES]),
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
        gpu=0,
    params:
        names=alternative_names,
        code=code("unfolding.project"),
        settings=lambda w: settings(
            *(
                f"unfolding.observables.{name}"
                for name in UNFOLDING.measurements[w.measurement].observables
            )
        ),
    message:
        "spectra of {wildcards.measurement} with {wildcards.method}"
    shell:
        "fullchain unfolding project --unfolded {input.unfolded:q}"
        " --alternatives {input.alternatives:q} --names {params.names:q}"
        " --spectra {output.spectra:q} --settings {params.settings:q} > {log:q} 2>&1"


rule unfolding_evaluate:
    input:
        spectra=result("unfolding/{measurement}/{method}/spectra.json"),
        unfolded=sample_of_method,
        history=history_of_method,
        simulation=simulated_events,
        data=data_events,
        background=background_events,
    output:
        performance=result("unfolding/{measurement}/{method}/performance.json"),
    log:
        log_of("unfolding_evaluate", "{measurement}/{method}"),
    benchmark:
        bench_of("unfolding_evaluate", "{measurement}/{method}")
    threads: 1
    resources:
        mem_mb=memory_of_events(2000),
        runtime=minutes(30),
        gpu=0,
    params:
        code=code("unfolding.evaluate"),
        settings=lambda w: settings(
            "seed",
            f"unfolding.measurements.{w.measurement}",
            f"unfolding.methods.{w.method}",
            "unfolding.evaluation",
            *(
                f"unfolding.observables.{name}"
                for name in UNFOLDING.measurements[w.measurement].observables
            ),
        ),
    message:
        "{wildcards.measurement} with {wildcards.method} against the truth"
    shell:
        "fullchain unfolding evaluate --spectra {input.spectra:q} --unfolded {input.unfolded:q}"
        " --history {input.history:q} --simulation {input.simulation:q} --data {input.data:q}"
        " --background {input.background:q} --measurement {wildcards.measurement}"
        " --method {wildcards.method} --performance {output.performance:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule unfolding_coverage:
    output:
        coverage=result("unfolding/coverage/{method}.json"),
    log:
        log_of("unfolding_coverage", "{method}"),
    benchmark:
        bench_of("unfolding_coverage", "{method}")
    wildcard_constraints:
        method=one_of(COVERED),
    threads: lambda w: getattr(how_to_calculate(w), "threads", 1)
    resources:
        mem_mb=memory(6000),
        runtime=minutes(720),
        gpu=lambda w: int(getattr(how_to_calculate(w), "device", "cpu") != "cpu"),
    params:
        code=code("unfolding.coverage"),
        settings=coverage_settings,
    message:
        "coverage of {wildcards.method}"
    shell:
        "fullchain unfolding coverage --method {wildcards.method}"
        " --coverage {output.coverage:q} --settings {params.settings:q} > {log:q} 2>&1"


rule unfolding_publish:
    input:
        spectra=result("unfolding/{measurement}/{method}/spectra.json"),
        unfolded=sample_of_method,
        alternatives=alternatives_of_sample,
    output:
        submission=result("unfolding/{measurement}/{method}/hepdata.tar.gz"),
        listing=result("unfolding/{measurement}/{method}/hepdata/submission.yaml"),
    log:
        log_of("unfolding_publish", "{measurement}/{method}"),
    benchmark:
        bench_of("unfolding_publish", "{measurement}/{method}")
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
        gpu=0,
    params:
        names=names_of_alternatives_of_sample,
        code=code("unfolding.publish"),
        settings=lambda w: settings(
            "unfolding.publication",
            *(
                f"unfolding.observables.{name}"
                for name in UNFOLDING.measurements[w.measurement].observables
            ),
        ),
    message:
        "HEPData record of {wildcards.measurement} with {wildcards.method}"
    shell:
        "fullchain unfolding publish --spectra {input.spectra:q} --unfolded {input.unfolded:q}"
        " --alternatives {input.alternatives:q} --names {params.names:q}"
        " --measurement {wildcards.measurement} --method {wildcards.method}"
        " --submission {output.submission:q} --listing {output.listing:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule unfolding_tabulate:
    input:
        performance=every_unfolded("performance.json"),
        coverage=[result(f"unfolding/coverage/{name}.json") for name in COVERED],
    output:
        metrics=result("unfolding/metrics.json"),
        comparison=result("unfolding/tables.json"),
    log:
        log_of("unfolding_tabulate"),
    benchmark:
        bench_of("unfolding_tabulate")
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("unfolding.tabulate"),
        settings=settings(),
    message:
        "numbers of all unfolded spectra"
    shell:
        "fullchain unfolding tabulate --performance {input.performance:q}"
        " --coverage {input.coverage:q} --metrics {output.metrics:q}"
        " --comparison {output.comparison:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule unfolding_plot:
    input:
        performance=every_unfolded("performance.json"),
        coverage=[result(f"unfolding/coverage/{name}.json") for name in COVERED],
    output:
        index=result("unfolding/figures/index.json"),
        pdf=figures("unfolding", UNFOLDING_FIGURES),
        png=report_figures("unfolding", UNFOLDING_FIGURES),
    log:
        log_of("unfolding_plot"),
    benchmark:
        bench_of("unfolding_plot")
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
        gpu=0,
    params:
        code=code("unfolding.plot"),
        settings=settings(),
    message:
        "figures of unfolding"
    shell:
        "fullchain unfolding plot --performance {input.performance:q}"
        " --coverage {input.coverage:q} --index {output.index:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"
