"""The array of voxels as patches of neighbours in layer, alpha and radius."""

from torch import Tensor

from fullchain.calorimetry.geometry import Geometry
from fullchain.errors import InputError

NAMES = ("layers", "angles", "rings")


class Patches:
    """Cuts a regular array of voxels into patches of one size, and puts them together again.

    Parameters
    ----------
    geometry
        All layers must have the same numbers of voxels in alpha and radius.
    size
        Of a patch in layers, alpha and radius; each divides that of the array.
    where
        Setting at fault, for messages.

    Raises
    ------
    InputError
        The geometry cannot be cut so.
    """

    def __init__(
        self, geometry: Geometry, size: tuple[int, int, int], where: str = "shower.patch"
    ) -> None:
        shapes = {(layer.angles, layer.rings) for layer in geometry.layers}
        if len(shapes) > 1:
            raise InputError(
                f"{where}: the layers of {geometry.name!r} differ in their voxels in alpha and "
                f"radius ({', '.join(f'{a} x {r}' for a, r in sorted(shapes))}) and cannot be cut "
                "into patches: take shower.network: resnet"
            )
        self.array = (len(geometry.layers), *next(iter(shapes)))
        self.size = size
        for name, whole, part in zip(NAMES, self.array, size, strict=True):
            if part < 1 or whole % part:
                raise InputError(
                    f"{where}: patches of {part} {name} do not divide the {whole} {name} of "
                    f"{geometry.name!r}; {part} must be one of {_divisors(whole)}"
                )
        self.grid = tuple(whole // part for whole, part in zip(self.array, size, strict=True))
        self.number = self.grid[0] * self.grid[1] * self.grid[2]
        self.voxels = size[0] * size[1] * size[2]

    def cut(self, voxels: Tensor) -> Tensor:
        """Cut (n, voxels) into (n, patches, voxels of a patch)."""
        (layers, angles, rings), (a, b, c) = self.grid, self.size
        parts = voxels.view(-1, layers, a, angles, b, rings, c).permute(0, 1, 3, 5, 2, 4, 6)
        return parts.reshape(len(voxels), self.number, self.voxels)

    def joined(self, patches: Tensor) -> Tensor:
        """Undo `cut`."""
        (layers, angles, rings), (a, b, c) = self.grid, self.size
        parts = patches.view(-1, layers, angles, rings, a, b, c).permute(0, 1, 4, 2, 5, 3, 6)
        return parts.reshape(len(patches), -1)


def _divisors(number: int) -> list[int]:
    return [part for part in range(1, number + 1) if number % part == 0]
