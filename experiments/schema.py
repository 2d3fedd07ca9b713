"""JSON schema of scenario and portfolio files, so that editors complete and check them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, TypeAdapter

import agents
import margin
from experiments import inheritance
from experiments.events import EventSpec
from experiments.scenario import SECTIONS, TABLES
from experiments.sections import ChainSection, ContractSection
from sim.world import WorldConfig

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCES = "#/$defs/{model}"
_EXTENDS = {"type": "string", "description": "a built-in scenario or a TOML file of which this one states changes"}
_REQUIRED = ("contracts", "world", "clearing", "populations")


def scenario_schema() -> dict[str, Any]:
    """The schema of a scenario file, with the kinds of traders and the margin regimes that are registered now."""
    definitions: dict[str, Any] = {}
    properties: dict[str, Any] = {name: _collected(model, definitions) for name, model in TABLES.items()}
    properties["contracts"] = _list_of(_collected(ContractSection, definitions))
    properties["chains"] = _list_of(_collected(ChainSection, definitions))
    properties["world"] = _collected(WorldConfig, definitions)
    properties["events"] = _list_of(_collected(EventSpec, definitions))
    properties["populations"] = _list_of({"oneOf": [_population(kind, definitions) for kind in agents.kinds()]})
    _margin(definitions)
    return {
        "$schema": DIALECT,
        "title": "MarginLab scenario",
        "type": "object",
        "additionalProperties": False,
        "anyOf": [{"required": list(_REQUIRED)}, {"required": [inheritance.KEY]}],
        "properties": {inheritance.KEY: _EXTENDS} | {name: properties[name] for name in SECTIONS},
        "$defs": definitions,
    }


def portfolio_schema() -> dict[str, Any]:
    """The schema of a portfolio file, with the parameters of the margin regimes that are registered now."""
    from margin.portfolio import Portfolio

    definitions: dict[str, Any] = {}
    schema = _collected(Portfolio, definitions)
    _margin(definitions)
    return {"$schema": DIALECT} | schema | {"title": "MarginLab portfolio", "$defs": definitions}


def _list_of(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _collected(model: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a model, its parts moved among the definitions."""
    schema = TypeAdapter(model).json_schema(ref_template=_REFERENCES)
    definitions.update(schema.pop("$defs", {}))
    return schema


def _population(kind: str, definitions: dict[str, Any]) -> dict[str, Any]:
    schema = _collected(agents.parameters(kind), definitions)
    name = {"type": "string", "description": "unique in the market; the kind if left out"}
    schema["properties"] = {"kind": {"const": kind}, "name": name, **schema.get("properties", {})}
    schema["required"] = ["kind", *schema.get("required", [])]
    schema["title"] = kind
    schema["description"] = agents.kinds()[kind]
    return schema


def _margin(definitions: dict[str, Any]) -> None:
    """Parameters of every regime, as definitions ``margin.NAME``: which one holds depends on the regime."""
    for name, summary in margin.regimes().items():
        model = margin.params_model(name)
        if isinstance(model, type) and issubclass(model, BaseModel):
            definitions[f"margin.{name}"] = _collected(model, definitions) | {"title": name, "description": summary}
