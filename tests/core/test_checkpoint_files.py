"""What a checkpoint's files tell is known without a network, and without what networks are made of."""

import subprocess
import sys

from core.checkpoint_files import checkpoint_hash, read_card, read_config, read_metrics
from core.shipped import default_checkpoint


def test_it_is_read_without_torch():
    script = (
        "import sys; from pathlib import Path\n"
        "from core.checkpoint_files import checkpoint_hash, read_card, read_config, read_metrics\n"
        "folder = Path(sys.argv[1])\n"
        "config, info = read_config(folder)\n"
        "print(config.preset, info.seed, len(read_metrics(folder)), len(read_card(folder)))\n"
        "print(checkpoint_hash(folder), 'torch' in sys.modules)"
    )
    folder = default_checkpoint()
    command = [sys.executable, "-c", script, str(folder)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    config, info = read_config(folder)
    lengths = str(len(read_metrics(folder))), str(len(read_card(folder)))
    assert told == [config.preset, str(info.seed), *lengths, checkpoint_hash(folder), "False"]


def test_what_is_not_there_says_nothing(tmp_path):
    assert read_metrics(tmp_path) == {} and read_card(tmp_path) == ""
