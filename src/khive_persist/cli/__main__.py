"""`python -m khive_persist.cli`."""

from khive_persist.cli.root import main

main()
