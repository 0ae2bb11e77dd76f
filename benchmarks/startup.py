"""What starting costs: CPU time of a fresh process that imports Holdfast, or asks for its version."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.measure import Measure, Setting, repeat
from benchmarks.processes import BenchmarkFailed, environment, run
from benchmarks.results import Bound, Row

#: What `import holdfast` must not load.
HEAVY = ("obstore", "yaml", "boto3", "click", "rich", "asyncio")
ROUNDS = 9


def startup(setting: Setting) -> Iterator[Row]:
    """CPU of the whole process, the interpreter's own start included."""
    env = environment(setting.directory)
    loaded = run([sys.executable, "-c", f"import sys, holdfast; print(*{HEAVY!r} & sys.modules.keys())"], env).output
    if loaded.strip():
        raise BenchmarkFailed(f"import holdfast loads {loaded.strip()}")

    def cpu(*command: str) -> Measure:
        return lambda: run(command, env).cpu

    programs: Sequence[tuple[str, Measure, float]] = (
        (
            f"python -c 'import holdfast' (none of {', '.join(HEAVY)} loaded)",
            cpu(sys.executable, "-c", "import holdfast"),
            0.060,
        ),
        ("holdfast --version", cpu(str(Path(sys.executable).parent / "holdfast"), "--version"), 0.150),
    )
    for what, measure, limit in programs:
        yield Bound(f"CPU of {what}, whole process", "", repeat(measure, setting.size(ROUNDS, 3)), "ms", limit)
    bare = repeat(cpu(sys.executable, "-c", "pass"), setting.size(ROUNDS, 3))
    yield Bound("CPU of python -c pass, for comparison", "", bare, "ms", None)
