# Ntuples: events of Pythia 8 with the parametric detector, or files made elsewhere.
from fullchain.ntuples.figures import names as ntuples_figure_names
from fullchain.ntuples.sources import local_inputs

GENERATED = "|".join(samples("generated")) or "(?!)"
CONVERTED = "|".join(converted_samples()) or "(?!)"
INGESTED = "|".join(converted_samples(False)) or "(?!)"
ELECTROMAGNETIC = CONFIG.ntuples.detector.calorimeter.electromagnetic
# Each kind of response is a step of its own: a change of a model of showers concerns only those.
GENERATED_WITH = {
    kind: GENERATED if kind == ELECTROMAGNETIC.kind else "(?!)"
    for kind in ("resolution", "parameterised", "model")
}
NTUPLES_FIGURES = ntuples_figure_names(CONFIG.ntuples.samples)


def pileup_pool(wildcards):
    """The pool of minimum-bias collisions, for a sample with pile-up."""
    if CONFIG.ntuples.samples[wildcards.sample].has_pileup:
        return [result("ntuples/minbias/pool.root")]
    return []


def generator_file(wildcards):
    """The cross section of a generated sample; an ingested one has it in its settings."""
    if CONFIG.ntuples.samples[wildcards.sample].kind == "generated":
        return [result(f"ntuples/{wildcards.sample}/generator.json")]
    return []


rule ntuples_initialise:
    output:
        initialisation=result("ntuples/{sample}/pythia.mpi"),
        generator=result("ntuples/{sample}/generator.json"),
    log:
        log_of("ntuples_initialise", "{sample}"),
    benchmark:
        bench_of("ntuples_initialise", "{sample}")
    wildcard_constraints:
        sample=GENERATED,
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("ntuples.initialise"),
        settings=lambda w: generation_settings(
            w.sample,
            "0000",
            "ntuples.beams",
            "ntuples.cross_section_events",
            without=("pileup", "pileup_profile", "shower_weights"),
        ),
    message:
        "Ntuples: initialising Pythia for {wildcards.sample}"
    shell:
        "fullchain ntuples initialise --sample {wildcards.sample}"
        " --initialisation {output.initialisation} --generator {output.generator}"
        " --settings {params.settings:q} > {log} 2>&1"


