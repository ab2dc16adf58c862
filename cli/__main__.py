"""`python -m cli`: the same as `tickgate`."""

from cli.main import main

main()
