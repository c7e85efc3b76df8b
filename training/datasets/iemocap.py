"""IEMOCAP: two actors per session talk to each other, ten actors in five sessions, no official split.

Read from `IEMOCAP_full_release/Session{1..5}`: labels and times from `dialog/EmoEvaluation`, words from
`dialog/transcriptions`; the picture from the dialogue's film in `dialog/avi/DivX`, or, where there are no
films, the sound from `sentences/wav`. A film shows both actors side by side: `Utterance.region` tells whose
half it is.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from core.labels import IEMOCAP_4, IEMOCAP_6
from core.texts import require_size
from training.datasets.folders import unusable
from training.datasets.utterance import DataError, Dataset, SkippedClip, Utterance

LABELS = {
    IEMOCAP_6.name: {
        "hap": "joy",
        "sad": "sadness",
        "neu": "neutral",
        "ang": "anger",
        "exc": "excited",
        "fru": "frustration",
    },
    IEMOCAP_4.name: {"hap": "joy", "exc": "joy", "sad": "sadness", "neu": "neutral", "ang": "anger"},
}
"""Our label of each of IEMOCAP's codes, by scheme; turns with another code are skipped."""

_CODES = {
    "hap": "happiness",
    "sad": "sadness",
    "neu": "neutral",
    "ang": "anger",
    "exc": "excited",
    "fru": "frustration",
    "sur": "surprise",
    "fea": "fear",
    "dis": "disgust",
    "oth": "another emotion",
    "xxx": "no agreement of the raters",
}

# [6.2901 - 8.2357]	Ses01F_impro01_F000	neu	[2.5000, 2.5000, 2.5000]
_TURN = re.compile(
    r"\[(\d+\.\d+) - (\d+\.\d+)\]\s+((Ses(\d\d)([FM])_\w+)_([FM])(\w+))\s+(\w+)\s+"
    r"\[([\d.]+), ([\d.]+), ([\d.]+)\]"
)
# Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
_WORDS = re.compile(r"(Ses\w+) \[[\d.]+-[\d.]+\]:\s*(.*)")


def read_iemocap(folder: str | Path, *, scheme: str = IEMOCAP_6.name) -> Dataset:
    """The turns of IEMOCAP whose label the scheme knows.

    Args:
        folder: `IEMOCAP_full_release`, or the folder that holds it.
        scheme: "iemocap-6", or "iemocap-4" (happiness and excited are one, frustration is skipped).

    Raises:
        DataError: the folder holds no session, a session without annotations, or a table that cannot be read.
    """
    if scheme not in LABELS:
        raise ValueError(f"scheme should be one of {', '.join(LABELS)}, not {scheme!r}")
    sessions = find_sessions(Path(folder))
    if not sessions:
        raise DataError(
            f"{folder} holds no Session1/dialog/EmoEvaluation; give the folder IEMOCAP_full_release."
        )
    utterances: list[Utterance] = []
    skipped: list[SkippedClip] = []
    for session in sessions:
        tables = sorted((session / "dialog" / "EmoEvaluation").glob("Ses*.txt"))
        if not tables:
            raise DataError(f"{session / 'dialog' / 'EmoEvaluation'} holds no Ses*.txt; unpack it again.")
        for table in tables:
            words = _read_words(session / "dialog" / "transcriptions" / table.name)
            turns = list(filter(None, map(_TURN.match, _lines(table))))
            if not turns:
                reason = f"{table.name} holds no turn; unpack it again."
                skipped.append(SkippedClip(key=table.stem, path=table, reason=reason))
            for match in turns:
                utterance = _utterance(match, session, words)
                label = LABELS[scheme].get(utterance.label)
                reason = None
                if utterance.key.rpartition("_")[2][1:].startswith("XX"):
                    reason = f"{utterance.key} is a turn outside the dialogue."
                elif label is None:
                    told = _CODES.get(utterance.label, "unknown")
                    reason = f"Its label {utterance.label} ({told}) is not one of {scheme}."
                elif utterance.path is not None:
                    reason = unusable(utterance.path)
                elif not utterance.transcript:
                    reason = "Neither its film nor its sound nor its words are at hand."
                if reason is None:
                    utterances.append(replace(utterance, label=label))
                else:
                    skipped.append(
                        SkippedClip(
                            key=utterance.key, path=utterance.path, label=utterance.label, reason=reason
                        )
                    )
    return Dataset(
        name="iemocap",
        scheme=scheme,
        utterances=tuple(utterances),
        skipped=tuple(skipped),
        notes=_notes(sessions, utterances),
    )


def find_sessions(folder: Path) -> list[Path]:
    """The folders `Session1` to `Session5` that hold annotations, in this folder or one below it."""
    for pattern in ("Session[1-5]", "*/Session[1-5]"):
        found = [
            path for path in sorted(folder.glob(pattern)) if (path / "dialog" / "EmoEvaluation").is_dir()
        ]
        if found:
            return found
    return []


def _utterance(match: re.Match[str], session: Path, words: dict[str, str]) -> Utterance:
    start, end, key, dialogue, number, left, speaker, _, code, *ratings = match.groups()
    film = session / "dialog" / "avi" / "DivX" / f"{dialogue}.avi"
    sound = session / "sentences" / "wav" / dialogue / f"{key}.wav"
    # a film that is empty or a pointer to one leaves the sentence's own sound
    has_film = film.is_file() and (unusable(film) is None or not sound.is_file())
    return Utterance(
        key=key,
        path=film if has_film else sound if sound.is_file() else None,
        label=code,
        # a sentence's own file is the cut already
        start_seconds=float(start) if has_film else None,
        end_seconds=float(end) if has_film else None,
        # the dialogue is named after the actor in the left half
        region=("left" if speaker == left else "right") if has_film else None,
        transcript=words.get(key),
        speaker=f"Ses{number}{speaker}",
        dialogue=dialogue,
        extra={
            "session": str(int(number)),
            "kind": "improvised" if "impro" in dialogue else "scripted",
            "code": code,
            **dict(zip(("valence", "activation", "dominance"), ratings, strict=True)),
        },
        annotated_start_seconds=float(start),
        annotated_end_seconds=float(end),
    )


def _read_words(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    matches = map(_WORDS.match, _lines(path))
    return {match[1]: match[2].strip() for match in matches if match is not None}


def _lines(path: Path) -> list[str]:
    try:
        require_size(path, DataError, "unpack it again")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); unpack it again.") from error
    # a few transcripts hold single bytes of Latin text
    return data.decode("cp1252", "replace").splitlines()


def _notes(sessions: list[Path], utterances: list[Utterance]) -> tuple[str, ...]:
    notes = []
    if len(sessions) < 5:
        notes.append(f"Only {', '.join(path.name for path in sessions)} of five sessions are at hand.")
    if not any(utterance.region for utterance in utterances):
        notes.append("No film (dialog/avi/DivX) is at hand, so there is no picture.")
    blind = {utterance.dialogue for utterance in utterances if not utterance.region}
    films = [path for session in sessions for path in (session / "dialog" / "avi" / "DivX").glob("*.avi")]
    if broken := sorted(path.stem for path in films if path.stem in blind):
        notes.append(
            f"{len(broken)} films hold nothing ({', '.join(broken[:3])}{', …' * (len(broken) > 3)}): of "
            "their turns there is the sound alone."
        )
    return tuple(notes)
