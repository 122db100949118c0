"""What a measurement must not do to the rows and the page that are there already."""

import json

import pytest

from benchmarks import figures, report
from benchmarks.figures import Figure, met


@pytest.fixture
def kept(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    path.write_text(json.dumps([{"name": "kernel: jobs", "peer_name": "SimPy", "ratio": 2.7}]))
    monkeypatch.setattr(figures, "RESULTS", path)
    return path


def figure(**changes) -> Figure:
    return Figure(**{"name": "ingest", "ours": [2, 4, 9], "peer": [1, 1, 3], "peer_name": "bare", "unit": "/s", **changes})


def test_rows_that_were_not_measured_are_not_lost(kept):
    figures.save([figure()], "quiet")
    figures.save([figure(ours=[5, 5, 5]), figure(peer_name="other")], "quiet")
    rows = json.loads(kept.read_text())
    assert [(row["name"], row["peer_name"], row["ratio"]) for row in rows] == [
        ("kernel: jobs", "SimPy", 2.7),
        ("ingest", "bare", 5.0),
        ("ingest", "other", 3.0),
    ]


def test_a_ratio_is_never_taken_between_rounds():
    row = figure().row()
    assert (row["ratio"], row["spread"]) == (3.0, [2.0, 4.0])


def test_a_goal_is_not_met_from_the_wrong_side():
    assert met(figure(goal=3.0).row()) == "yes"
    assert met(figure(goal=3.0, better="lower").row()) == "yes"
    assert met(figure(goal=3.1).row()) == "no"
    assert met(figure(goal=2.9, better="lower").row()) == "no"
    assert met(figure().row()) == ""


def test_what_was_written_by_hand_is_not_overwritten(tmp_path, monkeypatch):
    page = tmp_path / "PERFORMANCE.md"
    page.write_text(f"above\n{report.BEGIN}\nold\n{report.END}\nbelow\n")
    monkeypatch.setattr(report, "PAGE", page)
    for _ in range(2):
        report.write([figure(goal=3.0).row()])
    text = page.read_text()
    assert text.startswith("above\n")
    assert text.endswith(f"{report.END}\nbelow\n")
    assert text.count("| ingest |") == 1
    assert "old" not in text


def test_a_page_without_marks_is_not_guessed_at(tmp_path, monkeypatch):
    page = tmp_path / "PERFORMANCE.md"
    page.write_text("by hand")
    monkeypatch.setattr(report, "PAGE", page)
    with pytest.raises(ValueError, match="marks"):
        report.write([])
    assert page.read_text() == "by hand"
