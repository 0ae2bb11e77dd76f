"""moto_server, except that it answers one request about a key at a time.

By itself it looks at the condition of a write, and then writes: of two writers whose threads come between, both are
told that theirs was done. S3 does that in one step, and so must what the writers of the tests count on.
"""

import sys
import threading

from moto.s3.responses import S3Response
from moto.server import main

_turn = threading.Lock()
_answer = S3Response._key_response


def _one_at_a_time(self, request, full_url):
    # The body has been read before, so nobody waits here for another client.
    with _turn:
        return _answer(self, request, full_url)


if __name__ == "__main__":
    S3Response._key_response = _one_at_a_time
    sys.exit(main())
