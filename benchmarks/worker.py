"""The process that measures one subject: a line of arguments on stdin, then a line "run" for each measurement.

Each line is answered by a line of JSON.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections import ChainMap

from benchmarks import cloud_subjects, cloudfiles_subjects, mapping_subjects, store_subjects, subjects


def main() -> None:
    """Set the subject up, say so, and measure it once for each line."""
    # The protocol keeps the real stdout; whatever a library prints goes to stderr.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    name, arguments = sys.argv[1], json.loads(sys.stdin.readline())
    families = (subjects, cloud_subjects, cloudfiles_subjects, store_subjects, mapping_subjects)
    subject = ChainMap(*(family.SUBJECTS for family in families))[name](arguments)
    print(json.dumps({"ready": name}), file=answers, flush=True)
    for _ in sys.stdin:
        gc.collect()
        print(json.dumps(subject()._asdict()), file=answers, flush=True)


if __name__ == "__main__":
    main()
