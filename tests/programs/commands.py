"""Run commands in one process; print exit code, output and errors of each as JSON."""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout

from khive_persist.cli.root import run


class Output(io.TextIOWrapper):
    def __init__(self) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, "utf-8", write_through=True)

    def text(self) -> str:
        return self.bytes.getvalue().decode()


results = {}
for line in sys.argv[2:]:
    words = [word.replace("_", " ") if word.startswith("SELECT") else word for word in line.split()]
    out, err = Output(), Output()
    with redirect_stdout(out), redirect_stderr(err):
        code = run(["--dir", sys.argv[1], *words])
    results[line] = [code, out.text(), err.text()]
print(json.dumps(results))
