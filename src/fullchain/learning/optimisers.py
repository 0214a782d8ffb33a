"""The optimisers that a setting names, and Ranger, which torch does not have."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from fullchain.learning.settings import TrainingSettings


class _Uncompiled(torch.optim.Optimizer):
    """Leaves out of an optimiser what torch wraps around its methods for its compiler.

    The wrappers keep the compiler from looking into an optimiser, and import it for that, which
    takes longer than to import torch itself. Networks are compiled here, optimisers are not: the
    methods below the wrappers do the same.
    """

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of the optimiser that this class is mixed into."""
        return inspect.unwrap(super().step)(self, closure)


class RAdam(_Uncompiled, torch.optim.RAdam):
    """RAdam of torch (1908.03265)."""


class Adam(_Uncompiled, torch.optim.Adam):
    """Adam of torch (1412.6980)."""


class AdamW(_Uncompiled, torch.optim.AdamW):
    """AdamW of torch (1711.05101)."""


class Ranger(RAdam):
    r"""RAdam (1908.03265) inside Lookahead (1907.08610).

    Every k-th step the slow weights \phi follow the fast ones \theta, and the fast ones go back to
    them: \phi <- \phi + \alpha (\theta - \phi), \theta <- \phi. The slow weights begin as the
    initial weights. Moments are kept over this, as in the paper's default. Weight decay is
    decoupled from the gradient (1711.05101).

    The defaults are those with which ParticleNet and ParT are trained on JetClass (weaver-core).
    The slow weights and the position between two synchronisations are part of the state dict.

    Parameters
    ----------
    params
        Parameters or parameter groups.
    lr, betas, eps, weight_decay
        Of RAdam.
    alpha
        Step of the slow weights, in (0, 1].
    k
        Steps of the fast weights from one synchronisation to the next.

    Raises
    ------
    ValueError
        `alpha` or `k` outside their range.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.95, 0.999),
        eps: float = 1e-5,
        weight_decay: float = 0.0,
        *,
        alpha: float = 0.5,
        k: int = 6,
    ) -> None:
        if not 0 < alpha <= 1 or k < 1:
            raise ValueError(f"Lookahead needs 0 < alpha <= 1 and k >= 1, not {alpha} and {k}")
        super().__init__(
            params,
            lr=lr,
            betas=betas,
            eps=eps,
            weight_decay=weight_decay,
            decoupled_weight_decay=True,
            foreach=True,
        )
        for group in self.param_groups:
            group.update(alpha=alpha, k=k, since_synchronised=0)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of RAdam and, if it is the k-th, one of Lookahead."""
        # RAdam takes an empty state as its sign to begin: slow weights must wait until it has.
        begun = {
            parameter: parameter.detach().clone()
            for group in self.param_groups
            for parameter in group["params"]
            if "slow" not in self.state.get(parameter, {})
        }
        loss = super().step(closure)
        for group in self.param_groups:
            moved = [weights for weights in group["params"] if weights in self.state]
            for weights in moved:
                self.state[weights].setdefault("slow", begun.get(weights))
            group["since_synchronised"] = (group["since_synchronised"] + 1) % group["k"]
            if group["since_synchronised"] == 0 and moved:
                self._synchronise(moved, group["alpha"])
        return loss

    def _synchronise(self, moved: list[Tensor], alpha: float) -> None:
        slow = [self.state[weights]["slow"] for weights in moved]
        torch._foreach_lerp_(slow, moved, alpha)
        torch._foreach_copy_(moved, slow)


def build(model: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Give the optimiser of the settings for all parameters of `model`."""
    rate, decay = settings.learning_rate, settings.weight_decay
    parameters = model.parameters()
    if settings.optimiser == "ranger":
        return Ranger(parameters, lr=rate, weight_decay=decay)
    # One call for all parameters instead of one for each: the same numbers in less time.
    if settings.optimiser == "adamw":
        return AdamW(parameters, lr=rate, weight_decay=decay, foreach=True)
    if settings.optimiser == "radam":
        return RAdam(parameters, lr=rate, weight_decay=decay, foreach=True)
    return Adam(parameters, lr=rate, weight_decay=decay, foreach=True)
