# Jet taggers: training, scores for every sample, performance, figures.
from fullchain.ntuples.sources import local_inputs
from fullchain.tagging.members import members

TAGGERS = CONFIG.tagging.taggers
# Taggers whose weights come from a file are not trained.
IMPORTED = [name for name in TAGGERS if TAGGERS[name].weights]


def sees_particles(tagger):
    """Whether the jets of a tagger have particles: those of tables of observables have none."""
    chosen = CONFIG.ntuples.samples
    taken = [chosen[name] for name in TAGGERS[tagger].samples]
    return not any(one.kind == "ingested" and one.is_table for one in taken)


def figures_of_uncertainty(tagger):
    """Figures of a Bayesian tagger; pulls need more than one seed."""
    chosen = TAGGERS[tagger]
    if chosen.bayesian is None:
        return []
    kinds = ["sigma", "sigma_arc", "calibration_posterior"]
    return kinds + ["pulls"] if chosen.seeds > 1 else kinds


def explanation_figures(tagger):
    """Names of the figures that explain a tagger; trees have no latent features."""
    latent = ["components", "disentangled"]
    network = TAGGERS[tagger].architecture.kind != "trees"
    return [*(latent if network else []), "shap", "formula"]


TAGGING_FIGURES = [
    "roc",
    "rejection",
    "calibration",
    *(f"score_{name}" for name in TAGGERS),
    *(f"history_{name}" for name in TAGGERS if name not in IMPORTED),
    *(
        f"efficiency_{name}_{column}"
        for name in TAGGERS
        for column in CONFIG.tagging.evaluation.bins
    ),
    *(
        f"robustness_{name}"
        for name in CONFIG.tagging.robustness.perturbations
        if any(sees_particles(tagger) for tagger in TAGGERS)
    ),
    *(f"{kind}_{name}" for name in TAGGERS for kind in figures_of_uncertainty(name)),
    *(
        f"{figure}_{name}"
        for name in TAGGERS
        if TAGGERS[name].between
        for figure in ("between", "resilience")
    ),
    *(
        f"explanation_{name}_{figure}"
        for name in CONFIG.tagging.explained
        for figure in explanation_figures(name)
    ),
]


def training_of(tagger):
    """How a tagger is trained: its own settings, or the common ones."""
    return TAGGERS[tagger].training or CONFIG.tagging.training


def training_threads(tagger):
    """Threads of a training: those of all its processes."""
    how = training_of(tagger)
    return how.threads * how.processes


def training_gpus(tagger):
    """GPUs that a training may use: one for each of its processes."""
    how = training_of(tagger)
    return how.processes if how.device != "cpu" else 0


def scoring_threads(tagger):
    """Threads of one process that applies a tagger: those of a process of its training."""
    return training_of(tagger).threads


def scoring_gpu(tagger):
    """Whether a tagger may be applied on a GPU: where it may be trained on one."""
    return int(training_of(tagger).device != "cpu")


def scoring_settings(tagger):
    """Device and threads of scores, where the tagger has no training of its own, which knows."""
    if TAGGERS[tagger].training:
        return []
    return ["tagging.training.device", "tagging.training.threads"]


def tagger_samples(tagger):
    """Names of the samples that a tagger is trained on, also those of a second generator."""
    return TAGGERS[tagger].training_samples


def measured_samples(tagger):
    """Names of the samples that a tagger is measured on: its own, and their stand-ins."""
    return CONFIG.tagging.measured_samples(TAGGERS[tagger])


def jets_of(samples):
    """The files of jets of samples, one sample after the other."""
    return [
        path
        for sample in samples
        for path in part_files("jets/{sample}/{part}.parquet", sample)
    ]


def given_jets(tagger, samples):
    """The files that a tagger reads jets from: those of the stage jets, or manifests of ntuples."""
    if TAGGERS[tagger].jets_from == "jets":
        return jets_of(samples)
    return [
        path
        for sample in samples
        for path in part_files("ntuples/{sample}/{part}.json", sample)
    ]


def listed_files(tagger, samples):
    """The ROOT files that the manifests of `given_jets` list, as far as they are local."""
    if TAGGERS[tagger].jets_from == "jets":
        return []
    found = []
    for sample in samples:
        if CONFIG.ntuples.samples[sample].is_converted:
            found += part_files("ntuples/{sample}/{part}.root", sample)
        else:
            for part in parts(sample):
                found += local_inputs(CONFIG.ntuples.samples[sample], part)
    return found


def names_of(samples):
    """The name of the sample of each file of `jets_of` or `given_jets`."""
    return [sample for sample in samples for _ in parts(sample)]


