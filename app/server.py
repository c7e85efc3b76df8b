"""Streamlit's server as `deepmsi app` runs it: one that ends in good order, and asks nobody anything.

Streamlit does so when it is asked to (SIGTERM) or interrupted (Ctrl-C), and what it started ends with it.
Hung up, as when its terminal is closed, it would be gone at once, and a training run that it began would
go on unseen. And where a page of another origin calls, Streamlit asks a server on the internet under which
address this machine is seen from there. The arguments are those of `python -m streamlit`.
"""

import os
import signal

from streamlit import net_util
from streamlit.web.cli import main


def hang_up(*_: object) -> None:
    """Ends the server as SIGTERM does; its last words go nowhere, for writing to a closed terminal fails."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    signal.raise_signal(signal.SIGTERM)


def no_address() -> None:
    """In place of Streamlit's question to the internet; the origins that may call are settings."""


if __name__ == "__main__":
    net_util.get_external_ip = no_address
    # nohup wants it to outlive the terminal
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, hang_up)
    main(prog_name="streamlit")
