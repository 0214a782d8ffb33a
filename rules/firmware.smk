# Firmware: trigger jets, networks and trees, fixed point, HLS and RTL, emulation, synthesis.
from fullchain.firmware.figure_names import names as firmware_figure_names

FIRMWARE = CONFIG.firmware
FIRMWARE_MODELS = FIRMWARE.models
FIRMWARE_NETWORKS = FIRMWARE.networks()
FIRMWARE_FORESTS = FIRMWARE.forests()
FIRMWARE_FIGURES = firmware_figure_names(FIRMWARE)
# What a user takes to a vendor tool, and the page that describes it.
EXPORTED += [
    result(f"firmware/{model}/{point}/page.html")
    for model in FIRMWARE_MODELS
    for point in FIRMWARE_MODELS[model].points
]


wildcard_constraints:
    fw_model="|".join(FIRMWARE_MODELS) or "(?!)",
    fw_network="|".join(FIRMWARE_NETWORKS) or "(?!)",
    fw_forest="|".join(FIRMWARE_FORESTS) or "(?!)",
    fw_point="|".join(FIRMWARE.point_names()) or "(?!)",


def trigger_jets(names):
    """The files of trigger jets of samples."""
    return [
        path
        for name in names
        for path in part_files("firmware/inputs/{sample}/{part}.h5", name)
    ]


def firmware_points(name, models=FIRMWARE_MODELS, points=None):
    """A file of each point of models, or of some points."""
    return [
        result(f"firmware/{model}/{point}/{name}")
        for model in models
        for point in points or FIRMWARE_MODELS[model].points
    ]


def firmware_networks(model, name, points=None):
    """A file of each point of a model that is a network; none for trees."""
    return firmware_points(name, [model], points) if model in FIRMWARE_NETWORKS else []


def trained_firmware(wildcards):
    """A model before it was quantised."""
    name = "float.pt" if wildcards.fw_model in FIRMWARE_NETWORKS else "forest.json"
    return result(f"firmware/{wildcards.fw_model}/{name}")


def emulated(model, points=None):
    """What emulations made of the vectors: equally many files of each point, one point after the other."""
    names = (
        ["hls4ml.h5", "verilator.h5"] if model in FIRMWARE_NETWORKS else ["conifer.h5"]
    )
    return [
        path
        for point in points or FIRMWARE_MODELS[model].points
        for name in names
        for path in firmware_points(name, [model], [point])
    ]


# What a rule makes on request beside the reports that every point has.
FIRMWARE_REPORTS = ["hls4ml", "rtl", "verilator", "synthesis"]
if FIRMWARE.synthesis.resimulate:
    FIRMWARE_REPORTS.append("netlist")
if FIRMWARE.synthesis.place:
    FIRMWARE_REPORTS.append("placement")
if FIRMWARE.hls.build:
    FIRMWARE_REPORTS.append("build")


def point_numbers(*reports):
    """Numbers of all points: of networks also those of these reports that are made."""
    made = [name for name in reports if name in FIRMWARE_REPORTS]
    return [
        *(
            path
            for name in ("network", "quantisation", *made)
            for path in firmware_points(f"{name}.json", FIRMWARE_NETWORKS)
        ),
        *firmware_points("conifer.json", FIRMWARE_FORESTS),
    ]


def described_files(wildcards, suffix):
    """Reports or archives of a point."""
    points = [wildcards.fw_point]
    if wildcards.fw_model in FIRMWARE_FORESTS:
        names = ["conifer.json", "conifer.tar.gz"]
    else:
        names = [
            *(f"{name}.json" for name in FIRMWARE_REPORTS),
            *("hls4ml.tar.gz", "rtl.tar.gz", "netlist.v.gz"),
        ]
    return [
        path
        for name in names
        if name.endswith(suffix)
        for path in firmware_points(name, [wildcards.fw_model], points)
    ]


def training_jets(wildcards):
    """Trigger jets that a network is trained on: those of its classes, and further samples."""
    own = getattr(FIRMWARE_MODELS[wildcards.fw_network], "samples", ())
    return trigger_jets(list(dict.fromkeys([*FIRMWARE.class_samples(), *own])))


