"""An ONNX graph on particles that goes over its jets in pieces, without most of the padding.

A graph on all jets of a call moves everything through memory at each node, and calculates padding
like particles. Here a loop inside the graph takes a few jets at a time, so that they stay in the
cache of a core, in the order of their numbers of particles, so that each piece ends where its own
particles do. The scores come out in the order of the jets.
"""

from collections.abc import Sequence

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

PIECE = 16
"""Jets in a piece."""


def in_pieces(
    model: ModelProto, *, classes: int, entries: int, least: int | None, size: int = PIECE
) -> None:
    """Put the graph of `model` into a loop over pieces of its jets, in place.

    Parameters
    ----------
    model
        Inputs ``constituents`` (jets, particles, fields), whose first field is positive for
        particles and not for padding, and ``jet`` (jets, n); outputs ``score`` (jets,) and
        ``probabilities`` (jets, classes), whose first column is the score.
    classes
        Number of classes.
    entries
        Entries of a jet, particles and padding.
    least
        Entries that are left at least, for a graph that takes any number of them from there; None
        leaves all.
    size
        Jets in a piece.
    """
    graph = model.graph
    body = _body(graph, classes, least, size)
    inputs, outputs = list(graph.input), list(graph.output)
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(_constants(classes, size, least))
    graph.node.extend(_around(body))
    del graph.input[:], graph.output[:]
    graph.input.extend(inputs)
    graph.output.extend(outputs)
    constituents = next(one for one in graph.input if one.name == "constituents")
    constituents.type.tensor_type.shape.dim[1].dim_value = entries


def _constants(classes: int, size: int, least: int | None) -> list[TensorProto]:
    whole = {
        "zero": [0],
        "one": [1],
        "two": [2],
        "particles_and_fields": [1, 2],
        "size": [size],
        "size_less_one": [size - 1],
        "least": [least or 1],
    }
    constants = [
        helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        for name, values in whole.items()
    ]
    for name, value in (("number_zero", 0), ("number_one", 1)):
        constants.append(helper.make_tensor(name, TensorProto.INT64, [], [value]))
    constants.append(helper.make_tensor("no_pt", TensorProto.FLOAT, [], [0.0]))
    constants.append(helper.make_tensor("again", TensorProto.BOOL, [], [True]))
    constants.append(helper.make_tensor("none_done", TensorProto.FLOAT, [0, classes], []))
    return constants


def _around(body: GraphProto) -> list[NodeProto]:
    """Order the jets, loop, and put the results back."""
    node = helper.make_node
    return [
        # How far the particles of each jet reach: number of its last entry that is one.
        node("Slice", ["constituents", "zero", "one", "two"], ["pt"]),
        node("Greater", ["pt", "no_pt"], ["is_particle"]),
        node("Cast", ["is_particle"], ["counted"], to=TensorProto.INT64),
        node("Shape", ["constituents"], ["entries"], start=1, end=2),
        node("Squeeze", ["entries"], ["number_of_entries"]),
        node("Add", ["number_of_entries", "number_one"], ["beyond"]),
        node("Range", ["number_one", "beyond", "number_one"], ["place"]),
        node("Unsqueeze", ["place", "one"], ["place_below"]),
        node("Mul", ["counted", "place_below"], ["places"]),
        node("ReduceMax", ["places", "particles_and_fields"], ["reach"], keepdims=0),
        node("Shape", ["jet"], ["jets"], start=0, end=1),
        node("TopK", ["reach", "jets"], ["reach_in_order", "order"], axis=0),
        node("Add", ["jets", "size_less_one"], ["jets_and_more"]),
        node("Div", ["jets_and_more", "size"], ["pieces"]),
        node("Squeeze", ["pieces"], ["number_of_pieces"]),
        node("Loop", ["number_of_pieces", "again", "none_done"], ["in_order"], body=body),
        node("TopK", ["order", "jets"], ["order_again", "place_in_order"], axis=0, largest=0),
        node("Gather", ["in_order", "place_in_order"], ["probabilities"], axis=0),
        node("Gather", ["probabilities", "number_zero"], ["score"], axis=1),
    ]


def _body(graph: GraphProto, classes: int, least: int | None, size: int) -> GraphProto:
    """One turn of the loop: the original graph on the jets of one piece."""
    node = helper.make_node
    before = [
        node("Mul", ["turn", "size"], ["start"]),
        node("Add", ["start", "size"], ["stop"]),
        node("Slice", ["order", "start", "stop", "zero"], ["picked"]),
        node("Gather", ["jet", "picked"], ["piece_jet"], axis=0),
    ]
    if least is None:
        before.append(node("Gather", ["constituents", "picked"], ["piece_constituents"], axis=0))
    else:
        before += [
            node("Gather", ["constituents", "picked"], ["piece_padded"], axis=0),
            node("Slice", ["picked", "zero", "one", "zero"], ["longest"]),
            node("Gather", ["reach", "longest"], ["longest_reach"], axis=0),
            node("Max", ["longest_reach", "least"], ["entries_kept"]),
            node("Slice", ["piece_padded", "zero", "entries_kept", "one"], ["piece_constituents"]),
        ]
    after = [
        node("Concat", ["done", "piece_probabilities"], ["done_now"], axis=0),
        node("Identity", ["goes_on"], ["goes_on_now"]),
    ]
    names = {name: f"piece_{name}" for name in _names(graph)}
    inside = [_renamed(one, names) for one in _needed(graph, "probabilities")]
    kept = {name for one in inside for name in one.input}
    initialisers = []
    for tensor in graph.initializer:
        if names[tensor.name] in kept:
            copy = TensorProto()
            copy.CopyFrom(tensor)
            copy.name = names[tensor.name]
            initialisers.append(copy)
    value = helper.make_tensor_value_info
    return helper.make_graph(
        [*before, *inside, *after],
        "one_piece",
        [
            value("turn", TensorProto.INT64, []),
            value("goes_on", TensorProto.BOOL, []),
            value("done", TensorProto.FLOAT, [None, classes]),
        ],
        [
            value("goes_on_now", TensorProto.BOOL, []),
            value("done_now", TensorProto.FLOAT, [None, classes]),
        ],
        initializer=initialisers,
    )


def _names(graph: GraphProto) -> set[str]:
    names = {one.name for one in graph.initializer} | {one.name for one in graph.input}
    return names | {name for one in graph.node for name in one.output if name}


def _needed(graph: GraphProto, output: str) -> list[NodeProto]:
    """Nodes that an output follows from, in their order."""
    wanted, kept = {output}, []
    for one in reversed(graph.node):
        if wanted.intersection(one.output):
            wanted.update(_read(one))
            kept.append(one)
    return kept[::-1]


def _read(one: NodeProto) -> list[str]:
    if any(attribute.type == onnx.AttributeProto.GRAPH for attribute in one.attribute):
        raise ValueError(f"{one.name}: a graph inside a node cannot be put into pieces")
    return list(one.input)


def _renamed(one: NodeProto, names: dict[str, str]) -> NodeProto:
    """Copy of a node whose values have other names than those outside the loop."""
    copy = NodeProto()
    copy.CopyFrom(one)
    for values in (copy.input, copy.output):
        new: Sequence[str] = [names.get(name, name) for name in values]
        del values[:]
        values.extend(new)
    return copy
