"""`twin check`: no fault is passed over, none is without its place."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from twin_app.cli.command_file import CommandFileError, holds_commands, read_commands
from twin_app.kernel import own_steps

EXAMPLES = Path(__file__).parents[2] / "examples"

BAD = """\
twin: Line_A
resources:
  lathe: {capacity: 5, max_capacity: 3}
services:
  turning: {constnt: 4.0}
flows:
  make:
    - process: {resource: lathe, service: turning}
    - proces: {resource: lathe, service: turning}
"""


def test_the_examples_are_never_wrong(twin) -> None:
    result = twin("check", EXAMPLES / "line" / "blueprint.yaml", EXAMPLES / "line" / "commands.yaml", EXAMPLES / "line.yaml")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.count("ok") == 3


def test_no_fault_hides_another(twin, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(BAD)
    result = twin("check", path)
    assert result.exit_code == 2
    places = [line.split(": ")[1] for line in result.stderr.splitlines()]
    assert [place.removeprefix(f"{path}:").split(":")[0] for place in places] == ["3", "5", "9"]
    assert "constant" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_good_file_is_not_spoiled_by_a_bad_one(twin, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("twin: [")
    result = twin("check", bad, EXAMPLES / "line" / "blueprint.yaml", tmp_path / "missing.yaml", "--json")
    assert result.exit_code == 2
    found = [orjson.loads(line) for line in result.stdout.splitlines()]
    assert [item["ok"] for item in found] == [False, True, False]
    assert found[0]["errors"][0]["code"] == "bad-yaml"
    assert found[1]["twin"] == "Line_A"
    assert found[2]["errors"][0]["code"] == "unreadable-file"


def test_stdin_is_a_file_like_any_other(twin) -> None:
    assert twin("check", "-", input="twin: Line_A\n").exit_code == 0
    result = twin("check", "-", input="twin: 5\n")
    assert result.exit_code == 2
    assert "<stdin>:1:1" in result.stderr


HOSTILE = [b"\xff\xfe\x00", b"\x00" * 10, b"", b"{", b"[1, 2", b"- &a [*a]", b"? [a]\n: b", b"!!python/object:os.system {}"]


@pytest.mark.parametrize("raw", HOSTILE)
def test_hostile_bytes_are_an_error_and_no_crash(twin, tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(raw)
    result = twin("check", path)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert "unforeseen" not in result.stderr


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ('{"kind": "set", "path": "A.resources.b.capacity", "value": 1}', True),
        ('{"path_id": "A.resources.b.capacity", "value": 1}\n{"path_id": "A.resources.b.capacity", "value": 2}', True),
        ('[{"path": "A.resources.b.capacity", "value": 1}]', True),
        ("# a comment\n---\n- {path: A.resources.b.capacity, value: 1}", True),
        ("kind: set\npath: A.resources.b.capacity\nvalue: 1", True),
        ('{"twin": "A"}', False),
        ("# line\ntwin: A\nflows: {make: [{emit: {kind: made}}]}", False),
    ],
)
def test_commands_are_not_taken_for_a_blueprint(text: str, commands: bool) -> None:
    assert holds_commands(text) is commands
    if commands:
        assert all(written.command.twin == "A" for written in read_commands(text))


def test_no_wrong_command_hides_another() -> None:
    right = "- {path: A.resources.b.capacity, value: 1}"
    wrong = ["- {path: A.resources.b.capacity}", "- {kind: stop, twin: A}", "- 5", "- {path: A.x, value: .nan}"]
    text = "\n".join([right, *wrong])
    with pytest.raises(CommandFileError) as caught:
        read_commands(text, source="commands.yaml")
    assert [error.place.split(": ")[0] for error in caught.value.errors] == [f"commands.yaml:{line}:3" for line in (2, 3, 4, 5)]


def test_an_alias_does_not_become_a_huge_command() -> None:
    bomb = "- &a [x, x]\n" + "".join(f"- &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}]\n" for n in range(20))
    with pytest.raises(Exception, match="anchors and aliases"):
        read_commands(bomb)


def test_a_recorded_trace_is_found_beside_its_blueprint(twin, tmp_path: Path) -> None:
    blueprint = tmp_path / "replayed.yaml"
    blueprint.write_text("twin: T\narrivals: {orders: {csv: orders.csv, flow: f}}\nflows: {f: [{delay: entity.size}]}\n")
    missing = twin("check", blueprint)
    assert missing.exit_code == 2
    assert f"{blueprint}:2:21: `orders.csv` cannot be read: no such file or directory" in missing.stderr
    (tmp_path / "orders.csv").write_text("at,size\n1,2\n2.5,4\n")
    assert twin("check", blueprint).exit_code == 0
    summary = orjson.loads(twin("run", blueprint, "--until", 10, "--quiet", "--json").stdout)["summary"]
    assert summary["flows"] == {"f": {"finished": 2, "time_in_system_mean": 3.0}}


@pytest.mark.parametrize(
    ("flow", "told"),
    [
        ("{proces: {resource: m}}", "(did you mean `process`?)"),
        ("{delay: 3, go: end}", "(begin each step with a `-` of its own)"),
        ("{delay: }", "`delay` is a mapping of fields"),
        ("{delay: {erlang: {shape: 3, mean: 2}}}", "(there is stages, mean)"),
    ],
)
def test_a_mistake_of_writing_is_answered_in_the_words_of_the_language(twin, tmp_path: Path, flow: str, told: str) -> None:
    (tmp_path / "b.yaml").write_text(f"twin: T\nflows: {{f: [{flow}]}}\n")
    assert told in twin("check", tmp_path / "b.yaml").stderr


def test_a_step_that_is_not_installed_is_told_with_its_place(twin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_steps, "_known", {"grade": lambda context: 1})
    file = tmp_path / "mill.yaml"
    file.write_text(
        "twin: Mill\nflows:\n  roll:\n    - loop:\n        times: 2\n        do:\n          - call: {step: grad}\n"
        "    - call: {step: grade}\n    - call: polish\n    - dela: 3\n"
    )
    for verb in ("check", "run"):
        done = twin(verb, file)
        assert done.exit_code == 2
        assert "mill.yaml:7:20: there is no own step `grad` [unknown-own-step] (did you mean `grade`?)" in done.stderr
        assert "mill.yaml:9:7: there is no own step `polish` [unknown-own-step] (install the package" in done.stderr
        assert "unknown-step" in done.stderr
        assert "`grade` [" not in done.stderr
