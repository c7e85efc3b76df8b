import subprocess
import sys


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_torchvision_and_torchaudio_work_after_importing_core():
    # In a process of its own: what is under test happens at first import.
    out = run(
        "import core, torch, torchaudio, torchvision.transforms.v2 as T\n"
        "print(tuple(torchaudio.functional.resample(torch.zeros(1, 800), 8000, 16000).shape))\n"
        "print(tuple(T.functional.resize(torch.zeros(3, 8, 8), [4, 4]).shape))\n"
        "from core import _cpu_wheels\n"
        "print(sorted(_cpu_wheels.status), set(_cpu_wheels.status.values()) <= {'native', 'python-only'})"
    )
    assert out.splitlines() == ["(1, 1600)", "(3, 4, 4)", "['torchaudio', 'torchvision'] True"]


def test_importing_core_alone_loads_no_torch():
    out = run("import sys, core.labels, core.prediction\nprint('torch' in sys.modules)")
    assert out.strip() == "False"


def test_a_second_install_changes_nothing():
    out = run(
        "import sys, core\nn = len(sys.meta_path)\ncore._cpu_wheels.install()\nprint(len(sys.meta_path) - n)"
    )
    assert out.strip() == "0"
