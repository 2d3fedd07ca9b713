"""Rewrite the tables of the reference pages from the models that validate input, so that they cannot disagree.

    python docs/generate.py            rewrite
    python docs/generate.py --check    exit code 1 if a page is out of date

A page marks its tables by comments: ``<!-- table: X -->`` begins one, ``<!-- end -->`` ends it, where X is a model as
``module:Model``, or ``agents``, ``facts``, ``families``, ``marks``, ``regimes`` or ``measures``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WORDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true, false",
    "null": "nothing",
}
SHARED = ("oracle", "activity")  # tables of their own on the page
FAMILIES = (
    "static", "tiers", "cross", "isolated", "volatility", "procyclicality", "portfolio", "span", "tims", "historical",
    "crypto_portfolio", "options", "credit", "addons", "dynamic_initial",
)  # fmt: skip  # from plain to composed
MARKED = re.compile(r"(<!-- table: (?P<what>\S+) -->)\n.*?(<!-- end -->)", re.S)


def model_table(model: Any, skip: Iterable[str] = ()) -> str:
    """The keys of a model as a Markdown table: key, what is allowed, default, meaning."""
    schema = model.model_json_schema()
    required = set(schema.get("required", ()))
    rows = ["| key | allowed | default | meaning |", "|---|---|---|---|"]
    for name, field in schema.get("properties", {}).items():
        if name in skip or "const" in field:
            continue
        default = "*required*" if name in required else _code(field.get("default"))
        meaning = field.get("description") or _first_line(_resolved(field, schema).get("description", ""))
        field = {**_limits(model.model_fields.get(name)), **field}
        rows.append(f"| `{name}` | {_allowed(field, schema)} | {default} | {_cell(meaning)} |")
    return "\n".join(rows)


def agents_text() -> str:
    """Every kind of trader with its parameters; those that all kinds share are given once."""
    import agents
    from agents.columns import PopulationParams
    from agents.registry import parameters

    shared = PopulationParams.model_fields
    parts = ["Shared by all kinds:", "", model_table(PopulationParams)]
    for kind, line in agents.kinds().items():
        parts += ["", f"### {kind}", "", f"{line[:1].upper()}{line[1:].rstrip('.')}.", ""]
        own = parameters(kind)
        changed = [n for n, f in own.model_fields.items() if n in shared and f.default == shared[n].default]
        parts.append(model_table(own, skip=changed))
    return "\n".join(parts)


def regimes_text() -> str:
    """Every built-in regime with its own settings, then the parameters that each group of regimes takes."""
    import margin

    parts = ["| regime | what it is | its own settings | source |", "|---|---|---|---|"]
    groups: dict[str, list[str]] = {}
    for name, preset in margin.presets().items():
        settings = _code(preset.params) if preset.params else ""
        source = _cell(preset.source).rstrip(".")
        parts.append(f"| `{name}` | {_cell(preset.summary)} | {settings} | {source} ({preset.date}) |")
        groups.setdefault(model_table(margin.params_model(name)), []).append(name)
    for keys, names in groups.items():
        parts += ["", f"Parameters of {', '.join(f'`{name}`' for name in names)}:", "", keys]
    return "\n".join(parts)


def families_text() -> str:
    """The families of regimes, each with its page and its regimes."""
    import margin

    families: dict[str, list[str]] = {}
    for name, preset in margin.presets().items():
        families.setdefault(preset.family, []).append(f"`{name}`: {_cell(preset.summary)}")
    order = {name: place for place, name in enumerate(FAMILIES)}
    rows = ["| family | regimes |", "|---|---|"]
    for family in sorted(families, key=lambda name: order.get(name, len(order))):
        rows.append(f"| [{family}](regimes/{family}.md) | {'<br>'.join(families[family])} |")
    return "\n".join(rows)


def marks_text() -> str:
    """Every mark rule in words."""
    from sim.marks import RULES

    rows = ["| `clearing.mark` | mark price | feedback | published by |", "|---|---|---|---|"]
    rows += [f"| `{name}` | {rule.price} | {rule.feedback} | {rule.source} |" for name, rule in RULES.items()]
    return "\n".join(rows)


def measures_text() -> str:
    """Every measure: name, unit, definition."""
    from experiments.vocabulary import FAMILIES, MEASURES

    units = {"fraction": "fraction", "bp": "basis points", "money": "minor units", "count": "count", "lots": "lots"}
    rows = ["| name | unit | family | definition |", "|---|---|---|---|"]
    for measure in MEASURES.values():
        unit = units.get(measure.kind, "number")
        rows.append(f"| `{measure.name}` | {unit} | {FAMILIES[measure.family]} | {_cell(measure.definition)} |")
    return "\n".join(rows)


def facts_text() -> str:
    """Every stylised fact: empirical range, what the range rests on."""
    from experiments.facts.catalogue import FACTS
    from experiments.facts.sheet import range_text

    rows = ["| name | what | empirical range | source | note |", "|---|---|---|---|---|"]
    for fact in FACTS:
        low, high = (None if abs(bound) == float("inf") else bound for bound in (fact.low, fact.high))
        bounds = range_text({"low": low, "high": high}) or "reported only"
        what = f"{fact.what} ({fact.unit})" if fact.unit else fact.what
        rows.append(f"| `{fact.name}` | {_cell(what)} | {bounds} | {_cell(fact.source)} | {_cell(fact.note)} |")
    return "\n".join(rows)


def table(what: str) -> str:
    """The text for a mark."""
    named = {
        "agents": agents_text, "families": families_text, "marks": marks_text, "regimes": regimes_text,
        "measures": measures_text, "facts": facts_text,
    }  # fmt: skip
    if what in named:
        return named[what]()
    module, _, model = what.partition(":")
    return model_table(getattr(import_module(module), model), skip=SHARED if model.endswith("World") else ())


def rewritten(text: str) -> str:
    """A page with its tables as the models are now."""
    return MARKED.sub(lambda found: f"{found[1]}\n\n{table(found['what'])}\n\n{found[3]}", text)


def _limits(field: Any) -> dict[str, Any]:
    """Bounds that a field's annotation has beside its schema."""
    names = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
    found = {}
    for constraint in getattr(field, "metadata", ()):
        for short, long in names.items():
            if getattr(constraint, short, None) is not None:
                found[long] = getattr(constraint, short)
    return found


