from __future__ import annotations

import hashlib
import logging
import multiprocessing
import os
import pickle
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from core.attribution.modalities import report
from core.attribution.results import Attribution, Target
from core.attribution.store import (
    ABANDONED_SECONDS,
    SUFFIX,
    UNFINISHED_SUFFIX,
    ExplanationKey,
    ExplanationStore,
    cache_folder,
    from_bytes,
    to_bytes,
)
from core.prediction import SUBSETS, FrameSelection, PatchStep


@dataclass(frozen=True, kw_only=True, eq=False)
class Inner:
    scores: np.ndarray
    name: str | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Everything:
    floats: np.ndarray
    halves: np.ndarray
    bools: np.ndarray
    integers: np.ndarray
    empty: np.ndarray
    scalar: np.ndarray
    missing_array: np.ndarray | None
    kept_array: np.ndarray | None
    text: str
    flag: bool
    count: int
    ratio: float
    endless: float
    grid: tuple[int, int]
    names: tuple[str, ...]
    nothing: tuple[str, ...]
    arrays: tuple[np.ndarray, ...]
    inner: Inner
    missing_inner: Inner | None
    inners: tuple[Inner, ...]
    by_name: dict[str, np.ndarray]
    path: Path


def everything() -> Everything:
    return Everything(
        floats=np.array([[0.1, np.nan], [np.inf, -0.0]]),
        halves=np.array([0.5, 65504.0], np.float16),
        bools=np.array([True, False]),
        integers=np.array([2**62 + 1, -(2**63)], np.int64),
        empty=np.zeros((0, 3), np.float32),
        scalar=np.array(1.5, np.float32),
        missing_array=None,
        kept_array=np.arange(6, dtype=np.int32).reshape(2, 3).T,
        text='"why" 😱 naïve\n\x00',
        flag=True,
        count=2**60 + 1,
        ratio=0.1 + 0.2,
        endless=float("nan"),
        grid=(8, 6),
        names=("joy", "😀", ""),
        nothing=(),
        arrays=(np.array([1], np.uint8), np.array([2.0, 3.0])),
        inner=Inner(scores=np.array([7.0]), name=None),
        missing_inner=None,
        inners=(Inner(scores=np.array([8.0]), name="a"), Inner(scores=np.zeros(0), name="b")),
        by_name={"a.b": np.array([9.0]), "": np.array([10.0]), "json": np.array([11])},
        path=Path("clips/a b.mp4"),
    )


def attribution(values: np.ndarray) -> Attribution:
    return Attribution(
        element="window",
        method="occlusion",
        target=Target(label="fear", instead_of="surprise"),
        values=values,
        start_seconds=np.arange(len(values)) * 0.25,
        end_seconds=np.arange(1, len(values) + 1) * 0.25,
        value=0.7,
        baseline_value=0.2,
        gap=float("nan"),
        num_passes=40,
        seconds=1.25,
    )


def assert_same(actual, expected) -> None:
    assert isinstance(actual, type(expected))
    if isinstance(expected, np.ndarray):
        assert actual.dtype == expected.dtype
        assert actual.shape == expected.shape
        # bits, so that NaN equals itself and -0.0 is not 0.0
        assert actual.tobytes() == expected.tobytes()
    elif is_dataclass(expected):
        for part in fields(expected):
            assert_same(getattr(actual, part.name), getattr(expected, part.name))
    elif isinstance(expected, tuple):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, dict):
        assert list(actual) == list(expected)
        assert_same(tuple(actual.values()), tuple(expected.values()))
    else:
        assert actual == expected or (actual != actual and expected != expected)


def key(**changes) -> ExplanationKey:
    values = {
        "clip_sha256": "c" * 64,
        "start_seconds": 1.0,
        "end_seconds": 2.5,
        "transcript": "oh no",
        "checkpoint_sha256": "m" * 64,
        "method": "occlusion",
        "parameters": {"target": {"label": "fear", "instead_of": None}, "num_steps": 16, "seeds": [0, 1]},
        "version": 1,
    }
    return ExplanationKey(**values | changes)


@pytest.fixture
def store(tmp_path: Path) -> ExplanationStore:
    return ExplanationStore(tmp_path / "explanations", max_bytes=10**6)


