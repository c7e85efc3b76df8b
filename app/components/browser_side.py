"""The browser's side of a component: its files, and data that never go back to what was there before.

While Streamlit loads a component's code, more data may come, and it then calls the code for what came last
first. Without a check the page would show what is out of date for good: on a busy machine, a timeline that
says that explanations are being computed, long after they were. So everything that is sent is numbered.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import streamlit as st


def asset(component: str, name: str) -> str:
    """Text of `components/<component>/<name>`."""
    return (files(__package__) / component / name).read_text(encoding="utf-8")


def browser_side(name: str, *, html: str, js: tuple[str, ...], css: str | None = None) -> Callable[..., Any]:
    """Registers the component `name`, whose files lie in the folder of that name.

    Args:
        name: of the component.
        html: what it begins with.
        js: names of its scripts, of which one has `render(component)`: called with all that Streamlit gives a
            component, it may return what is called when that is over.
        css: name of its style sheet.

    Returns:
        What mounts it; takes `key`, `data` (plain JSON types) and Streamlit's callbacks.
    """
    scripts = [(files(__package__) / "in_order.js").read_text(encoding="utf-8")]
    scripts += [asset(name, script) for script in js]
    mount = st.components.v2.component(
        f"deepmsi.{name}", html=html, css=None if css is None else asset(name, css), js="".join(scripts)
    )

    def numbered(*, key: str, data: dict[str, Any], **callbacks) -> Any:
        return mount(key=key, data={**data, "number": _number(key, data)}, **callbacks)

    return numbered


def _number(key: str, data: dict[str, Any]) -> int:
    """Grows with whatever is sent, over sessions too; the same for the same, which needs no sending again."""
    digest = hashlib.blake2b(json.dumps(data).encode()).digest()
    place = f"component {key}"
    sent, number = st.session_state.get(place, (None, 0))
    if sent != digest:
        number = max(number + 1, time.time_ns() // 1_000_000)
        st.session_state[place] = digest, number
    return number
