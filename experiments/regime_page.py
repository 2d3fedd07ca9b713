"""What ``marginlab regimes`` says: the regimes by family, and one of them in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import margin
from margin.registry import Preset

PLUGIN = "plug-in"


def families() -> dict[str, dict[str, str]]:
    """Summaries of all regimes by family and name. Imports no rule."""
    found: dict[str, dict[str, str]] = {}
    presets = margin.presets()
    for name, summary in margin.regimes().items():
        family = _family(presets[name]) if name in presets else PLUGIN
        found.setdefault(family, {})[name] = summary
    own = found.pop(PLUGIN, None)
    return dict(sorted(found.items())) | ({PLUGIN: own} if own else {})


def _family(preset: Preset) -> str:
    return preset.family or {"isolated": "isolated", "scenarios": "portfolio"}.get(preset.netting, preset.rates)


def listing(by_family: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Lines of the list, family by family."""
    width = max((len(name) for names in by_family.values() for name in names), default=0)
    for family, names in by_family.items():
        yield f"{family}:"
        for name, summary in names.items():
            yield f"  {name:<{width}}  {summary}"


def explanation(name: str) -> dict[str, Any]:
    """One regime in full: summary, formula, how it is composed, parameters, source, date, documentation page.

    Args:
        name: a registered regime.
    """
    preset = margin.presets().get(name)
    model: Any = margin.params_model(name)
    given = preset.params if preset else {}
    schema = model.model_json_schema() if model is not None else {}
    fields = getattr(model, "model_fields", {})
    parameters = {}
    for key, described in schema.get("properties", {}).items():
        field = fields[key]
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        parameters[key] = {
            "value": given.get(key, default),
            "required": field.is_required() and key not in given,
            "description": field.description or "",
            "allowed": allowed(described, schema),
        }
    found: dict[str, Any] = {"name": name, "summary": margin.regimes()[name]}
    if preset is None:
        found |= {"family": PLUGIN, "formula": "", "composition": "a rule that a plug-in registered"}
        found |= {"source": "", "date": "", "page": ""}
    else:
        family = _family(preset)
        found |= {"family": family, "formula": preset.formula.strip(), "composition": composition(preset)}
        found |= {"source": preset.source.strip(), "date": preset.date, "page": f"docs/regimes/{family}.md"}
    return found | {"parameters": parameters}


def composition(preset: Preset) -> str:
    """Of what a preset is made."""
    if preset.rule:
        doc = (preset.rule_class().__doc__ or "").strip().split("\n", maxsplit=1)[0]
        return f"rule {preset.rule}" + (f": {doc}" if doc else "")
    overlays = ("stress_weight", "buffer", "floor", "floor_volatility", "speed_limit", "cap")
    on = [key for key in overlays if preset.params.get(key)]
    return f"rates: {preset.rates}; netting: {preset.netting}; overlays: {', '.join(on) or 'none'}"


def page(found: Mapping[str, Any]) -> Iterator[str]:
    """Lines of one regime in full."""
    yield f"{found['name']}: {found['summary']}"
    for key in ("family", "formula", "composition", "source", "date", "page"):
        lines = str(found[key]).splitlines()
        if lines:
            yield f"  {key + ':':<12} {lines[0]}"
            yield from (f"  {'':<12} {line.strip()}" for line in lines[1:])
    parameters = found["parameters"]
    if not parameters:
        return
    yield "  parameters:"
    width = max(len(key) for key in parameters)
    for key, entry in parameters.items():
        value = "required" if entry["required"] else "" if entry["value"] is None else f"= {entry['value']}"
        yield f"    {key:<{width}}  {value:<14}  {entry['description']} [{entry['allowed']}]".rstrip()


def allowed(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What a parameter may be, in words, from its JSON schema."""
    reference = field.get("$ref", "")
    if reference:
        field = schema["$defs"][reference.rsplit("/", 1)[-1]]
    options = field.get("anyOf") or field.get("oneOf")
    if options:
        return " or ".join(dict.fromkeys(text for text in (allowed(one, schema) for one in options) if text))
    if "enum" in field:
        return ", ".join(str(value) for value in field["enum"])
    if "const" in field:
        return str(field["const"])
    kind = field.get("type", "")
    if kind == "null":
        return ""
    if kind == "array":
        return f"list of {allowed(field.get('items', {}), schema) or 'values'}"
    if kind == "object" and isinstance(field.get("additionalProperties"), dict):
        return f"table by name of {allowed(field['additionalProperties'], schema)}"
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "true or false"}
    bounds = [
        f"{sign} {field[key]:g}"
        for key, sign in (("minimum", ">="), ("exclusiveMinimum", ">"), ("maximum", "<="), ("exclusiveMaximum", "<"))
        if key in field
    ]
    return " ".join([words.get(kind, "table"), " and ".join(bounds)]).strip()
