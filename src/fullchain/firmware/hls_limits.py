"""What the backends of hls4ml cannot take, said before they misunderstand it."""

from fullchain.errors import InputError
from fullchain.firmware.fixed_network import Dense, FixedPointNetwork, Layer
from fullchain.firmware.fixed_point import Format
from fullchain.firmware.hls_settings import HlsSettings

XILINX = ("Vitis", "Vivado")
INTEL = ("oneAPI", "Quartus")


def check(network: FixedPointNetwork, backend: str, chosen: HlsSettings) -> None:
    """Check that a backend takes the network with these settings.

    Raises
    ------
    InputError
        Names layer, backend and what to do.
    """
    if chosen.strategy == "distributed_arithmetic" and backend not in XILINX:
        raise InputError(
            f"firmware.hls.strategy: hls4ml has distributed_arithmetic for {' and '.join(XILINX)} "
            f"only, not for {backend}; take resource, or leave {backend} out of "
            "firmware.hls.backends"
        )
    if chosen.precision is not None:
        _check_names(network, chosen)
        return
    _check_format("inputs", network.inputs.format, network.layers[0], backend, chosen)
    for number, layer in enumerate(network.layers):
        if layer.output is not None:
            after = network.layers[number + 1] if number + 1 < len(network.layers) else None
            _check_format(f"layer {layer.name}", layer.output, after, backend, chosen)


def _check_names(network: FixedPointNetwork, chosen: HlsSettings) -> None:
    assert chosen.precision is not None
    names = [layer.name for layer in network.layers]
    for name, types in chosen.precision.layers.items():
        if name not in names:
            raise InputError(
                f"firmware.hls.precision.layers.{name}: the network has no such layer; it has "
                f"{', '.join(names)}"
            )
        layer = network.layers[names.index(name)]
        relu = isinstance(layer, Dense) and layer.activation == "relu"
        if types.activation is not None and not relu:
            raise InputError(
                f"firmware.hls.precision.layers.{name}.activation: layer {name} has no ReLU; give "
                "its type as result"
            )


def is_uniform(numbers: Format) -> bool:
    """Whether all channels have one format, so that it can be the type of a layer."""
    kept = numbers.width > 0
    each = (numbers.signed, numbers.integer, numbers.fractional)
    same = all(bool((one == one[0]).all()) for one in each)
    return not kept.any() or (bool(kept.all()) and same)


def _check_format(
    name: str, numbers: Format, after: Layer | None, backend: str, chosen: HlsSettings
) -> None:
    if is_uniform(numbers):
        return
    said = f"{name}: its formats differ from channel to channel, which hls4ml"
    remedy = "train with one format per layer"
    if backend == "Quartus":
        # It writes the call of the rounding, and no rounding.
        raise InputError(f"{said} cannot write for Quartus; take oneAPI or Vitis, or {remedy}")
    if chosen.io_type == "io_stream":
        # The formats are then built into the layer after it.
        fused = chosen.strategy == "distributed_arithmetic" and isinstance(after, Dense)
        if not fused:
            raise InputError(
                f"{said} ({backend}) has in io_stream only before a dense layer with strategy "
                f"distributed_arithmetic; take firmware.hls.io_type io_parallel, or {remedy}"
            )
