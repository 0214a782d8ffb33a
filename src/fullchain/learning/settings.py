"""Settings of the training loop, the same for each stage that trains."""

from typing import Literal

from pydantic import Field

from fullchain.learning.schedule import Schedule
from fullchain.model import SettingsModel

Precision = Literal["float32", "bfloat16", "float16"]
RowsFolder = Literal["output", "temporary"]


class TrainingSettings(SettingsModel):
    """How a network is trained."""

    epochs: int = Field(20, ge=1, description="passes over the training rows at most")
    batch_size: int = Field(128, ge=1, description="rows per optimiser step (nearly: all equal)")
    optimiser: Literal["adam", "adamw", "radam", "ranger"] = Field(
        "adam",
        description="adam (1412.6980), adamw (1711.05101), radam (1908.03265) or ranger (radam "
        "with Lookahead, 1907.08610: k = 6, alpha = 0.5, betas 0.95 and 0.999, eps 1e-5)",
    )
    learning_rate: float = Field(3e-3, gt=0, description="nominal learning rate")
    weight_decay: float = Field(0.0, ge=0, description="weight decay of the optimiser")
    schedule: Schedule = Field(
        "one_cycle",
        description="learning rate over the steps: constant, cosine, flat_then_decay, one_cycle",
    )
    warmup: float = Field(
        0.0, ge=0, lt=1, description="part of the steps over which the rate rises from zero"
    )
    final_rate: float = Field(
        0.01, gt=0, le=1, description="last learning rate, as a fraction of the nominal one"
    )
    gradient_clip: float | None = Field(
        None, gt=0, description="largest norm of the gradient; null for no limit"
    )
    patience: int = Field(
        15, ge=1, description="epochs without a better validation loss before training stops"
    )
    min_improvement: float = Field(
        0.0, ge=0, description="fall of the validation loss that counts as better"
    )
    device: Literal["cpu", "cuda", "auto"] = Field(
        "cpu",
        description="cpu, cuda, or auto: CUDA where there is one, and numbers that depend on the "
        "machine",
    )
    threads: int = Field(
        1, ge=1, description="CPU threads; part of the settings because rounding may depend on it"
    )
    precision: Precision = Field(
        "float32",
        description="float32, bfloat16 or float16 (CUDA only, with scaled losses) in the large "
        "products; weights stay float32. bfloat16 on a CPU that has its instructions (avx512_bf16, "
        "amx) trains a network of wide dense layers (pfn) up to twice as fast, one of many small "
        "products and norms (attention) more slowly, and a CPU without them all more slowly",
    )
    compile: bool = Field(
        False,
        description="compile the network with torch.compile; without a compiler it runs as it is. "
        "On the CPU it gained nothing with one thread: a pfn got slower, attention stayed as it "
        "was, and compiling takes from seconds to half a minute. Worth a try on CUDA",
    )
    processes: int = Field(
        1,
        ge=1,
        description="processes that share each batch: one CUDA device each, or `threads` threads "
        "of the CPU each; part of the settings because rounding depends on it",
    )
    memory_budget_mb: float | None = Field(
        None,
        gt=0,
        description="largest size of the training and validation rows in memory [1e6 bytes]; "
        "beyond, they go to mapped files; null: always in memory",
    )
    rows_folder: RowsFolder = Field(
        "output",
        description="where rows beyond the budget go: beside the output, or in the folder for "
        "temporary files (TMPDIR); it should be a disk of the machine that trains",
    )
    shuffle_block: int | None = Field(
        None,
        ge=1,
        description="rows that stay together when rows are shuffled, for rows in files that exceed "
        "the memory of the machine: a few hundred; null: shuffle row by row",
    )
