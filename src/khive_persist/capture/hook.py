"""Record an event of an AI tool, which runs `python -I -S hook.py --tool TOOL [--dir DIR]`.

The work is in spool_writer.py beside this file. A script is compiled anew at each start, which for
all of spool_writer.py would be a fifth of the run; an imported module is compiled once.
"""

import sys

folder = __file__.rpartition("/")[0]
sys.path.insert(0, folder)
# On a full disk Python puts a cut-off file into its cache, and every later start would fail on it.
sys.dont_write_bytecode = True

try:
    from spool_writer import main
except (EOFError, ImportError, TypeError, ValueError):
    # The cache of spool_writer.py is damaged: it is compiled anew, which is slower, and records.
    names = {"__name__": "spool_writer", "__file__": folder + "/spool_writer.py"}
    with open(folder + "/spool_writer.py", "rb") as source:
        exec(compile(source.read(), "spool_writer.py", "exec"), names)
    main = names["main"]

main()
