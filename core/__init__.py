"""What the DeepMSI-MER model is and what it says about a clip."""

from core import _cpu_wheels

# before anything imports torchvision or torchaudio
_cpu_wheels.install()