def _resolved(field: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = field.get("$ref", "")
    return schema["$defs"][reference.rsplit("/", 1)[-1]] if reference else field


def _allowed(field: dict[str, Any], schema: dict[str, Any]) -> str:
    field = _resolved(field, schema)
    if "anyOf" in field or "oneOf" in field:
        options = [_allowed(option, schema) for option in field.get("anyOf", field.get("oneOf", ()))]
        narrow = ("whole number",) if any(option.startswith("number") for option in options) else ()
        kept = [option for option in options if option != "nothing" and not option.startswith(narrow)]
        return " or ".join(dict.fromkeys(kept))
    if "enum" in field:
        return ", ".join(_code(value) for value in field["enum"])
    if "const" in field:
        return _code(field["const"])
    kind = field.get("type", "any")
    if kind == "array":
        return f"list of {_allowed(field.get('items', {}), schema)}"
    return f"{WORDS.get(kind, 'table')}{_bounds(field)}"


def _bounds(field: dict[str, Any]) -> str:
    low, high = field.get("minimum"), field.get("maximum")
    above, below = field.get("exclusiveMinimum"), field.get("exclusiveMaximum")
    parts = []
    if above is not None:
        parts.append(f"&gt; {above:g}")
    if low is not None:
        parts.append(f"&ge; {low:g}")
    if below is not None:
        parts.append(f"&lt; {below:g}")
    if high is not None:
        parts.append(f"&le; {high:,}")
    return f" {', '.join(parts)}" if parts else ""


def _code(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"`{key} = {json.dumps(item)}`" for key, item in value.items())
    return f"`{json.dumps(value)}`"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0]


def main() -> int:
    """Rewrite the pages, or check them."""
    stale = []
    for page in sorted(HERE.glob("**/*.md")):
        text = page.read_text(encoding="utf-8")
        fresh = rewritten(text)
        if fresh != text:
            stale.append(page.name)
            if "--check" not in sys.argv[1:]:
                page.write_text(fresh, encoding="utf-8")
    if stale and "--check" in sys.argv[1:]:
        print(f"out of date: {', '.join(stale)}; run python docs/generate.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
