"""Projects of hls4ml: conversion of a network, and writing it without anything of this machine."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hls4ml
import numpy as np
import yaml
from hls4ml.converters import convert_from_pytorch_model
from hls4ml.model.graph import ModelGraph

from fullchain.errors import InputError
from fullchain.firmware import hls_modules, one_bit_masks
from fullchain.firmware.fixed_network import FixedPointNetwork
from fullchain.firmware.hls_limits import INTEL
from fullchain.firmware.hls_modules import ConvertibleNetwork, LastAxisLinear
from fullchain.firmware.hls_settings import HlsSettings, LayerPrecision

TOP = "tagger"
"""Name of the top function and of the files of a project."""

STAMP = "fullchain"
"""What stands where hls4ml writes a random stamp."""

VERSION = str(hls4ml.__version__)


@dataclass
class Project:
    """A converted network.

    `said` are the warnings of hls4ml, which changes some settings that a backend does not have.
    """

    backend: str
    graph: ModelGraph
    said: list[str]


def convert(network: FixedPointNetwork, backend: str, chosen: HlsSettings, folder: Path) -> Project:
    """Convert a network for a backend; `folder` is where the project is going to be written.

    Raises
    ------
    InputError
        hls4ml refuses, with what it says.
    """
    hls_modules.register()
    module = ConvertibleNetwork(network, formats=chosen.precision is None)
    part = chosen.intel_part if backend in INTEL else chosen.part
    with _listening(backend, chosen) as said:
        graph = convert_from_pytorch_model(
            module,
            output_dir=str(folder),
            project_name=TOP,
            backend=backend,
            hls_config=_configuration(network, module, chosen),
            io_type=chosen.io_type,
            clock_period=_plain(chosen.clock_period),
            **({} if part is None else {"part": part}),
        )
    _check_layers(graph, module, backend)
    if backend in INTEL:
        one_bit_masks.mend(graph, backend)
    return Project(backend, graph, said)


def _plain(number: float) -> float | int:
    return int(number) if number == int(number) else number


def _configuration(
    network: FixedPointNetwork, module: ConvertibleNetwork, chosen: HlsSettings
) -> dict[str, Any]:
    by_hand = chosen.precision
    layers: dict[str, dict[str, Any]] = {}
    for name, one in module.named_children():
        # The strategy belongs to layers with products only; others refuse it.
        layers[name] = {"Trace": True}
        if isinstance(one, LastAxisLinear):
            layers[name]["Strategy"] = chosen.strategy
    if by_hand is not None:
        layers[hls_modules.INPUTS] = {"Precision": {"result": by_hand.inputs or by_hand.default}}
        for number, layer in enumerate(network.layers, start=1):
            types = by_hand.layers.get(layer.name, LayerPrecision())
            name = hls_modules.step_name(number, layer)
            given = types.model_dump(exclude_none=True, exclude={"activation"})
            if given:
                layers[name]["Precision"] = {"default": by_hand.default} | given
            if types.activation is not None:
                layers[f"{name}_relu"]["Precision"] = {"result": types.activation}
    return {
        "Model": {
            "Precision": {"default": "fixed<16,6>" if by_hand is None else by_hand.default},
            "ReuseFactor": chosen.reuse_factor,
            "Strategy": "latency",
            "BitExact": by_hand is None,
            "ChannelsLastConversion": "off",
            "TransposeOutputs": False,
        },
        "InputShape": [(None, *network.input_shape)],
        "LayerName": layers,
    }


@contextmanager
def _listening(backend: str, chosen: HlsSettings) -> Iterator[list[str]]:
    """Collect warnings; make errors of hls4ml the user's, with backend and io_type."""
    said: list[str] = []
    printed = io.StringIO()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            with redirect_stdout(printed):
                yield said
        except InputError:
            raise
        except Exception as problem:  # hls4ml raises bare exceptions of all kinds
            raise InputError(
                f"hls4ml {VERSION} cannot convert this network for {backend}, {chosen.io_type}, "
                f"strategy {chosen.strategy}: {problem}; take other settings of firmware.hls"
            ) from problem
    lines = [line.strip() for line in printed.getvalue().splitlines()]
    said += [line for line in lines if line.startswith("WARNING")]
    said += [" ".join(str(one.message).split()) for one in caught if one.category is UserWarning]


def _check_layers(graph: ModelGraph, module: ConvertibleNetwork, backend: str) -> None:
    """Check that every layer with weights came through with the same ones."""
    for name, one in module.named_children():
        if not isinstance(one, LastAxisLinear):
            continue
        if name not in graph.graph:
            raise InputError(
                f"layer {name}: hls4ml {VERSION} lost it in the conversion for {backend}; take "
                "another backend"
            )
        layer = graph.graph[name]
        if layer.get_attr("weight") is None:  # built into code by distributed arithmetic
            continue
        # Some strategies turn the matrix; its numbers must be there whatever their order.
        found = np.sort(np.asarray(layer.get_attr("weight").data, dtype=np.float64).ravel())
        if not np.array_equal(found, np.sort(one.weight.detach().numpy().ravel())):
            raise InputError(
                f"layer {name}: hls4ml {VERSION} changed its weights for {backend}; take another "
                "backend"
            )


def write(project: Project, folder: Path, chosen: HlsSettings) -> None:
    """Write a project to the folder it was converted for, the same bytes at any time and place.

    hls4ml writes a random stamp, absolute paths and the pickled torch module.
    """
    settings = project.graph.config.config
    settings.pop("PytorchModel", None)
    # The code is that of the emulation: what saves outputs of layers is not for synthesis.
    project.graph.config.trace_output = project.backend not in INTEL or project.backend == "Quartus"
    with _listening(project.backend, chosen) as said:
        project.graph.write()
    project.said += [line for line in said if line not in project.said]
    stamp = str(settings["Stamp"])
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "weights" not in path.parts:
            content = path.read_bytes()
            if stamp.encode() in content:
                path.write_bytes(content.replace(stamp.encode(), STAMP.encode()))
    settings |= {"Stamp": STAMP, "OutputDir": "."}
    settings["InputShape"] = [list(shape) for shape in settings["InputShape"]]
    (folder / "hls4ml_config.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")


def described(project: Project) -> list[dict[str, Any]]:
    """Give the layers of a project with their types, plain values."""
    layers = []
    for layer in project.graph.get_layers():
        types = {
            name.removesuffix("_t"): str(kind.precision)
            for name, kind in layer.attributes.items()
            if name in ("result_t", "weight_t", "bias_t", "accum_t") and kind is not None
        }
        masks = layer.get_attr("mask_kbi")
        if masks is not None:
            types |= {
                word: mask.astype(int).ravel().tolist()
                for word, mask in zip(("signed", "width", "integer"), masks, strict=True)
            }
        layers.append(
            {
                "name": layer.name,
                "kind": layer.class_name,
                "shape": [int(size) for size in layer.get_output_variable().shape],
                "types": types,
                "strategy": layer.get_attr("strategy"),
                "reuse_factor": layer.get_attr("reuse_factor"),
            }
        )
    return layers
