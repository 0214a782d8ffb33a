# Mass-decorrelated classifiers: training or transformation of scores, what is left of the mass.
from fullchain.decorrelation.figures import names as decorrelation_figure_names
from fullchain.decorrelation.settings import base_of, seeds_of, source_of

CLASSIFIERS = CONFIG.decorrelation.classifiers
VARIANTS = CONFIG.decorrelation.variants
# Of a flow there is no training of its own: it changes the scores of a tagger or a variant.
TRANSFORMED = [
    name
    for name, one in VARIANTS.items()
    if CLASSIFIERS[one.classifier].method.kind == "flow"
]
TRAINED = [name for name in VARIANTS if name not in TRANSFORMED]
DECORRELATION_TAGGERS = list(CONFIG.decorrelation.taggers)
# What is measured: each variant, and the taggers as they were.
DECORRELATION_MEASURED = [*DECORRELATION_TAGGERS, *VARIANTS]
DECORRELATION_FIGURES = decorrelation_figure_names(CONFIG.decorrelation)


def tagger_of(name):
    """The tagger that a variant is made of; of a tagger, itself."""
    return base_of(CONFIG.decorrelation, name)


def classifier_of(variant):
    return CLASSIFIERS[VARIANTS[variant].classifier]


def strength_option(variant):
    """The strength of the method as an option, where it has one."""
    strength = VARIANTS[variant].strength
    return "" if strength is None else f"--strength {strength!r}"


def variant_seeds(variant):
    """How many trainings the scores of a variant are of; of a flow, those that it transforms."""
    own = seeds_of(CLASSIFIERS, VARIANTS[variant].classifier)
    return own or TAGGERS[tagger_of(variant)].seeds


def variant_members(variant, name):
    """A file of each training of a variant."""
    folds = TAGGERS[tagger_of(variant)].folds
    return [
        result(f"decorrelation/{variant}/{member.name}/{name}")
        for member in members(folds, variant_seeds(variant))
    ]


def classifier_settings(variant):
    """The settings of the classifier of a variant, and of the one that it transforms, if any."""
    own = VARIANTS[variant].classifier
    source = source_of(CLASSIFIERS, own)
    names = [own, *([source] if source else [])]
    return [f"decorrelation.classifiers.{name}" for name in names]


def flow_files(variant):
    """The flow of the mean score, and of each seed where there are several."""
    seeds = variant_seeds(variant)
    names = ["mean", *(f"seed{seed}" for seed in range(seeds if seeds > 1 else 0))]
    return [result(f"decorrelation/{variant}/{name}/flow.pt") for name in names]


def decorrelation_training_settings(variant):
    """What a training depends on: those of its tagger and of its own classifier."""
    tagger = tagger_of(variant)
    chosen = f"tagging.taggers.{tagger}"
    own = [
        f"{chosen}.{name}"
        for name in type(TAGGERS[tagger]).model_fields
        if name not in ("seeds", "training")
    ]
    training = [f"{chosen}.training"] if TAGGERS[tagger].training else []
    common = [] if TAGGERS[tagger].training else ["tagging.training"]
    classifier = f"decorrelation.classifiers.{VARIANTS[variant].classifier}"
    method = [
        f"{classifier}.method.{name}"
        for name in type(classifier_of(variant).method).model_fields
        if name != "strengths"
    ]
    fields = [
        f"{classifier}.{name}"
        for name in type(classifier_of(variant)).model_fields
        if name not in ("method", "seeds")
    ]
    return settings(
        "seed",
        "tagging.selection",
        "tagging.split",
        "decorrelation.against",
        *common,
        *own,
        *training,
        *fields,
        *method,
    )


def every_measured(path):
    """A file of each variant, and of each tagger as it was."""
    return [result(path.format(measured=name)) for name in DECORRELATION_MEASURED]


def fit_manifests(name):
    """Manifests with the cross sections that a mass fit needs."""
    fit = CONFIG.decorrelation.evaluation.mass_fit
    if fit is None or fit.expected is not None:
        return []
    return [
        result(f"ntuples/{sample}/manifest.json")
        for sample in TAGGERS[tagger_of(name)].samples
    ]


def name_options(name):
    """Which scores are measured, as options."""
    options = f"--tagger {tagger_of(name)}"
    if name in VARIANTS:
        options += f" --classifier {VARIANTS[name].classifier} --variant {name}"
    return options


