"""Newton's method for many likelihoods at once, within limits of the parameters.

The Hessian is exact and projected onto the limits (D. Bertsekas, SIAM J. Control Optim. 20 (1982)
221). Where it is not positive definite its expectation (Fisher's scoring) takes its place; where a
step does not lower the function it is halved. A row has converged when the step would lower the
function by less than `ENOUGH`. What has not converged goes to Minuit, with exact gradients.
"""

import numpy as np
import torch
from iminuit import Minuit
from torch import Tensor

from fullchain.inference.likelihood_derivatives import Deviance, Point

ENOUGH = 1e-9
"""Distance to the minimum, in units of twice_nll, that ends a fit; Minuit's own is 2e-5."""

STEPS = 60
HALVINGS = 12
RIDGE = 1e-6
"""Added to the diagonal of expected Hessians, relative to it."""

RESCUE = 2000
"""Calls that Minuit may take for a row; toys have many, and one that needs more is a failed one."""


class Problem:
    """Fits with common limits."""

    def __init__(self, deviance: Deviance, lower: Tensor, upper: Tensor) -> None:
        self.deviance, self.lower, self.upper = deviance, lower, upper

    def solve(self, start: Tensor, data: Tensor, free: Tensor) -> tuple[Tensor, ...]:
        """Give values, twice_nll, convergence, distance and what is at a limit, as in `Minima`."""
        rows = len(start)
        values, distance = start.clone(), torch.full((rows,), torch.inf, dtype=torch.float64)
        converged = torch.zeros(rows, dtype=torch.bool)
        state = self.deviance.point(values, data)
        live = torch.nonzero(torch.isfinite(state.value))[:, 0]
        state, scoring = state.at(live), torch.zeros(len(live), dtype=torch.bool)
        for _ in range(STEPS):
            if not len(live):
                break
            step, left, exact = self._step(values[live], data[live], free[live], state, scoring)
            distance[live] = left
            ended = left < ENOUGH
            accepted, state = self._move(values, data, live, step, state)
            # A row that cannot move is at its minimum as well as rounding tells, or tries scoring.
            near = left < 1e3 * ENOUGH
            exact = exact | self._flat(values[live], free[live], state, ended & ~exact)
            converged[live] = (ended | (near & ~accepted)) & exact
            stay = ~ended & (accepted | (~near & ~scoring))
            # A positive definite expectation says nothing about convergence: try the Hessian again.
            stay |= ended & ~exact & accepted
            scoring = ~accepted[stay]
            live, state = live[stay], state.at(stay)
        for row in torch.nonzero(~converged)[:, 0].tolist():
            values[row], distance[row], converged[row] = self._minuit(
                start[row], data[row], free[row]
            )
        final = self.deviance.point(values, data)
        pressed = self._pressed(values, final.gradient) & free
        return values, final.value + self.deviance.offset(data), converged, distance, pressed

    def _flat(self, values: Tensor, free: Tensor, state: Point, asked: Tensor) -> Tensor:
        """Which of the rows asked for have a Hessian without negative directions (rows,).

        Parameters that change nothing, or not together, leave flat ones: any minimum will do.
        """
        found, rows = torch.zeros_like(asked), torch.nonzero(asked)[:, 0]
        if len(rows):
            movable = free & ~self._pressed(values, state.gradient)
            both = (movable[:, :, None] & movable[:, None, :])[rows]
            curvature = state.hessian[rows]
            diagonal = curvature.diagonal(dim1=1, dim2=2).abs()
            scale = torch.where(diagonal > 0, diagonal, torch.ones_like(diagonal)).rsqrt()
            scaled = torch.where(both, curvature * scale[:, :, None] * scale[:, None, :], 0.0)
            found[rows] = torch.linalg.eigvalsh(torch.nan_to_num(scaled))[:, 0] > -1e-7
        return found

    def _pressed(self, values: Tensor, gradient: Tensor) -> Tensor:
        """Parameters (rows, P) at a limit beyond which the function falls on."""
        return ((values <= self.lower) & (gradient > 0)) | ((values >= self.upper) & (gradient < 0))

    def _step(
        self, values: Tensor, data: Tensor, free: Tensor, state: Point, scoring: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Give steps (rows, P), by how much they should lower, and where the Hessian was used."""
        movable = free & ~self._pressed(values, state.gradient)
        below, above = self.lower - values, self.upper - values
        curvature = state.hessian
        factor, scale, bad = factorise(curvature, movable)
        bad = bad | scoring
        if bad.any():
            rows = torch.nonzero(bad)[:, 0]
            expected = self.deviance.point(values[rows], data[rows], expected=True).hessian
            diagonal = expected.diagonal(dim1=1, dim2=2)
            ridge = torch.where(diagonal > 0, RIDGE * diagonal, torch.ones_like(diagonal))
            curvature = curvature.clone()
            curvature[rows] = expected + torch.diag_embed(ridge)
            factor[rows], scale[rows], _ = factorise(curvature[rows], movable[rows])
        step = _solve(factor, scale, movable, -state.gradient)
        # What would leave its range stops at the limit, and the rest is solved for again.
        for _ in range(4):
            leaves = ((step < below) | (step > above)) & movable
            rows = torch.nonzero(leaves.any(dim=1))[:, 0]
            if not len(rows):
                break
            pinned = torch.where(leaves, step.clamp(below, above), torch.zeros_like(step))[rows]
            stopped = (movable & leaves)[rows]
            movable = movable.clone()
            movable[rows] &= ~stopped
            already = torch.where(free[rows] & ~movable[rows], step[rows], torch.zeros_like(pinned))
            held = torch.where(stopped, pinned, already)
            pull = state.gradient[rows] + (curvature[rows] @ held[..., None])[..., 0]
            again, its_scale, _ = factorise(curvature[rows], movable[rows])
            step[rows] = _solve(again, its_scale, movable[rows], -pull) + held
        step = step.clamp(below, above)
        step = torch.where(free, step, torch.zeros_like(step))
        linear = (state.gradient * step).sum(dim=1)
        square = (step * (curvature @ step[..., None])[..., 0]).sum(dim=1)
        return step, -(linear + 0.5 * square), ~bad

    def _move(
        self, values: Tensor, data: Tensor, live: Tensor, step: Tensor, state: Point
    ) -> tuple[Tensor, Point]:
        """Go along the steps as far as the function falls; values change in place."""
        slope = (state.gradient * step).sum(dim=1).clamp(max=0.0)
        rounding = 1e-13 * (1.0 + state.value.abs())
        before, here = state.value, values[live]
        moved = self.deviance.point(here + step, data[live])
        accepted = moved.value <= before + 1e-4 * slope + rounding
        length = torch.ones_like(before)
        trying = torch.nonzero(~accepted)[:, 0]
        for _ in range(HALVINGS):
            if not len(trying):
                break
            length[trying] *= 0.5
            there = here[trying] + length[trying, None] * step[trying]
            value = self.deviance.value(there, data[live[trying]])
            enough = value <= before[trying] + 1e-4 * length[trying] * slope[trying]
            accepted[trying[enough]] = True
            trying = trying[~enough]
        values[live] = torch.where(accepted[:, None], here + length[:, None] * step, here)
        late = torch.nonzero(length < 1.0)[:, 0]
        if len(late):
            moved.put(late, self.deviance.point(values[live[late]], data[live[late]]))
        return accepted, moved

    def _minuit(self, start: Tensor, data: Tensor, free: Tensor) -> tuple[Tensor, float, bool]:
        """Fit one row with Minuit."""

        def value(point: np.ndarray) -> float:
            return float(self.deviance.value(torch.as_tensor(point)[None], data[None])[0])

        def gradient(point: np.ndarray) -> np.ndarray:
            found = self.deviance.point(torch.as_tensor(point)[None], data[None], expected=True)
            return np.asarray(found.gradient[0])

        minuit = Minuit(value, start.numpy(), grad=gradient)
        minuit.errordef = Minuit.LEAST_SQUARES
        # Minuit would move what is held outside of its limits back inside.
        minuit.limits = [
            (float(low), float(high)) if varies else (None, None)
            for low, high, varies in zip(self.lower, self.upper, free.tolist(), strict=True)
        ]
        minuit.fixed = (~free).tolist()
        if not free.any():
            return start, 0.0, bool(np.isfinite(value(start.numpy())))
        # Newton's method has failed here; two ten-thousandths above the minimum are good enough.
        minuit.strategy, minuit.tol = 0, 0.1
        minuit.migrad(ncall=RESCUE)
        if not minuit.valid:
            minuit.simplex(ncall=RESCUE).migrad(ncall=RESCUE)
        return torch.as_tensor(np.array(minuit.values)), float(minuit.fmin.edm), bool(minuit.valid)


def factorise(matrix: Tensor, movable: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cholesky factors of the part of `movable`, scaled to a diagonal of one; which have none."""
    diagonal = matrix.diagonal(dim1=1, dim2=2)
    bad = ((diagonal <= 0) & movable).any(dim=1)
    scale = torch.where(movable & (diagonal > 0), diagonal, torch.ones_like(diagonal)).rsqrt()
    both = movable[:, :, None] & movable[:, None, :]
    scaled = torch.where(both, matrix * scale[:, :, None] * scale[:, None, :], 0.0)
    unit = torch.where(movable, 0.0, 1.0) + torch.where(movable & (diagonal <= 0), 1.0, 0.0)
    scaled = scaled + torch.diag_embed(unit.to(matrix))
    factor, wrong = torch.linalg.cholesky_ex(torch.nan_to_num(scaled))
    return factor, scale, bad | (wrong != 0)


def _solve(factor: Tensor, scale: Tensor, movable: Tensor, right: Tensor) -> Tensor:
    """Solution (rows, P), zero where nothing moves."""
    scaled = torch.where(movable, right * scale, torch.zeros_like(right))
    found = torch.cholesky_solve(scaled[..., None], factor)[..., 0]
    return torch.where(movable, found * scale, torch.zeros_like(right))
