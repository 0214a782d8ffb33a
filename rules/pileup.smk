# Pile-up: weights of candidates where the jets need them, and a comparison of the methods.
from types import SimpleNamespace

from fullchain.pileup.discrimination_pairs import pairs as pileup_pairs
from fullchain.pileup.figures import names as pileup_figure_names, of_pairs

LEARNED = CONFIG.pileup.learned
PILEUP_EVALUATED = [
    name
    for name in CONFIG.pileup.evaluation.samples or samples("generated")
    if CONFIG.pileup.evaluation.samples
    or (
        CONFIG.ntuples.samples[name].has_pileup and name not in CONFIG.pileup.trained_on
    )
]
PILEUP_COMPARED = list(CONFIG.pileup.comparison.samples)
PILEUP_PAIRS = pileup_pairs(
    CONFIG.pileup.discrimination.pairs,
    CONFIG.ntuples.samples,
    CONFIG.pileup.trained_on,
)
PILEUP_FIGURES = pileup_figure_names(
    PILEUP_EVALUATED, PILEUP_COMPARED, learned=bool(LEARNED)
)
PILEUP_FIGURES += of_pairs(PILEUP_PAIRS)


def evaluated_parts(pattern):
    """Files of the parts that are compared: the first ones, as far as the events are needed."""
    wanted = []
    for name in PILEUP_EVALUATED:
        sample = CONFIG.ntuples.samples[name]
        each = getattr(sample, "events_per_job", CONFIG.pileup.evaluation.max_events)
        needed = -(-CONFIG.pileup.evaluation.max_events // each)
        wanted += part_files(pattern, name)[:needed]
    return wanted


def paired_parts(pair, pattern, which=("signal", "background")):
    """Files of the parts of a pair of samples, as far as the events are needed."""
    wanted = []
    for name in (getattr(PILEUP_PAIRS[pair], one) for one in which):
        each = CONFIG.ntuples.samples[name].events_per_job
        needed = -(-CONFIG.pileup.discrimination.max_events // each)
        wanted += part_files(pattern, name)[:needed]
    return wanted


def ntuple_of_part(wildcards):
    """The ROOT files of a part that lie on this machine."""
    sample = CONFIG.ntuples.samples[wildcards.sample]
    if sample.kind == "generated" or sample.is_converted:
        return [result(f"ntuples/{wildcards.sample}/{wildcards.part}.root")]
    return local_inputs(sample, wildcards.part)


def learned_manifests(method):
    """The part manifests of the samples that a method is trained on."""
    return [
        path
        for sample in LEARNED[method].samples
        for path in part_files("ntuples/{sample}/{part}.json", sample)
    ]


def learned_ntuples(method):
    """The ROOT files of these parts: generated, for they have the truth."""
    return [
        path
        for sample in LEARNED[method].samples
        for path in part_files("ntuples/{sample}/{part}.root", sample)
    ]


def learned_models(wildcards):
    """The trainings behind weights: all of a method, or the one that the name ends with."""
    name, _, seed = wildcards.weights.partition("_seed")
    seeds = [int(seed)] if seed else range(LEARNED[name].seeds)
    return [result(f"pileup/learned/{name}/seed{number}/model.pt") for number in seeds]


def learned_settings(method):
    """What a training depends on: not how many others there are with other seeds."""
    fields = [name for name in type(LEARNED[method]).model_fields if name != "seeds"]
    return settings("seed", *(f"pileup.learned.{method}.{name}" for name in fields))


def trained_densities():
    """The settings that tell which densities of pile-up the learned methods were trained on."""
    known = [
        name
        for name in sorted(CONFIG.pileup.trained_on)
        if CONFIG.ntuples.samples[name].kind == "generated"
    ]
    return [
        *(f"pileup.learned.{method}.samples" for method in LEARNED),
        *(
            f"ntuples.samples.{name}.{key}"
            for name in known
            for key in ("pileup", "pileup_profile")
        ),
    ]


def learned_gpu(method):
    """Whether a method may use a GPU."""
    return int(LEARNED[method].training.device != "cpu")


def learned_memory(wildcards, attempt):
    """Memory in MB: libraries, a batch, and the rows up to their budget, twice while joined."""
    budget = LEARNED[wildcards.learned].training.memory_budget_mb
    return attempt * int(3000 + 2 * (budget or 3000))


rule pileup_weights:
    input:
        ntuple_of_part,
        manifest=result("ntuples/{sample}/{part}.json"),
    output:
        weights=result("pileup/weights/{method}/{sample}/{part}.parquet"),
        summary=result("pileup/weights/{method}/{sample}/{part}.json"),
    log:
        log_of("pileup_weights", "{method}_{sample}_{part}"),
    benchmark:
        bench_of("pileup_weights", "{method}_{sample}_{part}")
    wildcard_constraints:
        method="none|chs|puppi|softkiller",
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
        gpu=0,
    params:
        code=code("pileup.weights"),
        settings=settings("pileup.classical"),
    message:
        "Pile-up: weights of {wildcards.method} for {wildcards.sample}, part {wildcards.part}"
    shell:
        "fullchain pileup weights --manifest {input.manifest:q} --method {wildcards.method}"
        " --weights {output.weights:q} --summary {output.summary:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule pileup_train:
    input:
        ntuples=lambda w: learned_ntuples(w.learned),
        manifests=lambda w: learned_manifests(w.learned),
    output:
        model=result("pileup/learned/{learned}/{member}/model.pt"),
        history=result("pileup/learned/{learned}/{member}/history.json"),
    log:
        log_of("pileup_train", "{learned}/{member}"),
    benchmark:
        bench_of("pileup_train", "{learned}/{member}")
    wildcard_constraints:
        learned="|".join(LEARNED) or "none",
        member=r"seed\d+",
    # Weights, and all that follows, wait for it.
    priority: 10
    threads: lambda w: LEARNED[w.learned].training.threads
    resources:
        mem_mb=learned_memory,
        runtime=minutes(720),
        gpu=lambda w: learned_gpu(w.learned),
    params:
        code=code("pileup.train"),
        settings=lambda w: learned_settings(w.learned),
    message:
        "Pile-up: training {wildcards.learned}, {wildcards.member}"
    shell:
        "fullchain pileup train --manifests {input.manifests:q} --method {wildcards.learned}"
        " --member {wildcards.member} --model {output.model:q} --history {output.history:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


# The same files as of pileup_weights, of a method or, such as graph_seed0, of one of its trainings.
rule pileup_apply:
    input:
        ntuple_of_part,
        manifest=result("ntuples/{sample}/{part}.json"),
        models=learned_models,
    output:
        weights=result("pileup/weights/{weights}/{sample}/{part}.parquet"),
    log:
        log_of("pileup_apply", "{weights}_{sample}_{part}"),
    benchmark:
        bench_of("pileup_apply", "{weights}_{sample}_{part}")
    wildcard_constraints:
        weights=f"({'|'.join(LEARNED) or 'none'})(_seed\\d+)?",
    threads: lambda w: LEARNED[w.weights.partition("_seed")[0]].training.threads
    resources:
        mem_mb=memory(2500),
        runtime=minutes(120),
        gpu=lambda w: learned_gpu(w.weights.partition("_seed")[0]),
    params:
        code=code("pileup.apply"),
        settings=settings(),
    message:
        "Pile-up: weights of {wildcards.weights} for {wildcards.sample}, part {wildcards.part}"
    shell:
        "fullchain pileup apply --manifest {input.manifest:q} --models {input.models:q}"
        " --method {wildcards.weights} --weights {output.weights:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule pileup_evaluate:
    input:
        evaluated_parts("ntuples/{sample}/{part}.root"),
        manifests=evaluated_parts("ntuples/{sample}/{part}.json"),
        weights=[
            path
            for name in CONFIG.pileup.weight_names
            for path in evaluated_parts(
                f"pileup/weights/{name}/{{sample}}/{{part}}.parquet"
            )
        ],
    output:
        numbers=result("pileup/numbers.json"),
        cost=result("pileup/cost.json"),
    log:
        log_of("pileup_evaluate"),
    benchmark:
        bench_of("pileup_evaluate")
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
        gpu=0,
    params:
        code=code("pileup.evaluate"),
        settings=settings(
            "seed", "pileup.evaluation", "pileup.classical", *trained_densities()
        ),
    message:
        "Pile-up: comparing the methods on generated samples"
    shell:
        "fullchain pileup evaluate --manifests {input.manifests:q} --weights {input.weights:q}"
        " --numbers {output.numbers:q}"
        " --cost {output.cost:q} --settings {params.settings:q} > {log:q} 2>&1"


rule pileup_discriminate:
    input:
        lambda w: paired_parts(w.pair, "ntuples/{sample}/{part}.root"),
        signals=lambda w: paired_parts(
            w.pair, "ntuples/{sample}/{part}.json", ("signal",)
        ),
        backgrounds=lambda w: paired_parts(
            w.pair, "ntuples/{sample}/{part}.json", ("background",)
        ),
        # Of each method; its single trainings are measured by pileup_evaluate.
        weights=lambda w: [
            path
            for name in LEARNED
            for path in paired_parts(
                w.pair, f"pileup/weights/{name}/{{sample}}/{{part}}.parquet"
            )
        ],
    output:
        numbers=result("pileup/discrimination/{pair}.json"),
    log:
        log_of("pileup_discriminate", "{pair}"),
    benchmark:
        bench_of("pileup_discriminate", "{pair}")
    wildcard_constraints:
        pair="|".join(PILEUP_PAIRS) or "none",
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
        gpu=0,
    params:
        code=code("pileup.discriminate"),
        settings=settings(
            "seed",
            "pileup.discrimination",
            "pileup.classical",
            "jets.substructure",
            "jets.truth.label_radius",
            *trained_densities(),
        ),
    message:
        "Pile-up: telling top jets from QCD jets with each method, {wildcards.pair}"
    shell:
        "fullchain pileup discriminate --pair {wildcards.pair} --signals {input.signals:q}"
        " --backgrounds {input.backgrounds:q} --weights {input.weights:q}"
        " --numbers {output.numbers:q} --settings {params.settings:q} > {log:q} 2>&1"


rule pileup_compare:
    input:
        lambda w: [
            path
            for part in parts(w.sample)
            for path in ntuple_of_part(SimpleNamespace(sample=w.sample, part=part))
        ],
        manifests=lambda w: part_files("ntuples/{sample}/{part}.json", w.sample),
    output:
        numbers=result("pileup/comparison/{sample}.json"),
    log:
        log_of("pileup_compare", "{sample}"),
    benchmark:
        bench_of("pileup_compare", "{sample}")
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
        gpu=0,
    params:
        code=code("pileup.compare"),
        settings=settings("seed", "pileup.comparison"),
    message:
        "Pile-up: our PUPPI weights and the stored ones of {wildcards.sample}"
    shell:
        "fullchain pileup compare --manifests {input.manifests:q} --numbers {output.numbers:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule pileup_tabulate:
    input:
        numbers=result("pileup/numbers.json"),
        comparisons=[
            result(f"pileup/comparison/{name}.json") for name in PILEUP_COMPARED
        ],
        pairs=[result(f"pileup/discrimination/{name}.json") for name in PILEUP_PAIRS],
    output:
        metrics=result("pileup/metrics.json"),
    log:
        log_of("pileup_tabulate"),
    benchmark:
        bench_of("pileup_tabulate")
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(5),
        gpu=0,
    params:
        code=code("pileup.tabulate"),
        settings=settings(),
    message:
        "Pile-up: numbers of all methods"
    shell:
        "fullchain pileup tabulate --numbers {input.numbers:q}"
        " --comparisons {input.comparisons:q} --pairs {input.pairs:q}"
        " --metrics {output.metrics:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule pileup_plot:
    input:
        numbers=result("pileup/numbers.json"),
        cost=result("pileup/cost.json"),
        comparisons=[
            result(f"pileup/comparison/{name}.json") for name in PILEUP_COMPARED
        ],
        pairs=[result(f"pileup/discrimination/{name}.json") for name in PILEUP_PAIRS],
    output:
        figures("pileup", PILEUP_FIGURES),
        report_figures("pileup", PILEUP_FIGURES),
        index=result("pileup/figures/index.json"),
    log:
        log_of("pileup_plot"),
    benchmark:
        bench_of("pileup_plot")
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
        gpu=0,
    params:
        code=code("pileup.plot"),
        settings=settings("ntuples.beams.energy"),
    message:
        "Pile-up: figures"
    shell:
        "fullchain pileup plot --numbers {input.numbers:q} --cost {input.cost:q}"
        " --comparisons {input.comparisons:q} --pairs {input.pairs:q}"
        " --index {output.index:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"
