"""Numbers of fewer bits where a network can do with them, and compiled networks."""

import contextlib
import sys
from typing import Any

import torch
from torch import Tensor, nn

from fullchain.errors import InputError
from fullchain.learning.settings import Precision

_TYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def autocast(precision: Precision, place: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Give the context in which the objective is calculated; weights stay float32."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(place.type, dtype=_TYPES[precision])


class Descent:
    """Backward pass and optimiser step, with the scaling that float16 needs (1710.03740).

    Parameters
    ----------
    optimiser
        What takes the step.
    precision, place
        Precision of the objective, and the device.
    gradient_clip
        Largest norm of the gradient, or None.

    Raises
    ------
    InputError
        float16 on another device than CUDA.
    """

    def __init__(
        self,
        optimiser: torch.optim.Optimizer,
        precision: Precision,
        place: torch.device,
        gradient_clip: float | None,
    ) -> None:
        if precision == "float16" and place.type != "cuda":
            raise InputError(
                "precision float16 needs a CUDA device: set device to cuda, or precision to "
                "bfloat16 or float32"
            )
        self.optimiser = optimiser
        self.gradient_clip = gradient_clip
        self.scaler = torch.amp.GradScaler("cuda") if precision == "float16" else None

    def step(self, loss: Tensor, model: nn.Module) -> None:
        """Go one step down the gradient of `loss`."""
        self.optimiser.zero_grad(set_to_none=True)
        if self.scaler is None:
            loss.backward()
            self._clip(model)
            self.optimiser.step()
            return
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        self._clip(model)
        self.scaler.step(self.optimiser)
        self.scaler.update()

    def _clip(self, model: nn.Module) -> None:
        if self.gradient_clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), self.gradient_clip)

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs: the optimiser's state, and the scale where there is one."""
        scaler = {} if self.scaler is None else self.scaler.state_dict()
        return {"optimiser": self.optimiser.state_dict(), "scaler": scaler}

    def load(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""
        self.optimiser.load_state_dict(state["optimiser"])
        if self.scaler is not None:
            self.scaler.load_state_dict(state["scaler"])


def compiled(model: nn.Module, place: torch.device) -> nn.Module:
    """Give `model` compiled by torch (same parameters), or itself where nothing can be compiled.

    Sizes of batches are kept symbolic from the start: a resumed training then runs the kernels of
    an unbroken one.
    """
    try:
        # The real test of whether compilers, headers and Triton are there is to use them.
        torch.compile(_probe)(torch.ones(8, device=place))
    except Exception as problem:
        reason = str(problem).strip().splitlines()
        print(
            f"compile: nothing can be compiled for {place.type} here, so the network is not "
            f"({type(problem).__name__}: {reason[0] if reason else 'no message'}); install a C++ "
            "compiler (and Triton for CUDA), or set compile to false",
            file=sys.stderr,
            flush=True,
        )
        return model
    # Kernels are chosen by rule, and not by a race.
    torch.use_deterministic_algorithms(True)
    module = torch.compile(model, dynamic=True)
    assert isinstance(module, nn.Module)
    return module


def _probe(values: Tensor) -> Tensor:
    return (2 * values + 1).relu()
