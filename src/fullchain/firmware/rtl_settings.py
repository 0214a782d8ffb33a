"""Settings of the Verilog and of its emulation."""

from pydantic import Field

from fullchain.model import SettingsModel


class RtlSettings(SettingsModel):
    """How a network becomes pipelined Verilog by distributed arithmetic."""

    top: str = Field(
        "jet_tagger",
        pattern=r"^[a-z][a-z0-9_]*$",
        description="name of the Verilog module, and of the project for vendor tools",
    )
    part: str = Field(
        "xcvu13p-flga2577-2-e", min_length=1, description="FPGA that the project names"
    )
    clock_period: float = Field(5.0, gt=0, description="clock that the constraints ask for [ns]")
    clock_uncertainty: float = Field(
        0.1, ge=0, le=1, description="uncertainty of the clock, as a part of its period"
    )
    latency_cutoff: int = Field(
        5, ge=1, description="levels of adders between registers at most; more make it faster"
    )
    stages_at_most: int | None = Field(
        6,
        ge=1,
        description="stages of the pipeline at most: where latency_cutoff gives more, the smallest "
        "cutoff that does not is taken; null: any number",
    )
    delay_constraint: int | None = Field(
        2,
        ge=0,
        description="levels that a product with a matrix may have beyond the least; null: any",
    )
    adder_size: int = Field(1, ge=1, description="bits of an adder that cost one LUT, estimated")
    carry_size: int | None = Field(
        None, ge=1, description="bits of carry that are one level; null: an adder is one level"
    )
    table_bits: int = Field(
        8, ge=4, le=12, description="bits of a number whose square is looked up in one table"
    )
    checked: int = Field(
        512, ge=16, description="random vectors that compare the logic with the network"
    )
    require_equal: bool = Field(
        True, description="whether an output that differs from the network's is an error"
    )
