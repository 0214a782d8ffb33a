# The report, and the figures and tables of a paper, from what all other stages left.
# A stage is a section of the configuration: its numbers and figures are found by its name.
PAPER_STAGES = [
    name
    for name in type(CONFIG).model_fields
    if name not in ("run", "seed", "paper") and getattr(CONFIG, name) is not None
]


# Stages with tables of their own beside their numbers.
TABLE_STAGES = [
    stage
    for stage in PAPER_STAGES
    for rule_name in (f"{stage}_tables", f"{stage}_tabulate")
    if workflow.is_rule(rule_name)
    and result(f"{stage}/tables.json") in getattr(rules, rule_name).output
]


def drawn_figures(stage):
    """The PDF and PNG files that the plotting rule of a stage declares."""
    return [
        Path(path)
        for path in getattr(rules, f"{stage}_plot").output
        if path.endswith((".pdf", ".png"))
    ]


def is_of_ntuples(scores):
    """Whether a file of scores is of a tagger that reads its jets from ntuples."""
    name = Path(scores).parent.parent.name
    if name not in TAGGERS:
        name = base_of(CONFIG.decorrelation, name)
    return TAGGERS[name].jets_from != "jets"


def accounted_scores():
    """The files of scores that this run makes, of taggers and decorrelated classifiers."""
    found = []
    if CONFIG.tagging is not None:
        found += [
            scores_of(name, sample)
            for name in TAGGERS
            for sample in measured_samples(name)
        ]
    if CONFIG.decorrelation is not None:
        found += [
            scores_of(name, sample)
            for name in DECORRELATION_MEASURED
            for sample in TAGGERS[tagger_of(name)].samples
        ]
    if CONFIG.inference is not None:
        found += [
            scores_of(chosen.tagger, sample)
            for chosen in ANALYSES.values()
            for sample in chosen.ntuple_samples()
        ]
    return list(dict.fromkeys(found))


def accounted_trainings():
    """The histories of the trainings on jets of the stage `jets`."""
    found = []
    if CONFIG.tagging is not None:
        # Of weights that a file gave there are no jets to account for.
        for name in TAGGERS:
            if TAGGERS[name].jets_from == "jets" and name not in IMPORTED:
                found += member_files(name, "history.json")
    if CONFIG.decorrelation is not None:
        for name in TRAINED:
            if TAGGERS[tagger_of(name)].jets_from == "jets":
                found += variant_members(name, "history.json")
    return found


def accounted_weights():
    """The pile-up weights that the jets are made with."""
    method = CONFIG.jets.clustering.mitigation
    if method in OF_THE_FILE:
        return []
    return [
        path
        for sample in clustered_samples()
        for path in part_files(
            f"pileup/weights/{method}/{{sample}}/{{part}}.parquet", sample
        )
    ]


rule paper_account:
    input:
        manifests=[result(f"ntuples/{sample}/manifest.json") for sample in samples()],
        weights=accounted_weights(),
        jets=[
            path
            for sample in clustered_samples()
            for path in part_files("jets/{sample}/{part}.json", sample)
        ],
        histograms=result("jets/accounts.json"),
        trainings=accounted_trainings(),
        scores=[path for path in accounted_scores() if not is_of_ntuples(path)],
        scores_of_ntuples=[path for path in accounted_scores() if is_of_ntuples(path)],
        templates=(
            [result(f"inference/{name}/templates.json") for name in ANALYSES]
            if CONFIG.inference is not None
            else []
        ),
        unfolding=(
            [
                path
                for sample in UNFOLDING.samples
                for path in part_files("unfolding/events/{sample}/{part}.json", sample)
            ]
            if CONFIG.unfolding is not None
            else []
        ),
        pairs=(
            [
                result(f"unfolding/events/{name}/0000.parquet")
                for name in UNFOLDING.pairs
            ]
            if CONFIG.unfolding is not None
            else []
        ),
        trigger=(
            trigger_jets(FIRMWARE.all_samples()) if CONFIG.firmware is not None else []
        ),
    output:
        accounts=result("paper/accounts.json"),
    log:
        log_of("paper_account"),
    benchmark:
        bench_of("paper_account")
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
        gpu=0,
    params:
        code=code("paper.account"),
        settings=settings("ntuples.samples"),
    message:
        "what every step read, wrote and rejected"
    shell:
        "fullchain paper account --manifests {input.manifests:q} --weights {input.weights:q}"
        " --jets {input.jets:q} --histograms {input.histograms:q}"
        " --trainings {input.trainings:q} --scores {input.scores:q}"
        " --scores-of-ntuples {input.scores_of_ntuples:q} --templates {input.templates:q}"
        " --unfolding {input.unfolding:q} --pairs {input.pairs:q} --trigger {input.trigger:q}"
        " --accounts {output.accounts:q} --settings {params.settings:q} > {log:q} 2>&1"


