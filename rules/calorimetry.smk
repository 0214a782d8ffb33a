# Showers from a parameterisation or files, models of them, generated showers, and their judging.
import shlex

from fullchain.calorimetry import job_sizes
from fullchain.calorimetry.figure_names import names as calorimetry_figure_names
from fullchain.calorimetry.showers_settings import FileSettings

CALORIMETRY = CONFIG.calorimetry
SHOWER_SETS = CALORIMETRY.showers
SHOWER_MODELS = CALORIMETRY.models
STUDENTS = [name for name in SHOWER_MODELS if CALORIMETRY.teacher_of(name)]
JUDGED = [*CALORIMETRY.judged_models(), *CALORIMETRY.references()]
# The parameterisation itself is timed beside the models, where a set is of it.
TIMED_SETS = [
    name
    for name in CALORIMETRY.judged_sets()
    if SHOWER_SETS[name].kind == "parameterised"
]
TIMED = [
    *CALORIMETRY.judged_models(),
    *(f"{name}_parameterised" for name in TIMED_SETS),
]
CALORIMETRY_FIGURES = calorimetry_figure_names(CALORIMETRY)
EXPORTED += [
    result(f"calorimetry/control/{name}{kind}.h5")
    for name in CALORIMETRY.controlled
    for kind in ("", ".weights")
]


wildcard_constraints:
    showers="|".join(SHOWER_SETS) or "(?!)",
    shower_model="|".join(SHOWER_MODELS) or "(?!)",
    judged="|".join(JUDGED) or "(?!)",


def shower_files(name, part):
    """Files that a set is read from; none for a set that is simulated."""
    chosen = SHOWER_SETS[name]
    return list(getattr(chosen, part)) if isinstance(chosen, FileSettings) else []


def binning_of(name):
    """The XML file of the user that says what the voxels are, if there is one."""
    chosen = SHOWER_SETS[name]
    if not isinstance(chosen, FileSettings):
        chosen = CALORIMETRY.detectors[chosen.detector]
    return [chosen.geometry] if chosen.geometry.endswith(".xml") else []


def detector_settings_of(name):
    """Paths of the settings of the detector of a set."""
    chosen = SHOWER_SETS[name]
    return (
        []
        if isinstance(chosen, FileSettings)
        else [f"calorimetry.detectors.{chosen.detector}"]
    )


def of_set(part, wildcard="shower_model"):
    """Input function: a file of the set that the model or reference of a job belongs to."""

    def path(wildcards):
        showers = CALORIMETRY.set_of(getattr(wildcards, wildcard))
        return result(f"calorimetry/showers/{showers}/{part}")

    return path


def generated_showers(wildcards):
    """Showers that are judged: of a model, or the second sample of the full simulation."""
    if wildcards.judged in SHOWER_MODELS:
        return result(f"calorimetry/samples/{wildcards.judged}.h5")
    return of_set("reference.h5", "judged")(wildcards)


def timed_set(name):
    """The set whose energies are taken for a time."""
    if name in SHOWER_MODELS:
        return CALORIMETRY.set_of(name)
    return name.removesuffix("_parameterised")


def role_of(wildcards):
    return "model" if wildcards.judged in SHOWER_MODELS else "reference"


def threshold_of(name):
    return CALORIMETRY.threshold_of(CALORIMETRY.set_of(name))


def shower_model_settings(name):
    """Settings with which a model is trained: whether it is judged afterwards does not matter."""
    path = f"calorimetry.models.{name}"
    chosen = dag_parts.part(VALUES, "seed", path)
    values = chosen["calorimetry"]["models"][name]
    chosen["calorimetry"]["models"][name] = {
        key: value for key, value in values.items() if key != "judged"
    }
    return dag_parts.text(chosen, *chosen)


