"""Settings of the synthesis of Verilog."""

from typing import Literal

from pydantic import Field, model_validator

from fullchain.model import SettingsModel

Family = Literal["xcup", "xcu", "xc7", "xc6v"]


class PlacementSettings(SettingsModel):
    """Placing and routing on an ECP5 by nextpnr, out of context."""

    device: Literal["12k", "25k", "45k", "85k"] = Field("85k", description="size of the FPGA")
    speed: Literal[6, 7, 8] = Field(6, description="speed grade; 8 is the fastest")
    package: str = Field(
        "CABGA381", pattern=r"^[A-Z0-9]+$", description="package; out of context no pin is used"
    )
    luts: int = Field(
        3000, ge=1, description="4-input LUTs up to which a design is placed; more take minutes"
    )
    target: float = Field(
        200.0, gt=0, description="clock for which places and routes are chosen [MHz]"
    )
    seed: int = Field(1, ge=1, description="first seed of the placement")
    seeds: int = Field(
        3, ge=2, description="placements, with consecutive seeds, for the spread of the clock"
    )


class SynthesisSettings(SettingsModel):
    """How Verilog becomes cells of an FPGA, and what is done with these."""

    tool: Literal["yosys", "vivado"] = Field(
        "yosys",
        description="yosys: open, not placed; vivado: placed and routed, needs vivado on the path",
    )
    family: Family = Field(
        "xcup", description="FPGAs of Xilinx that Yosys maps to; xcup: UltraScale+, xc7: 7 series"
    )
    further: list[Family] = Field(
        [], description="further families whose cells are counted, without a netlist"
    )
    resimulate: bool = Field(
        True, description="run every vector through the netlist, too, and compare it with the RTL"
    )
    place: bool = Field(False, description="place and route on an ECP5 where the design fits")
    vectors: int | None = Field(
        None, ge=1, description="test vectors for the netlist at most; null: all of them"
    )
    vectors_at_once: int = Field(
        65_536, ge=64, description="vectors in a block that goes through the netlist"
    )
    require_equal: bool = Field(
        True, description="whether an output of the netlist that differs from the RTL is an error"
    )
    placement: PlacementSettings = Field(
        default_factory=PlacementSettings, description="placing and routing on an ECP5"
    )

    @model_validator(mode="after")
    def _families(self) -> "SynthesisSettings":
        if self.tool == "vivado" and self.further:
            raise ValueError(
                f"further: {', '.join(self.further)} are families that Yosys maps to, and Vivado "
                "places on the one FPGA of firmware.rtl.part; leave further empty, or set tool to "
                "yosys"
            )
        return self
