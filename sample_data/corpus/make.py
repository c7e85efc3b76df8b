"""Making a whole corpus: in shards, by several processes, and from where it was left off.

A shard is a folder of clips of few speakers. A clip is whole once its sidecar is there, a shard once its
table is, the corpus once the table of all is: each appears in one step, so that a kill at any moment costs
no more than the clips then in work. A table counts only while the clips that it lists are there; what was
taken away is made again. What lies in a folder belongs to one plan, preset and version of the generator;
another is refused rather than mixed in.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from core.writing import replacing
from sample_data.corpus.claim import claimed
from sample_data.corpus.errors import CorpusError
from sample_data.corpus.plan import make_plan, plan_hash
from sample_data.corpus.presets import PRESETS, Preset
from sample_data.corpus.schema import SCHEMA_VERSION, ClipPlan, Sidecar, read_sidecar, sidecar_from_dict
from sample_data.corpus.voice_assets import voice_model
from sample_data.corpus.workers import run_tasks

CORPUS_FILE, TABLE_FILE, MANIFEST_FILE = "corpus.json", "corpus.parquet", "manifest.csv"
SHARD_TABLE = "shard.parquet"

CLIPS_PER_SHARD = 25
"""Clips in one folder, made by one process; which clips come out does not depend on it."""


@dataclass(frozen=True, kw_only=True)
class MakeConfig:
    """What to make, and where.

    Attributes:
        num_workers: processes; the clips do not depend on it.
        size / frames_per_second: in place of the preset's.
        num_clips: in place of the preset's number; of a balanced set the first ones, of others with the same
            shares.
        splits: make the clips of these alone; they are the same as in the whole corpus. All if empty.
    """

    out: Path
    preset: str
    seed: int
    num_workers: int = 1
    size: int | None = None
    frames_per_second: float | None = None
    num_clips: int | None = None
    splits: tuple[str, ...] = ()

    def resolved_preset(self) -> Preset:
        """The preset with what was chosen in its place.

        Raises:
            CorpusError: for a preset that does not exist or a size that no encoder takes.
        """
        if self.preset not in PRESETS:
            raise CorpusError(f"There is no preset {self.preset!r}; choose one of {', '.join(PRESETS)}.")
        if self.seed < 0:
            raise CorpusError(f"The seed {self.seed} is negative; choose 0 or more.")
        size = PRESETS[self.preset].size if self.size is None else self.size
        if size % 2 or not 32 <= size <= 1024:
            raise CorpusError(f"A picture of {size} px cannot be made; choose an even size from 32 to 1024.")
        rate = self.frames_per_second
        rate = PRESETS[self.preset].frames_per_second if rate is None else rate
        if not 5 <= rate <= 60:
            raise CorpusError(f"{rate:g} frames per second cannot be made; choose 5 to 60.")
        return replace(PRESETS[self.preset], size=size, frames_per_second=float(rate))


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Clips that one process makes into one folder, one after the other."""

    folder: Path
    plans: tuple[ClipPlan, ...]


Progress = Callable[[int, int, str], None]


def make_corpus(config: MakeConfig, progress: Progress = lambda done, total, text: None) -> Path:
    """Make a corpus, or what is still missing of it.

    Args:
        config: what and where.
        progress: told how many clips are done, of how many, and what is done now.

    Returns:
        The manifest, which `deepmsi train` reads.

    Raises:
        CorpusError: if the folder holds another corpus or is being written to by another run, a package is
            missing, or something cannot be written.
    """
    preset = config.resolved_preset()
    plans = make_plan(preset, config.seed, num_clips=config.num_clips)
    for split in config.splits:
        if all(plan.split != split for plan in plans):
            raise CorpusError(f"The preset {preset.name} has no clip of the split {split!r}; choose another.")
    if config.splits:
        plans = tuple(plan for plan in plans if plan.split in config.splits)
    with claimed(config.out, CORPUS_FILE, _description(config, preset, plans), what="clips"):
        table = config.out / TABLE_FILE
        if not (_is_sealed(table, config.out) and (config.out / MANIFEST_FILE).is_file()):
            table.unlink(missing_ok=True)
            shards = _shards(config.out, plans)
            _run(shards, preset, config.num_workers, progress)
            _finish(config.out, shards)
        progress(len(plans), len(plans), "")
    return config.out / MANIFEST_FILE


def read_corpus(folder: Path) -> list[tuple[Path, Sidecar]]:
    """Path and truth of every clip of a made corpus, in order of their names.

    Raises:
        CorpusError: if the folder holds no finished corpus.
    """
    folder = Path(folder)
    if not (folder / TABLE_FILE).is_file():
        raise CorpusError(
            f"{folder} holds no finished corpus (no {TABLE_FILE}); make it with `deepmsi corpus make`."
        )
    try:
        table = pyarrow.parquet.read_table(folder / TABLE_FILE, columns=["path", "truth"])
        return [
            (folder / row["path"], sidecar_from_dict(json.loads(row["truth"]))) for row in table.to_pylist()
        ]
    except (OSError, ValueError) as error:
        raise CorpusError(
            f"{folder / TABLE_FILE} is not the table of a made corpus ({error}); make the corpus again."
        ) from error


