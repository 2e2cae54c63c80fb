"""Tables in memory, as data frames of pandas or polars; both are extras and imported when they are asked for."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Literal

from monitor.errors import SettingsError
from services.tables.columns import Column

Library = Literal["pandas", "polars"]
LIBRARIES: tuple[Library, ...] = ("pandas", "polars")


def load_library(name: Library) -> Any:  # noqa: ANN401 (a module without types)
    """Return a library of data frames.

    Parameters
    ----------
    name
        pandas or polars.

    Returns
    -------
    Any
        Its module.

    Raises
    ------
    SettingsError
        `data_frames`, with the extra that brings it, when it is not installed or is none of the two.
    """
    if name not in LIBRARIES:
        message = f"there are no data frames of {name!r}; choose {' or '.join(LIBRARIES)}"
        raise SettingsError(message, reason="data_frames")
    try:
        return import_module(name)
    except ImportError as error:
        (other,) = set(LIBRARIES) - {name}
        message = (
            f"tables of a run need the package {name}, which cannot be loaded ({error}); install it with "
            f"`pip install 'cellvigil[{name}]'`, or open the state with library={other!r}"
        )
        raise SettingsError(message, reason="data_frames") from error


def data_frame(rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], library: Library) -> Any:  # noqa: ANN401
    """Return rows as a data frame, typed by its columns.

    Parameters
    ----------
    rows
        Values by name of column; None and NaN are empty. Times are aware, or text in ISO 8601.
    columns
        All columns that there may be; one that no row names is left out, as long as there are rows.
    library
        pandas or polars.

    Returns
    -------
    Any
        A data frame: text as string, whole numbers and truth with missing values, numbers as float64 with NaN (pandas)
        or null (polars), times in UTC. With pandas, `attrs["units"]` has the unit of each column that has one.
    """
    held = list(rows)
    named = set().union(*held) if held else {column.name for column in columns}
    kept = [column for column in columns if column.name in named]
    values = {column.name: [_plain(row.get(column.name), column.kind) for row in held] for column in kept}
    module = load_library(library)
    return _polars(module, values, kept) if library == "polars" else _pandas(module, values, kept)


def _plain(value: Any, kind: str) -> Any:  # noqa: ANN401 (a cell of a table)
    if value is None or value != value or (kind == "time" and value == ""):
        return None
    if kind == "time":
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return moment.astimezone(UTC)
    return value


def _pandas(pandas: Any, values: Mapping[str, list[Any]], columns: Sequence[Column]) -> Any:  # noqa: ANN401
    types = {"text": "string", "whole": "Int64", "number": "float64", "truth": "boolean", "time": "datetime64[us, UTC]"}
    made = pandas.DataFrame(
        {column.name: pandas.Series(values[column.name], dtype=types[column.kind]) for column in columns}
    )
    made.attrs["units"] = {column.name: column.unit for column in columns if column.unit}
    return made


def _polars(polars: Any, values: Mapping[str, list[Any]], columns: Sequence[Column]) -> Any:  # noqa: ANN401
    types = {
        "text": polars.String,
        "whole": polars.Int64,
        "number": polars.Float64,
        "truth": polars.Boolean,
        "time": polars.Datetime("us", "UTC"),
    }
    return polars.DataFrame(values, schema={column.name: types[column.kind] for column in columns})
