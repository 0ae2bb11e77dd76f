"""The bar, where it is interrupted."""

from __future__ import annotations

import pytest
import rich.progress

from holdfast import progress


def test_ctrl_c_while_the_bar_is_first_drawn_is_what_comes_out(monkeypatch, capsys):
    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(progress, "PATIENCE", 0)
    monkeypatch.setattr(rich.progress.Progress, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), progress.bar(True, "reading", total=2) as bar:
        bar.advance()
    assert bar.count == 1
