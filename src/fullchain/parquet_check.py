"""A look at a Parquet file that may be damaged, before its columns are read.

Where the description of a column in the footer contradicts the schema, Arrow (26) ends the whole
process in place of raising an error; found by damaging files at random.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fullchain.errors import InputError


def check_footer(path: Path, file: pq.ParquetFile) -> None:
    """Refuse a file whose column chunks are not what its schema says, or a column twice, or none.

    Raises
    ------
    InputError
        The file is damaged.
    """
    names = file.schema_arrow.names
    if len(set(names)) < len(names):
        raise InputError(f"{path}: damaged (a column is there twice); run the step again")
    empty = [one.name for one in file.schema_arrow if pa.types.is_null(one.type)]
    if empty:
        raise InputError(f"{path}: column {empty[0]} has no values; run the step again")
    footer = file.metadata
    kinds = [footer.schema.column(n).physical_type for n in range(footer.num_columns)]
    for group in range(footer.num_row_groups):
        chunks = footer.row_group(group)
        found = [chunks.column(n).physical_type for n in range(chunks.num_columns)]
        if found != kinds:
            raise InputError(
                f"{path}: damaged (the columns of row group {group} are not those of the schema); "
                "run the step that makes it again"
            )
