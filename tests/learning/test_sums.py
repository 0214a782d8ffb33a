import pytest
import torch

from fullchain.learning.sums import by_products, cumulated


@pytest.mark.parametrize("rows", [1, 255, 256, 257, 70_000])
def test_products_of_matrices_are_cumulative_sums(rows: int) -> None:
    values = torch.rand(rows, 3, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(by_products(values), values.cumsum(0))
    torch.testing.assert_close(cumulated(values), values.cumsum(0))
