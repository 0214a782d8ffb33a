"""``python -m fullchain``."""

from fullchain.cli import main

main()