def decorrelation_evaluation_settings(name):
    """What a measurement depends on: of other classifiers, nothing."""
    own = classifier_settings(name) if name in VARIANTS else []
    return settings(
        "seed",
        "tagging.selection",
        f"tagging.taggers.{tagger_of(name)}",
        "decorrelation.against",
        "decorrelation.evaluation",
        *own,
    )


rule decorrelation_train:
    input:
        jets=lambda w: given_jets(
            tagger_of(w.variant), tagger_samples(tagger_of(w.variant))
        ),
        files=lambda w: listed_files(
            tagger_of(w.variant), tagger_samples(tagger_of(w.variant))
        ),
    output:
        model=result("decorrelation/{variant}/{member}/model.pt"),
        history=result("decorrelation/{variant}/{member}/history.json"),
    log:
        log_of("decorrelation_train", "{variant}/{member}"),
    benchmark:
        bench_of("decorrelation_train", "{variant}/{member}")
    wildcard_constraints:
        variant="|".join(TRAINED) or "none",
    # Scores, and all that follows, wait for it.
    priority: 10
    threads: lambda w: training_threads(tagger_of(w.variant))
    resources:
        mem_mb=lambda w, input: tagger_memory(tagger_of(w.variant), input.size_mb),
        runtime=minutes(720),
        gpu=lambda w: training_gpus(tagger_of(w.variant)),
    params:
        samples=lambda w: names_of(tagger_samples(tagger_of(w.variant))),
        classifier=lambda w: VARIANTS[w.variant].classifier,
        strength=lambda w: strength_option(w.variant),
        code=code("decorrelation.train"),
        settings=lambda w: decorrelation_training_settings(w.variant),
    message:
        "training {wildcards.variant}, {wildcards.member}"
    shell:
        "fullchain decorrelation train --jets {input.jets:q} --samples {params.samples}"
        " --classifier {params.classifier} {params.strength} --member {wildcards.member}"
        " --model {output.model:q} --history {output.history:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


# The step of the taggers: a decorrelated classifier that was trained is one.
rule decorrelation_predict:
    input:
        jets=lambda w: given_jets(tagger_of(w.variant), [w.sample]),
        files=lambda w: listed_files(tagger_of(w.variant), [w.sample]),
        models=lambda w: variant_members(w.variant, "model.pt"),
    output:
        scores=result("decorrelation/{variant}/scores/{sample}.parquet"),
    log:
        log_of("decorrelation_predict", "{variant}/{sample}"),
    benchmark:
        bench_of("decorrelation_predict", "{variant}/{sample}")
    wildcard_constraints:
        variant="|".join(TRAINED) or "none",
    threads: lambda w: scoring_threads(tagger_of(w.variant))
    resources:
        mem_mb=memory(4000),
        runtime=minutes(120),
        gpu=lambda w: scoring_gpu(tagger_of(w.variant)),
    params:
        code=code("tagging.predict"),
        settings=lambda w: prediction_settings(tagger_of(w.variant)),
    message:
        "scores of {wildcards.variant} for {wildcards.sample}"
    shell:
        "fullchain tagging predict --jets {input.jets:q} --sample {wildcards.sample}"
        " --models {input.models:q} --scores {output.scores:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule decorrelation_flatten:
    input:
        jets=lambda w: given_jets(
            tagger_of(w.variant), TAGGERS[tagger_of(w.variant)].samples
        ),
        files=lambda w: listed_files(
            tagger_of(w.variant), TAGGERS[tagger_of(w.variant)].samples
        ),
        scores=lambda w: [
            scores_of(classifier_of(w.variant).tagger, sample)
            for sample in TAGGERS[tagger_of(w.variant)].samples
        ],
    output:
        flow=result("decorrelation/{variant}/{score}/flow.pt"),
        history=result("decorrelation/{variant}/{score}/history.json"),
    log:
        log_of("decorrelation_flatten", "{variant}/{score}"),
    benchmark:
        bench_of("decorrelation_flatten", "{variant}/{score}")
    wildcard_constraints:
        variant="|".join(TRANSFORMED) or "none",
        score=r"mean|seed\d+",
    priority: 10
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(240),
        gpu=0,
    params:
        samples=lambda w: names_of(TAGGERS[tagger_of(w.variant)].samples),
        classifier=lambda w: VARIANTS[w.variant].classifier,
        code=code("decorrelation.flatten"),
        settings=lambda w: settings(
            "seed",
            "tagging.selection",
            f"tagging.taggers.{tagger_of(w.variant)}",
            "decorrelation.against",
            *classifier_settings(w.variant),
        ),
    message:
        "flow of {wildcards.variant}, {wildcards.score}"
    shell:
        "fullchain decorrelation flatten --jets {input.jets:q} --samples {params.samples}"
        " --scores {input.scores:q} --classifier {params.classifier} --member {wildcards.score}"
        " --flow {output.flow:q} --history {output.history:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


