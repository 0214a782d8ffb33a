"""C++ emulation of a project: what the code of hls4ml computes, compiled with g++."""

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullchain.errors import InputError
from fullchain.firmware.fixed_point import Array
from fullchain.firmware.hls_project import TOP, Project

DRIVER = f"""// Calls the top function for many vectors and keeps what each layer made.
#include <cstddef>
#include <cstring>
#include <map>
#include <string>

namespace nnet {{
extern std::map<std::string, void *> *trace_outputs;
}}

extern "C" {{
void {TOP}_double(double *, double *);
void allocate_trace_storage(size_t);
void free_trace_storage();

int emulate(double *inputs, double *outputs, size_t rows, size_t width, size_t results,
            size_t layers, const char **names, const size_t *sizes, double **values) {{
    int missing = -1;
    allocate_trace_storage(sizeof(double));
    for (size_t layer = 0; layer < layers; layer++)
        if (!nnet::trace_outputs->count(names[layer])) missing = int(layer);
    for (size_t row = 0; row < rows && missing < 0; row++) {{
        {TOP}_double(inputs + row * width, outputs + row * results);
        for (size_t layer = 0; layer < layers; layer++)
            std::memcpy(values[layer] + row * sizes[layer], (*nnet::trace_outputs)[names[layer]],
                        sizes[layer] * sizeof(double));
    }}
    free_trace_storage();
    return missing;
}}
}}
"""


Made = tuple[Array, dict[str, Array]]
"""Outputs, and outputs of layers by name."""


@dataclass
class Emulation:
    """A compiled project.

    `layers` are the layers whose outputs are kept, with the number of values of each.
    """

    library: ctypes.CDLL
    width: int
    results: int
    layers: dict[str, int]

    def run(self, inputs: Array, rows_at_once: int = 8192) -> Iterator[Made]:
        """Give outputs and outputs of all layers, some vectors after the other.

        Parameters
        ----------
        inputs
            (vectors, inputs) float64.
        """
        for start in range(0, len(inputs), rows_at_once):
            some = np.ascontiguousarray(inputs[start : start + rows_at_once], dtype=np.float64)
            outputs = np.zeros((len(some), self.results))
            values = {name: np.zeros((len(some), size)) for name, size in self.layers.items()}
            number = len(values)
            names = (ctypes.c_char_p * number)(*(name.encode() for name in values))
            sizes = (ctypes.c_size_t * number)(*self.layers.values())
            places = (ctypes.c_void_p * number)(*(kept.ctypes.data for kept in values.values()))
            counts = (len(some), self.width, self.results, number)
            missing = self.library.emulate(
                ctypes.c_void_p(some.ctypes.data),
                ctypes.c_void_p(outputs.ctypes.data),
                *(ctypes.c_size_t(count) for count in counts),
                names,
                sizes,
                places,
            )
            if missing >= 0:
                raise RuntimeError(f"the emulation keeps no layer {list(values)[missing]}")
            yield outputs, values


def compiler_version(compiler: str) -> str:
    """Give the version of a C++ compiler.

    Raises
    ------
    InputError
        There is no such program.
    """
    if shutil.which(compiler) is None:
        raise InputError(
            f"firmware.hls.compiler: there is no program {compiler}, which the C++ emulation of "
            "hls4ml needs; install it (Debian and Ubuntu: apt install g++; conda: gxx) or name "
            "another C++ compiler"
        )
    done = subprocess.run([compiler, "-dumpfullversion"], capture_output=True, text=True)
    return f"{compiler} {done.stdout.strip()}"


def compiled(project: Project, folder: Path, compiler: str) -> Emulation:
    """Compile a written project for this machine, and load it.

    Raises
    ------
    InputError
        The compiler fails, with the first errors it prints.
    """
    driver, library = folder / "emulation_driver.cpp", folder / "emulation.so"
    driver.write_text(DRIVER, encoding="utf-8")
    weights = (folder / "firmware" / "weights").resolve()
    command = [
        compiler, "-O2", "-shared", "-fPIC", "-std=c++11", "-fno-gnu-unique", "-w",
        "-Wl,-Bsymbolic", "-Ifirmware/ac_types", "-Ifirmware/ap_types",
        f'-DWEIGHTS_DIR="{weights}"', f"firmware/{TOP}.cpp", f"{TOP}_bridge.cpp", driver.name,
        "-o", library.name,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line] or ["no message"]
        raise InputError(
            f"{compiler} does not compile the project of hls4ml for {project.backend}: "
            f"{'; '.join(errors[:3])}; take another compiler or backend"
        )
    loaded = ctypes.CDLL(str(library))
    driver.unlink()
    library.unlink()  # what is loaded stays mapped
    graph = project.graph
    layers = {
        layer.name: int(layer.get_output_variable().size())
        for layer in graph.get_layers()
        if layer.get_attr("function_cpp", None) and layer.get_attr("trace", False)
    }
    sizes = [
        int(variables[0].size())
        for variables in (graph.get_input_variables(), graph.get_output_variables())
    ]
    return Emulation(loaded, sizes[0], sizes[1], layers)
