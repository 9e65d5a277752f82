"""``python -m countermark``: the command line."""

from countermark.cli import main

main()