def manifest_row(sidecar: Sidecar, path: str) -> dict[str, object]:
    """The row of a clip in the generic manifest, with the factors that results are cut by."""
    plan = sidecar.plan
    shown = {"video": plan.video_emotion, "audio": plan.audio_emotion, "text": plan.text_emotion}
    return {
        "path": path,
        "label": plan.label,
        "transcript": sidecar.transcript,
        "speaker": plan.speaker.speaker_id,
        "split": plan.split,
        "scenario": plan.scenario,
        "cell": plan.cell,
        "informative": " ".join(plan.informative),
        "conflict": plan.conflict,
        "missing": plan.missing,
        # what is not in the file shows nothing
        **{f"{modality}_emotion": "" if modality == plan.missing else shown[modality] for modality in shown},
        "intensity": plan.intensity,
        "distractors": " ".join(distractor.kind for distractor in plan.distractors),
        "duration_seconds": round(sidecar.duration_seconds, 3),
    }


def _description(config: MakeConfig, preset: Preset, plans: tuple[ClipPlan, ...]) -> dict[str, Any]:
    """All that decides what lies in the folder, and in which shard."""
    settings = asdict(preset)
    return {
        "schema_version": SCHEMA_VERSION,
        "preset": settings.pop("name"),
        "seed": config.seed,
        "split": "+".join(sorted(set(config.splits))) or None,
        **settings,
        "num_clips": len(plans),
        "clips_per_shard": CLIPS_PER_SHARD,
        "plan_sha256": plan_hash(plans),
    }


def _is_sealed(table: Path, out: Path) -> bool:
    """Whether a table can be read, and every clip that it lists is there."""
    try:
        names = pyarrow.parquet.read_table(table, columns=["path"])["path"].to_pylist()
    except (OSError, ValueError):
        return False
    return all(path.is_file() and path.with_suffix(".json").is_file() for path in map(out.joinpath, names))


def _shards(out: Path, plans: tuple[ClipPlan, ...]) -> list[Shard]:
    """Clips sorted by speaker, so that a process builds few heads, and cut into shards."""
    ordered = sorted(plans, key=lambda plan: (plan.split, plan.speaker.speaker_id, plan.clip_id))
    return [
        Shard(folder=out / f"{number:03d}", plans=tuple(ordered[start : start + CLIPS_PER_SHARD]))
        for number, start in enumerate(range(0, len(ordered), CLIPS_PER_SHARD))
    ]


def _run(shards: list[Shard], preset: Preset, num_workers: int, progress: Progress) -> None:
    total = sum(len(shard.plans) for shard in shards)
    open_shards = [
        shard for shard in shards if not _is_sealed(shard.folder / SHARD_TABLE, shard.folder.parent)
    ]
    num_sealed = total - sum(len(shard.plans) for shard in open_shards)

    def tell() -> None:
        done = sum(1 for shard in open_shards for _ in shard.folder.glob("*.json"))
        progress(num_sealed + done, total, "")

    tell()
    if open_shards:
        # once, before the processes start, and not in silence
        voice_model(lambda text: progress(num_sealed, total, text))
        tasks = ((shard, preset) for shard in open_shards)
        run_tasks(_make_shard, tasks, min(num_workers, len(open_shards)), tell)


def _make_shard(shard: Shard, preset: Preset) -> None:
    """Make what a shard lacks, then its table."""
    from sample_data.corpus.clip import make_clip
    from sample_data.corpus.face import Head, sample_identity
    from sample_data.corpus.voice import Synthesiser

    shard.folder.mkdir(parents=True, exist_ok=True)
    voice, head, sidecars = None, None, []
    for plan in shard.plans:
        sidecar = _finished(shard.folder, plan)
        if sidecar is None:
            voice = voice or Synthesiser()
            if head is None or head.identity.seed != plan.speaker.identity_seed:
                head = Head(sample_identity(plan.speaker.identity_seed))
            # a sidecar whose clip was taken away must not vouch for a new one before that is whole
            (shard.folder / f"{plan.clip_id}.json").unlink(missing_ok=True)
            sidecar = make_clip(plan, preset, head, voice, shard.folder)
        sidecars.append(sidecar)
    rows = [
        manifest_row(sidecar, f"{shard.folder.name}/{sidecar.file}")
        | {"truth": json.dumps(sidecar.to_dict())}
        for sidecar in sidecars
    ]
    with replacing(shard.folder / SHARD_TABLE) as part:
        pyarrow.parquet.write_table(pa.Table.from_pylist(rows), part, compression="zstd")


def _finished(folder: Path, plan: ClipPlan) -> Sidecar | None:
    """The sidecar of a clip that an earlier run finished; anything less is made again."""
    path = folder / f"{plan.clip_id}.json"
    if not path.is_file():
        return None
    try:
        sidecar = read_sidecar(path)
    except ValueError:
        return None
    is_whole = sidecar.plan == plan and (folder / sidecar.file).is_file()
    return sidecar if is_whole else None


def _finish(out: Path, shards: list[Shard]) -> None:
    """One manifest and one table of all shards, in order of the clips' names; the table last, as the seal."""
    tables = [shard.folder / SHARD_TABLE for shard in shards]
    table = pa.concat_tables([pyarrow.parquet.read_table(path) for path in tables], promote_options="default")
    names = [Path(path).stem for path in table["path"].to_pylist()]
    table = table.take(sorted(range(len(names)), key=names.__getitem__))
    rows = table.drop_columns(["truth"]).to_pylist()
    with replacing(out / MANIFEST_FILE) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    with replacing(out / TABLE_FILE) as part:
        pyarrow.parquet.write_table(table, part, compression="zstd")
    for path in tables:
        path.unlink()
