"""The loss of INFERNO: the expected uncertainty of a parameter, from yields and derivatives.

P. de Castro and T. Dorigo, arXiv:1806.04743. At the Asimov point the Hessian of the negative
logarithm of the binned Poisson likelihood is the Fisher information

    I_jk = sum_c (d mu_c / d theta_j) (d mu_c / d theta_k) / mu_c + constraints,

so that yields and their first derivatives are all that is needed: one forward derivative of the
summary for each nuisance, and no second ones. The variance expected for the parameter of interest
is the first diagonal element of the inverse of I.
"""

import torch
from torch import Tensor


def information(yields: Tensor, derivatives: Tensor, constraint_precision: Tensor) -> Tensor:
    """Fisher information (..., parameters, parameters) at the expectation.

    Parameters
    ----------
    yields
        (..., bins) expected events.
    derivatives
        (..., parameters, bins) of the yields.
    constraint_precision
        (parameters,) inverse variance of the auxiliary measurement of each, 0 without.

    Notes
    -----
    In float64 whatever comes in: the matrix is small, and may be nearly singular. A bin without
    events must have no derivatives either and tells nothing.
    """
    yields, derivatives = yields.double(), derivatives.double()
    filled = yields > 0
    weights = torch.where(filled, 1.0 / torch.where(filled, yields, 1.0), 0.0)
    found = (derivatives * weights.unsqueeze(-2)) @ derivatives.transpose(-1, -2)
    return found + torch.diag(constraint_precision.double())


def uncertainty_of_poi(yields: Tensor, derivatives: Tensor, constraint_precision: Tensor) -> Tensor:
    """Expected uncertainty (...) of the first parameter, with all others profiled.

    Parameters are those of `information`. Differentiable in all of them.
    """
    found = information(yields, derivatives, constraint_precision)
    return _first_of_inverse(found)[..., 0].sqrt()


def variance_and_gradients(
    yields: Tensor, derivatives: Tensor, constraint_precision: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Expected variance of the first parameter, and what its gradients are made of.

    Parameters are those of `information`, all bins filled.

    Returns
    -------
    variance (...), w (..., bins), v (..., parameters): the variance changes by
    sum_c w_c^2 dmu_c - 2 sum_c w_c (v dD_c), where v is the first column of the inverse of the
    information and w = v D / mu. Of the derivatives only their sum along v matters: backward
    through a network goes one direction, however many nuisances there are.
    """
    v = _first_of_inverse(information(yields, derivatives, constraint_precision))
    along = (v.unsqueeze(-2) @ derivatives.double()).squeeze(-2)
    return v[..., 0], along / yields.double(), v


def _first_of_inverse(matrix: Tensor) -> Tensor:
    """First column of the inverse of symmetric matrices, scaled to a unit diagonal first."""
    scale = torch.diagonal(matrix, dim1=-2, dim2=-1).rsqrt()
    scaled = matrix * scale.unsqueeze(-1) * scale.unsqueeze(-2)
    unit = torch.zeros_like(scale)
    unit[..., 0] = 1.0
    return torch.linalg.solve(scaled, unit * scale) * scale
