"""A decoder that breaks, to be put in the place of the reader's; whatever it is given."""

import os
import time


def crash(*_: object) -> None:
    os.abort()


def hang(*_: object) -> None:
    time.sleep(3600)


def flood(*_: object) -> None:
    bytes(1 << 40)
