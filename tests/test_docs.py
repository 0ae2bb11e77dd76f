"""What the documents show is run: every python and bash block, and every goal of make that they name.

Blocks of one document run in order in one empty directory, each in a process of its own, so each can be copied alone.
A python block that starts with ``>>>`` is a doctest. The bucket ``s3://my-bucket`` lies on moto. Blocks marked
``console`` set up a checkout and are not run here: of those only the goals are looked up.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast import StoreFactory

PROJECT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted(
    path.relative_to(PROJECT).as_posix() for path in [*PROJECT.glob("*.md"), *PROJECT.glob("docs/**/*.md")]
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = {"python", "bash", "console", "text", "toml", "yaml"}


def blocks(document: str) -> list[tuple[str, str]]:
    return BLOCK.findall((PROJECT / document).read_text())


def run(language: str, text: str, directory: Path, environment: dict[str, str]) -> None:
    if language == "bash":
        command = ["bash", "-euo", "pipefail", "-c", text]
    elif text.startswith(">>>"):
        (directory / ".snippet").write_text(text)
        command = [sys.executable, "-m", "doctest", ".snippet"]
    else:
        command = [sys.executable, "-c", text]
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if {"python", "bash"} & dict(blocks(name)).keys()])
def test_the_snippets_of_a_document_run(document, moto, tmp_path):
    if not any(bucket["Name"] == "my-bucket" for bucket in moto.client().list_buckets()["Buckets"]):
        moto.make_bucket("my-bucket")
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, **moto.environment, "PATH": programs, "HOME": str(tmp_path)}
    for language, text in blocks(document):
        if language in {"python", "bash"}:
            run(language, text, tmp_path, environment)


def test_every_block_says_what_it_is_and_the_readme_has_both_kinds_that_run():
    for document in DOCUMENTS:
        text = (PROJECT / document).read_text()
        assert text.count("```") == 2 * len(blocks(document)), f"{document} has a block without a language"
        assert {language for language, _ in blocks(document)} <= LANGUAGES
    assert {"python", "bash"} <= {language for language, _ in blocks("README.md")}


def test_pages_about_moving_show_old_lines_beside_new_ones_and_say_what_is_different():
    pages = [name for name in DOCUMENTS if name.startswith("docs/from_")]
    assert len(pages) == 5
    for page in pages:
        assert sum(text.count("# old: ") for language, text in blocks(page) if language == "python") >= 5, page
        assert "\n## What is different\n" in (PROJECT / page).read_text()


@pytest.mark.parametrize("document", [name for name in DOCUMENTS if "yaml" in dict(blocks(name))])
def test_the_stores_that_a_document_describes_can_be_built(document, tmp_path, monkeypatch):
    for number, text in enumerate(text for language, text in blocks(document) if language == "yaml"):
        for variable in re.findall(r"\$\{(\w+)\}", text):
            monkeypatch.setenv(variable, "given")
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        assert StoreFactory(path).problems() == []


def test_every_goal_of_make_that_a_document_names_exists():
    goals = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = {
        (document, goal)
        for document in [*DOCUMENTS, "tests/README.md"]
        for goal in re.findall(r"(?:^\s*|[`$] ?)make ([a-z]+)", (PROJECT / document).read_text(), re.MULTILINE)
    }
    assert {goal for _, goal in named} >= {"demo", "test", "check"}
    assert {(document, goal) for document, goal in named if goal not in goals} == set()