def member_files(tagger, name):
    """A file of each training of a tagger."""
    chosen = TAGGERS[tagger]
    return [
        result(f"tagging/{tagger}/{member.name}/{name}")
        for member in members(chosen.folds, chosen.seeds)
    ]


def every_tagger(path):
    """A file of each tagger."""
    return [result(path.format(tagger=name)) for name in TAGGERS]


def every_robustness():
    return [
        result(f"tagging/{name}/robustness.json")
        for name in TAGGERS
        if sees_particles(name)
    ]


def every_explanation():
    return [
        result(f"tagging/{name}/explanation.json") for name in CONFIG.tagging.explained
    ]


def explanation_settings(tagger):
    """What an explanation depends on: not which other taggers are explained."""
    chosen = "tagging.explanation"
    own = [
        f"{chosen}.{name}"
        for name in type(CONFIG.tagging.explanation).model_fields
        if name != "taggers"
    ]
    return settings("seed", "tagging.selection", "tagging.split", *own)


def event_files(sample):
    """The ROOT files of a generated sample; those of others have layouts of their own."""
    if CONFIG.ntuples.samples[sample].kind != "generated":
        return []
    return part_files("ntuples/{sample}/{part}.root", sample)


def tagger_memory(tagger, size_mb):
    """Memory in MB: libraries, and the padded jets twice, as while they are read."""
    chosen = CONFIG.tagging.taggers[tagger]
    size = {"full": 10 / 4, "kinpid": 6 / 4}.get(chosen.inputs, 1)
    # Declusterings take twice the room of particles, observables next to none.
    size = {"lund": 2, "mlp": 0, "trees": 0}.get(chosen.architecture.kind, size)
    return int(2000 + 2 * size_mb * max(1, size * chosen.n_constituents / 64))


def training_settings(tagger):
    """What a training depends on: not how many others there are with other seeds."""
    chosen = f"tagging.taggers.{tagger}"
    own = [
        f"{chosen}.{name}"
        for name in type(TAGGERS[tagger]).model_fields
        if name != "seeds"
    ]
    common = [] if TAGGERS[tagger].training else ["tagging.training"]
    return settings("seed", "tagging.selection", "tagging.split", *common, *own)


def stand_in_settings(tagger):
    """Which samples stand in for others: with folds, scores of their jets are of one fold, too."""
    return ["tagging.evaluation.alternatives"] if TAGGERS[tagger].folds > 1 else []


def prediction_settings(tagger):
    """What scores depend on.

    A tagger between two generators is scored at several places between them.
    """
    paths = ["tagging.split", *scoring_settings(tagger)]
    if TAGGERS[tagger].between:
        paths.append("tagging.evaluation.interpolation")
    return settings("seed", *paths, *stand_in_settings(tagger))


EXPORTED += every_tagger("tagging/{tagger}/model.onnx")


rule tagging_train:
    input:
        jets=lambda w: given_jets(w.tagger, tagger_samples(w.tagger)),
        files=lambda w: listed_files(w.tagger, tagger_samples(w.tagger)),
    output:
        model=result("tagging/{tagger}/{member}/model.pt"),
        history=result("tagging/{tagger}/{member}/history.json"),
    log:
        log_of("tagging_train", "{tagger}/{member}"),
    benchmark:
        bench_of("tagging_train", "{tagger}/{member}")
    wildcard_constraints:
        tagger="|".join(name for name in TAGGERS if name not in IMPORTED) or "(?!)",
    # Scores, and all that follows, wait for it; figures do not hold anything up.
    priority: 10
    threads: lambda w: training_threads(w.tagger)
    resources:
        mem_mb=lambda w, input: tagger_memory(w.tagger, input.size_mb),
        runtime=minutes(720),
        gpu=lambda w: training_gpus(w.tagger),
    params:
        samples=lambda w: names_of(tagger_samples(w.tagger)),
        code=code("tagging.train"),
        settings=lambda w: training_settings(w.tagger),
    message:
        "training the tagger {wildcards.tagger}, {wildcards.member}"
    shell:
        "fullchain tagging train --jets {input.jets:q} --samples {params.samples}"
        " --tagger {wildcards.tagger} --member {wildcards.member} --model {output.model:q}"
        " --history {output.history:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule tagging_import_weights:
    input:
        weights=lambda w: TAGGERS[w.tagger].weights.file,
    output:
        model=result("tagging/{tagger}/{member}/model.pt"),
        history=result("tagging/{tagger}/{member}/history.json"),
    log:
        log_of("tagging_import_weights", "{tagger}/{member}"),
    benchmark:
        bench_of("tagging_import_weights", "{tagger}/{member}")
    wildcard_constraints:
        tagger="|".join(IMPORTED) or "(?!)",
    priority: 10
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("tagging.import_weights"),
        settings=lambda w: settings("tagging.selection", f"tagging.taggers.{w.tagger}"),
    message:
        "weights of {wildcards.tagger} from a file"
    shell:
        "fullchain tagging import_weights --weights {input.weights:q}"
        " --tagger {wildcards.tagger} --member {wildcards.member} --model {output.model:q}"
        " --history {output.history:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule tagging_predict:
    input:
        jets=lambda w: given_jets(w.tagger, [w.sample]),
        files=lambda w: listed_files(w.tagger, [w.sample]),
        models=lambda w: member_files(w.tagger, "model.pt"),
    output:
        scores=result("tagging/{tagger}/scores/{sample}.parquet"),
    log:
        log_of("tagging_predict", "{tagger}/{sample}"),
    benchmark:
        bench_of("tagging_predict", "{tagger}/{sample}")
    threads: lambda w: scoring_threads(w.tagger)
    resources:
        mem_mb=memory(4000),
        runtime=minutes(120),
        gpu=lambda w: scoring_gpu(w.tagger),
    params:
        code=code("tagging.predict"),
        settings=lambda w: prediction_settings(w.tagger),
    message:
        "scores of {wildcards.tagger} for {wildcards.sample}"
    shell:
        "fullchain tagging predict --jets {input.jets:q} --sample {wildcards.sample}"
        " --models {input.models:q} --scores {output.scores:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


