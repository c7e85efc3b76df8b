"""Tables from anyone are read when they are of a size that can be."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core import tables
from core.tables import read_frame, read_table


def test_a_table_comes_back(tmp_path):
    table = pa.table({"key": ["a", "b"], "values": [[1.0, 2.0], None]})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").equals(table)


def test_a_small_file_that_holds_very_many_values_is_not_read(tmp_path):
    path = tmp_path / "a.parquet"
    # one row group after another, so that making it takes no more memory than reading it would
    table = pa.table({"key": pa.nulls(1_000_000, pa.int64())})
    with pq.ParquetWriter(path, table.schema) as writer:
        for _ in range(51):
            writer.write_table(table)
    assert path.stat().st_size < 200_000
    with pytest.raises(ValueError, match="it holds 51,000,000 values in .* more than the allowed 50,000,000"):
        read_table(path)


def test_a_small_file_that_unpacks_to_very_much_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"words": ["x" * 3_000_000]}), path, compression="zstd")
    assert path.stat().st_size < 50_000 and read_table(path)["words"][0].as_py() == "x" * 3_000_000
    monkeypatch.setattr(tables, "MAX_TABLE_BYTES", 2**20)
    with pytest.raises(ValueError, match="in 3 MiB, more than the allowed 50,000,000 in 1 MiB"):
        read_table(path)


def test_a_column_that_is_there_twice_is_told(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table([["a"], ["b"], ["c"]], names=["key", "label", "key"]), path)
    for read in (read_table, read_frame):
        with pytest.raises(ValueError, match="it has the column key twice"):
            read(path)


@pytest.mark.parametrize("damage", [(b'"numpy_type"', b'"numpz_type"'), (b'"RangeIndex"', b'"int64"')])
def test_what_pandas_noted_in_a_table_does_not_matter(tmp_path, damage):
    table = pa.Table.from_pandas(pd.DataFrame({"epoch": [0, 1], "loss": [1.9, 1.2]}))
    noted = {name: text.replace(*damage) for name, text in table.schema.metadata.items()}
    pq.write_table(table.replace_schema_metadata(noted), tmp_path / "a.parquet")
    frame = read_frame(tmp_path / "a.parquet")
    assert frame.to_dict("list") == {"epoch": [0, 1], "loss": [1.9, 1.2]} and list(frame.index) == [0, 1]


@pytest.mark.parametrize("kind", [pa.ArrowNotImplementedError, pa.ArrowKeyError, KeyError])
@pytest.mark.parametrize("step", ["read", "to_pandas"])
def test_what_cannot_be_read_is_told_as_such(tmp_path, monkeypatch, kind, step):
    class Unreadable:
        def to_pandas(self, **_):
            raise kind("of no known type")

    pq.write_table(pa.table({"key": ["a"]}), tmp_path / "a.parquet")
    unreadable = Unreadable()
    read = (lambda *_: unreadable) if step == "to_pandas" else unreadable.to_pandas
    monkeypatch.setattr(pq.ParquetFile, "read", read)
    for reader in (read_frame, *([read_table] if step == "read" else [])):
        with pytest.raises(ValueError, match="of no known type"):
            reader(tmp_path / "a.parquet")


def test_what_is_no_table_is_told(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(ValueError):
        read_table(path)
    with pytest.raises(OSError):
        read_table(tmp_path / "none.parquet")