rule paper_collect:
    input:
        metrics=[result(f"{stage}/metrics.json") for stage in PAPER_STAGES],
        stage_tables=[result(f"{stage}/tables.json") for stage in TABLE_STAGES],
    output:
        metrics=result("paper/metrics.json"),
        tables=[result(f"paper/tables/{stage}.tex") for stage in PAPER_STAGES],
        composed=[
            result(f"paper/tables/{stage}_composed.tex") for stage in TABLE_STAGES
        ],
        numbers=result("paper/tables/numbers.tex"),
    log:
        log_of("paper_collect"),
    benchmark:
        bench_of("paper_collect")
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(5),
        gpu=0,
    params:
        code=code("paper.collect"),
        settings=settings(),
    message:
        "numbers and tables of all stages"
    shell:
        "fullchain paper collect --metrics {input.metrics:q} --collected {output.metrics:q}"
        " --tables {output.tables:q} --numbers {output.numbers:q}"
        " --stage-tables {input.stage_tables:q} --composed {output.composed:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule paper_figures:
    input:
        [path for stage in PAPER_STAGES for path in drawn_figures(stage)],
        indexes=[result(f"{stage}/figures/index.json") for stage in PAPER_STAGES],
    output:
        [
            result(f"paper/figures/{stage}_{path.name}")
            for stage in PAPER_STAGES
            for path in drawn_figures(stage)
        ],
        index=result("paper/figures/index.json"),
    log:
        log_of("paper_figures"),
    benchmark:
        bench_of("paper_figures")
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(5),
        gpu=0,
    params:
        code=code("paper.figures"),
        settings=settings(),
    message:
        "figures of all stages in one folder"
    shell:
        "fullchain paper figures --indexes {input.indexes:q} --collected {output.index:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"


rule paper_report:
    input:
        metrics=result("paper/metrics.json"),
        figures=result("paper/figures/index.json"),
        tables=[
            *(result(f"paper/tables/{stage}.tex") for stage in PAPER_STAGES),
            *(result(f"paper/tables/{stage}_composed.tex") for stage in TABLE_STAGES),
            result("paper/tables/numbers.tex"),
        ],
        stage_tables=[result(f"{stage}/tables.json") for stage in TABLE_STAGES],
        manifests=[result(f"ntuples/{sample}/manifest.json") for sample in samples()],
        cutflows=[
            path
            for sample in clustered_samples()
            for path in part_files("jets/{sample}/{part}.json", sample)
        ],
        accounts=result("paper/accounts.json"),
    output:
        page=report(
            result("paper/index.html"),
            caption="../workflow/report/paper.rst",
            category="paper",
        ),
        graph=result("paper/dag.svg"),
    log:
        log_of("paper_report"),
    benchmark:
        bench_of("paper_report")
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(5),
        gpu=0,
    params:
        code=code("paper.report"),
        settings=settings(*type(CONFIG).model_fields),
    message:
        "report {output.page}"
    shell:
        "fullchain paper report --metrics {input.metrics:q} --figures {input.figures:q}"
        " --tables {input.tables:q} --stage-tables {input.stage_tables:q}"
        " --manifests {input.manifests:q}"
        " --cutflows {input.cutflows:q} --accounts {input.accounts:q} --page {output.page:q} --graph {output.graph:q}"
        " --settings {params.settings:q} > {log:q} 2>&1"