def refuse():
    raise AssertionError("computed although it is in the store")


def entry(store: ExplanationStore) -> Path:
    (path,) = store.folder.iterdir()
    return path


@pytest.mark.parametrize(
    "result",
    [
        everything(),
        attribution(np.array([0.1, -0.2, np.nan])),
        report(
            np.random.default_rng(0).dirichlet(np.ones(3), size=len(SUBSETS)),
            ("anger", "fear", "joy"),
            # with NaN where a modality is absent
            {"video": False, "audio": True, "text": True},
        ),
        FrameSelection(
            times_seconds=np.array([0.0, 0.04]),
            kept=np.array([1]),
            relevance=np.array([0.25, 0.75], np.float32),
            source_map=np.array([[0.5, 0.5]]),
            absorbed_by=np.array([1, 1]),
        ),
        PatchStep(
            grid=(2, 1),
            kept=np.array([[0]]),
            relevance=np.array([[0.5, np.nan]]),
            absorbed_by=np.array([[0, -1]]),
        ),
        # no array at all
        Target(label="fear"),
    ],
    ids=lambda result: type(result).__name__,
)
def test_a_result_comes_back_as_it_was(result):
    assert_same(from_bytes(type(result), to_bytes(result)), result)


def test_numbers_of_numpy_come_back_as_plain_ones_and_foreign_arrays_in_the_machines_order():
    result = replace(
        everything(),
        flag=np.bool_(True),
        count=np.int64(3),
        ratio=np.float32(0.5),
        floats=np.array([1.0, 2.0], ">f8"),
        integers=np.arange(4)[::-2],
    )
    back = from_bytes(Everything, to_bytes(result))
    assert (back.flag, back.count, back.ratio) == (True, 3, 0.5)
    assert (type(back.flag), type(back.count), type(back.ratio)) == (bool, int, float)
    assert back.floats.tolist() == [1.0, 2.0] and back.floats.dtype.isnative
    assert back.integers.tolist() == [3, 1]


def test_arrays_that_were_read_can_be_changed_like_those_that_were_computed():
    back = from_bytes(Everything, to_bytes(everything()))
    back.floats[0, 0] = 5.0
    assert back.floats[0, 0] == 5.0


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("text", {1, 2}, "set"),
        ("text", None, r"Everything\.text should be str"),
        ("flag", 1, r"Everything\.flag should be bool"),
        ("floats", np.array(["a"]), "dtype"),
        ("floats", np.array([object()]), "dtype"),
        ("grid", (1, 2, 3), "should hold 2 values, not 3"),
    ],
)
def test_what_could_not_be_read_back_is_refused_at_once(field, value, says):
    with pytest.raises(ValueError, match=says):
        to_bytes(replace(everything(), **{field: value}))


def test_the_second_time_nothing_is_computed(store):
    made = attribution(np.array([0.1, 0.2]))
    assert store.get(key(), Attribution) is None
    assert store.get_or_compute(key(), Attribution, lambda: made) is made
    assert_same(store.get_or_compute(key(), Attribution, refuse), made)
    # another session, the same folder
    again = ExplanationStore(store.folder, max_bytes=10**6)
    assert_same(again.get_or_compute(key(), Attribution, refuse), made)


def test_the_order_of_parameters_and_the_kind_of_sequence_do_not_matter(store):
    store.put(key(), Target(label="joy"))
    other = {"seeds": (0, 1), "num_steps": 16, "target": {"instead_of": None, "label": "fear"}}
    same = key(parameters=other, start_seconds=1, end_seconds=np.float64(2.5))
    assert store.get(same, Target) == Target(label="joy")


