"""Columns of Arrow as arrays of NumPy, and back, without pandas.

Arrow's own conversions (`to_numpy`, `pyarrow.array`) import pandas, which takes a third of a second
of each step and is not needed for numbers and names. Here the buffers are taken as they are.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow

Array = npt.NDArray[Any]


def to_numpy(column: Any) -> Array:
    """Give a column of numbers, truth values or text as an array, shape (rows,).

    Numbers are a view of the column's memory that cannot be written to. Where values are missing
    it is what Arrow makes of them: NaN among numbers.
    """
    kind = column.type
    if pyarrow.types.is_dictionary(kind):
        return _text(column)
    if column.null_count:
        return np.asarray(column.to_numpy(zero_copy_only=False))
    if pyarrow.types.is_boolean(kind):
        return to_numpy(column.cast(pyarrow.uint8())).astype(bool)
    if pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind):
        return _text(column.dictionary_encode())
    if not (pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    dtype = np.dtype(kind.to_pandas_dtype())
    buffer = column.buffers()[1]
    if buffer is None or not len(column):
        return np.zeros(0, dtype)
    return np.frombuffer(buffer, dtype, len(column), column.offset * dtype.itemsize)


def _text(column: Any) -> Array:
    names = column.dictionary.to_pylist()
    return np.array(names or [""], dtype=str)[to_numpy(column.indices)]


def from_numpy(values: Array, kind: Any) -> Any:
    """Give an array (rows,) of numbers or text as a column of the type `kind` without gaps."""
    if pyarrow.types.is_string(kind):
        # Few names, and many rows of each.
        names, place = np.unique(values, return_inverse=True)
        dictionary = pyarrow.StringArray.from_buffers(len(names), *_text_buffers(names.tolist()))
        indices = from_numpy(place.reshape(-1), pyarrow.int32())
        return pyarrow.DictionaryArray.from_arrays(indices, dictionary).dictionary_decode()
    own = np.ascontiguousarray(values, dtype=kind.to_pandas_dtype())
    return pyarrow.Array.from_buffers(kind, len(own), [None, pyarrow.py_buffer(own)])


def _text_buffers(names: list[str]) -> tuple[Any, Any]:
    encoded = [name.encode() for name in names]
    offsets = np.zeros(len(encoded) + 1, np.int32)
    np.cumsum([len(one) for one in encoded], out=offsets[1:])
    return pyarrow.py_buffer(offsets), pyarrow.py_buffer(b"".join(encoded))
