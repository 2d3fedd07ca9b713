"""``python -m experiments`` is the command ``marginlab``."""

from experiments.cli import main

if __name__ == "__main__":
    main()