@pytest.mark.parametrize(
    "change",
    [
        {"clip_sha256": "d" * 64},
        {"start_seconds": 1.001},
        {"end_seconds": 2.0},
        {"transcript": "oh no!"},
        {"transcript": ""},
        {"checkpoint_sha256": "n" * 64},
        {"method": "integrated gradients"},
        {"parameters": {}},
        {"parameters": {**key().parameters, "num_steps": 32}},
        {"parameters": {**key().parameters, "seeds": [1, 0]}},
        {"parameters": {**key().parameters, "target": {"label": "fear", "instead_of": "surprise"}}},
        {"version": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_another_question_is_another_entry(store, change):
    store.put(key(), Target(label="joy"))
    assert store.get(key(**change), Target) is None
    store.put(key(**change), Target(label="fear"))
    assert store.get(key(**change), Target) == Target(label="fear")
    assert store.get(key(), Target) == Target(label="joy")


def test_parameters_beyond_json_are_refused(store):
    with pytest.raises(ValueError, match="parameters of occlusion should be plain JSON types"):
        store.get(key(parameters={"mask": np.ones(2)}), Target)


def test_the_least_recently_used_go_first(store):
    result = attribution(np.zeros(1000))
    store.put(key(version=0), result)
    size = store.num_bytes
    assert 24_000 < size < 26_000

    small = ExplanationStore(store.folder, max_bytes=3 * size + 100)
    for version in (1, 2):
        small.put(key(version=version), result)
    assert small.get(key(version=0), Attribution) is not None
    small.put(key(version=3), result)
    is_kept = [small.get(key(version=version), Attribution) is not None for version in range(4)]
    assert is_kept == [True, False, True, True]
    assert small.num_bytes == 3 * size


def test_what_is_larger_than_the_store_pushes_nothing_out(store):
    store.put(key(version=0), Target(label="joy"))
    small = ExplanationStore(store.folder, max_bytes=store.num_bytes)
    large = attribution(np.zeros(1000))
    assert small.get_or_compute(key(version=1), Attribution, lambda: large) is large
    assert small.get(key(version=1), Attribution) is None
    assert small.get(key(version=0), Target) == Target(label="joy")


def test_clear_removes_entries_and_leaves_what_is_not_the_stores(store):
    assert store.num_bytes == 0
    store.put(key(), Target(label="joy"))
    (store.folder / "notes.txt").write_text("mine")
    assert 0 < store.num_bytes == (store.folder / f"{key().digest}{SUFFIX}").stat().st_size
    store.clear()
    assert store.num_bytes == 0 and store.get(key(), Target) is None
    assert entry(store).read_text() == "mine"


def test_only_abandoned_unfinished_entries_are_swept(store):
    store.folder.mkdir()
    fresh, abandoned = (store.folder / f"{name}{UNFINISHED_SUFFIX}" for name in ("fresh", "abandoned"))
    for path in (fresh, abandoned):
        path.write_bytes(b"half")
    long_ago = time.time() - ABANDONED_SECONDS - 60
    os.utime(abandoned, (long_ago, long_ago))
    store.clear()
    assert list(store.folder.iterdir()) == [fresh]


def with_checksum(data: bytes) -> bytes:
    return hashlib.sha256(data).digest() + data


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:20],
        lambda content: content[:-1],
        lambda content: content + b"\x00",
        lambda content: bytes(len(content)),
        lambda content: content[:-1] + bytes([content[-1] ^ 1]),
        # another number, which safetensors by itself does not notice
        lambda content: content.replace(np.float64(0.1).tobytes(), np.float64(0.3).tobytes()),
        lambda content: with_checksum(b"not safetensors"),
        lambda content: with_checksum(to_bytes(Target(label="joy"))),
        lambda content: with_checksum(content[32:].replace(b'"plain"', b'"plaid"')),
    ],
)
def test_a_damaged_entry_is_removed_and_made_anew(store, caplog, damage):
    made = attribution(np.array([0.1, 0.2]))
    store.put(key(), made)
    entry(store).write_bytes(damage(entry(store).read_bytes()))
    assert store.get(key(), Attribution) is None
    assert list(store.folder.iterdir()) == []
    assert "is damaged and is made anew" in caplog.text
    store.get_or_compute(key(), Attribution, lambda: made)
    assert_same(store.get(key(), Attribution), made)


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("wrap", [bytes, with_checksum])
def test_nothing_is_unpickled(store, tmp_path, wrap):
    marker = tmp_path / "has run"
    bomb = pickle.dumps(Bomb(marker))
    store.put(key(), Target(label="joy"))
    entry(store).write_bytes(wrap(bomb))
    assert store.get(key(), Target) is None
    assert not marker.exists()
    # the bomb is a real one
    pickle.loads(bomb)
    assert marker.exists()


