"""JSON schema of study files, so that editors complete and check them."""

from __future__ import annotations

from typing import Any

from experiments.schema import DIALECT
from experiments.sweep.factors import FactorSection
from experiments.sweep.sections import MODELS, SECTIONS

_FREE = {"type": "object", "description": "dotted keys of the scenario and what to set them to, at every point"}
_REGIMES = {
    "type": "object",
    "description": "definitions of margin regimes, as a scenario's [margin.regimes.LABEL]",
    "additionalProperties": {"type": "object"},
}
_POINTS = {
    "type": "array",
    "description": "points of a list: a factor's name or key, and its value",
    "items": {"type": "object"},
}


def study_schema() -> dict[str, Any]:
    """The schema of a study file."""
    parts: dict[str, Any] = {"set": _FREE, "regimes": _REGIMES, "points": _POINTS}
    parts |= {name: model.model_json_schema() for name, model in MODELS.items()}
    parts["factors"] = {"type": "array", "items": FactorSection.model_json_schema()}
    return {
        "$schema": DIALECT,
        "title": "MarginLab study",
        "type": "object",
        "additionalProperties": False,
        "required": ["study"],
        "properties": {name: parts[name] for name in SECTIONS},
    }
