"""GHDL: simulation of conifer's VHDL, and its translation to Verilog."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError

Integers = NDArray[np.int64]

BEFORE = ("Constants", "Split", "Types", "Tree", "AddReduce")
BENCH = ("SimulationInput", "SimulationOutput", "BDTTestbench")

LATENCY_BENCH = """\
library ieee;
use ieee.std_logic_1164.all;
library BDT;
use BDT.Constants.all;
use BDT.Types.all;

entity latency is
end latency;

architecture bench of latency is
  signal X : txArray(0 to nFeatures - 1) := (others => to_tx(0));
  signal X_vld : boolean := false;
  signal y : tyArray(0 to nClasses - 1);
  signal y_vld : boolArray(0 to nClasses - 1);
  signal clk : std_logic := '0';
begin
  clk <= not clk after 5 ns;
  UUT : entity BDT.BDTTop port map(clk, X, X_vld, y, y_vld);
  process(clk)
    variable cycle : integer := 0;
  begin
    if rising_edge(clk) then
      cycle := cycle + 1;
      X_vld <= cycle = 20;
      -- The input is seen from cycle 21 on: valid one cycle later means one stage.
      if y_vld(0) and cycle > 21 then
        report "latency " & integer'image(cycle - 21);
        std.env.finish;
      end if;
      assert cycle < 1000 report "no valid output" severity failure;
    end if;
  end process;
end bench;
"""


def program() -> str:
    """Find GHDL.

    Raises
    ------
    InputError
        It is not installed.
    """
    found = shutil.which("ghdl")
    if found is None:
        raise InputError(
            "GHDL is not on the path: apt-get install ghdl (Debian), or set simulate_vhdl and "
            "synthesise of the point to false"
        )
    return found


def version() -> str:
    """Give the version of GHDL."""
    return _run(["--version"], Path.cwd()).splitlines()[0].split()[1]


def analyse(folder: Path, classes: int) -> None:
    """Analyse the VHDL of a project and its test bench, in `folder`.

    Raises
    ------
    InputError
        GHDL is not there, or refuses a file.
    """
    arrays = [f"Arrays{number}" for number in range(classes)]
    for name in (*BEFORE, *arrays, "BDT", "BDTTop"):
        _run(["-a", "--std=08", "--work=BDT", f"firmware/{name}.vhd"], folder)


def simulate(folder: Path, inputs: Integers) -> Integers:
    """Give outputs (vectors, classes) for integers (vectors, features), one vector per cycle.

    Raises
    ------
    InputError
        As `analyse`; or there are fewer outputs than vectors.
    """
    for name in BENCH:
        _run(["-a", "--std=08", "--work=bench", f"firmware/{name}.vhd"], folder)
    _run(["-e", "--std=08", "--work=bench", "testbench"], folder)
    np.savetxt(folder / "SimulationInput.txt", inputs, fmt="%d")
    _run(["-r", "--std=08", "--work=bench", "testbench"], folder)
    found = np.loadtxt(folder / "SimulationOutput.txt", dtype=np.int64, ndmin=2)
    if len(found) != len(inputs):
        raise InputError(f"GHDL gave {len(found)} outputs for {len(inputs)} vectors")
    return found


def latency(folder: Path) -> int:
    """Measure clock cycles from a valid input to its valid output."""
    (folder / "Latency.vhd").write_text(LATENCY_BENCH, encoding="utf-8")
    _run(["-a", "--std=08", "--work=bench", "Latency.vhd"], folder)
    _run(["-e", "--std=08", "--work=bench", "latency"], folder)
    said = _run(["-r", "--std=08", "--work=bench", "latency"], folder)
    return int(said.split("latency ")[-1].split()[0])


def verilog(folder: Path, name: str) -> None:
    """Translate the analysed design to Verilog, written to file `name` in `folder`."""
    text = _run(["--synth", "--std=08", "--work=BDT", "--out=verilog", "BDTTop"], folder, False)
    (folder / name).write_text(text, encoding="utf-8")


def _run(arguments: list[str], folder: Path, both: bool = True) -> str:
    ended = subprocess.run(
        [program(), *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        words = (ended.stderr or ended.stdout).strip().splitlines()[-3:]
        raise InputError(f"GHDL {' '.join(arguments)}: {' '.join(words)}")
    return ended.stdout + ended.stderr if both else ended.stdout
