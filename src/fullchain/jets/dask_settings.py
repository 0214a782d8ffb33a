"""Settings of the Dask cluster that reads events."""

from pathlib import PurePosixPath
from typing import Literal

from pydantic import Field, field_validator, model_validator

from fullchain.model import SettingsModel

_BATCH = ("slurm", "htcondor")
_ONLY_IN_BATCH = {
    **dict.fromkeys(
        ("adaptive", "cores", "minutes", "directives", "prologue", "interface", "logs"), _BATCH
    ),
    **dict.fromkeys(("queue", "account"), ("slurm",)),
    "disk": ("htcondor",),
}
# Who started a scheduler that runs already chose these for it.
_NOT_OF_OTHERS = dict.fromkeys(("memory", "scratch", "attempts", "encrypt"), ("local", *_BATCH))


class DaskSettings(SettingsModel):
    """Where the workers of the Dask executor run, and what each of them gets.

    Nothing here changes a result.
    """

    cluster: Literal["local", "address", "slurm", "htcondor"] = Field(
        "local",
        description="local: processes of this machine; address: a scheduler that runs already; "
        "slurm, htcondor: batch jobs through dask-jobqueue",
    )
    address: str | None = Field(
        None, description="of the running scheduler, for example tls://host:8786"
    )
    adaptive: bool = Field(
        False,
        description="of slurm and htcondor: start and stop batch jobs by what there is to do, up "
        "to reading.workers, instead of keeping that many",
    )
    cores: int = Field(1, ge=1, description="cores of one batch job; each is one worker")
    memory: int = Field(3000, ge=200, description="of one worker [MB]")
    minutes: int = Field(120, ge=5, description="longest run time of one batch job [minutes]")
    disk: int = Field(2000, ge=1, description="of one HTCondor job [MB]")
    queue: str | None = Field(None, description="partition of SLURM")
    account: str | None = Field(None, description="account of SLURM")
    directives: tuple[str, ...] = Field(
        (),
        description="further lines of the job: of SLURM options such as --constraint=avx2, of "
        'HTCondor assignments such as +JobFlavour = "longlunch"',
    )
    prologue: tuple[str, ...] = Field(
        (), description="shell commands of the job before the worker starts"
    )
    interface: str | None = Field(
        None, description="network interface between scheduler and workers, for example ib0"
    )
    scratch: str = Field("/tmp", description="folder of the workers for temporary files")
    logs: str = Field(
        "results/dask",
        description="folder for the logs of batch jobs and the keys of encryption, below results/",
    )
    wait: float = Field(
        30.0, gt=0, description="longest time without a single worker, waiting jobs included "
        "[minutes]",
    )  # fmt: skip
    attempts: int = Field(
        3, ge=1, description="how often a chunk is treated whose worker died on it"
    )
    encrypt: bool = Field(
        True,
        description="let only this job speak with its workers (TLS, keys of its own); without it "
        "everyone who reaches the port can run programs as you",
    )

    @field_validator("logs")
    @classmethod
    def _below_results(cls, value: str) -> str:
        path = PurePosixPath(value)
        if path.is_absolute() or path.parts[:1] != ("results",) or ".." in path.parts:
            raise ValueError(f"{value}: must be a folder below results/")
        return value

    @model_validator(mode="after")
    def _address_if_used(self) -> "DaskSettings":
        if (self.cluster == "address") != (self.address is not None):
            raise ValueError("address: give it with cluster 'address', and only then")
        return self

    @model_validator(mode="after")
    def _only_what_applies(self) -> "DaskSettings":
        of_cluster = {**_ONLY_IN_BATCH, **_NOT_OF_OTHERS}
        for name, clusters in of_cluster.items():
            default = type(self).model_fields[name].default
            if self.cluster not in clusters and getattr(self, name) != default:
                raise ValueError(
                    f"{name}: has no effect with cluster '{self.cluster}', only with "
                    f"{', '.join(clusters)}"
                )
        return self

    @model_validator(mode="after")
    def _assignments(self) -> "DaskSettings":
        wrong = [line for line in self.directives if "=" not in line]
        if self.cluster == "htcondor" and wrong:
            raise ValueError(f"directives: {wrong[0]!r} is no assignment: name = value")
        return self

    @property
    def in_batch(self) -> bool:
        """Whether workers are batch jobs."""
        return self.cluster in _BATCH