def test_a_folder_that_cannot_be_used_is_told_once_and_breaks_nothing(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    store = ExplanationStore(tmp_path / "file" / "explanations", max_bytes=10**6)
    with caplog.at_level(logging.WARNING):
        for label in ("joy", "fear"):
            assert store.get_or_compute(key(), Target, lambda: Target(label=label)).label == label  # noqa: B023
    (record,) = caplog.records
    assert "Explanations are not kept in" in record.getMessage()
    assert record.levelno == logging.WARNING
    assert store.num_bytes == 0
    store.clear()


def test_a_full_disk_is_told_once_and_leaves_nothing_half_written(store, caplog, monkeypatch):
    store.put(key(version=0), Target(label="joy"))

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("core.attribution.store.os.replace", fail)
    for version in (1, 2):
        made = store.get_or_compute(key(version=version), Target, lambda: Target(label="fear"))
        assert made == Target(label="fear")
    assert [record.getMessage().count("No space left on device") for record in caplog.records] == [1]
    assert entry(store).name == f"{key(version=0).digest}{SUFFIX}"
    assert store.get(key(version=0), Target) == Target(label="joy")


def test_errors_of_the_method_pass_through_and_nothing_is_kept(store):
    with pytest.raises(ZeroDivisionError):
        store.get_or_compute(key(), Target, lambda: 1 / 0)
    assert store.num_bytes == 0


def test_the_folder_is_closed_to_other_users(store):
    store.put(key(), Target(label="joy"))
    assert store.folder.stat().st_mode & 0o077 == 0
    assert entry(store).stat().st_mode & 0o077 == 0


def expected_values(version: int) -> np.ndarray:
    return np.random.default_rng(version).normal(size=300 + version)


def hammer(folder: Path, seed: int, max_bytes: int) -> tuple[int, int, list[str]]:
    """Ask 150 times for one of 12 results; how many were right, how many were computed, and all warnings."""
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    logging.getLogger("core.attribution.store").addHandler(handler)
    store, order = ExplanationStore(folder, max_bytes), np.random.default_rng(seed)
    num_right, computed = 0, []
    for version in order.integers(12, size=150).tolist():

        def compute(version: int = version) -> Attribution:
            computed.append(version)
            return attribution(expected_values(version))

        result = store.get_or_compute(key(version=version), Attribution, compute)
        num_right += np.array_equal(result.values, expected_values(version))
    return num_right, len(computed), records


def test_four_processes_with_one_folder(tmp_path, monkeypatch):
    # pages under test stand as the main script for a while, and processes would run it again
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    # room for about half of the twelve, so that entries are pushed out while others read them
    max_bytes = 6 * len(to_bytes(attribution(expected_values(6))))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(4, mp_context=context) as pool:
        answers = list(pool.map(hammer, [tmp_path] * 4, range(4), [max_bytes] * 4))
    assert [num_right for num_right, _, _ in answers] == [150] * 4
    assert [warnings for _, _, warnings in answers] == [[]] * 4
    # both ways were taken often
    assert all(20 < num_computed < 140 for _, num_computed, _ in answers)
    assert not list(tmp_path.glob(f"*{UNFINISHED_SUFFIX}"))
    assert 0 < ExplanationStore(tmp_path, max_bytes).num_bytes <= max_bytes


def test_threads_that_ask_for_one_entry_at_once(store):
    barrier, made = threading.Barrier(8, timeout=20), attribution(expected_values(0))

    def ask(_):
        barrier.wait()
        return [store.get_or_compute(key(), Attribution, lambda: made) for _ in range(10)]

    with ThreadPoolExecutor(8) as pool:
        for results in pool.map(ask, range(8)):
            for result in results:
                assert_same(result, made)
    assert_same(store.get(key(), Attribution), made)


def test_the_folder_follows_the_variables(monkeypatch, tmp_path):
    monkeypatch.setenv("DEEPMSI_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert cache_folder() == tmp_path / "explanations"
    monkeypatch.delenv("DEEPMSI_CACHE_DIR")
    assert cache_folder() == Path("/elsewhere/deepmsi/explanations")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "deepmsi" / "explanations"
