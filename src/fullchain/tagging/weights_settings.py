"""Settings of weights that were trained elsewhere."""

from pydantic import Field, model_validator

from fullchain.model import SettingsModel


class WeightsSettings(SettingsModel):
    """Weights of a network that weaver-core trained, in place of a training."""

    file: str = Field(
        min_length=1,
        description="state dict that weaver-core saved (.pt); a relative path starts where the "
        "workflow runs",
    )
    outputs: tuple[str | None, ...] = Field(
        min_length=2,
        description="class of the tagger that each output of the network in the file is for, in "
        "their order (the labels of weaver's data configuration); null for an output that is left "
        "out, so that the probabilities are among the others",
    )

    @model_validator(mode="after")
    def _each_once(self) -> "WeightsSettings":
        names = [name for name in self.outputs if name is not None]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"outputs: two outputs are for {', '.join(twice)}; name each once")
        return self

    def check_classes(self, classes: tuple[str, ...]) -> None:
        """Raise ValueError where `classes` are not those of the outputs."""
        named = {name for name in self.outputs if name is not None}
        missing = [name for name in classes if name not in named]
        unknown = sorted(named - set(classes))
        if missing or unknown:
            what = [f"no output is for {', '.join(missing)}"] if missing else []
            what += [f"no class is called {', '.join(unknown)}"] if unknown else []
            raise ValueError(
                f"weights.outputs: {'; '.join(what)}. Name each class of the tagger once, and "
                "null for an output of another class"
            )
