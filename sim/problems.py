"""Say what is wrong with an input in one line: file, key, value, what is allowed, and what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from sim.errors import Problem

_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "string": "a text",
    "bool": "true or false",
    "list": "a list",
    "dict": "a table",
    "model": "a table",
    "tuple": "a list",
}
_BOUNDS = {
    "greater_than": ("gt", "a number above {}"),
    "greater_than_equal": ("ge", "a number of at least {}"),
    "less_than": ("lt", "a number below {}"),
    "less_than_equal": ("le", "a number of at most {}"),
    "multiple_of": ("multiple_of", "a multiple of {}"),
    "too_short": ("min_length", "at least {} entries"),
    "too_long": ("max_length", "at most {} entries"),
    "string_too_short": ("min_length", "a text of at least {} characters"),
}


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """What was probably meant, as a phrase to append: `` (did you mean "dynamic"?)`` or an empty string."""
    close = difflib.get_close_matches(str(word), list(choices), n=1, cutoff=0.6)
    return f' (did you mean "{close[0]}"?)' if close else ""


def one_of(word: Any, choices: Iterable[str]) -> str:
    """The allowed choices as a phrase, with the one that was probably meant."""
    names = list(choices)
    return ", ".join(names) + did_you_mean(str(word), names)


def unknown(file: str, key: str, word: Any, choices: Iterable[str]) -> Problem:
    """The problem of a name that is none of the choices."""
    return Problem(file, key, word, one_of(word, choices))


def from_validation(
    error: ValidationError,
    model: type[BaseModel],
    given: Mapping[str, Any],
    *,
    file: str,
    prefix: str = "",
) -> list[Problem]:
    """Translate what pydantic found into our problems.

    Args:
        error: the validation error.
        model: the model that was validated, for the names of its fields.
        given: what was validated.
        file: the file it came from.
        prefix: dotted key of the table, empty at the top.
    """
    problems: dict[str, Problem] = {}
    for item in error.errors(include_url=False):
        location, kind = item["loc"], item["type"]
        here = dotted(location, given, missing=kind == "missing")
        key = ".".join(part for part in (prefix, here) if part)
        value = item["input"]
        if kind == "extra_forbidden":
            word = str(location[-1])
            allowed = f"no such key; {_keys(word, _field_names(model, location[:-1]))}"
        elif kind == "missing":
            value, allowed = None, f"this key must be given{_description(model, location)}"
        else:
            value, allowed = _shown(value), _allowed(kind, item.get("ctx", {}), item["msg"], value)
        if key in problems:  # each member of a union complains for itself
            before = problems[key].allowed
            allowed = before if allowed in before else f"{before}, or {allowed}"
        problems[key] = Problem(file, key, value, allowed)
    return list(problems.values())


def dotted(location: Iterable[int | str], given: Any, *, missing: bool = False) -> str:
    """A location as the dotted key of ``--set``.

    Entries of lists of tables go by their ``name``; names of types, which stand in a location where a union was tried,
    are left out.

    Args:
        location: keys and positions, as pydantic gives them.
        given: what was validated.
        missing: the last key is one that is not there.
    """
    parts: list[str] = []
    here = given
    path = list(location)
    for depth, part in enumerate(path):
        last = depth == len(path) - 1
        if isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
            name = here.get("name") if isinstance(here, Mapping) else None
            parts.append(name if isinstance(name, str) else str(part))
        elif isinstance(here, Mapping) and part in here:
            parts.append(str(part))
            here = here[part]
        elif isinstance(here, Mapping) and missing and last:
            parts.append(str(part))
    return ".".join(parts)


def _keys(word: str, siblings: list[str]) -> str:
    return f"keys here are {one_of(word, siblings)}" if siblings else "no keys here"


def _shown(value: Any) -> Any:
    return "a table" if isinstance(value, Mapping) else value


def _allowed(kind: str, context: Mapping[str, Any], message: str, value: Any) -> str:
    if kind in ("literal_error", "enum", "union_tag_invalid"):
        expected = str(context.get("expected") or context.get("expected_tags", ""))
        names = [name.strip().strip("'") for name in expected.replace(" or ", ", ").split(",")]
        return one_of(value, [name for name in names if name])
    if kind in _BOUNDS:
        name, phrase = _BOUNDS[kind]
        return phrase.format(f"{context[name]:g}" if isinstance(context[name], float) else context[name])
    if kind in ("finite_number",):
        return "a finite number"
    if kind == "int_from_float":
        return "a whole number"
    base, _, rest = kind.partition("_")
    if rest in ("type", "parsing") and base in _TYPES:
        return _TYPES[base]
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")


def _walk(model: type[BaseModel], location: Iterable[int | str]) -> type[BaseModel] | None:
    """The model that stands at a location, as far as annotations tell."""
    current: type[BaseModel] = model
    for part in location:
        if isinstance(part, int):
            continue
        if part not in current.model_fields:
            return None
        members = list(_models(current.model_fields[part].annotation))
        if len(members) != 1:
            return None
        current = members[0]
    return current


def _models(annotation: Any) -> Iterable[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models(part)


def _field_names(model: type[BaseModel], location: Iterable[int | str]) -> list[str]:
    found = _walk(model, location)
    return list(found.model_fields) if found is not None else []


def _description(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    owner = _walk(model, location[:-1])
    field = owner.model_fields.get(str(location[-1])) if owner is not None else None
    return f" ({field.description})" if field is not None and field.description else ""
