"""Answers about every clip of a folder or data set, kept in a table: one row per clip, no labels needed.

While the work goes on, each answer is added to a journal beside the table, one line of JSON, so that work
that was interrupted goes on where it stopped. Clips that are in an earlier table of the same name, or in a
shard of it, are not asked again, unless the file, its span, its words or the checkpoint changed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from core.attribution.modalities import shown_verdict
from core.labels import MODALITIES
from core.media import MediaError, open_clip
from core.media.door import open_file
from core.media.limits import DEFAULT_LIMITS, GIB
from core.predict import Predictor
from core.prediction import SUBSETS, Prediction
from core.tables import read_frame
from core.texts import require_size
from core.writing import AGAIN, replacing, require_writable, written
from training.datasets import DataError, Dataset, Utterance
from training.shards import shards_beside
from training.sources import READ_ALOUD
from training.workers import answer_apart, sensible_workers

SUFFIXES = (".parquet", ".csv")
"""What a table's name may end in."""

MAX_TEXT_BYTES = 2 * GIB
"""Of a table in CSV, and of the answers before it is written; an answer takes about 1 KiB."""

GIVEN, HEARD, UNKNOWN = "given", "speech-to-text", "none"
"""Where the words of a clip are from; they may be empty all the same."""

_FRESH = ".new"
"""What an unfinished file's name ends in; `journal_of` has another."""

PROBABILITY = "probability:"
"""What the names of the columns with the probability of each class begin with."""

WORDS_ALONE = "There are only words and no clip; an evaluation reads those."
FEATURES_ALONE = "This is no clip but features that were made of one; an evaluation reads those."

_TEXTS = (
    *("key", "path", "region", "split", "speaker", "label", "transcript", "transcript_source"),
    *("prediction", *(f"{modality}_prediction" for modality in MODALITIES)),
    *("verdict", "sentence", "notes", "error", "clip_sha256", "checkpoint", "checkpoint_sha256"),
)
_NUMBERS = ("start_seconds", "end_seconds", "confidence", *(f"{m}_confidence" for m in MODALITIES))
_ORDER = (
    *("key", "prediction", "confidence", "is_uncertain", "label"),
    *(f"{modality}_{what}" for modality in MODALITIES for what in ("prediction", "confidence")),
    *("verdict", "transcript", "transcript_source", "sentence", "notes", "error"),
    *("path", "start_seconds", "end_seconds", "region", "split", "speaker"),
    *("clip_sha256", "checkpoint", "checkpoint_sha256"),
)

