"""Checking a finished corpus: its files against its plan, in one report (`deepmsi corpus check`)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sample_data.corpus.checking.faces import check_faces
from sample_data.corpus.checking.files import check_files
from sample_data.corpus.checking.lips import check_lips
from sample_data.corpus.checking.measure import measure_corpus
from sample_data.corpus.checking.report import numbers_of, summarise, write_report
from sample_data.corpus.checking.results import Check, CheckResult
from sample_data.corpus.checking.texts import check_texts
from sample_data.corpus.checking.voices import check_voices
from sample_data.corpus.checking.windows import check_windows
from sample_data.corpus.errors import CorpusError
from sample_data.corpus.make import read_corpus

__all__ = ["Check", "CheckResult", "check_corpus"]


def check_corpus(
    folder: Path,
    report: Path,
    *,
    with_classifiers: bool = True,
    num_workers: int = 1,
    progress: Callable[[int, int, str], None] = lambda done, total, text: None,
) -> CheckResult:
    """Measure every clip of a made corpus and write `report.html` and `report.json`.

    What was measured of each clip is kept beside the report, so that a check that was ended goes on there.

    Args:
        folder: of a finished corpus.
        report: folder to write into; made if it is not there.
        with_classifiers: whether to measure how far simple classifiers get.
        num_workers: processes that measure clips.
        progress: told how much is done, of how much, and what.

    Raises:
        CorpusError: if the folder holds no finished corpus, or the report cannot be written. A clip that is
            missing or damaged is a failed check instead.
    """
    folder, report = Path(folder), Path(report)
    corpus = read_corpus(folder)
    if not corpus:
        raise CorpusError(f"{folder} holds a corpus without clips; make it with `deepmsi corpus make`.")
    measured = measure_corpus(
        corpus, report, with_features=with_classifiers, num_workers=num_workers, progress=progress
    )
    sections = [
        check_files(measured, folder),
        check_voices(measured),
        check_faces(measured),
        check_lips(measured),
        check_windows(measured),
        check_texts(measured),
    ]
    if with_classifiers:
        from sample_data.corpus.checking.classifiers import check_classifiers

        sections.append(check_classifiers(measured, progress))
    numbers = numbers_of(sections, {"corpus": folder.name, "num_clips": len(corpus)})
    write_report(sections, numbers, report)
    return CheckResult(
        sections=tuple(sections), summary=summarise(sections, len(corpus), report), numbers=numbers
    )
