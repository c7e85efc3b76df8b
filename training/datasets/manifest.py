"""The generic manifest: a table of clips and their labels, in CSV, TSV, Parquet or JSON Lines.

Columns: `path, label [, transcript, start_seconds, end_seconds, speaker, dialogue, utterance, split]`. Paths
are relative to the manifest. Any other column is kept with the utterance (`extra`), so that an evaluation can
be cut by it, for example by `scenario`.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from pathlib import Path

from core.media.limits import MIB
from core.texts import require_size
from training.datasets.utterance import SPLITS, DataError, Utterance

_COLUMNS = (
    *("path", "label", "transcript", "start_seconds", "end_seconds"),
    *("speaker", "dialogue", "utterance", "split"),
)

MAX_TEXT_BYTES = 128 * MIB
"""Of a manifest that is text; 500,000 clips of which little is known, fewer with long words."""

MAX_CLIPS = 1_000_000
"""Of any manifest; a row of 7 bytes becomes an utterance of 640."""


def read_manifest(
    path: str | Path, *, allow_outside: bool = False, needs_labels: bool = True
) -> list[Utterance]:
    """The utterances a manifest lists, in its order.

    The clips themselves are not opened: a missing or broken one is found, reported and skipped when its
    features are made (`training.features.prepare`).

    Args:
        path: the manifest, or the folder that holds a `manifest.csv`, `.tsv`, `.parquet` or `.jsonl`.
        allow_outside: admit clips outside the manifest's folder.
        needs_labels: every clip must have one; else the label of a clip without is "".

    Raises:
        DataError: naming the file, the row, the cause and the remedy.
    """
    path = _find(Path(path))
    utterances: list[Utterance] = []
    rows_of_keys: dict[str, int] = {}
    required = ("path", "label") if needs_labels else ("path",)
    for number, row in _rows(path, required):
        utterance = _utterance(path, number, row, allow_outside, needs_labels)
        if utterance.key in rows_of_keys:
            raise DataError(
                f"{path}, row {number}: {utterance.key} is also row {rows_of_keys[utterance.key]}; "
                "remove one of them, or give each its own start_seconds and end_seconds."
            )
        if len(utterances) == MAX_CLIPS:
            raise DataError(f"{path} lists more than the allowed {MAX_CLIPS:,} clips; give a part of it.")
        rows_of_keys[utterance.key] = number
        utterances.append(utterance)
    if not utterances:
        raise DataError(f"{path} lists no clip; add one row per clip.")
    return utterances


def _find(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in ("manifest.csv", "manifest.tsv", "manifest.parquet", "manifest.jsonl"):
        if (path / name).is_file():
            return path / name
    raise DataError(
        f"{path} holds no manifest; name one manifest.csv, .tsv, .parquet or .jsonl, or give its path."
    )


def _rows(path: Path, required: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Pairs of a row's number, as an editor of the file counts (the header is row 1), and its cells."""
    if not path.is_file():
        raise DataError(f"{path} does not exist; check the path of the manifest.")
    suffix = path.suffix.lower()
    try:
        if suffix in (".csv", ".tsv", ".jsonl", ".ndjson"):
            require_size(path, DataError, "make it a .parquet, or give a part", max_bytes=MAX_TEXT_BYTES)
        if suffix in (".csv", ".tsv"):
            with path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(
                    file, delimiter="\t" if suffix == ".tsv" else ",", restkey="", strict=True
                )
                _check_columns(path, reader.fieldnames or [], required)
                for row in reader:
                    if "" in row:
                        raise DataError(
                            f"{path}, row {reader.line_num}: it has more cells than the header; "
                            "put texts that hold the separator in double quotes."
                        )
                    yield reader.line_num, {key: value or "" for key, value in row.items()}
        elif suffix in (".jsonl", ".ndjson"):
            with path.open(encoding="utf-8-sig") as file:
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        yield number, _json_row(path, number, line, required)
        elif suffix == ".parquet":
            from core.tables import read_table

            table = read_table(path)
            _check_columns(path, table.column_names, required)
            for number, row in enumerate(table.to_pylist(), start=1):
                yield number, {key: _text(value) for key, value in row.items()}
        else:
            raise DataError(
                f"{path}: manifests end in .csv, .tsv, .parquet or .jsonl, not {suffix or 'nothing'}."
            )
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8.") from error
    except csv.Error as error:
        raise DataError(f"{path} is not a well-formed table ({error}); check its quotes.") from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}); make it again.") from error


def _json_row(path: Path, number: int, line: str, required: tuple[str, ...]) -> dict[str, str]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}, row {number}: this is not JSON ({error}); write one object per line."
        ) from error
    if not isinstance(row, dict):
        raise DataError(
            f"{path}, row {number}: this is not an object; write one object with named values per line."
        )
    _check_columns(path, list(row), required, f", row {number}")
    return {key: _text(value) for key, value in row.items()}


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return str(value)


def _check_columns(path: Path, columns: list[str], required: tuple[str, ...], where: str = "") -> None:
    missing = [name for name in required if name not in columns]
    if missing:
        found = ", ".join(columns) or "none"
        raise DataError(f"{path}{where} lacks the column {' and '.join(missing)}; it has {found}.")
    if twice := [name for name in _COLUMNS if columns.count(name) > 1]:
        raise DataError(f"{path}{where} has two columns named {twice[0]}; rename or remove one of them.")


def _utterance(
    manifest: Path, number: int, row: dict[str, str], allow_outside: bool, needs_labels: bool
) -> Utterance:
    where = f"{manifest}, row {number}"
    name, label = row.pop("path").strip(), row.pop("label", "").strip().lower()
    if not name or (needs_labels and not label):
        raise DataError(f"{where}: the {'label' if name else 'path'} is empty; fill it in or remove the row.")
    folder = manifest.parent.resolve()
    try:
        path = (folder / name).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        # a NUL, or links in a circle
        raise DataError(f"{where}: {name!r} is no path ({error}); correct it.") from error
    if not allow_outside and not path.is_relative_to(folder):
        raise DataError(
            f"{where}: {name} lies outside {folder}; move it there, or give --allow-outside if you trust "
            "this manifest."
        )
    start = _seconds(where, "start_seconds", row.pop("start_seconds", ""))
    end = _seconds(where, "end_seconds", row.pop("end_seconds", ""))
    if end is not None and end <= (start or 0.0):
        raise DataError(
            f"{where}: the span ends at {end} s, not after its start at {start or 0.0} s; correct it."
        )
    has_transcript = "transcript" in row
    transcript = row.pop("transcript", "").strip()
    split = row.pop("split", "").strip().lower()
    # to the microsecond in any recording
    ends = (f"{start or 0.0:.12g}", "" if end is None else f"{end:.12g}")
    span = "" if start is None and end is None else f"#{'-'.join(ends)}"
    return Utterance(
        key=name + span,
        path=path,
        label=label,
        start_seconds=start,
        end_seconds=end,
        transcript=transcript if has_transcript else None,
        speaker=row.pop("speaker", "").strip() or None,
        dialogue=row.pop("dialogue", "").strip() or None,
        split=SPLITS.get(split, split) or None,
        extra={key: value for key, value in row.items() if value},
    )


def _seconds(where: str, column: str, text: str) -> float | None:
    if not text.strip():
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0.0):
        raise DataError(f"{where}: {column} is {text!r}; write a number of seconds, for example 12.5.")
    return seconds