# No score waits for it: it takes longer than a short training.
rule tagging_export_onnx:
    input:
        models=lambda w: member_files(w.tagger, "model.pt"),
    output:
        onnx=result("tagging/{tagger}/model.onnx"),
    log:
        log_of("tagging_export_onnx", "{tagger}"),
    benchmark:
        bench_of("tagging_export_onnx", "{tagger}")
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
        gpu=0,
    params:
        code=code("tagging.export_onnx"),
        settings=settings(),
    message:
        "{wildcards.tagger} as ONNX, the mean of all its trainings"
    shell:
        "fullchain tagging export_onnx --models {input.models:q} --onnx {output.onnx:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


# On request: snakemake results/<run>/tagging/<tagger>/friends/<sample>.root
rule tagging_export_friend:
    input:
        scores=result("tagging/{tagger}/scores/{sample}.parquet"),
        ntuples=lambda w: event_files(w.sample),
    output:
        friend=result("tagging/{tagger}/friends/{sample}.root"),
    log:
        log_of("tagging_export_friend", "{tagger}/{sample}"),
    benchmark:
        bench_of("tagging_export_friend", "{tagger}/{sample}")
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
        gpu=0,
    params:
        code=code("tagging.export_friend"),
        settings=settings(),
    message:
        "scores of {wildcards.tagger} for {wildcards.sample} as ROOT trees"
    shell:
        "fullchain tagging export_friend --scores {input.scores:q} --ntuples {input.ntuples:q}"
        " --tagger {wildcards.tagger} --friend {output.friend:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule tagging_evaluate:
    input:
        jets=lambda w: given_jets(w.tagger, measured_samples(w.tagger)),
        files=lambda w: listed_files(w.tagger, measured_samples(w.tagger)),
        scores=lambda w: [
            result(f"tagging/{w.tagger}/scores/{sample}.parquet")
            for sample in measured_samples(w.tagger)
        ],
    output:
        performance=result("tagging/{tagger}/performance.json"),
    log:
        log_of("tagging_evaluate", "{tagger}"),
    benchmark:
        bench_of("tagging_evaluate", "{tagger}")
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
        gpu=0,
    params:
        samples=lambda w: names_of(measured_samples(w.tagger)),
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
        "fullchain tagging evaluate --jets {input.jets:q} --samples {params.samples}"
        " --scores {input.scores:q} --tagger {wildcards.tagger}"
        " --performance {output.performance:q} --settings {params.settings:q} > {log:q} 2>&1"


rule tagging_perturb:
    input:
        jets=lambda w: jets_of(tagger_samples(w.tagger)),
        models=lambda w: member_files(w.tagger, "model.pt"),
    output:
        robustness=result("tagging/{tagger}/robustness.json"),
    log:
        log_of("tagging_perturb", "{tagger}"),
    benchmark:
        bench_of("tagging_perturb", "{tagger}")
    threads: lambda w: scoring_threads(w.tagger)
    resources:
        mem_mb=memory(3000),
        runtime=minutes(240),
        gpu=lambda w: scoring_gpu(w.tagger),
    params:
        samples=lambda w: names_of(tagger_samples(w.tagger)),
        code=code("tagging.perturb"),
        settings=lambda w: settings(
            "seed",
            "jets.clustering.radius",
            "jets.substructure",
            "tagging.selection",
            "tagging.split",
            "tagging.evaluation",
            "tagging.robustness",
            *scoring_settings(w.tagger),
        ),
    message:
        "jets with changed constituents in the eyes of {wildcards.tagger}"
    shell:
        "fullchain tagging perturb --jets {input.jets:q} --samples {params.samples}"
        " --models {input.models:q} --tagger {wildcards.tagger}"
        " --robustness {output.robustness:q} --settings {params.settings:q} > {log:q} 2>&1"


