"""One job in a process of its own, which tells at its end how much memory it held (see `parts.memory`).

python -m training.speed.alone PRESET THREADS JOB CLIP CHECKPOINT
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path


def main(preset: str, threads: str, job: str, clip: str, checkpoint: str) -> None:
    """Do the job and print the peaks in MiB, after loading and at the end."""
    import torch

    from core.media import open_clip
    from core.predict import Predictor
    from training.speed import networks
    from training.speed.clips import WORDS

    torch.set_num_threads(int(threads))
    found = networks.checkpoint_of(preset, Path(checkpoint) if checkpoint else None)
    loaded = peak_mib()
    if job == "predict":
        Predictor(found).predict_clip(open_clip(clip, transcript=WORDS))
    if job == "plain":
        video = found.config.video
        shown, waveform = networks.decode_everything(Path(clip))
        frames = networks.middle(networks.evenly(shown, video.num_kept_frames), video.image_size)
        audio, text = found.model.audio.encode([waveform]), found.model.text.encode([WORDS])
        networks.plain_answer(found.model, networks.plain_encoder(video), frames, audio, text)
    print(loaded, peak_mib())


def peak_mib() -> float:
    """The most memory that this process has held."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        # here a process that was split off counts what its parent had held
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (2**20 if sys.platform == "darwin" else 2**10)
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10


if __name__ == "__main__":
    main(*sys.argv[1:])
