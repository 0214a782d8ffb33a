"""Settings of boosted trees and of their fixed-point versions."""

from typing import Literal

from pydantic import Field

from fullchain.firmware.inputs_settings import FEATURES
from fullchain.model import SettingsModel


class ForestPointSettings(SettingsModel):
    """Precision of one version of a forest, and how it is emulated and synthesised."""

    input_bits: int = Field(
        10, ge=2, le=24, description="bits of each input and threshold, with the sign"
    )
    score_bits: int = Field(
        12, ge=2, le=31, description="bits of the leaves and of their sum, with the sign"
    )
    score_integer: int | None = Field(
        None,
        ge=-20,
        le=30,
        description="bits left of the point, without the sign; null: as few as hold all sums",
    )
    emulate_hls: bool = Field(
        False,
        description="compile the HLS project too (minutes of CPU), beside conifer's C++ emulation",
    )
    simulate_vhdl: bool = Field(False, description="simulate the VHDL with GHDL, measure latency")
    vhdl_vectors: int = Field(
        2000, ge=1, description="vectors for GHDL, evenly spaced among all; about 200 a second"
    )
    synthesise: bool = Field(
        False, description="VHDL to Verilog by GHDL, then to cells by Yosys, unplaced"
    )
    family: Literal["xcup", "xcu", "xc7"] = Field(
        "xcup", description="FPGA family of the synthesis, as Yosys names it"
    )
    part: str = Field(
        "xcvu13p-flga2577-2-e", min_length=1, description="FPGA that the projects name"
    )
    clock_period: float = Field(5.0, gt=0, description="clock that the HLS project asks for [ns]")
    require_equal: bool = Field(
        True, description="stop where an emulation differs from the fixed-point forest in any bit"
    )


class ForestSettings(SettingsModel):
    """Gradient-boosted trees, grown by scikit-learn."""

    kind: Literal["trees"] = Field("trees", description="trees: boosted trees")
    features: tuple[str, ...] = Field(
        FEATURES, min_length=1, description="features of the trigger jets"
    )
    algorithm: Literal["histogram", "exact"] = Field(
        "histogram",
        description="HistGradientBoostingClassifier, or GradientBoostingClassifier (slower)",
    )
    trees: int = Field(20, ge=1, description="trees of each class at most")
    depth: int = Field(3, ge=1, le=8, description="cuts from root to leaf at most")
    learning_rate: float = Field(0.3, gt=0, le=1, description="weight of each tree in the sum")
    min_jets_in_leaf: int = Field(20, ge=1, description="jets in a leaf at least")
    patience: int = Field(
        5, ge=1, description="rounds without a lower validation loss, after which growing ends"
    )
    replicas: int = Field(
        100, ge=2, description="replicas of the bootstrap over events of the validation part"
    )
    points: dict[str, ForestPointSettings] = Field(
        {"b10": ForestPointSettings()}, description="fixed-point versions, by name"
    )
