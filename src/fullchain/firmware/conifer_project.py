"""Projects of conifer: C++ emulation, HLS and VHDL of a fixed-point forest.

All numbers are given to conifer as integers: inputs and thresholds in steps of their grid, leaves
in steps of the scores. That changes no comparison and no sum, and its VHDL then multiplies nothing:
it leaves the multiplication by the normalisation away only where that is the integer 1.
"""

import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.firmware.forest import FixedForest

Array = NDArray[np.float64]

NAME = "forest"


def ensemble(fixed: FixedForest) -> dict[str, Any]:
    """Give the dictionary that conifer's models are made of."""
    forest = fixed.forest
    grid, step = fixed.inputs.format.step[0], fixed.score.step[0]
    features = len(forest.names)
    rounds = [
        [
            {
                "feature": tree.feature.tolist(),
                "threshold": (tree.threshold / grid).astype(int).tolist(),
                "value": (tree.value / step).astype(int).tolist(),
                "children_left": tree.left.tolist(),
                "children_right": tree.right.tolist(),
                "weight": [[int(one == own) for one in range(features)] for own in tree.feature],
            }
            for tree in trees
        ]
        for trees in forest.rounds
    ]
    return {
        "max_depth": forest.depth,
        "n_trees": len(rounds),
        "n_features": features,
        "n_classes": len(forest.classes),
        "init_predict": (forest.first / step).astype(int).tolist(),
        "norm": 1,
        "library": "fullchain",
        "splitting_convention": "<=",
        "feature_map": {name: number for number, name in enumerate(forest.names)},
        "trees": rounds,
    }


def write(fixed: FixedForest, backend: str, folder: Path, part: str, clock_period: float) -> Any:
    """Write the project of a backend (cpp, xilinxhls, vhdl), and give conifer's model.

    Nothing in it depends on time, host or place. In VHDL, inputs keep their own number of bits,
    where conifer has one for inputs and scores, and the padding of its adder tree is driven to 0.

    Parameters
    ----------
    fixed
        The trees.
    backend
        As conifer names it.
    folder
        Where the project is written.
    part
        FPGA that it names.
    clock_period
        That the HLS project asks for [ns].

    Raises
    ------
    InputError
        g++ or the headers that conifer takes are missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    inputs, scores = int(fixed.inputs.format.width[0]), int(fixed.score.width[0])
    config: dict[str, Any] = {"Backend": backend, "ProjectName": NAME, "OutputDir": str(folder)}
    if backend == "vhdl":
        config["Precision"] = f"ap_int<{max(inputs, scores)}>"
    else:
        precisions = {"Input": inputs, "Threshold": inputs, "Score": scores}
        config |= {f"{name}Precision": f"ap_int<{bits}>" for name, bits in precisions.items()}
        config["WeightPrecision"] = "ap_uint<1>"
    if backend == "xilinxhls":
        config |= {"ClockPeriod": f"{clock_period:g}", "Unroll": True}
    if backend != "cpp":
        config["XilinxPart"] = part
    content = ensemble(fixed)
    with _environment(folder):
        from conifer.model import make_model

        model = make_model(content, config)
        # Of the content, where conifer takes the time: Python keeps one library under one name.
        unique = json.dumps([content, inputs, scores, backend])
        model._stamp = int(hashlib.sha256(unique.encode()).hexdigest()[:12], 16)
        model._metadata = []
        model.write()
    for left in folder.glob(".fp_converter_*"):
        shutil.rmtree(left)
    _forget_place(folder)
    if backend == "vhdl":
        _mend(folder, inputs)
    return model


def _forget_place(folder: Path) -> None:
    saved = folder / f"{NAME}.json"
    if saved.is_file():
        content = json.loads(saved.read_text(encoding="utf-8"))
        content["config"]["output_dir"] = "."
        content["metadata"] = []
        saved.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _mend(folder: Path, inputs: int) -> None:
    constants = folder / "firmware" / "Constants.vhd"
    lines = constants.read_text(encoding="utf-8").splitlines()
    lines = [
        f"  subtype tx is signed({inputs - 1} downto 0);" if "subtype tx is" in line else line
        for line in lines
    ]
    constants.write_text("\n".join(lines) + "\n", encoding="utf-8")
    adder = folder / "firmware" / "AddReduce.vhd"
    text = adder.read_text(encoding="utf-8")
    driven = "    d_vldInt(d'length to intLen - 1) <= (others => true);\n"
    if driven not in text:
        raise InputError(f"conifer's {adder.name} is not that of conifer 1.11; install that")
    # Synthesis takes no initial values of signals that nothing drives.
    padding = "    dInt(d'length to intLen - 1) <= (others => (others => '0'));\n"
    adder.write_text(text.replace(driven, driven + padding), encoding="utf-8")


def emulated(model: Any, fixed: FixedForest, inputs: Array, folder: Path) -> Array:
    """Compile the C++ of a project, and give its outputs (vectors, classes) in units of scores.

    Parameters
    ----------
    model
        What `write` gave, of backend cpp or xilinxhls.
    inputs
        (vectors, features) on the grid of the inputs.
    folder
        Where the project is; what is compiled stays there.

    Raises
    ------
    InputError
        g++ or headers are missing, or the compiler fails.
    """
    steps = inputs / fixed.inputs.format.step[0]
    with _environment(folder):
        try:
            model.compile()
        except Exception as problem:  # conifer raises no other
            raise InputError(f"conifer's C++ does not compile ({problem}); see above") from None
        found = np.array(model.decision_function(steps), dtype=np.float64)
    return found.reshape(len(inputs), -1) * fixed.score.step[0]


@contextlib.contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """Let conifer find g++, Python and headers, and write in `folder`."""
    if shutil.which("g++") is None:
        raise InputError("g++ is not on the path, and conifer compiles with it: install Debian g++")
    headers = _package("hls4ml") / "templates" / "vivado" / "ap_types"
    json_headers = _package("nlohmann_json") / "include"
    for path, package in (
        (headers / "ap_fixed.h", "hls4ml"),
        (json_headers / "nlohmann" / "json.hpp", "nlohmann-json"),
    ):
        if not path.is_file():
            raise InputError(f"{path.name} of {package} is missing: pip install {package} (PyPI)")
    own = str(Path(sys.executable).parent)
    wanted = {
        "XILINX_AP_INCLUDE": str(headers),
        "CPLUS_INCLUDE_PATH": str(json_headers),
        "PATH": f"{own}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        with contextlib.chdir(folder):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def _package(name: str) -> Path:
    try:
        return Path(next(iter(import_module(name).__path__)))
    except ImportError:
        package = name.replace("_", "-")
        raise InputError(f"{package} is not installed: pip install {package} (PyPI)") from None