def memory_of_showers(megabytes, copies, *parts, classifier=None):
    """Memory of a job [MB] that holds showers of these parts of its set, so many times over.

    Copies follow benchmarks/calorimetry/memory_of_showers.py; `megabytes` are for libraries and
    networks, but for that of a classifier, whose size follows the voxels. The evaluation reads in
    pieces and holds features.
    """

    def needed(wildcards, attempt):
        name = getattr(wildcards, "judged", None) or wildcards.shower_model
        showers = CALORIMETRY.set_of(name)
        size = copies * job_sizes.megabytes(CALORIMETRY, showers, *parts)
        if classifier:
            size += job_sizes.classifier_megabytes(CALORIMETRY, showers, classifier)
        return attempt * int(megabytes + size)

    return needed


def memory_of_classifier(classifier, trees=False):
    """Memory of a job [MB] that trains classifiers on showers of the test."""
    # Rows in double precision: those of trees, and of the network in official mode.
    double = trees or classifier.trees or classifier.mode == "official"
    copies = 15 if double else 11
    return memory_of_showers(1500, copies, "test", "reference", classifier=classifier)


def memory_of_weights(control):
    return memory_of_classifier(control.classifier, control.discriminator == "trees")


def gpu_of(training):
    """Whether a training may use a GPU."""
    return int(training.device != "cpu")


def solver_time(wildcards, attempt):
    """Time of a comparison of solvers [min], which is one of evaluations of a network."""
    own = job_sizes.solver_minutes(CALORIMETRY, wildcards.shower_model)
    return attempt * int(60 + own)


def shower_model_files(names):
    return [result(f"calorimetry/models/{name}/model.pt") for name in names]


