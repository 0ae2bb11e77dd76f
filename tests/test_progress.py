"""The bar and the tables: interrupted, in narrow terminals, with any name, in any encoding."""

from __future__ import annotations

import io

import pytest
import rich.progress

from holdfast import progress

NAME = "moving s3://a[/bold]b\\[red]c/"


def test_ctrl_c_while_the_bar_is_first_drawn_is_what_comes_out(monkeypatch, capsys):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "PATIENCE", 0)
    monkeypatch.setattr(rich.progress.Progress, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), progress.bar(True, "reading", total=2) as bar:
        bar.advance()
    assert bar.count == 1


@pytest.mark.parametrize(("columns", "shown"), [(40, "moving"), (72, f"{NAME[:22]}.."), (150, NAME)])
def test_a_name_in_the_description_is_no_markup_and_leaves_room_for_the_counts(monkeypatch, capsys, columns, shown):
    monkeypatch.setattr(progress, "PATIENCE", 0)
    monkeypatch.setenv("COLUMNS", str(columns))
    with progress.bar(True, NAME, total=7) as bar:
        bar.advance(7)
    [line] = {line.rstrip() for line in capsys.readouterr().err.splitlines() if "7/7" in line}
    assert line.startswith(shown)
    assert len(line) <= columns
    assert "7/7 files" in line


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("columns", [40, 120])
def test_a_table_can_be_drawn_in_every_encoding(monkeypatch, encoding, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding)
    key = "\u65e5\u00e9\udcff"
    progress.print_table(f"title of {key}", ("action", "key"), [("add", key)], footer=[f"below {key}"], file=file)
    file.flush()
    lines = raw.getvalue().decode(encoding).splitlines()
    expected = key.encode(encoding, "backslashreplace").decode(encoding)
    assert lines[0] == f"title of {expected}"
    assert any("add" in line and expected in line for line in lines[1:-1])
    assert lines[-1] == f"below {expected}"
    assert (columns == 40) == (not set("|\u2502") & set("".join(lines)))