rule ntuples_pool:
    output:
        pool=result("ntuples/minbias/pool.root"),
    log:
        log_of("ntuples_pool"),
    benchmark:
        bench_of("ntuples_pool")
    threads: 1
    resources:
        mem_mb=lambda w, attempt: attempt * (1000 + CONFIG.ntuples.pool.events // 20),
        runtime=lambda w, attempt: attempt * (10 + CONFIG.ntuples.pool.events // 5000),
        gpu=0,
    params:
        code=code("ntuples.pool"),
        settings=settings("seed", "ntuples.beams", "ntuples.pool"),
    message:
        "Ntuples: minimum-bias collisions for pile-up"
    shell:
        "fullchain ntuples pool --pool {output.pool}"
        " --settings {params.settings:q} > {log} 2>&1"


rule ntuples_generate:
    input:
        initialisation=result("ntuples/{sample}/pythia.mpi"),
        generator=result("ntuples/{sample}/generator.json"),
        pool=pileup_pool,
    output:
        ntuple=result("ntuples/{sample}/{part}.root"),
        manifest=result("ntuples/{sample}/{part}.json"),
    log:
        log_of("ntuples_generate", "{sample}_{part}"),
    benchmark:
        bench_of("ntuples_generate", "{sample}_{part}")
    wildcard_constraints:
        sample=GENERATED_WITH["resolution"],
    threads: 1
    resources:
        mem_mb=memory(2000),
        # 0.3 s an event: Vincia with much pile-up on a slow machine
        runtime=lambda w, attempt: attempt
        * (10 + CONFIG.ntuples.samples[w.sample].events_per_job // 200),
        gpu=0,
    params:
        code=code("ntuples.generate"),
        settings=lambda w: generation_settings(
            w.sample, w.part, "ntuples.beams", "ntuples.detector", "ntuples.objects"
        ),
    message:
        "Ntuples: generating {wildcards.sample}, part {wildcards.part}"
    shell:
        "fullchain ntuples generate --initialisation {input.initialisation}"
        " --generator {input.generator} --pool {input.pool}"
        " --sample {wildcards.sample} --part {wildcards.part}"
        " --ntuple {output.ntuple} --manifest {output.manifest}"
        " --settings {params.settings:q} > {log} 2>&1"


rule ntuples_generate_parameterised:
    input:
        initialisation=result("ntuples/{sample}/pythia.mpi"),
        generator=result("ntuples/{sample}/generator.json"),
        pool=pileup_pool,
    output:
        ntuple=result("ntuples/{sample}/{part}.root"),
        manifest=result("ntuples/{sample}/{part}.json"),
    log:
        log_of("ntuples_generate_parameterised", "{sample}_{part}"),
    benchmark:
        bench_of("ntuples_generate_parameterised", "{sample}_{part}")
    wildcard_constraints:
        sample=GENERATED_WITH["parameterised"],
    threads: 1
    resources:
        mem_mb=memory(3000),
        # as without showers; these take some 10 ms an event
        runtime=lambda w, attempt: attempt
        * (10 + CONFIG.ntuples.samples[w.sample].events_per_job // 200),
        gpu=0,
    params:
        code=code("ntuples.generate_parameterised"),
        settings=lambda w: generation_settings(
            w.sample,
            w.part,
            "ntuples.beams",
            "ntuples.detector",
            "ntuples.objects",
            f"calorimetry.detectors.{ELECTROMAGNETIC.detector}",
        ),
    message:
        "Ntuples: generating {wildcards.sample} with showers, part {wildcards.part}"
    shell:
        "fullchain ntuples generate_parameterised --initialisation {input.initialisation}"
        " --generator {input.generator} --pool {input.pool}"
        " --sample {wildcards.sample} --part {wildcards.part}"
        " --ntuple {output.ntuple} --manifest {output.manifest}"
        " --settings {params.settings:q} > {log} 2>&1"


rule ntuples_generate_learned:
    input:
        initialisation=result("ntuples/{sample}/pythia.mpi"),
        generator=result("ntuples/{sample}/generator.json"),
        pool=pileup_pool,
        model=lambda w: result(f"calorimetry/models/{ELECTROMAGNETIC.model}/model.pt"),
    output:
        ntuple=result("ntuples/{sample}/{part}.root"),
        manifest=result("ntuples/{sample}/{part}.json"),
    log:
        log_of("ntuples_generate_learned", "{sample}_{part}"),
    benchmark:
        bench_of("ntuples_generate_learned", "{sample}_{part}")
    wildcard_constraints:
        sample=GENERATED_WITH["model"],
    threads: 1
    resources:
        mem_mb=memory(3000),
        # as without showers; these may take 10 ms each
        runtime=lambda w, attempt: attempt
        * (10 + CONFIG.ntuples.samples[w.sample].events_per_job // 50),
        gpu=0,
    params:
        code=code("ntuples.generate_learned"),
        settings=lambda w: generation_settings(
            w.sample,
            w.part,
            "ntuples.beams",
            "ntuples.detector",
            "ntuples.objects",
            f"calorimetry.detectors.{ELECTROMAGNETIC.detector}",
        ),
    message:
        "Ntuples: generating {wildcards.sample} with learned showers, part {wildcards.part}"
    shell:
        "fullchain ntuples generate_learned --initialisation {input.initialisation}"
        " --generator {input.generator} --pool {input.pool} --model {input.model}"
        " --sample {wildcards.sample} --part {wildcards.part}"
        " --ntuple {output.ntuple} --manifest {output.manifest}"
        " --settings {params.settings:q} > {log} 2>&1"


rule ntuples_ingest:
    input:
        lambda w: local_inputs(CONFIG.ntuples.samples[w.sample], w.part),
    output:
        manifest=result("ntuples/{sample}/{part}.json"),
    log:
        log_of("ntuples_ingest", "{sample}_{part}"),
    benchmark:
        bench_of("ntuples_ingest", "{sample}_{part}")
    wildcard_constraints:
        sample=INGESTED,
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(60),
        gpu=0,
    params:
        code=code("ntuples.ingest"),
        settings=lambda w: settings(f"ntuples.samples.{w.sample}"),
    message:
        "Ntuples: checking and counting the files of {wildcards.sample}, part {wildcards.part}"
    shell:
        "fullchain ntuples ingest --sample {wildcards.sample} --part {wildcards.part}"
        " --manifest {output.manifest} --settings {params.settings:q} > {log} 2>&1"


rule ntuples_convert:
    input:
        lambda w: local_inputs(CONFIG.ntuples.samples[w.sample], w.part),
    output:
        ntuple=result("ntuples/{sample}/{part}.root"),
        manifest=result("ntuples/{sample}/{part}.json"),
    log:
        log_of("ntuples_convert", "{sample}_{part}"),
    benchmark:
        bench_of("ntuples_convert", "{sample}_{part}")
    wildcard_constraints:
        sample=CONVERTED,
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(60),
        gpu=0,
    params:
        code=code("ntuples.convert"),
        settings=lambda w: settings(f"ntuples.samples.{w.sample}"),
    message:
        "Ntuples: converting the jets of {wildcards.sample}, part {wildcards.part}"
    shell:
        "fullchain ntuples convert --sample {wildcards.sample} --part {wildcards.part}"
        " --ntuple {output.ntuple} --manifest {output.manifest}"
        " --settings {params.settings:q} > {log} 2>&1"


rule ntuples_manifest:
    input:
        parts=lambda w: part_files("ntuples/{sample}/{part}.json", w.sample),
        generator=generator_file,
    output:
        manifest=result("ntuples/{sample}/manifest.json"),
    log:
        log_of("ntuples_manifest", "{sample}"),
    benchmark:
        bench_of("ntuples_manifest", "{sample}")
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(5),
        gpu=0,
    params:
        code=code("ntuples.manifest"),
        settings=settings(),
    message:
        "Ntuples: putting the manifests of {wildcards.sample} together"
    shell:
        "fullchain ntuples manifest --parts {input.parts} --generator {input.generator}"
        " --manifest {output.manifest} --settings {params.settings:q} > {log} 2>&1"


rule ntuples_measure:
    input:
        ntuples=[
            path
            for sample in samples("generated")
            for path in part_files("ntuples/{sample}/{part}.root", sample)
        ],
        manifests=[result(f"ntuples/{sample}/manifest.json") for sample in samples()],
    output:
        metrics=result("ntuples/metrics.json"),
        numbers=result("ntuples/numbers.json"),
    log:
        log_of("ntuples_measure"),
    benchmark:
        bench_of("ntuples_measure")
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
        gpu=0,
    params:
        code=code("ntuples.measure"),
        settings=settings("ntuples.measurement"),
    message:
        "Ntuples: densities, spectra and weights of all samples"
    shell:
        "fullchain ntuples measure --manifests {input.manifests} --metrics {output.metrics}"
        " --numbers {output.numbers} --settings {params.settings:q} > {log} 2>&1"


rule ntuples_plot:
    input:
        numbers=result("ntuples/numbers.json"),
    output:
        figures("ntuples", NTUPLES_FIGURES),
        report_figures("ntuples", NTUPLES_FIGURES),
        index=result("ntuples/figures/index.json"),
    log:
        log_of("ntuples_plot"),
    benchmark:
        bench_of("ntuples_plot")
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("ntuples.plot"),
        settings=settings(
            *(
                f"ntuples.samples.{sample}.{key}"
                for sample in samples("generated")
                for key in ("pileup", "pileup_profile")
            )
        ),
    message:
        "Ntuples: figures"
    shell:
        "fullchain ntuples plot --numbers {input.numbers} --index {output.index}"
        " --settings {params.settings:q} > {log} 2>&1"