rule calorimetry_shower:
    input:
        train_files=lambda w: shower_files(w.showers, "train"),
        test_files=lambda w: shower_files(w.showers, "test"),
        binning=lambda w: binning_of(w.showers),
    output:
        train=result("calorimetry/showers/{showers}/train.h5"),
        test=result("calorimetry/showers/{showers}/test.h5"),
        reference=result("calorimetry/showers/{showers}/reference.h5"),
        geometry=result("calorimetry/showers/{showers}/geometry.xml"),
        numbers=result("calorimetry/showers/{showers}/showers.json"),
    log:
        log_of("calorimetry_shower", "{showers}"),
    benchmark:
        bench_of("calorimetry_shower", "{showers}")
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(240),
        gpu=0,
    params:
        code=code("calorimetry.shower"),
        settings=lambda w: settings(
            "seed",
            f"calorimetry.showers.{w.showers}",
            *detector_settings_of(w.showers),
        ),
    message:
        "showers {wildcards.showers}"
    shell:
        "fullchain calorimetry shower --set {wildcards.showers} --train-files {input.train_files:q}"
        " --test-files {input.test_files:q} --binning {input.binning:q}"
        " --train {output.train:q} --test {output.test:q} --reference {output.reference:q}"
        " --geometry {output.geometry:q} --numbers {output.numbers:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule calorimetry_train:
    input:
        showers=of_set("train.h5"),
        geometry=of_set("geometry.xml"),
    output:
        trained=result("calorimetry/models/{shower_model}/model.pt"),
        history=result("calorimetry/models/{shower_model}/training.json"),
    log:
        log_of("calorimetry_train", "{shower_model}"),
    benchmark:
        bench_of("calorimetry_train", "{shower_model}")
    wildcard_constraints:
        shower_model="|".join([name for name in SHOWER_MODELS if name not in STUDENTS])
        or "(?!)",
    priority: 10
    threads: lambda w: SHOWER_MODELS[w.shower_model].training.threads
    resources:
        mem_mb=memory_of_showers(4000, 8, "train"),
        runtime=minutes(720),
        gpu=lambda w: gpu_of(SHOWER_MODELS[w.shower_model].training),
    params:
        code=code("calorimetry.train"),
        settings=lambda w: shower_model_settings(w.shower_model),
    message:
        "model {wildcards.shower_model} of showers"
    shell:
        "fullchain calorimetry train --showers {input.showers:q} --geometry {input.geometry:q}"
        " --model {wildcards.shower_model} --trained {output.trained:q}"
        " --history {output.history:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule calorimetry_distil:
    input:
        showers=of_set("train.h5"),
        geometry=of_set("geometry.xml"),
        teacher=lambda w: shower_model_files([CALORIMETRY.teacher_of(w.shower_model)]),
    output:
        trained=result("calorimetry/models/{shower_model}/model.pt"),
        history=result("calorimetry/models/{shower_model}/training.json"),
    log:
        log_of("calorimetry_distil", "{shower_model}"),
    benchmark:
        bench_of("calorimetry_distil", "{shower_model}")
    wildcard_constraints:
        shower_model="|".join(STUDENTS) or "(?!)",
    priority: 10
    threads: lambda w: SHOWER_MODELS[w.shower_model].training.threads
    resources:
        mem_mb=memory_of_showers(4000, 8, "train"),
        runtime=minutes(720),
        gpu=lambda w: gpu_of(SHOWER_MODELS[w.shower_model].training),
    params:
        code=code("calorimetry.distil"),
        settings=lambda w: shower_model_settings(w.shower_model),
    message:
        "model {wildcards.shower_model}, taught by another"
    shell:
        "fullchain calorimetry distil --showers {input.showers:q} --geometry {input.geometry:q}"
        " --teacher {input.teacher:q} --model {wildcards.shower_model}"
        " --trained {output.trained:q} --history {output.history:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule calorimetry_sample:
    input:
        model=result("calorimetry/models/{shower_model}/model.pt"),
        energies=of_set("test.h5"),
    output:
        result("calorimetry/samples/{shower_model}.h5"),
    log:
        log_of("calorimetry_sample", "{shower_model}"),
    benchmark:
        bench_of("calorimetry_sample", "{shower_model}")
    threads: lambda w: SHOWER_MODELS[w.shower_model].training.threads
    resources:
        mem_mb=memory(2000),
        runtime=minutes(240),
        gpu=lambda w: gpu_of(SHOWER_MODELS[w.shower_model].training),
    params:
        code=code("calorimetry.sample"),
        # Beyond the trained energies on purpose, where some were left out.
        extrapolate=lambda w: (
            "--extrapolate" if SHOWER_MODELS[w.shower_model].leave_out else ""
        ),
        device=lambda w: SHOWER_MODELS[w.shower_model].training.device,
        settings=settings("seed"),
    message:
        "showers of {wildcards.shower_model}"
    shell:
        "fullchain calorimetry sample --model {input.model:q} --energies {input.energies:q}"
        " --output {output:q} --device {params.device} {params.extrapolate}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule calorimetry_evaluate:
    input:
        generated=generated_showers,
        test=of_set("test.h5", "judged"),
        train=of_set("train.h5", "judged"),
        geometry=of_set("geometry.xml", "judged"),
        numbers=of_set("showers.json", "judged"),
    output:
        result("calorimetry/evaluation/{judged}.json"),
    log:
        log_of("calorimetry_evaluate", "{judged}"),
    benchmark:
        bench_of("calorimetry_evaluate", "{judged}")
    threads: 1
    resources:
        mem_mb=memory_of_showers(3000, 1, "test", "reference"),
        runtime=minutes(60),
        gpu=0,
    params:
        code=code("calorimetry.evaluate"),
        role=role_of,
        model=lambda w: f"--model {w.judged}" if w.judged in SHOWER_MODELS else "",
        settings=lambda w: settings(
            "seed",
            "calorimetry.evaluation",
            *(
                [f"calorimetry.models.{w.judged}.leave_out"]
                if w.judged in SHOWER_MODELS
                else []
            ),
        ),
    message:
        "showers of {wildcards.judged} against full simulation"
    shell:
        "fullchain calorimetry evaluate --name {wildcards.judged} --generated {input.generated:q}"
        " --test {input.test:q} --train {input.train:q} --geometry-xml {input.geometry:q}"
        " --showers {input.numbers:q} --role {params.role} {params.model}"
        " --evaluation {output:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule calorimetry_classify:
    input:
        generated=generated_showers,
        test=of_set("test.h5", "judged"),
        geometry=of_set("geometry.xml", "judged"),
    output:
        numbers=result("calorimetry/classifiers/{judged}.json"),
        model=result("calorimetry/classifiers/{judged}.pt"),
    log:
        log_of("calorimetry_classify", "{judged}"),
    benchmark:
        bench_of("calorimetry_classify", "{judged}")
    threads: CALORIMETRY.classifiers.training.threads
    resources:
        mem_mb=memory_of_classifier(CALORIMETRY.classifiers),
        runtime=minutes(720),
        gpu=gpu_of(CALORIMETRY.classifiers.training),
    params:
        code=code("calorimetry.classify"),
        role=role_of,
        showers=lambda w: CALORIMETRY.set_of(w.judged),
        threshold=lambda w: threshold_of(w.judged),
        settings=settings("seed", "calorimetry.classifiers"),
    message:
        "classifiers against showers of {wildcards.judged}"
    shell:
        "fullchain calorimetry classify --name {wildcards.judged} --showers-set {params.showers}"
        " --generated {input.generated:q} --test {input.test:q}"
        " --geometry-xml {input.geometry:q} --threshold {params.threshold}"
        " --role {params.role} --output {output.numbers:q} --model {output.model:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule calorimetry_clock:
    input:
        model=lambda w: (
            shower_model_files([w.timed]) if w.timed in SHOWER_MODELS else []
        ),
        energies=lambda w: result(f"calorimetry/showers/{timed_set(w.timed)}/test.h5"),
    output:
        result("calorimetry/timing/{timed}.json"),
    log:
        log_of("calorimetry_clock", "{timed}"),
    benchmark:
        bench_of("calorimetry_clock", "{timed}")
    wildcard_constraints:
        timed="|".join(TIMED) or "(?!)",
    threads: CALORIMETRY.timing.threads
    resources:
        mem_mb=memory(2000),
        runtime=minutes(120),
        gpu=0,
    params:
        code=code("calorimetry.clock"),
        showers=lambda w: timed_set(w.timed),
        model=lambda w, input: (
            f"--model {shlex.quote(input.model[0])}" if input.model else ""
        ),
        settings=lambda w: settings(
            "seed",
            "calorimetry.timing",
            *(
                []
                if w.timed in SHOWER_MODELS
                else [
                    f"calorimetry.showers.{timed_set(w.timed)}",
                    *detector_settings_of(timed_set(w.timed)),
                ]
            ),
        ),
    message:
        "time of {wildcards.timed}"
    shell:
        "fullchain calorimetry clock --name {wildcards.timed} --showers-set {params.showers} {params.model}"
        " --energies {input.energies:q} --output {output:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule calorimetry_control:
    input:
        generated=result("calorimetry/samples/{shower_model}.h5"),
        test=of_set("test.h5"),
        geometry=of_set("geometry.xml"),
    output:
        numbers=result("calorimetry/control/{shower_model}.json"),
        resampled=result("calorimetry/control/{shower_model}.h5"),
        weights=result("calorimetry/control/{shower_model}.weights.h5"),
    log:
        log_of("calorimetry_control", "{shower_model}"),
    benchmark:
        bench_of("calorimetry_control", "{shower_model}")
    threads: CALORIMETRY.control.classifier.training.threads
    resources:
        mem_mb=memory_of_weights(CALORIMETRY.control),
        runtime=minutes(720),
        gpu=gpu_of(CALORIMETRY.control.classifier.training),
    params:
        code=code("calorimetry.control"),
        showers=lambda w: CALORIMETRY.set_of(w.shower_model),
        threshold=lambda w: threshold_of(w.shower_model),
        settings=settings("seed", "calorimetry.control"),
    message:
        "weights of showers of {wildcards.shower_model}"
    shell:
        "fullchain calorimetry control --name {wildcards.shower_model} --showers-set {params.showers}"
        " --generated {input.generated:q} --test {input.test:q}"
        " --geometry-xml {input.geometry:q} --threshold {params.threshold}"
        " --output {output.numbers:q} --resampled {output.resampled:q}"
        " --weights {output.weights:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule calorimetry_vary:
    input:
        model=result("calorimetry/models/{shower_model}/model.pt"),
        showers=of_set("test.h5"),
    output:
        result("calorimetry/variation/{shower_model}.json"),
    log:
        log_of("calorimetry_vary", "{shower_model}"),
    benchmark:
        bench_of("calorimetry_vary", "{shower_model}")
    threads: lambda w: SHOWER_MODELS[w.shower_model].training.threads
    resources:
        mem_mb=memory(2000),
        runtime=minutes(120),
        gpu=0,
    params:
        code=code("calorimetry.vary"),
        settings=settings("seed", "calorimetry.variation"),
    message:
        "weights of {wildcards.shower_model} drawn again"
    shell:
        "fullchain calorimetry vary --model {input.model:q} --showers {input.showers:q}"
        " --name {wildcards.shower_model} --numbers {output:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule calorimetry_solve:
    input:
        trained=result("calorimetry/models/{shower_model}/model.pt"),
        bespoke=lambda w: shower_model_files(
            CALORIMETRY.solved_models().get(w.shower_model, [])
        ),
        showers=of_set("test.h5"),
    output:
        result("calorimetry/solvers/{shower_model}.json"),
    log:
        log_of("calorimetry_solve", "{shower_model}"),
    benchmark:
        bench_of("calorimetry_solve", "{shower_model}")
    threads: CALORIMETRY.solvers.threads if CALORIMETRY.solvers else 1
    resources:
        mem_mb=memory(2000),
        runtime=solver_time,
        gpu=0,
    params:
        code=code("calorimetry.solve"),
        settings=settings("seed", "calorimetry.solvers"),
    message:
        "solvers of {wildcards.shower_model}"
    shell:
        "fullchain calorimetry solve --trained {input.trained:q} --bespoke {input.bespoke:q}"
        " --showers {input.showers:q} --model {wildcards.shower_model} --solved {output:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule calorimetry_refine:
    output:
        model=result("calorimetry/refinement/{refinement}.pt"),
        numbers=result("calorimetry/refinement/{refinement}.json"),
    log:
        log_of("calorimetry_refine", "{refinement}"),
    benchmark:
        bench_of("calorimetry_refine", "{refinement}")
    wildcard_constraints:
        refinement="|".join(CALORIMETRY.refinement) or "(?!)",
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(240),
        gpu=0,
    params:
        code=code("calorimetry.refine"),
        settings=lambda w: settings("seed", f"calorimetry.refinement.{w.refinement}"),
    message:
        "super-resolution {wildcards.refinement}"
    shell:
        "fullchain calorimetry refine --refinement {wildcards.refinement} --model {output.model:q}"
        " --numbers {output.numbers:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


