"""What the DeepMSI-MER model is and what it says about a clip."""

import os

from core import _cpu_wheels

# left alone, onnxruntime tells its maker of every machine that imports it; it looks here when it is imported
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# before anything imports torchvision or torchaudio
_cpu_wheels.install()
