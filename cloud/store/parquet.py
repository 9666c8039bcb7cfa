"""Rows as Parquet, zstd inside, times as microseconds in UTC.

Written by arro3, which carries Arrow's implementation in Rust: 33 MB installed, where pyarrow takes 170. It is an extra
of the cloud alone: ``pip install 'vedette[parquet]'``.
"""

import importlib.util
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from cloud.store.export import Column, Row, Type
from cloud.store.times import micros

if TYPE_CHECKING:
    from arro3.core import DataType, RecordBatch, Schema

_PIECE: Final = 64 * 1024
_GROUP_ROWS: Final = 100_000
"""Rows of a group, which the writer holds in memory, encoded."""


class ParquetError(RuntimeError):
    """Parquet cannot be written here; the text says what is missing."""


def check() -> None:
    """Raises ``ParquetError`` where the package for it is not installed."""
    if importlib.util.find_spec("arro3") is None or importlib.util.find_spec("arro3.io") is None:
        raise ParquetError("this server writes no Parquet: install 'vedette[parquet]' there, or take CSV")


def pieces(columns: Sequence[Column], blocks: Iterable[Sequence[Row]]) -> Iterator[bytes]:
    """The file in pieces, while it is being written by a thread of its own into a pipe: nobody holds more of it than a
    group of rows. Whoever stops reading ends the writer. What fails in ``blocks`` is raised here, and the file is then
    no Parquet file, since its end is missing.

    Raises:
        ParquetError: as ``check``.
    """
    check()
    source, sink = os.pipe()
    raised: list[BaseException] = []

    def write() -> None:
        from arro3.core import RecordBatchReader
        from arro3.io import write_parquet

        try:
            with os.fdopen(sink, "wb") as file:
                schema = _schema(columns)
                batches = (_batch(schema, columns, block) for block in _watched(blocks, raised) if block)
                reader = RecordBatchReader.from_batches(schema, batches)
                write_parquet(reader, file, compression="zstd(3)", max_row_group_size=_GROUP_ROWS)
        except BaseException as error:  # noqa: BLE001  told to whoever reads
            raised.append(error)

    writer = threading.Thread(target=write, name="parquet")
    try:
        with os.fdopen(source, "rb", buffering=0) as file:
            writer.start()
            while piece := file.read(_PIECE):
                yield piece
    finally:
        writer.join()
    if raised:
        raise raised[0]


def _watched(blocks: Iterable[Sequence[Row]], raised: list[BaseException]) -> Iterator[Sequence[Row]]:
    """What fails in here passes through Rust on its way out, and comes out as something else."""
    try:
        yield from blocks
    except BaseException as error:
        raised.append(error)
        raise


def _types() -> "dict[Type, DataType]":
    from arro3.core import DataType

    return {
        "time": DataType.timestamp("us", tz="UTC"),
        "text": DataType.utf8(),
        "integer": DataType.int64(),
        "number": DataType.float64(),
        "flag": DataType.bool(),
    }


def _schema(columns: Sequence[Column]) -> "Schema":
    from arro3.core import Field, Schema

    types = _types()
    return Schema([Field(column.name, types[column.type], nullable=True) for column in columns])


def _batch(schema: "Schema", columns: Sequence[Column], block: Sequence[Row]) -> "RecordBatch":
    from arro3.core import Array, DataType, RecordBatch

    types = _types()
    arrays: list[Any] = []
    for column, values in zip(columns, zip(*block, strict=True), strict=True):
        if column.type == "time":
            numbers = [None if value is None else micros(value) for value in values]
            arrays.append(Array(numbers, type=DataType.int64()).cast(types["time"]))
        else:
            arrays.append(Array(values, type=types[column.type]))
    return RecordBatch.from_arrays(arrays, schema=schema)