if CALORIMETRY.downstream is not None:
    DOWNSTREAM = CALORIMETRY.downstream

    rule calorimetry_compare:
        input:
            initialisation=result("ntuples/{sample}/pythia.mpi"),
            models=shower_model_files(DOWNSTREAM.models),
        output:
            result("calorimetry/downstream/{sample}.json"),
        log:
            log_of("calorimetry_compare", "{sample}"),
        benchmark:
            bench_of("calorimetry_compare", "{sample}")
        wildcard_constraints:
            sample="|".join(DOWNSTREAM.samples),
        threads: 1
        resources:
            mem_mb=memory(2000),
            runtime=minutes(60),
            gpu=0,
        params:
            code=code("calorimetry.compare"),
            settings=lambda w: generation_settings(
                w.sample,
                "0000",
                "ntuples.beams",
                "ntuples.detector",
                "calorimetry.downstream",
                f"calorimetry.detectors.{DOWNSTREAM.response.detector}",
                without=("pileup", "pileup_profile", "shower_weights"),
            ),
        message:
            "{wildcards.sample} with each response of the calorimeter"
        shell:
            "fullchain calorimetry compare --initialisation {input.initialisation:q} --models {input.models:q}"
            " --sample {wildcards.sample} --numbers {output:q}"
            " --settings {params.settings:q} > {log:q} 2>&1"


