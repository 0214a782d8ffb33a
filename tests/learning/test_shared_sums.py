"""Two processes that share a batch see the moments of all of it."""

import sys
from pathlib import Path

import pytest
import torch

from fullchain.learning import distributed, shared_sums
from fullchain.tagging import edge_network, particlenet
from fullchain.tagging.particlenet import EdgeConv

# In a file of its own, because the other process imports it by name.
TASK = """
import torch
from fullchain.learning import shared_sums
from fullchain.tagging import edge_network, particlenet

PARTICLES, NEIGHBOURS = 37, 3

def batch():
    generator = torch.Generator().manual_seed(4)
    rows = torch.randn(PARTICLES, 5, generator=generator)
    # Far apart in their means, so that moments of a share are not those of the batch.
    rows[20:] += 4.0
    # No neighbours beyond the share: jets are not divided either.
    first = torch.randint(0, 20, (20, NEIGHBOURS), generator=generator)
    second = torch.randint(20, PARTICLES, (17, NEIGHBOURS), generator=generator)
    return rows, torch.cat([first, second])

def run(share, model, path, layers):
    if layers:
        particlenet.edge_mean = edge_network.edge_mean_by_layers
    edge_network.PIECE = 100
    rows, index = batch()
    here, first = (slice(0, 20), 0) if share.rank == 0 else (slice(20, None), 20)
    mine = rows[here].clone().requires_grad_()
    joined = share.joined(model.train())
    # Averaged over the processes, it is the sum over all particles.
    (joined(mine, index[here] - first).sin().sum() * share.processes).backward()
    content = {
        "moments": [module.running_mean for module in model.norms]
        + [module.running_var for module in model.norms],
        "parameters": [parameter.grad for parameter in model.parameters()],
        "rows": mine.grad,
        "total": shared_sums.total(torch.tensor(share.rank + 1.0)),
    }
    torch.save(content, f"{path}.{share.rank}")
"""


@pytest.mark.parametrize("layers", [False, True])
def test_moments_and_gradients_of_two_processes_are_those_of_one(
    layers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared_moments.py").write_text(TASK)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("shared_moments", None)
    import shared_moments  # type: ignore[import-not-found]

    # What the task changes in this process is undone.
    monkeypatch.setattr(particlenet, "edge_mean", particlenet.edge_mean)
    monkeypatch.setattr(edge_network, "PIECE", edge_network.PIECE)
    # As wide at the end as at the beginning: no shortcut, whose norm would be torch's.
    torch.manual_seed(2)
    model = EdgeConv(5, (6, 5))
    alone = EdgeConv(5, (6, 5))
    alone.load_state_dict(model.state_dict())
    rows, index = shared_moments.batch()
    rows.requires_grad_()
    alone.train()(rows, index).sin().sum().backward()
    path = str(tmp_path / "result")
    arguments = (path, layers)
    with distributed.team(2, torch.device("cpu"), shared_moments.run, model, *arguments) as share:
        shared_moments.run(share, model, *arguments)
    found = [torch.load(f"{path}.{rank}") for rank in range(2)]
    moments = [norm.running_mean for norm in alone.norms]
    moments += [norm.running_var for norm in alone.norms]
    for one in found:
        assert one["total"] == 3.0
        torch.testing.assert_close(one["moments"], moments)
        expected = [parameter.grad for parameter in alone.parameters()]
        torch.testing.assert_close(one["parameters"], expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(
        torch.cat([one["rows"] for one in found]) / 2, rows.grad, rtol=1e-4, atol=1e-4
    )
    assert not shared_sums.several()