# Times differ from run to run: of all rules only tagging_tables reads them.
rule tagging_cost:
    input:
        jets=lambda w: given_jets(w.tagger, tagger_samples(w.tagger)),
        files=lambda w: listed_files(w.tagger, tagger_samples(w.tagger)),
        models=lambda w: member_files(w.tagger, "model.pt"),
        onnx=result("tagging/{tagger}/model.onnx"),
    output:
        cost=result("tagging/{tagger}/cost.json"),
    log:
        log_of("tagging_cost", "{tagger}"),
    benchmark:
        bench_of("tagging_cost", "{tagger}")
    threads: CONFIG.tagging.cost.threads
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
        gpu=0,
    params:
        code=code("tagging.cost"),
        settings=settings("seed", "tagging.cost"),
    message:
        "size, rate and memory of the tagger {wildcards.tagger}"
    shell:
        "fullchain tagging cost --jets {input.jets:q} --models {input.models:q}"
        " --onnx {input.onnx:q} --tagger {wildcards.tagger} --cost {output.cost:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule tagging_tables:
    input:
        performance=every_tagger("tagging/{tagger}/performance.json"),
        history=[
            path for name in TAGGERS for path in member_files(name, "history.json")
        ],
        cost=every_tagger("tagging/{tagger}/cost.json"),
    output:
        tables=result("tagging/tables.json"),
    log:
        log_of("tagging_tables"),
    benchmark:
        bench_of("tagging_tables")
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("tagging.tables"),
        settings=settings("ntuples.samples"),
    message:
        "taggers beside published ones, and what they cost"
    shell:
        "fullchain tagging tables --performance {input.performance:q}"
        " --history {input.history:q} --cost {input.cost:q} --tables {output.tables:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule tagging_explain:
    input:
        jets=lambda w: jets_of(tagger_samples(w.tagger)),
        model=lambda w: member_files(w.tagger, "model.pt")[0],
    output:
        explanation=result("tagging/{tagger}/explanation.json"),
    log:
        log_of("tagging_explain", "{tagger}"),
    benchmark:
        bench_of("tagging_explain", "{tagger}")
    threads: CONFIG.tagging.explanation.threads
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
        gpu=0,
    params:
        samples=lambda w: names_of(tagger_samples(w.tagger)),
        code=code("tagging.explain"),
        settings=lambda w: explanation_settings(w.tagger),
    message:
        "explanation of the tagger {wildcards.tagger}"
    shell:
        "fullchain tagging explain --jets {input.jets:q} --samples {params.samples}"
        " --model {input.model:q} --tagger {wildcards.tagger}"
        " --explanation {output.explanation:q} --settings {params.settings:q} > {log:q} 2>&1"


rule tagging_tabulate:
    input:
        performance=every_tagger("tagging/{tagger}/performance.json"),
        robustness=every_robustness(),
        explanations=every_explanation(),
    output:
        metrics=result("tagging/metrics.json"),
    log:
        log_of("tagging_tabulate"),
    benchmark:
        bench_of("tagging_tabulate")
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("tagging.tabulate"),
        settings=settings(),
    message:
        "numbers of all taggers"
    shell:
        "fullchain tagging tabulate --performance {input.performance:q}"
        " --robustness {input.robustness:q} --explanations {input.explanations:q}"
        " --metrics {output.metrics:q} --settings {params.settings:q} > {log:q} 2>&1"


rule tagging_plot:
    input:
        performance=every_tagger("tagging/{tagger}/performance.json"),
        robustness=every_robustness(),
        history=[
            path for name in TAGGERS for path in member_files(name, "history.json")
        ],
        explanations=every_explanation(),
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
        mem_mb=memory(1000),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("tagging.plot"),
        settings=settings(),
    message:
        "figures of the taggers"
    shell:
        "fullchain tagging plot --performance {input.performance:q} --history {input.history:q}"
        " --robustness {input.robustness:q} --explanations {input.explanations:q}"
        " --index {output.index:q} --settings {params.settings:q} > {log:q} 2>&1"
