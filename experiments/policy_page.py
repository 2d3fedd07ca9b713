"""What ``marginlab policies`` says: the named liquidation policies, and one of them in full."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from experiments.regime_page import allowed
from sim.liquidation import POLICIES, parameters
from sim.policy_parameters import PolicyParameters


def summaries() -> dict[str, dict[str, Any]]:
    """Every named policy: summary, source, forced limits it rests on, parameters that differ from the plainest one."""
    return {name: _about(name) | {"parameters": changed(name)} for name in POLICIES}


def changed(name: str) -> dict[str, Any]:
    """The parameters in which a named policy differs from ``full``."""
    rule, plain = POLICIES[name], POLICIES["full"]
    return {key: getattr(rule, key) for key in parameters() if getattr(rule, key) != getattr(plain, key)}


def listing(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Lines of the list: name, parameters, summary and source of each."""
    width = max(len(name) for name in found)
    for name, entry in found.items():
        yield f"{name:<{width}}  {entry['summary']}"
        settings = [f"{key}={_text(value)}" for key, value in entry["parameters"].items()]
        settings += [f"needs forced_limit {' or '.join(entry['forced_limits'])}"] if entry["forced_limits"] else []
        if settings:
            yield f"{'':<{width}}    {', '.join(settings)}"
        yield f"{'':<{width}}    source: {entry['source']}"


def explanation(name: str) -> dict[str, Any]:
    """One policy in full: what it is, and every parameter with value, bounds and meaning."""
    schema = PolicyParameters.model_json_schema()
    table = {}
    for key in parameters():
        described = schema["properties"][key]
        table[key] = {
            "value": getattr(POLICIES[name], key),
            "description": PolicyParameters.model_fields[key].description or "",
            "allowed": allowed(described, schema),
        }
    return {"name": name} | _about(name) | {"page": "docs/liquidation.md", "parameters": table}


def page(found: Mapping[str, Any]) -> Iterator[str]:
    """Lines of one policy in full; parameters of auctions only where it holds one."""
    yield f"{found['name']}: {found['summary']}"
    yield f"  source: {found['source']}"
    if found["forced_limits"]:
        yield f"  clearing.forced_limit must be {' or '.join(found['forced_limits'])}"
    yield f"  page:   {found['page']}"
    yield "  parameters ([clearing.policy]):"
    rows = found["parameters"]
    width = max(len(key) for key in rows)
    auctions = rows["auction"]["value"] != "none"
    for key, row in rows.items():
        if auctions or not key.startswith("auction_"):
            value = f"= {_text(row['value'])}"
            yield f"    {key:<{width}}  {value:<16}  {row['description']} [{row['allowed']}]"


def _about(name: str) -> dict[str, Any]:
    rule = POLICIES[name]
    return {"summary": rule.summary, "source": rule.source, "forced_limits": list(rule.limits)}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.12g}" if isinstance(value, float) else str(value)
