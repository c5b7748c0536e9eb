"""Whether values fit the fields of a sensor's type: what does not is stored nowhere, and the same for every reading."""

from __future__ import annotations

import difflib
from typing import Any, Mapping

INT64 = range(-(2**63), 2**63)


def checked(given: Mapping[str, Any], sensor_type: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """Every field of the type, in its order, with its value; None where there is none.

    Raises `ValueError` for a field that the type does not have, for a value of another type, and where there is no
    value at all.
    """
    for name in given:
        if name not in fields:
            raise ValueError(f"type '{sensor_type}' has no field '{str(name)[:80]}'{did_you_mean(name, fields)}")
    values = {name: _value(name, given.get(name), field_type) for name, field_type in fields.items()}
    if all(value is None for value in values.values()):
        raise ValueError("there is no value in it")
    return values


def did_you_mean(name: Any, known: Mapping[str, Any]) -> str:
    """` (did you mean 'lux'?)` where one of the known names is near, else nothing."""
    near = difflib.get_close_matches(str(name)[:80], known, 1)
    return f" (did you mean '{near[0]}'?)" if near else ""


def _value(name: str, value: Any, field_type: str) -> Any:
    if value is None:
        return None
    if isinstance(value, bool):
        fits = field_type == "bool"
    elif isinstance(value, int):
        if field_type == "float":
            # So that a field of type float is a float whether or not the driver wrote a decimal point.
            return _finite(name, value)
        fits = field_type == "int" and value in INT64
    elif isinstance(value, float):
        if field_type == "float":
            return _finite(name, value)
        fits = False
    else:
        fits = field_type == "string" and isinstance(value, str) and _is_text(value)
    if not fits:
        raise ValueError(f"field '{name}' must be of type {field_type}, not {_description(value)}")
    return value


def _description(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"the whole number {value}" if value in INT64 else "a whole number beyond 64 bits"
    if isinstance(value, float):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text '{value[:40]}'" if _is_text(value) else "text with a character that cannot be stored"
    return f"of Python's type {type(value).__name__}"


def _is_text(value: str) -> bool:
    # JSON can say half of a surrogate pair, which is no character: printing it would raise.
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    # The database has no text with NUL in it.
    return "\0" not in value


def _finite(name: str, value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if number != number or number in (float("inf"), float("-inf")):
        raise ValueError(f"field '{name}' is {number}, which cannot be stored: leave it out, or give None")
    return number
