"""Regimes by name: presets (data), rules that a user registers, installed plug-ins, plug-in files.

Names and presets are read without importing the compiler; a model's code is imported when it is made.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from sim.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from sim.interfaces import MarginModel

ENTRY_POINTS = "marginlab.margin"
_Factory = TypeVar("_Factory", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Preset:
    """A named composition of rates, netting and overlays.

    Attributes:
        name: of the regime.
        summary: one sentence.
        family: documentation page of its kind (``docs/regimes/FAMILY.md``).
        formula: what it asks, in one or a few lines.
        rates: composition: where rates come from, ``"fixed"`` or ``"volatility"``; empty with ``rule``.
        netting: composition: ``"cross"``, ``"isolated"`` or ``"scenarios"``; empty with ``rule``.
        rule: ``"module:Class"`` of a :class:`margin.Rule` that is no composition.
        params: default parameters.
        source: where the parameters come from.
        date: when they were read or computed.
    """

    name: str
    summary: str
    family: str
    formula: str
    rates: str
    netting: str
    rule: str
    params: dict[str, Any]
    source: str
    date: str

    def rule_class(self) -> Any:
        """The class of a preset that is no composition."""
        module, _, name = self.rule.partition(":")
        return getattr(importlib.import_module(module), name)


@dataclass(frozen=True, slots=True)
class Plugin:
    """A user's file.

    Attributes:
        path: absolute path.
        sha256: of its bytes; belongs in the manifest of a run.
        regimes: names that it registered.
    """

    path: str
    sha256: str
    regimes: tuple[str, ...]


@dataclass(slots=True)
class _Registered:
    factory: Callable[..., Any]
    summary: str
    origin: str


@dataclass(slots=True)
class _Registry:
    rules: dict[str, _Registered] = field(default_factory=dict)
    plugins: dict[str, Plugin] = field(default_factory=dict)


_registry = _Registry()


def register(name: str) -> Callable[[_Factory], _Factory]:
    """Register a margin rule under a name.

    Args:
        name: as scenario files spell it.

    Returns:
        A decorator for a subclass of :class:`margin.Rule`, or for any callable that takes the parameters as keywords
        and returns a ``MarginModel``.

    Raises:
        ConfigError: the name belongs to another regime.
    """
    if not name.isidentifier():
        raise ConfigError.of("margin.regime", name, "a name of letters, digits and underscores")

    def decorate(factory: _Factory) -> _Factory:
        origin = _origin(factory)
        known = _registry.rules.get(name)
        if name in presets() or (known is not None and known.origin != origin):
            raise ConfigError.of("margin.regime", name, "a name that no other regime has", file=origin)
        summary = (factory.__doc__ or "").strip().split("\n", maxsplit=1)[0]
        _registry.rules[name] = _Registered(factory, summary, origin)
        return factory

    return decorate


def _origin(factory: Callable[..., Any]) -> str:
    module = sys.modules.get(getattr(factory, "__module__", ""))
    return str(getattr(module, "__file__", None) or getattr(factory, "__module__", "unknown"))


@cache
def presets() -> dict[str, Preset]:
    """The built-in regimes by name."""
    raw = {
        Path(entry.name).stem: tomllib.loads(entry.read_text("utf-8"))
        for entry in sorted(resources.files("margin").joinpath("presets").iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".toml")
    }
    return {name: _preset(name, raw) for name in raw}


def _preset(name: str, raw: dict[str, dict[str, Any]]) -> Preset:
    own = raw[name]
    base = _preset(own["extends"], raw) if "extends" in own else None
    return Preset(
        name=name,
        summary=own["summary"],
        family=own.get("family") or (base.family if base else ""),
        formula=own.get("formula") or (base.formula if base else ""),
        rates=own.get("rates") or (base.rates if base else ""),
        netting=own.get("netting") or (base.netting if base else ""),
        rule=own.get("rule") or (base.rule if base else ""),
        params=(base.params if base else {}) | own.get("params", {}),
        source=own["source"],
        date=own["date"],
    )


def _entry_points() -> dict[str, metadata.EntryPoint]:
    return {point.name: point for point in metadata.entry_points(group=ENTRY_POINTS)}


def regimes() -> dict[str, str]:
    """Every regime that can be made, by name, with one sentence about it."""
    found = {name: preset.summary for name, preset in presets().items()}
    found |= {name: f"installed plug-in {point.value}" for name, point in _entry_points().items() if name not in found}
    return found | {name: rule.summary for name, rule in _registry.rules.items()}


def _factory(name: str) -> Callable[..., Any]:
    """The registered factory of a name; an installed plug-in is imported on first use."""
    known = _registry.rules.get(name)
    if known is not None:
        return known.factory
    point = _entry_points().get(name)
    if point is None:
        raise ConfigError.of("margin.regime", name, "one of " + ", ".join(sorted(regimes())))
    try:
        loaded = point.load()
    except Exception as error:
        allowed = f"a plug-in that can be imported ({type(error).__name__}: {error})"
        raise ConfigError.of("margin.regime", name, allowed, file=point.value) from error
    _registry.rules.setdefault(name, _Registered(loaded, "", point.value))
    return _registry.rules[name].factory


def params_model(name: str) -> type[BaseModel] | None:
    """The pydantic model of a regime's parameters, for schemas and validation; None for a plain callable.

    Raises:
        ConfigError: there is no such regime.
    """
    preset = presets().get(name)
    if preset is not None and preset.rule:
        found: type[BaseModel] = preset.rule_class().Params
        return found
    if preset is not None:
        from margin.model import parameters_of

        return parameters_of(preset.rates, preset.netting)
    return getattr(_factory(name), "Params", None)


def create(name: str, params: dict[str, Any] | None = None) -> MarginModel:
    """Make a margin model.

    Args:
        name: of the regime.
        params: parameters; a preset's own hold where nothing is given.

    Raises:
        ConfigError: unknown regime or parameter, or a value that is not allowed.
    """
    given = dict(params or {})
    preset = presets().get(name)
    if preset is not None and preset.rule:
        rule: MarginModel = preset.rule_class()(**(preset.params | given))
        rule.name = name
        return rule
    if preset is not None:
        from margin.model import ComposedRule
        from margin.rates import merged

        composition: type[ComposedRule] = ComposedRule
        params = merged(preset.params, given)
        if params.get("addons") is not None:  # what has none does not load their compiled forms
            from margin.addon_rule import AddonRule

            composition = AddonRule
        return composition(name, preset.rates, preset.netting, params)  # type: ignore[arg-type]
    factory = _factory(name)
    try:
        model = factory(**given)
    except TypeError as error:
        raise ConfigError.of("margin.params", given, f"what {name} takes ({error})") from error
    if not getattr(model, "name", ""):
        model.name = name
    return model


def load_plugin(path: str | Path) -> Plugin:
    """Import a user's Python file by path, so that what it registers can be used.

    Loading the same unchanged file again does nothing, so every worker may do it.

    Args:
        path: a ``.py`` file.

    Raises:
        ConfigError: the file cannot be read, fails while it is imported, or registers a name that is taken.
    """
    file = Path(path).expanduser().resolve()
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigError.of("--plugin", str(path), f"a file that can be read ({error.strerror})") from error
    if file.suffix != ".py":
        raise ConfigError.of("--plugin", str(path), "a Python file (.py)")
    digest = hashlib.sha256(data).hexdigest()
    known = _registry.plugins.get(str(file))
    if known is not None and known.sha256 == digest:
        return known
    before = dict(_registry.rules)
    _registry.rules = {name: rule for name, rule in before.items() if rule.origin != str(file)}
    kept = set(_registry.rules)
    module_name = f"marginlab_plugin_{hashlib.sha256(str(file).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(module_name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        _registry.rules = before
        del sys.modules[module_name]
        if isinstance(error, ConfigError):
            raise
        reason = f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0]
        raise ConfigError.of("--plugin", str(path), f"a file that can be imported ({reason})") from error
    plugin = Plugin(str(file), digest, tuple(name for name in _registry.rules if name not in kept))
    _registry.plugins[str(file)] = plugin
    return plugin
