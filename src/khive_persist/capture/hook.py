"""What an AI tool runs on every event: `python -I -S hook.py --tool TOOL [--dir DIR]`.

The work is in arrival.py beside this file. A script is compiled anew at each start, which for all
of arrival.py would be a fifth of the run; an imported module is compiled once.
"""

import sys

sys.path.insert(0, __file__.rpartition("/")[0])

import arrival

arrival.main()