def quantised_training(wildcards):
    """Settings of the training of a point, which are not those of its model."""
    model = FIRMWARE_MODELS[wildcards.fw_network]
    return model.points[wildcards.fw_point].training


def teacher_scores(wildcards):
    """Scores of the tagger that a network is distilled from, of all samples of its classes."""
    teacher = FIRMWARE.teacher_of(wildcards.fw_network)
    if not teacher:
        return []
    return [scores_of(teacher, sample) for sample in FIRMWARE.class_samples()]


def firmware_model_settings(name):
    """Settings with which a model is trained: its points do not matter to it."""
    path = f"firmware.models.{name}"
    chosen = dag_parts.part(VALUES, "seed", path, "firmware.classes", "firmware.split")
    values = chosen["firmware"]["models"][name]
    chosen["firmware"]["models"][name] = values | {"points": {}}
    return dag_parts.text(chosen, *chosen)


def hls_settings():
    """Settings of the conversion: what vendor tools do afterwards does not matter to it."""
    chosen = dag_parts.part(VALUES, "firmware.hls")
    values = chosen["firmware"]["hls"]
    chosen["firmware"]["hls"] = {
        key: value for key, value in values.items() if not key.startswith("build")
    }
    return dag_parts.text(chosen, *chosen)


rule firmware_observe:
    input:
        result("jets/{sample}/{part}.parquet"),
    output:
        result("firmware/inputs/{sample}/{part}.h5"),
    log:
        log_of("firmware_observe", "{sample}.{part}"),
    benchmark:
        bench_of("firmware_observe", "{sample}.{part}")
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(60),
        gpu=0,
    params:
        code=code("firmware.observe"),
        settings=settings("firmware.inputs"),
    message:
        "{wildcards.sample} as a trigger sees it, part {wildcards.part}"
    shell:
        "fullchain firmware observe --jets {input:q} --sample {wildcards.sample} --output {output:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_census:
    input:
        trigger_jets(FIRMWARE.class_samples()),
    output:
        result("firmware/census.json"),
    log:
        log_of("firmware_census"),
    benchmark:
        bench_of("firmware_census")
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(20),
        gpu=0,
    params:
        code=code("firmware.census"),
        settings=settings("seed", "firmware.classes"),
    message:
        "features of trigger jets by class"
    shell:
        "fullchain firmware census --jets {input:q} --report {output:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_train:
    input:
        jets=training_jets,
        scores=teacher_scores,
    output:
        trained=result("firmware/{fw_network}/float.pt"),
        history=result("firmware/{fw_network}/training.json"),
    log:
        log_of("firmware_train", "{fw_network}"),
    benchmark:
        bench_of("firmware_train", "{fw_network}")
    priority: 10
    threads: lambda w: FIRMWARE_MODELS[w.fw_network].training.threads
    resources:
        mem_mb=memory(3000),
        runtime=minutes(240),
        gpu=lambda w: int(FIRMWARE_MODELS[w.fw_network].training.device != "cpu"),
    params:
        code=code("firmware.train"),
        settings=lambda w: firmware_model_settings(w.fw_network),
    message:
        "network {wildcards.fw_network} of the trigger, not quantised"
    shell:
        "fullchain firmware train --jets {input.jets:q} --scores {input.scores:q}"
        " --model {wildcards.fw_network} --trained {output.trained:q} --history {output.history:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_quantise:
    input:
        jets=training_jets,
        scores=teacher_scores,
        trained=result("firmware/{fw_network}/float.pt"),
    output:
        network=result("firmware/{fw_network}/{fw_point}/network.json"),
        history=result("firmware/{fw_network}/{fw_point}/quantisation.json"),
    log:
        log_of("firmware_quantise", "{fw_network}.{fw_point}"),
    benchmark:
        bench_of("firmware_quantise", "{fw_network}.{fw_point}")
    priority: 10
    threads: lambda w: quantised_training(w).threads
    resources:
        mem_mb=memory(3000),
        runtime=minutes(240),
        gpu=lambda w: int(quantised_training(w).device != "cpu"),
    params:
        code=code("firmware.quantise"),
        settings=lambda w: settings(
            "seed",
            "firmware.classes",
            "firmware.split",
            f"firmware.models.{w.fw_network}.kind",
            f"firmware.models.{w.fw_network}.points.{w.fw_point}",
        ),
    message:
        "network {wildcards.fw_network} of the trigger in fixed point, {wildcards.fw_point}"
    shell:
        "fullchain firmware quantise --jets {input.jets:q} --scores {input.scores:q}"
        " --trained {input.trained:q} --model {wildcards.fw_network} --point {wildcards.fw_point}"
        " --network {output.network:q} --history {output.history:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_stimulate:
    input:
        network=result("firmware/{fw_network}/{fw_point}/network.json"),
        jets=trigger_jets(FIRMWARE.all_samples()),
    output:
        result("firmware/{fw_network}/{fw_point}/stimuli.h5"),
    log:
        log_of("firmware_stimulate", "{fw_network}.{fw_point}"),
    benchmark:
        bench_of("firmware_stimulate", "{fw_network}.{fw_point}")
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
        gpu=0,
    params:
        code=code("firmware.stimulate"),
        settings=settings(
            "seed", "firmware.classes", "firmware.split", "firmware.stimuli"
        ),
    message:
        "test vectors of {wildcards.fw_network}, {wildcards.fw_point}"
    shell:
        "fullchain firmware stimulate --network {input.network:q} --jets {input.jets:q}"
        " --model {wildcards.fw_network} --vectors {output:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_convert:
    input:
        network=result("firmware/{fw_network}/{fw_point}/network.json"),
        stimuli=result("firmware/{fw_network}/{fw_point}/stimuli.h5"),
    output:
        archive=result("firmware/{fw_network}/{fw_point}/hls4ml.tar.gz"),
        outputs=result("firmware/{fw_network}/{fw_point}/hls4ml.h5"),
        report=result("firmware/{fw_network}/{fw_point}/hls4ml.json"),
    log:
        log_of("firmware_convert", "{fw_network}.{fw_point}"),
    benchmark:
        bench_of("firmware_convert", "{fw_network}.{fw_point}")
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(120),
        gpu=0,
    params:
        code=code("firmware.convert"),
        settings=hls_settings(),
    message:
        "hls4ml: {wildcards.fw_network}, {wildcards.fw_point}"
    shell:
        "fullchain firmware convert --network {input.network:q} --stimuli {input.stimuli:q}"
        " --archive {output.archive:q} --outputs {output.outputs:q} --report {output.report:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_trace:
    input:
        result("firmware/{fw_network}/{fw_point}/network.json"),
    output:
        archive=result("firmware/{fw_network}/{fw_point}/rtl.tar.gz"),
        report=result("firmware/{fw_network}/{fw_point}/rtl.json"),
    log:
        log_of("firmware_trace", "{fw_network}.{fw_point}"),
    benchmark:
        bench_of("firmware_trace", "{fw_network}.{fw_point}")
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(120),
        gpu=0,
    params:
        code=code("firmware.trace"),
        settings=settings("seed", "firmware.rtl"),
    message:
        "Verilog of {wildcards.fw_network}, {wildcards.fw_point}"
    shell:
        "fullchain firmware trace --network {input:q} --archive {output.archive:q}"
        " --report {output.report:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_verilate:
    input:
        archive=result("firmware/{fw_network}/{fw_point}/rtl.tar.gz"),
        rtl=result("firmware/{fw_network}/{fw_point}/rtl.json"),
        stimuli=result("firmware/{fw_network}/{fw_point}/stimuli.h5"),
    output:
        outputs=result("firmware/{fw_network}/{fw_point}/verilator.h5"),
        report=result("firmware/{fw_network}/{fw_point}/verilator.json"),
    log:
        log_of("firmware_verilate", "{fw_network}.{fw_point}"),
    benchmark:
        bench_of("firmware_verilate", "{fw_network}.{fw_point}")
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(120),
        gpu=0,
    params:
        code=code("firmware.verilate"),
        settings=settings("firmware.rtl.require_equal"),
    message:
        "every vector through the Verilog of {wildcards.fw_network}, {wildcards.fw_point}"
    shell:
        "fullchain firmware verilate --archive {input.archive:q} --rtl {input.rtl:q}"
        " --stimuli {input.stimuli:q} --outputs {output.outputs:q} --report {output.report:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_synthesise:
    input:
        archive=result("firmware/{fw_network}/{fw_point}/rtl.tar.gz"),
        rtl=result("firmware/{fw_network}/{fw_point}/rtl.json"),
    output:
        netlist=result("firmware/{fw_network}/{fw_point}/netlist.v.gz"),
        report=result("firmware/{fw_network}/{fw_point}/synthesis.json"),
    log:
        log_of("firmware_synthesise", "{fw_network}.{fw_point}"),
    benchmark:
        bench_of("firmware_synthesise", "{fw_network}.{fw_point}")
    threads: 1
    resources:
        mem_mb=memory(16000 if FIRMWARE.synthesis.tool == "vivado" else 3000),
        runtime=minutes(240),
        gpu=0,
    params:
        code=code("firmware.synthesise"),
        settings=settings(
            "firmware.synthesis.tool",
            "firmware.synthesis.family",
            "firmware.synthesis.further",
        ),
    message:
        "synthesis of {wildcards.fw_network}, {wildcards.fw_point}"
    shell:
        "fullchain firmware synthesise --archive {input.archive:q} --rtl {input.rtl:q}"
        " --netlist {output.netlist:q} --report {output.report:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_resimulate:
    input:
        netlist=result("firmware/{fw_network}/{fw_point}/netlist.v.gz"),
        rtl=result("firmware/{fw_network}/{fw_point}/rtl.json"),
        stimuli=result("firmware/{fw_network}/{fw_point}/stimuli.h5"),
        verilator=result("firmware/{fw_network}/{fw_point}/verilator.h5"),
    output:
        result("firmware/{fw_network}/{fw_point}/netlist.json"),
    log:
        log_of("firmware_resimulate", "{fw_network}.{fw_point}"),
    benchmark:
        bench_of("firmware_resimulate", "{fw_network}.{fw_point}")
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(240),
        gpu=0,
    params:
        code=code("firmware.resimulate"),
        settings=settings(
            "firmware.synthesis.vectors",
            "firmware.synthesis.vectors_at_once",
            "firmware.synthesis.require_equal",
        ),
    message:
        "netlist of {wildcards.fw_network}, {wildcards.fw_point}, against its Verilog"
    shell:
        "fullchain firmware resimulate --netlist {input.netlist:q}"
        " --rtl {input.rtl:q} --stimuli {input.stimuli:q} --verilator {input.verilator:q}"
        " --report {output:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_place:
    input:
        archive=result("firmware/{fw_network}/{fw_point}/rtl.tar.gz"),
        rtl=result("firmware/{fw_network}/{fw_point}/rtl.json"),
    output:
        result("firmware/{fw_network}/{fw_point}/placement.json"),
    log:
        log_of("firmware_place", "{fw_network}.{fw_point}"),
    benchmark:
        bench_of("firmware_place", "{fw_network}.{fw_point}")
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(240),
        gpu=0,
    params:
        code=code("firmware.place"),
        settings=settings("firmware.synthesis.placement"),
    message:
        "{wildcards.fw_network}, {wildcards.fw_point}, placed on an ECP5"
    shell:
        "fullchain firmware place --archive {input.archive:q} --rtl {input.rtl:q}"
        " --report {output:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_build:
    input:
        archive=result("firmware/{fw_network}/{fw_point}/hls4ml.tar.gz"),
    output:
        result("firmware/{fw_network}/{fw_point}/build.json"),
    log:
        log_of("firmware_build", "{fw_network}.{fw_point}"),
    benchmark:
        bench_of("firmware_build", "{fw_network}.{fw_point}")
    threads: 1
    resources:
        mem_mb=memory(16000),
        runtime=minutes(720),
        gpu=0,
    params:
        code=code("firmware.build"),
        settings=settings("firmware.hls.build", "firmware.hls.build_timeout"),
    message:
        "vendor tools on {wildcards.fw_network}, {wildcards.fw_point}"
    shell:
        "fullchain firmware build --archive {input.archive:q} --report {output:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_grow:
    input:
        trigger_jets(FIRMWARE.class_samples()),
    output:
        trained=result("firmware/{fw_forest}/forest.json"),
        history=result("firmware/{fw_forest}/training.json"),
    log:
        log_of("firmware_grow", "{fw_forest}"),
    benchmark:
        bench_of("firmware_grow", "{fw_forest}")
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(240),
        gpu=0,
    params:
        code=code("firmware.grow"),
        settings=lambda w: firmware_model_settings(w.fw_forest),
    message:
        "trees {wildcards.fw_forest} of the trigger"
    shell:
        "fullchain firmware grow --jets {input:q} --model {wildcards.fw_forest}"
        " --trained {output.trained:q} --history {output.history:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_convert_trees:
    input:
        trained=result("firmware/{fw_forest}/forest.json"),
        jets=trigger_jets(FIRMWARE.all_samples()),
    output:
        stimuli=result("firmware/{fw_forest}/{fw_point}/stimuli.h5"),
        archive=result("firmware/{fw_forest}/{fw_point}/conifer.tar.gz"),
        outputs=result("firmware/{fw_forest}/{fw_point}/conifer.h5"),
        report=result("firmware/{fw_forest}/{fw_point}/conifer.json"),
    log:
        log_of("firmware_convert_trees", "{fw_forest}.{fw_point}"),
    benchmark:
        bench_of("firmware_convert_trees", "{fw_forest}.{fw_point}")
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(240),
        gpu=0,
    params:
        code=code("firmware.convert_trees"),
        settings=lambda w: settings(
            "seed",
            f"firmware.models.{w.fw_forest}.points.{w.fw_point}",
            f"firmware.models.{w.fw_forest}.replicas",
            "firmware.classes",
            "firmware.split",
            "firmware.stimuli",
        ),
    message:
        "conifer: {wildcards.fw_forest}, {wildcards.fw_point}"
    shell:
        "fullchain firmware convert_trees --trained {input.trained:q} --jets {input.jets:q}"
        " --model {wildcards.fw_forest} --point {wildcards.fw_point} --stimuli {output.stimuli:q}"
        " --archive {output.archive:q} --outputs {output.outputs:q} --report {output.report:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_evaluate:
    input:
        trained=trained_firmware,
        jets=trigger_jets(FIRMWARE.all_samples()),
        networks=lambda w: firmware_networks(w.fw_model, "network.json"),
        stimuli=lambda w: firmware_points("stimuli.h5", [w.fw_model]),
        outputs=lambda w: emulated(w.fw_model),
    output:
        result("firmware/evaluation/{fw_model}.json"),
    log:
        log_of("firmware_evaluate", "{fw_model}"),
    benchmark:
        bench_of("firmware_evaluate", "{fw_model}")
    threads: 1
    resources:
        mem_mb=memory(3000),
        runtime=minutes(60),
        gpu=0,
    params:
        code=code("firmware.evaluate"),
        points=lambda w: list(FIRMWARE_MODELS[w.fw_model].points),
        settings=lambda w: settings(
            "seed",
            f"firmware.models.{w.fw_model}.kind",
            "firmware.classes",
            "firmware.split",
            "firmware.evaluation",
        ),
    message:
        "accuracy of each implementation of {wildcards.fw_model}"
    shell:
        "fullchain firmware evaluate --model {wildcards.fw_model} --trained {input.trained:q}"
        " --jets {input.jets:q} --points {params.points} --networks {input.networks:q}"
        " --stimuli {input.stimuli:q} --outputs {input.outputs:q} --evaluation {output:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_trigger:
    input:
        stimuli=result("firmware/{fw_model}/{fw_point}/stimuli.h5"),
        jets=trigger_jets(FIRMWARE.all_samples()),
        outputs=lambda w: emulated(w.fw_model, [w.fw_point]),
        trained=trained_firmware,
        manifests=[
            result(f"ntuples/{name}/manifest.json")
            for name in FIRMWARE.trigger.background
        ],
    output:
        result("firmware/trigger/{fw_model}.{fw_point}.json"),
    log:
        log_of("firmware_trigger", "{fw_model}.{fw_point}"),
    benchmark:
        bench_of("firmware_trigger", "{fw_model}.{fw_point}")
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60),
        gpu=0,
    params:
        code=code("firmware.trigger"),
        settings=lambda w: settings(
            "seed",
            f"firmware.models.{w.fw_model}.kind",
            "firmware.classes",
            "firmware.split",
            "firmware.trigger",
        ),
    message:
        "rates and efficiencies of {wildcards.fw_model}, {wildcards.fw_point}"
    shell:
        "fullchain firmware trigger --model {wildcards.fw_model} --point {wildcards.fw_point}"
        " --stimuli {input.stimuli:q} --jets {input.jets:q} --outputs {input.outputs:q}"
        " --trained {input.trained:q} --manifests {input.manifests:q} --report {output:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_describe:
    input:
        evaluation=result("firmware/evaluation/{fw_model}.json"),
        networks=lambda w: firmware_networks(w.fw_model, "network.json", [w.fw_point]),
        numbers=lambda w: described_files(w, ".json"),
        archives=lambda w: described_files(w, ".gz"),
    output:
        result("firmware/{fw_model}/{fw_point}/page.html"),
    log:
        log_of("firmware_describe", "{fw_model}.{fw_point}"),
    benchmark:
        bench_of("firmware_describe", "{fw_model}.{fw_point}")
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("firmware.describe"),
        settings=settings(),
    message:
        "page of {wildcards.fw_model}, {wildcards.fw_point}"
    shell:
        "fullchain firmware describe --model {wildcards.fw_model} --point {wildcards.fw_point}"
        " --evaluation {input.evaluation:q} --networks {input.networks:q}"
        " --numbers {input.numbers:q} --archives {input.archives:q} --page {output:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_tabulate:
    input:
        inputs=result("firmware/census.json"),
        points=point_numbers(
            "hls4ml", "rtl", "verilator", "synthesis", "netlist", "placement"
        ),
        evaluation=[
            result(f"firmware/evaluation/{model}.json") for model in FIRMWARE_MODELS
        ],
        trigger=[
            result(f"firmware/trigger/{model}.{point}.json")
            for model in FIRMWARE_MODELS
            for point in FIRMWARE_MODELS[model].points
        ],
    output:
        metrics=result("firmware/metrics.json"),
        tables=result("firmware/tables.json"),
    log:
        log_of("firmware_tabulate"),
    benchmark:
        bench_of("firmware_tabulate")
    threads: 1
    resources:
        mem_mb=memory(1500),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("firmware.tabulate"),
        settings=settings(),
    message:
        "numbers of the firmware"
    shell:
        "fullchain firmware tabulate"
        " --inputs {input.inputs:q} --points {input.points:q}"
        " --evaluation {input.evaluation:q} --trigger {input.trigger:q}"
        " --metrics {output.metrics:q} --listed {output.tables:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule firmware_plot:
    input:
        inputs=result("firmware/census.json"),
        points=point_numbers("hls4ml", "rtl", "synthesis"),
        evaluation=[
            result(f"firmware/evaluation/{model}.json") for model in FIRMWARE_MODELS
        ],
        trigger=[
            result(f"firmware/trigger/{model}.{point}.json")
            for model in FIRMWARE_MODELS
            for point in FIRMWARE_MODELS[model].points
        ],
        training=[
            result(f"firmware/{model}/training.json") for model in FIRMWARE_NETWORKS
        ],
        growth=[result(f"firmware/{model}/training.json") for model in FIRMWARE_FORESTS],
    output:
        index=result("firmware/figures/index.json"),
        pdf=figures("firmware", FIRMWARE_FIGURES),
        png=report_figures("firmware", FIRMWARE_FIGURES),
    log:
        log_of("firmware_plot"),
    benchmark:
        bench_of("firmware_plot")
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
        gpu=0,
    params:
        code=code("firmware.plot"),
        settings=settings(),
    message:
        "figures of the firmware"
    shell:
        "fullchain firmware plot"
        " --inputs {input.inputs:q} --points {input.points:q}"
        " --evaluation {input.evaluation:q} --trigger {input.trigger:q}"
        " --training {input.training:q} --growth {input.growth:q} --index {output.index:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"
