"""Weaver's part of the comparison: its data configuration, its commands, its predictions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from cost import Cost, measured

NETWORKS = Path(__file__).resolve().parent / "weaver_networks"
LABELS = ("label_Tbqq", "label_QCD")

POINTS = [["part_deta", None], ["part_dphi", None]]
VECTORS = [["part_px", None], ["part_py", None], ["part_pz", None], ["part_energy", None]]
# The inputs "kin" of 2202.03772 with their published scale.
FEATURES = [
    ["part_pt_log", 1.7, 0.7],
    ["part_e_log", 2.0, 0.7],
    ["part_logptrel", -4.7, 0.7],
    ["part_logerel", -4.7, 0.7],
    ["part_deltaR", 0.2, 4.0],
    ["part_deta", None],
    ["part_dphi", None],
]
NEW_VARIABLES = {
    "part_mask": "ak.ones_like(part_energy)",
    "part_pt": "np.hypot(part_px, part_py)",
    "part_pt_log": "np.log(part_pt)",
    "part_e_log": "np.log(part_energy)",
    "part_logptrel": "np.log(part_pt/jet_pt)",
    "part_logerel": "np.log(part_energy/jet_energy)",
    "part_deltaR": "np.hypot(part_deta, part_dphi)",
}
ALSO = {
    "pfn": {},
    "particlenet_lite": {"pf_points": POINTS},
    "part_tiny": {"pf_vectors": VECTORS},
}
"""Inputs of a network beside features and mask."""


def data_config(model: str, particles: int) -> dict[str, Any]:
    """Weaver's data configuration with the inputs that the network takes, in its order."""
    also = ALSO[model]
    groups = {name: also[name] for name in ("pf_points",) if name in also}
    groups["pf_features"] = FEATURES
    groups |= {name: also[name] for name in ("pf_vectors",) if name in also}
    inputs = {
        name: {"length": particles, "pad_mode": "wrap", "vars": values}
        for name, values in groups.items()
    }
    mask = [["part_mask", None]]
    inputs["pf_mask"] = {"length": particles, "pad_mode": "constant", "vars": mask}
    return {
        "treename": "tree",
        # Without one, weaver takes no further selection on its command line.
        "selection": "jet_part>=0",
        "new_variables": NEW_VARIABLES,
        "preprocess": {"method": "manual"},
        "inputs": inputs,
        "labels": {"type": "simple", "value": list(LABELS)},
        "observers": ["jet_number", "jet_part"],
    }


@dataclass(frozen=True)
class Weaver:
    """How weaver is run.

    Parameters
    ----------
    program
        Its command.
    loading
        `memory` reads and prepares the jets once and keeps them; `stream` reads them again in each
        epoch, all at once.
    workers
        Processes that load.
    test_batch
        Jets of a batch in prediction.
    """

    program: Path
    loading: str
    workers: int
    test_batch: int

    def warm_up(self, folder: Path) -> None:
        """Have Python keep the byte code of all modules, as it does in a first run."""
        measured([str(self.program), "--help"], folder / "warm_up_weaver.log")

    def train(
        self,
        model: str,
        root: Path,
        folder: Path,
        how: dict[str, Any],
        jets: dict[str, int],
        epochs: int,
    ) -> Cost:
        """Train `epochs` epochs on the jets of part 0 with validation on those of part 1."""
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "data.yaml"
        config.write_text(yaml.safe_dump(data_config(model, how["particles"]), sort_keys=False))
        command = [
            *self._common(model, config, folder),
            *("--data-train", str(root), "--data-val", str(root), "--run-mode", "train,val"),
            *("--extra-selection-train", "jet_part==0", "--extra-selection-val", "jet_part==1"),
            *("--num-epochs", str(epochs), "--batch-size", str(how["batch_size"])),
            *("--optimizer", "ranger", "--start-lr", str(how["learning_rate"])),
            *("--lr-scheduler", "flat+decay", "--fetch-step", "1"),
        ]
        if self.loading == "memory":
            steps = [
                str(max(1, jets[part] // how["batch_size"])) for part in ("train", "validation")
            ]
            command += ["--in-memory", "--steps-per-epoch", steps[0]]
            command += ["--steps-per-epoch-val", steps[1]]
        return measured(command, folder / "train.log", folder)

    def predict(self, model: str, root: Path, folder: Path) -> Cost:
        """Give a score to all jets of the file."""
        command = [
            *self._common(model, folder / "data.yaml", folder),
            *("--predict", "--data-test", str(root), "--batch-size-test", str(self.test_batch)),
            *("--predict-output", str(folder / "predicted.root")),
        ]
        return measured(command, folder / "predict.log", folder)

    def _common(self, model: str, config: Path, folder: Path) -> list[str]:
        return [
            str(self.program),
            *("--data-config", str(config), "--network-config", str(NETWORKS / f"{model}.py")),
            *("--model-prefix", str(folder / "network"), "--gpus", ""),
            *("--num-workers", str(self.workers)),
        ]


def scores(folder: Path) -> tuple[Any, Any]:
    """Numbers of the jets that weaver gave a score to, and the scores."""
    import uproot

    with uproot.open(folder / "predicted.root") as file:
        tree = file[next(name for name, kind in file.classnames().items() if kind == "TTree")]
        table = tree.arrays(["jet_number", f"score_{LABELS[0]}"], library="np")
    return table["jet_number"], table[f"score_{LABELS[0]}"]
