"""Copy what lies below one location to another, and say what failed: `python -m examples.s3_to_disk SOURCE TARGET`."""

from __future__ import annotations

import sys

from holdfast import copy_objects, open_store


def main() -> int:
    """1 if something could not be copied (the rest was), else 0."""
    location, destination = sys.argv[1:]
    failed = copied = nbytes = 0
    with open_store(location) as source, open_store(destination) as target:
        pairs = ((info.key, info.key) for info in source.list())
        for outcome in copy_objects(source, target, pairs):
            if outcome.error is None:
                copied, nbytes = copied + 1, nbytes + outcome.value
            else:
                failed += 1
                print(f"{outcome.item[0]}: {outcome.error}", file=sys.stderr)
    print(f"{copied} objects copied, {nbytes} bytes; {failed} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
