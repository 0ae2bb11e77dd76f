"""Two processes keep scores in one dict: nobody's points get lost, and a stale write is refused instead of made.

Run it as ``python -m examples.shared_scores``, which makes a database in a temporary directory, or with a location,
such as ``s3://bucket/game``, at its end.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile

from holdfast import CloudMapping, KeySyncError

PLAYERS = ("ada", "grace")
ROUNDS = 50


def play(location: str) -> None:
    """Give every player a point in each round, whoever else does so at the same time."""
    scores = CloudMapping(location, serialisation="json")
    for _ in range(ROUNDS):
        for player in PLAYERS:
            scores.modify(player, lambda points: points + 1, default=0)


def show(location: str) -> None:
    """Let two processes play, and show the scores; then write over them with what is known from before."""
    before = CloudMapping(location, serialisation="json")
    games = [subprocess.Popen([sys.executable, "-m", "examples.shared_scores", location, "play"]) for _ in range(2)]
    if any(game.wait() for game in games):
        sys.exit("a game failed")
    scores = CloudMapping(location, serialisation="json")
    print(", ".join(f"{player}: {points}" for player, points in sorted(scores.items())))
    try:
        before["ada"] = 0
    except KeySyncError as error:
        print(f"refused: {error.key!r} was {error.found} by then, not {error.expected}")


def main(arguments: list[str]) -> None:
    """Play at the location, or show a whole game there, or in a new database."""
    match arguments:
        case [location, "play"]:
            play(location)
        case [location]:
            show(location)
        case _:
            with tempfile.TemporaryDirectory() as directory:
                show(f"sqlite://{directory}/scores.db")


if __name__ == "__main__":
    main(sys.argv[1:])
