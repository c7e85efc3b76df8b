"""Nothing that the project uses reports its use to anybody."""

import os
import subprocess
import sys


def test_onnxruntime_neither_marks_this_machine_nor_reports(tmp_path):
    """Left alone it writes an identifier of the machine when it is imported, and sends it a little later."""
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    environment.pop("XDG_CACHE_HOME", None)
    code = "from core.media.faces import FaceDetector; FaceDetector()"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