rule calorimetry_tabulate:
    input:
        showers=[
            result(f"calorimetry/showers/{name}/showers.json") for name in SHOWER_SETS
        ],
        evaluation=[result(f"calorimetry/evaluation/{name}.json") for name in JUDGED],
        classifiers=[result(f"calorimetry/classifiers/{name}.json") for name in JUDGED],
        timing=[result(f"calorimetry/timing/{name}.json") for name in TIMED],
        control=[
            result(f"calorimetry/control/{name}.json")
            for name in CALORIMETRY.controlled
        ],
        variation=[
            result(f"calorimetry/variation/{name}.json")
            for name in CALORIMETRY.varied_models()
        ],
        solvers=[
            result(f"calorimetry/solvers/{name}.json")
            for name in CALORIMETRY.solved_models()
        ],
        refinement=[
            result(f"calorimetry/refinement/{name}.json")
            for name in CALORIMETRY.refinement
        ],
        downstream=(
            [
                result(f"calorimetry/downstream/{name}.json")
                for name in DOWNSTREAM.samples
            ]
            if CALORIMETRY.downstream
            else []
        ),
    output:
        metrics=result("calorimetry/metrics.json"),
        tables=result("calorimetry/tables.json"),
    log:
        log_of("calorimetry_tabulate"),
    benchmark:
        bench_of("calorimetry_tabulate")
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("calorimetry.tabulate"),
        settings=settings(),
    message:
        "numbers of the calorimetry"
    shell:
        "fullchain calorimetry tabulate --showers {input.showers:q} --evaluation {input.evaluation:q}"
        " --classifiers {input.classifiers:q} --timing {input.timing:q}"
        " --control {input.control:q} --variation {input.variation:q}"
        " --solvers {input.solvers:q} --refinement {input.refinement:q}"
        " --downstream {input.downstream:q} --metrics {output.metrics:q} --listed {output.tables:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule calorimetry_plot:
    input:
        showers=[
            result(f"calorimetry/showers/{name}/showers.json") for name in SHOWER_SETS
        ],
        evaluation=[result(f"calorimetry/evaluation/{name}.json") for name in JUDGED],
        classifiers=[result(f"calorimetry/classifiers/{name}.json") for name in JUDGED],
        timing=[result(f"calorimetry/timing/{name}.json") for name in TIMED],
        control=[
            result(f"calorimetry/control/{name}.json")
            for name in CALORIMETRY.controlled
        ],
        variation=[
            result(f"calorimetry/variation/{name}.json")
            for name in CALORIMETRY.varied_models()
        ],
        solvers=[
            result(f"calorimetry/solvers/{name}.json")
            for name in CALORIMETRY.solved_models()
        ],
        refinement=[
            result(f"calorimetry/refinement/{name}.json")
            for name in CALORIMETRY.refinement
        ],
        downstream=(
            [
                result(f"calorimetry/downstream/{name}.json")
                for name in DOWNSTREAM.samples
            ]
            if CALORIMETRY.downstream
            else []
        ),
    output:
        index=result("calorimetry/figures/index.json"),
        pdf=figures("calorimetry", CALORIMETRY_FIGURES),
        png=report_figures("calorimetry", CALORIMETRY_FIGURES),
    log:
        log_of("calorimetry_plot"),
    benchmark:
        bench_of("calorimetry_plot")
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
        gpu=0,
    params:
        code=code("calorimetry.plot"),
        settings=settings(),
    message:
        "figures of the calorimetry"
    shell:
        "fullchain calorimetry plot --showers {input.showers:q} --evaluation {input.evaluation:q}"
        " --classifiers {input.classifiers:q} --timing {input.timing:q}"
        " --control {input.control:q} --variation {input.variation:q}"
        " --solvers {input.solvers:q} --refinement {input.refinement:q}"
        " --downstream {input.downstream:q} --index {output.index:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"
