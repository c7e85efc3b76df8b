"""How the app is started: the one place that knows Streamlit's command line.

Theme and settings lie in `.streamlit/config.toml` beside `main.py`, where Streamlit finds them from any
working directory; only what the caller chooses is passed as flags.
"""

import os
import socket
from contextlib import suppress
from pathlib import Path

from core.cores import usable_cores

MAIN = Path(__file__).resolve().parent / "main.py"
CHECKPOINT_VARIABLE = "DEEPMSI_CHECKPOINT"
"""Environment variable by which `environment` tells the app of a checkpoint outside the shipped ones."""

HOSTS_VARIABLE = "STREAMLIT_SERVER_ALLOWED_HOSTS"
"""Environment variable that names the hosts by which the app may be called, with blanks between them."""

FIRST_PORT = 8501
"""Streamlit's own."""


def free_port(address: str | None = None) -> int:
    """The first port from `FIRST_PORT` on that nothing listens on, or else any.

    Args:
        address: to listen on; localhost if None.
    """
    host = address or "localhost"
    for wanted in (*range(FIRST_PORT, FIRST_PORT + 100), 0):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe, suppress(OSError):
            probe.bind((host, wanted))
            return probe.getsockname()[1]
    return FIRST_PORT  # the address is none of this machine's: the server will say so


def streamlit_arguments(*, port: int, address: str | None = None, open_browser: bool = True) -> list[str]:
    """Arguments after `python -m streamlit`.

    Args:
        port: to listen on.
        address: None listens on localhost alone, and is called by no other name unless `HOSTS_VARIABLE` says
            so.
        open_browser: whether a browser window opens once the server listens.
    """
    arguments = ["run", str(MAIN), "--server.headless", "false" if open_browser else "true"]
    arguments += ["--server.port", str(port)]
    if address is not None:
        arguments += ["--server.address", address]
        if not os.environ.get(HOSTS_VARIABLE):
            # by whatever name others know this machine
            arguments += ["--server.allowedHosts", "*"]
    return arguments


def environment(checkpoint: Path | None = None) -> dict[str, str]:
    """This process's environment plus what the app needs; `checkpoint` is a folder, opened first."""
    # Spinning OpenMP threads make a forward pass 5 to 10 times slower on a busy machine.
    # One desk serves all sessions: it has the cores that there are, not those of a machine that is shared.
    values = {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": str(usable_cores()), **os.environ}
    if checkpoint is not None:
        values[CHECKPOINT_VARIABLE] = str(Path(checkpoint).resolve())
    return values
