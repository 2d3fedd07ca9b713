"""The command ``marginlab``.

Imports of anything heavy stand inside the commands, so that ``marginlab --help`` answers at once. Each module here adds
its commands to the application; help lists them in the order of the imports below.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from experiments.cli.app import app
from experiments.cli.options import print_json
from sim.errors import ConfigError, InstallationError, MarginLabError

# isort: off
# the order of help
from experiments.cli import studies, cascades, gamma, sweeps, query  # noqa: F401
from experiments.cli import procyclicality, sensitivity, scaling  # noqa: F401
from experiments.cli import facts, impact, feedback, validation, calibration, models  # noqa: F401
from experiments.cli import listings  # noqa: F401
# isort: on

__all__ = ["INTERRUPTED", "app", "check_installation", "main", "print_json"]

INTERRUPTED = 130  # as a shell reports a command that Ctrl-C ended


def main(arguments: list[str] | None = None) -> None:
    """Run the command; errors of ours become lines on standard error and an exit code.

    Args:
        arguments: in place of the command line's.
    """
    sys.exit(_status(lambda: app(arguments, standalone_mode=False)))


def _status(command: Callable[[], Any]) -> int:
    try:
        check_installation()
        code = command()
    except ConfigError as error:
        for problem in error.problems:
            print(f"marginlab: {problem}", file=sys.stderr)
        return error.exit_code
    except MarginLabError as error:
        print(f"marginlab: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        print("marginlab: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe has gone: nothing is left to say
        return 0
    except OSError as error:
        print(f"marginlab: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    except Exception as error:
        if not hasattr(error, "format_message"):  # not a complaint of the option parser
            raise
        text = error.format_message()
        hint = "" if "\n" in text else " (marginlab --help)"
        print(text if "\n" in text else f"marginlab: {text}{hint}", file=sys.stderr)
        return 2
    if code == INTERRUPTED:  # the option parser turned Ctrl-C into an exit code
        print("marginlab: interrupted", file=sys.stderr)
    return code if isinstance(code, int) else 0


def check_installation() -> None:
    """The four packages must come from one installation.

    Their names are common words: a folder of the same name on the path would be imported in their place.

    Raises:
        InstallationError: naming the folder that shadows one.
    """
    from importlib.util import find_spec

    home = Path(__file__).resolve().parents[2]
    for room in ("sim", "agents", "margin", "experiments"):
        spec = find_spec(room)
        places = list(spec.submodule_search_locations or []) if spec is not None else []
        if not places or Path(places[0]).resolve() != home / room:
            found = places[0] if places else "nowhere"
            raise InstallationError(
                f"the package {room!r} is imported from {found}, not from this installation ({home}); "
                "run marginlab from another folder, or remove that folder from PYTHONPATH"
            )
