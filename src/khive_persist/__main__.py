"""`python -m khive_persist`."""

from khive_persist.cli.root import main

main()
