"""What every test shares: no network, few threads, and the project's own packages imported first."""

import os

# before anything imports torch or transformers
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "false")

import torch

import core  # noqa: F401  prepares torchvision, before a test imports what needs it (timm)

# tests side by side share the cores
NUM_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
torch.set_num_threads(max(1, min(2, os.cpu_count() or 1) // NUM_WORKERS))
