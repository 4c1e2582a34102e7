"""Put events into the spool, drained now and then; print id, number and begin of each."""

import sys
import time

from khive_persist.capture.drain import Drain
from khive_persist.capture.spool import Spool
from khive_persist.project import Project
from tests.programs.numbers_to_write import numbers

project = Project(sys.argv[1])
spool = Spool(project)
with Drain(project) as drain:
    for number in numbers():
        session = b"session-%d" % (number % 7) if number % 20 else b"new-%d" % number
        payload = b'{"hook_event_name":"Stop","session_id":"%s","number":%d}' % (session, number)
        begun = time.monotonic()
        print(spool.accept(sys.argv[2], payload).id, number, begun, flush=True)
        if number % 10 == 9:
            drain.run(60)
