"""Put events into the spool, and drain it now and then; print the id and number of each."""

import sys

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
        print(spool.accept(sys.argv[2], payload).id, number, flush=True)
        if number % 10 == 9:
            drain.run(60)
