"""Tables in Parquet, which may come from anyone: what they say they hold is looked at before they are read.

A few kilobytes may hold a number a thousand million times: such a table would take all memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from core.media.limits import GIB, MIB

MAX_VALUES = 50_000_000
"""Of all columns; an evaluation of 100,000 clips has some 10,000,000."""

MAX_TABLE_BYTES = GIB
"""Of all columns, unpacked."""


def read_table(path: str | Path) -> pa.Table:
    """The table.

    Raises:
        ValueError: it holds more than is read, has a column twice, or is none.
        OSError: the file cannot be read.
    """
    with _refusing(), pq.ParquetFile(path) as file:
        told, names = file.metadata, file.schema_arrow.names
        if twice := [name for name, number in Counter(names).items() if number > 1]:
            raise ValueError(f"it has the column {twice[0]:.40} twice")
        groups = [told.row_group(group) for group in range(told.num_row_groups)]
        chunks = [group.column(column) for group in groups for column in range(told.num_columns)]
        num_values = max(told.num_rows, sum(chunk.num_values for chunk in chunks))
        num_bytes = sum(chunk.total_uncompressed_size for chunk in chunks)
        if num_values > MAX_VALUES or num_bytes > MAX_TABLE_BYTES:
            raise ValueError(
                f"it holds {num_values:,} values in {num_bytes / MIB:,.0f} MiB, more than the allowed "
                f"{MAX_VALUES:,} in {MAX_TABLE_BYTES / MIB:,.0f} MiB"
            )
        return file.read()


def read_frame(path: str | Path) -> pd.DataFrame:
    """The table's columns, their rows counted from 0, whatever pandas noted in it. Raises as `read_table`."""
    with _refusing():
        return read_table(path).to_pandas(ignore_metadata=True)


@contextmanager
def _refusing() -> Iterator[None]:
    """Whatever Arrow says of a damaged table becomes a ValueError; some of it is none."""
    try:
        yield
    except (pa.ArrowException, LookupError) as error:
        raise ValueError(str(error)) from error
