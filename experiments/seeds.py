"""Seeds as a user writes them: ``30`` (0 to 29), ``50000:50080`` (from, up to and without), ``1,2,3``."""

from __future__ import annotations

from sim.errors import ConfigError

ALLOWED = "a number of seeds (30 means 0 to 29), a range 50000:50080, or a list 1,2,3"
LARGEST = 2**63 - 1


def parse_seeds(text: str) -> tuple[int, ...]:
    """The seeds that a text names, in order and without repetition.

    Args:
        text: a count, a half-open range or a list, or several of ranges and numbers separated by commas.

    Raises:
        ConfigError: the text is none of these.

    Examples:
        >>> parse_seeds("3")
        (0, 1, 2)
        >>> parse_seeds("50000:50003")
        (50000, 50001, 50002)
        >>> parse_seeds("7,9,20:22")
        (7, 9, 20, 21)
    """
    try:
        if ":" not in text and "," not in text:
            seeds = range(int(text))
            return tuple(_checked(text, seeds))
        found: list[int] = []
        for part in text.split(","):
            first, colon, last = part.partition(":")
            found.extend(range(int(first), int(last)) if colon else (int(first),))
    except ValueError:
        raise ConfigError.of("--seeds", text, ALLOWED) from None
    return tuple(_checked(text, list(dict.fromkeys(found))))


def parse_seed(text: str) -> int:
    """One seed.

    Raises:
        ConfigError: the text is not a whole number from 0 to 2**63 - 1.
    """
    try:
        seed = int(text)
    except ValueError:
        seed = -1
    if not 0 <= seed <= LARGEST:
        raise ConfigError.of("--seed", text, "a whole number from 0 to 2**63 - 1")
    return seed


def _checked(text: str, seeds: range | list[int]) -> range | list[int]:
    if not seeds or min(seeds) < 0 or max(seeds) > LARGEST:
        raise ConfigError.of("--seeds", text, ALLOWED)
    if len(seeds) > 1_000_000:
        raise ConfigError.of("--seeds", text, "at most a million seeds")
    return seeds
