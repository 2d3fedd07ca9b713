"""The exogenous world: value paths, what an oracle publishes of them, and how busy the day is.

Everything here is a pure function of the seed and the configuration, made before the first step, so it is the same for
every margin regime that is compared.
"""

from sim.world.build import WorldPaths, build_world
from sim.world.config import (
    WORLD_KINDS,
    Activity,
    ConstantWorld,
    GarchWorld,
    GbmWorld,
    HistoricalWorld,
    JumpDiffusionWorld,
    Oracle,
    Source,
    WorldConfig,
)
from sim.world.events import Depeg, OracleFault, ValueJump, VolatilityChange, WorldEvent
from sim.world.history import Prices, SeriesSource, load_series, trading_days
from sim.world.prices import read_prices

__all__ = [
    "WORLD_KINDS",
    "Activity",
    "ConstantWorld",
    "Depeg",
    "GarchWorld",
    "GbmWorld",
    "HistoricalWorld",
    "JumpDiffusionWorld",
    "Oracle",
    "OracleFault",
    "Prices",
    "SeriesSource",
    "Source",
    "ValueJump",
    "VolatilityChange",
    "WorldConfig",
    "WorldEvent",
    "WorldPaths",
    "build_world",
    "load_series",
    "read_prices",
    "trading_days",
]
