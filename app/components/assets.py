"""Reads the front-end files that lie beside a component's Python."""

from importlib.resources import files


def asset(component: str, name: str) -> str:
    """Text of `components/<component>/<name>`."""
    return (files(__package__) / component / name).read_text(encoding="utf-8")
