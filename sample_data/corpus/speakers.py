"""The made people: faces and voices, every one of them in one split only.

The voice tables are divided among the splits *before* they are blended into speakers, so that no split ever
hears a voice, nor a part of one, that another split knows.
"""

from __future__ import annotations

from functools import cache

from sample_data.corpus.face import sample_identity
from sample_data.corpus.randomness import counts_by_share, stream
from sample_data.corpus.schema import SPLITS, Speaker
from sample_data.corpus.voice_assets import voice_sexes

NUM_SPEAKERS = 200
SPLIT_SHARES = dict(zip(SPLITS, (0.8, 0.1, 0.1), strict=True))
FACE_BLOCKS = ("train", "dev", "test", "stills")
"""Faces of one kind have seeds of a block of their own, so that no two kinds share a face."""
_BLOCK = 100_000


def identity_seed(seed: int, block: str, number: int) -> int:
    """The seed of a face: `number` of one of `FACE_BLOCKS` in the corpus of `seed`."""
    if not 0 <= number < _BLOCK:
        raise ValueError(f"there is no face {number}: a block holds {_BLOCK}")
    return (seed * len(FACE_BLOCKS) + FACE_BLOCKS.index(block)) * _BLOCK + number


@cache
def make_speakers(seed: int, num_speakers: int = NUM_SPEAKERS) -> tuple[Speaker, ...]:
    """The speakers of a corpus, split by split.

    Each sex takes the voices of its split in turn; once all have been taken, two are blended.
    """
    voices = _voices_by_split()
    speakers = []
    for split, count in counts_by_share(num_speakers, SPLIT_SHARES).items():
        num_of_sex = {"female": 0, "male": 0}
        for number in range(count):
            # people of two corpora are different people
            speaker_id = f"{split[:2]}{number:03d}-{seed}"
            mix, formant, expressivity, second = (
                stream(seed, f"{name} of {speaker_id}")
                for name in ("voice mix", "formant", "expressivity", "second voice")
            )
            identity = sample_identity(identity_seed(seed, split, number))
            own = voices[split][identity.sex]
            turn = num_of_sex[identity.sex]
            num_of_sex[identity.sex] += 1
            chosen = [own[turn % len(own)]]
            if turn >= len(own):
                others = [voice for voice in own if voice != chosen[0]]
                chosen.append(others[second.integers(len(others))])
            speakers.append(
                Speaker(
                    speaker_id=speaker_id,
                    split=split,
                    identity_seed=identity.seed,
                    sex=identity.sex,
                    age=round(identity.age, 2),
                    hair=identity.hair_style,
                    has_glasses=identity.glasses is not None,
                    voices=tuple(chosen),
                    voice_mix=round(float(mix.uniform(0.3, 0.7)), 2) if len(chosen) > 1 else 0.0,
                    formant=round(float(formant.uniform(0.96, 1.05)), 3),
                    expressivity=round(float(expressivity.uniform(0.85, 1.1)), 3),
                )
            )
    return tuple(speakers)


def _voices_by_split() -> dict[str, dict[str, list[str]]]:
    """Voice tables per split and sex, the same for every seed; each split has at least three of each sex."""
    pools: dict[str, dict[str, list[str]]] = {split: {} for split in SPLITS}
    sexes = voice_sexes()
    for sex in ("female", "male"):
        names = sorted(name for name, of_sex in sexes.items() if of_sex == sex)
        stream(0, f"voices {sex}").shuffle(names)
        counts = counts_by_share(len(names), SPLIT_SHARES)
        for split in ("dev", "test"):
            size = max(3, counts[split])
            pools[split][sex], names = names[:size], names[size:]
        pools["train"][sex] = names
    return pools
