"""Dataclasses from what JSON knows, strictly: unknown and missing keys and wrong types are told by name."""

from __future__ import annotations

import dataclasses
import types
import typing
from pathlib import Path


def dataclass_from_dict(cls: type, values: dict, where: str):
    """A dataclass, nested ones included, from plain JSON types.

    Args:
        cls: the dataclass.
        values: by name of field; what is left out keeps its default.
        where: what an error calls the whole.

    Raises:
        ValueError: naming every unknown or every missing key, or the first value of a wrong type.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{where} should be an object with named values, not {type(values).__name__}")
    hints = typing.get_type_hints(cls)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ValueError(f"{where} has unknown keys: {', '.join(unknown)}")
    missing = [
        field.name
        for field in dataclasses.fields(cls)
        if field.default is field.default_factory is dataclasses.MISSING and field.name not in values
    ]
    if missing:
        raise ValueError(f"{where} lacks {', '.join(missing)}")
    return cls(**{key: _convert(hints[key], value, f"{where}.{key}") for key, value in values.items()})


def _convert(hint, value, where: str):
    if dataclasses.is_dataclass(hint):
        return dataclass_from_dict(hint, value, where)
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is types.UnionType:
        if value is None and type(None) in args:
            return None
        return _convert(next(arg for arg in args if arg is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ValueError(f"{where} should be a list")
        inner = args[:1] * len(value) if args[-1] is Ellipsis else args
        if len(inner) != len(value):
            raise ValueError(f"{where} should hold {len(inner)} values, not {len(value)}")
        return tuple(_convert(arg, item, where) for arg, item in zip(inner, value, strict=True))
    if origin is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{where} should be an object")
        try:
            # JSON knows no other keys than text
            keys = [args[0](key) for key in value]
        except ValueError as error:
            raise ValueError(f"{where} should have keys of type {args[0].__name__} ({error})") from error
        return {
            key: _convert(args[1], item, f"{where}.{key}")
            for key, item in zip(keys, value.values(), strict=True)
        }
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError as error:
            # JSON knows whole numbers of any length
            raise ValueError(f"{where} should be a number of usual size ({error})") from error
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ValueError(f"{where} should be {hint.__name__}, not {value!r}")
    return value