# The same files as of decorrelation_predict.
rule decorrelation_transform:
    input:
        jets=lambda w: given_jets(tagger_of(w.variant), [w.sample]),
        files=lambda w: listed_files(tagger_of(w.variant), [w.sample]),
        scores=lambda w: scores_of(classifier_of(w.variant).tagger, w.sample),
        flows=lambda w: flow_files(w.variant),
    output:
        scores=result("decorrelation/{variant}/scores/{sample}.parquet"),
    log:
        log_of("decorrelation_transform", "{variant}/{sample}"),
    benchmark:
        bench_of("decorrelation_transform", "{variant}/{sample}")
    wildcard_constraints:
        variant="|".join(TRANSFORMED) or "none",
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
        gpu=0,
    params:
        code=code("decorrelation.transform"),
        settings=lambda w: settings(*stand_in_settings(tagger_of(w.variant))),
    message:
        "scores of {wildcards.variant} for {wildcards.sample}"
    shell:
        "fullchain decorrelation transform --jets {input.jets:q} --sample {wildcards.sample}"
        " --scores {input.scores:q} --flows {input.flows:q} --transformed {output.scores:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


# Of a variant and, as the reference, of a tagger as it was.
rule decorrelation_evaluate:
    input:
        jets=lambda w: given_jets(
            tagger_of(w.measured), TAGGERS[tagger_of(w.measured)].samples
        ),
        files=lambda w: listed_files(
            tagger_of(w.measured), TAGGERS[tagger_of(w.measured)].samples
        ),
        scores=lambda w: [
            scores_of(w.measured, sample)
            for sample in TAGGERS[tagger_of(w.measured)].samples
        ],
        manifests=lambda w: fit_manifests(w.measured),
    output:
        performance=result("decorrelation/{measured}/performance.json"),
    log:
        log_of("decorrelation_evaluate", "{measured}"),
    benchmark:
        bench_of("decorrelation_evaluate", "{measured}")
    wildcard_constraints:
        measured="|".join(DECORRELATION_MEASURED),
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
        gpu=0,
    params:
        samples=lambda w: names_of(TAGGERS[tagger_of(w.measured)].samples),
        names=lambda w: name_options(w.measured),
        code=code("decorrelation.evaluate"),
        settings=lambda w: decorrelation_evaluation_settings(w.measured),
    message:
        "rejection and sculpting of {wildcards.measured}"
    shell:
        "fullchain decorrelation evaluate --jets {input.jets:q} --samples {params.samples}"
        " --scores {input.scores:q} --manifests {input.manifests:q} {params.names}"
        " --performance {output.performance:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule decorrelation_tabulate:
    input:
        performance=every_measured("decorrelation/{measured}/performance.json"),
    output:
        metrics=result("decorrelation/metrics.json"),
    log:
        log_of("decorrelation_tabulate"),
    benchmark:
        bench_of("decorrelation_tabulate")
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("decorrelation.tabulate"),
        settings=settings(),
    message:
        "numbers of all decorrelated classifiers"
    shell:
        "fullchain decorrelation tabulate --performance {input.performance:q}"
        " --metrics {output.metrics:q} --settings {params.settings:q} > {log:q} 2>&1"


rule decorrelation_plot:
    input:
        performance=every_measured("decorrelation/{measured}/performance.json"),
    output:
        index=result("decorrelation/figures/index.json"),
        pdf=figures("decorrelation", DECORRELATION_FIGURES),
        png=report_figures("decorrelation", DECORRELATION_FIGURES),
    log:
        log_of("decorrelation_plot"),
    benchmark:
        bench_of("decorrelation_plot")
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
        gpu=0,
    params:
        code=code("decorrelation.plot"),
        settings=settings(),
    message:
        "figures of the decorrelated classifiers"
    shell:
        "fullchain decorrelation plot --performance {input.performance:q}"
        " --index {output.index:q} --settings {params.settings:q} > {log:q} 2>&1"