Progress = Callable[[int, int, str], None]
"""Called with the number of clips done and of all, and the key of the one that is next."""


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What came of the clips of one table.

    Attributes:
        num_known: of the answers, those that an earlier run had given.
        failures: keys of clips that could not be answered, with the reason.
    """

    num_answered: int
    num_known: int
    failures: tuple[tuple[str, str], ...]


def to_be_asked(dataset: Dataset, split: str = "all") -> tuple[Utterance, ...]:
    """The utterances of a split, as a model is to be asked about them: where all speak the same, no words.

    Raises:
        DataError: if there is none.
    """
    if dataset.stills:
        raise DataError("These are single pictures and no clips; evaluate them instead.")
    found = tuple(one for one in dataset.utterances if split in ("all", one.split))
    if not found:
        names = sorted({one.split for one in dataset.utterances if one.split})
        has = f"has {', '.join(names)}" if names else "has no splits"
        raise DataError(f"No clip is of the split {split}: the data {has}; choose one, or all.")
    if dataset.name in READ_ALOUD:
        found = tuple(replace(one, transcript="") for one in found)
    return found


def predict_all(
    predictor: Predictor,
    utterances: Sequence[Utterance],
    out: Path,
    *,
    root: Path,
    transcribe: bool = True,
    progress: Progress | None = None,
    num_workers: int | None = 1,
) -> Tally:
    """Answer every clip, and write the table once all are done.

    Args:
        predictor: of the checkpoint.
        utterances: their keys differ; labels may be "".
        out: the table, CSV or Parquet by its name. One that is there is gone on with.
        root: paths are told from here.
        transcribe: whether to listen to the words of clips whose words are not known.
        progress: told how far it is.
        num_workers: processes that answer, each with a network of its own; 1 for this process alone, None for
            as many as the clips are worth and the machine bears. A network that is not as it was loaded
            answers in this process.

    Raises:
        DataError: `out` cannot be written, or holds something else; several processes are asked of a network
            that is not as it was loaded; or a process was killed from outside.
    """
    if out.suffix.lower() not in SUFFIXES:
        raise DataError(f"{out} should end in {' or '.join(SUFFIXES)}.")
    known, heard, identity = list(_sources(out)), predictor.speech.source, predictor.identity
    rows: dict[str, dict] = {}
    asked: list[tuple[Utterance, str]] = []
    for utterance in utterances:
        source = GIVEN if utterance.transcript is not None else heard if transcribe else UNKNOWN
        key = _text(utterance.key)
        earlier = (rows_of[key] for rows_of in known if key in rows_of)
        row = next((one for one in earlier if _is_of(one, utterance, source, identity)), None)
        if row is not None:
            # what is known of a clip beside its answer may have changed
            rows[utterance.key] = row | _facts(utterance, root)
        else:
            asked.append((utterance, source))
    num_known = len(rows)
    num_workers = num_workers or sensible_workers(len(asked), predictor)
    say = progress or (lambda done, total, text: None)
    with written(out, DataError, AGAIN):
        require_writable(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        with _Journal(journal_of(out), rows.values()) as journal:
            if num_workers > 1:

                def take(row: dict) -> None:
                    rows[row["key"]] = row
                    journal.add(row)
                    say(len(rows), len(utterances), row["key"])

                say(len(rows), len(utterances), f"starting {num_workers} processes")
                answer_apart(_answer, predictor, [(*one, root) for one in asked], num_workers, take)
            else:
                for utterance, source in asked:
                    say(len(rows), len(utterances), utterance.key)
                    row = _answer(predictor, utterance, source, root)
                    rows[utterance.key] = row
                    journal.add(row)
        say(len(rows), len(utterances), "")
        _write(_frame([rows[one.key] for one in utterances]), out)
        journal_of(out).unlink(missing_ok=True)
    failures = tuple((one.key, error) for one in utterances if (error := rows[one.key]["error"]))
    return Tally(num_answered=len(rows) - len(failures), num_known=num_known, failures=failures)


def read_predictions(out: Path) -> pd.DataFrame:
    """The table, or as much of it as is there while it is being made; without rows where nothing is.

    Raises:
        DataError: the file is no table of predictions.
    """
    journal, table = _journal_rows(out), _table_rows(out)
    return _frame((table | journal).values())


def journal_of(out: Path) -> Path:
    """Where the answers lie until the table is written."""
    return out.with_name(f"{out.name}.part")


def _answer(predictor: Predictor, utterance: Utterance, source: str, root: Path) -> dict:
    row = _facts(utterance, root) | {
        "transcript": utterance.transcript or "",
        "transcript_source": source,
        "error": "",
        "checkpoint": predictor.checkpoint.name,
        "checkpoint_sha256": predictor.identity,
    }
    if utterance.path is None or utterance.path.suffix in (".safetensors", ".pkl"):
        return row | {"error": WORDS_ALONE if utterance.path is None else FEATURES_ALONE}
    try:
        clip = open_clip(
            utterance.path,
            start_seconds=utterance.start_seconds,
            end_seconds=utterance.end_seconds,
            transcript=utterance.transcript,
            apart=True,
        )
        prepared = predictor.prepare(clip, transcribe=source.startswith(HEARD), region=utterance.region)
        return row | _said(predictor.predict(prepared)) | {"clip_sha256": clip.sha256}
    except MediaError as error:
        return row | {"error": str(error)}
    # one bad clip among thousands must not end a long job, whatever is wrong with it
    except Exception as error:  # noqa: BLE001
        return row | {"error": f"{utterance.key} cannot be answered: {error or type(error).__name__}."}


def _facts(utterance: Utterance, root: Path) -> dict:
    """What the data say of a clip."""
    path = ""
    if utterance.path is not None:
        inside = utterance.path.is_relative_to(root)
        path = utterance.path.relative_to(root).as_posix() if inside else str(utterance.path)
    return {
        "key": utterance.key,
        "path": path,
        "start_seconds": utterance.start_seconds,
        "end_seconds": utterance.end_seconds,
        "region": utterance.region or "",
        "split": utterance.split or "",
        "speaker": utterance.speaker or "",
        "label": utterance.label,
    }


def _said(answer: Prediction) -> dict:
    verdict, sentence = shown_verdict(answer)
    row: dict[str, object] = {
        "prediction": answer.prediction,
        "confidence": answer.confidence,
        "is_uncertain": answer.is_uncertain,
        "transcript": answer.transcript,
        "verdict": verdict,
        "sentence": sentence,
        "notes": " ".join(answer.notes),
    }
    for modality in MODALITIES:
        if answer.present[modality]:
            alone = answer.modalities.probabilities[SUBSETS.index((modality,))]
            row[f"{modality}_prediction"] = answer.labels[int(alone.argmax())]
            row[f"{modality}_confidence"] = float(alone.max())
    pairs = zip(answer.labels, answer.probabilities.tolist(), strict=True)
    return row | {PROBABILITY + label: probability for label, probability in pairs}


def _is_of(row: dict, utterance: Utterance, source: str, checkpoint_sha256: str) -> bool:
    """Whether an earlier answer is to the very same question."""
    asked = {
        "checkpoint_sha256": checkpoint_sha256,
        "start_seconds": utterance.start_seconds,
        "end_seconds": utterance.end_seconds,
        "region": utterance.region or "",
        "transcript_source": source,
    }
    if row["error"] or any(row[name] != value for name, value in asked.items()):
        return False
    if source == GIVEN and row["transcript"] != (utterance.transcript or ""):
        return False
    return utterance.path is not None and _hash(utterance.path) == row["clip_sha256"]


def _hash(path: Path) -> str | None:
    """Of a file that may be read, as `core.media.Clip.sha256`."""
    try:
        with open_file(path, DEFAULT_LIMITS) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except MediaError:
        return None


class _Journal:
    """Answers as they come, one line each."""

    def __init__(self, path: Path, rows: Iterable[dict]) -> None:
        # anew, so that no line that was cut off stands before others
        with replacing(path, suffix=_FRESH) as fresh:
            self._file = fresh.open("w", encoding="utf-8", errors="backslashreplace")
            for row in rows:
                self.add(row)

    def __enter__(self) -> _Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, row: dict) -> None:
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()


def _sources(out: Path) -> Iterator[dict[str, dict]]:
    """Rows by key where earlier answers may be: the journal, the table, then the shards beside it."""
    for one in (out, *shards_beside(out)):
        yield _journal_rows(one)
        yield _table_rows(one)


def _table_rows(out: Path) -> dict[str, dict]:
    return {row["key"]: row for row in _read(out)} if out.exists() else {}


def _journal_rows(out: Path) -> dict[str, dict]:
    rows: dict[str, dict] = {}
    path = journal_of(out)
    with suppress(OSError):
        require_size(path, DataError, "remove it to begin anew", max_bytes=MAX_TEXT_BYTES)
        # words may hold signs that other ways to part lines take for an end
        with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            for line in lines:
                # the last one may be cut off
                with suppress(ValueError, RecursionError):
                    row = json.loads(line)
                    if isinstance(row, dict) and isinstance(row.get("key"), str):
                        rows[row["key"]] = _whole(row)
    return rows


def _read(out: Path) -> list[dict]:
    refusal = f"{out} is no table of predictions, so it is not replaced; choose another file."
    try:
        if out.suffix.lower() == ".csv":
            require_size(out, DataError, "choose another file", max_bytes=MAX_TEXT_BYTES)
            table = pd.read_csv(out, dtype=dict.fromkeys(_TEXTS, str), keep_default_na=False, na_values=[""])
        else:
            table = read_frame(out)
    except (OSError, ValueError) as error:
        raise DataError(refusal) from error
    if not {"key", "prediction", "checkpoint_sha256"} <= set(table):
        raise DataError(refusal)
    return [_whole(row) for row in table.to_dict("records")]


def _whole(row: dict) -> dict:
    """A row with every column; what is not known is "" or None."""
    texts = {name: _text(row.get(name)) for name in _TEXTS}
    numbers = {_text(name): _number(value) for name, value in row.items() if _is_number(name)}
    numbers = dict.fromkeys(_NUMBERS) | numbers
    # a table's text file tells truth in words
    return texts | numbers | {"is_uncertain": str(row.get("is_uncertain")) == "True"}


def _is_number(name: str) -> bool:
    return name in _NUMBERS or name.startswith(PROBABILITY)


def _text(value: object) -> str:
    """That can be written: names of files, and JSON, may hold halves of characters."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else ""


def _number(value: object) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _frame(rows: Iterable[dict]) -> pd.DataFrame:
    whole = [_whole(row) for row in rows]
    classes = dict.fromkeys(name for row in whole for name in row if name.startswith(PROBABILITY))
    table = pd.DataFrame(whole, columns=[*_ORDER[:5], *classes, *_ORDER[5:]])
    return table.astype({name: "float64" for name in table if _is_number(name)} | {"is_uncertain": bool})


def _write(table: pd.DataFrame, out: Path) -> None:
    # on the disk before the journal goes
    with replacing(out, suffix=_FRESH) as fresh:
        if out.suffix.lower() == ".csv":
            table.to_csv(fresh, index=False)
        else:
            table.to_parquet(fresh, index=False)
