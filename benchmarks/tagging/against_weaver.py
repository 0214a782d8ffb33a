"""Training and prediction against weaver-core on the same ROOT file: speed, memory, AUC, rejection.

    bash benchmarks/tagging/prepare_weaver.sh weaver
    python benchmarks/tagging/against_weaver.py --weaver weaver/bin/weaver --output comparison \
        --top results/default/jets/tt/*.parquet --qcd results/default/jets/qcd/*.parquet \
        --jets 6000 --epochs 8 --batch-size 128 --rounds 3

One ROOT file in the layout of JetClass is written from the jets of a finished run. Both sides read
it from there, with their own commands, each in processes of its own with one thread: weaver's
`weaver` for training and for prediction; ours `tagging train` and `tagging predict`. Model, inputs,
number of particles, training and validation jets, batch, epochs, optimiser and rate are the same;
each side keeps its own best epoch and all jets get a score. In each round the random numbers are
others, and sides are taken in turn, so that a busy machine hits both alike, beginning with the
other one each time. The PFN is also trained with our products in bfloat16; weaver has fewer bits on
CUDA only.

On a machine that others use, quote ratios of CPU time (user and system, all processes): time on the
clock is theirs as much as ours. In the first round each training is also run with one epoch, so
that the rate of an epoch can be told from start and end. Rates are of jets per second of CPU time.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import our_side
from cost import Cost, measured
from weaver_side import Weaver
from weaver_side import scores as weaver_scores

MODELS = ("pfn", "particlenet_lite", "part_tiny")
LOW_PRECISION = "ours_bfloat16"


def sides_of(model: str) -> tuple[str, ...]:
    """Who trains a model: ours first, weaver last."""
    return ("ours", LOW_PRECISION, "weaver") if model == "pfn" else ("ours", "weaver")


def make_sample(chosen: argparse.Namespace) -> tuple[Path, dict[str, int]]:
    """Write the ROOT file in a process of its own; give the numbers of jets of its parts."""
    root = chosen.output / "jets.root"
    command = [sys.executable, str(Path(__file__).with_name("sample.py"))]
    command += ["--top", *map(str, chosen.top), "--qcd", *map(str, chosen.qcd)]
    command += ["--jets", str(chosen.jets), "--seed", str(chosen.seed), "--output", str(root)]
    command += ["--validation", str(chosen.validation), "--test", str(chosen.test)]
    log = chosen.output / "sample.log"
    measured(command, log)
    return root, json.loads(log.read_text(encoding="utf-8").splitlines()[-1])


def one_round(
    model: str,
    side: str,
    number: int,
    root: Path,
    folder: Path,
    how: dict[str, Any],
    jets: dict[str, int],
    weaver: Weaver,
) -> dict[str, Cost]:
    """Measure all phases of one side. The training of full length is the last, and is kept."""
    if side == "weaver":

        def train(epochs: int) -> Cost:
            return weaver.train(model, root, folder, how, jets, epochs)

        def predict() -> Cost:
            return weaver.predict(model, root, folder)

    else:
        own = {**how, "precision": "bfloat16" if side == LOW_PRECISION else "float32"}

        def train(epochs: int) -> Cost:
            return our_side.train(model, number, root, folder, own, epochs)

        def predict() -> Cost:
            return our_side.predict(model, number, root, folder, own)

    first = {"one_epoch": train(1)} if number == 0 else {}
    return {**first, "train": train(how["epochs"]), "predict": predict()}


def rates(costs: dict[str, Cost], jets: dict[str, int], epochs: int) -> dict[str, float]:
    """Jets per second of CPU time, end-to-end times, memory."""
    whole = costs["train"] + costs["predict"]
    # An epoch reads the validation jets, too, on both sides.
    found = {
        "train": jets["train"] * epochs / costs["train"].cpu,
        "predict": sum(jets.values()) / costs["predict"].cpu,
        "end_to_end_cpu": whole.cpu,
        "end_to_end_wall": whole.wall,
        "train_mb": costs["train"].peak_mb,
        "predict_mb": costs["predict"].peak_mb,
        "peak_mb": whole.peak_mb,
    }
    if "one_epoch" in costs:
        further = costs["train"].cpu - costs["one_epoch"].cpu
        found["epoch"] = jets["train"] * (epochs - 1) / further if further > 0 else float("nan")
        found["start"] = costs["train"].cpu - further * epochs / (epochs - 1)
    return found


def check_same_jets(trained_on: dict[str, dict[str, int]], jets: dict[str, int]) -> None:
    """Stop where our parts of the jets are not those that weaver was given."""
    for part, classes in trained_on.items():
        if sum(classes.values()) != jets[part]:
            raise SystemExit(
                f"our {part} part has {sum(classes.values())} jets, that of weaver {jets[part]}"
            )


def quality(
    root: Path, folders: dict[str, Path], ours: str, seed: int
) -> tuple[dict[str, Any], int]:
    """Performance on the test jets, and how many jets weaver left out."""
    import numpy as np
    import uproot
    from quality import compare

    with uproot.open(root) as file:
        truth = file["tree"].arrays(["jet_part", "label_Tbqq"], library="np")
    found = {}
    for side, read in ((ours, our_side.scores), ("weaver", weaver_scores)):
        number, score = read(folders[side])
        found[side] = np.full(len(truth["jet_part"]), np.nan)
        found[side][number] = score
    missing = int(np.isnan(found["weaver"]).sum())
    if np.isnan(found[ours]).any():
        raise SystemExit(f"{int(np.isnan(found[ours]).sum())} jets have no score of ours")
    use = (truth["jet_part"] == 2) & ~np.isnan(found["weaver"])
    result = compare(found[ours][use], found["weaver"][use], truth["label_Tbqq"][use] == 1, seed)
    return result.as_dict(), missing


Rounds = list[dict[str, dict[str, float]]]


def median(rounds: Rounds, side: str, name: str) -> float:
    return statistics.median(one[side][name] for one in rounds if name in one[side])


def ratio(rounds: Rounds, ours: str, name: str, more_is_better: bool) -> str:
    """Median and range over rounds of how many times better ours is."""
    pairs = [(one[ours][name], one["weaver"][name]) for one in rounds if name in one[ours]]
    found = [a / b if more_is_better else b / a for a, b in pairs]
    text = f"{statistics.median(found):.2f}"
    return text if len(found) == 1 else f"{text} ({min(found):.2f}-{max(found):.2f})"


LINES = (
    ("train", "training, whole step [jets/s of CPU]", True, ".0f"),
    ("epoch", "training, further epochs [jets/s of CPU]", True, ".0f"),
    ("start", "training, start and reading [s of CPU]", False, ".1f"),
    ("predict", "prediction [jets/s of CPU]", True, ".0f"),
    ("end_to_end_cpu", "end to end [s of CPU]", False, ".1f"),
    ("end_to_end_wall", "end to end [s on the clock]", False, ".1f"),
    ("train_mb", "peak memory of a process, training [MB]", False, ".0f"),
    ("predict_mb", "peak memory of a process, prediction [MB]", False, ".0f"),
)


def over_rounds(values: list[float]) -> tuple[float, float]:
    """Mean over trainings, and their standard deviation; zero of one."""
    return statistics.mean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def table(model: str, ours: str, content: dict[str, Any]) -> str:
    """Medians of all rounds, and the ratio of each round; above 1: ours is better."""
    rounds, measured_on = content["rounds"], content["quality"][ours]
    lines = [f"{model}, {ours}: {content['parameters']} parameters, {len(rounds)} rounds"]
    lines.append(f"  {'':<44}{'ours':>10}{'weaver':>10}   ours better by")
    for name, text, better, form in LINES:
        here, weaver = (median(rounds, side, name) for side in (ours, "weaver"))
        compared = ratio(rounds, ours, name, better)
        lines.append(f"  {text:<44}{here:>10{form}}{weaver:>10{form}}   {compared}")
    for name, form in (("auc", ".4f"), ("r30", ".1f")):
        for number, one in enumerate(measured_on):
            value = {key: one[f"{key}_{name}"] for key in ("ours", "weaver", "difference")}
            shown = ", ".join(f"{k} {v:{form}} +- {e:{form}}" for k, (v, e) in value.items())
            lines.append(f"  round {number}: {name}: {shown} (bootstrap over jets)")
        spread = {
            key: over_rounds([one[f"{key}_{name}"][0] for one in measured_on])
            for key in ("ours", "weaver", "difference")
        }
        shown = ", ".join(f"{k} {v:{form}} +- {e:{form}}" for k, (v, e) in spread.items())
        lines.append(f"  all rounds: {name}: {shown} (standard deviation of trainings)")
    lines.append(f"  jets without a score of weaver: {content['missing']}")
    return "\n".join(lines)


def versions(weaver: Path) -> dict[str, str]:
    script = "import torch; from importlib.metadata import version; "
    script += "print(version('weaver-core'), torch.__version__)"
    python = weaver.with_name("python")
    answer = subprocess.run([python, "-c", script], capture_output=True, text=True, check=True)
    core, torch_there = answer.stdout.split()
    here = subprocess.run(
        [sys.executable, "-c", "import torch; print(torch.__version__)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    return {
        "weaver-core": core,
        "torch (weaver)": torch_there,
        "torch (ours)": here,
        "python": platform.python_version(),
    }


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weaver", type=Path, required=True, help="weaver in its environment")
    parser.add_argument("--top", type=Path, nargs="+", required=True, help="jets with tops")
    parser.add_argument("--qcd", type=Path, nargs="+", required=True, help="jets of QCD")
    parser.add_argument("--output", type=Path, required=True, help="folder for all files")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--jets", type=int, default=6000, help="of both classes together")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    parser.add_argument("--particles", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--validation", type=float, default=0.15)
    parser.add_argument("--test", type=float, default=0.35)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--weaver-loading", choices=("memory", "stream"), default="memory")
    parser.add_argument("--weaver-workers", type=int, default=0)
    parser.add_argument("--weaver-test-batch", type=int, default=512)
    chosen = parser.parse_args()
    if chosen.epochs < 2:
        parser.error("--epochs: at least 2, for the rate of an epoch")
    for name in ("weaver", "output"):
        setattr(chosen, name, Path(getattr(chosen, name)).absolute())
    return chosen


def main() -> None:
    chosen = arguments()
    chosen.output.mkdir(parents=True, exist_ok=True)
    root, jets = make_sample(chosen)
    names = ("epochs", "batch_size", "learning_rate", "particles", "validation", "test", "seed")
    how = {name: getattr(chosen, name) for name in names}
    weaver = Weaver(
        chosen.weaver, chosen.weaver_loading, chosen.weaver_workers, chosen.weaver_test_batch
    )
    loading = {"loading": weaver.loading, "workers": weaver.workers, "batch": weaver.test_batch}
    result = {"how": how, "jets": jets, "weaver": loading, "versions": versions(chosen.weaver)}
    print(json.dumps(result), flush=True)
    our_side.warm_up(chosen.output)
    weaver.warm_up(chosen.output)
    result["models"] = {}
    for model in chosen.models:
        content = compared(model, root, jets, how, weaver, chosen)
        result["models"][model] = content
        for ours in sides_of(model)[:-1]:
            print(table(model, ours, content), flush=True)
        path = chosen.output / "comparison.json"
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def compared(
    model: str,
    root: Path,
    jets: dict[str, int],
    how: dict[str, Any],
    weaver: Weaver,
    chosen: argparse.Namespace,
) -> dict[str, Any]:
    """All rounds of one model, on all sides."""
    sides = sides_of(model)
    rounds, raw = [], []
    # One folder for each round: a finished training must not be gone on with.
    folders = [
        {side: chosen.output / model / f"{side}_{number}" for side in sides}
        for number in range(chosen.rounds)
    ]
    for number, here in enumerate(folders):
        order = sides if number % 2 == 0 else sides[::-1]
        costs = {
            side: one_round(model, side, number, root, here[side], how, jets, weaver)
            for side in order
        }
        rounds.append({side: rates(costs[side], jets, how["epochs"]) for side in sides})
        raw.append({s: {p: c.as_dict() for p, c in phases.items()} for s, phases in costs.items()})
    found: dict[str, list[Any]] = {side: [] for side in sides[:-1]}
    missing = []
    for here in folders:
        written = our_side.numbers(here["ours"])
        check_same_jets(written["jets"], jets)
        for ours in sides[:-1]:
            performance, lost = quality(root, here, ours, how["seed"])
            found[ours].append(performance)
        missing.append(lost)
    return {
        "parameters": written["parameters"],
        "rounds": rounds,
        "raw": raw,
        "quality": found,
        "missing": missing,
    }


if __name__ == "__main__":
    main()
