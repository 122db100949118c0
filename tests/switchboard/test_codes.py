"""A code of refusal is a promise: none may appear that is not written down, none may be written down that does not exist."""

import ast
from functools import cache
from pathlib import Path

from models.rejections import REJECTIONS

ROOT = Path(__file__).parents[2]
PASSED_ON = {"text-too-long", "not-a-value"}  # from an attribute's own check, as they are


@cache
def raised() -> dict[str, str]:
    """Every code that the source gives to Rejected, with a file that does."""
    found: dict[str, str] = {}
    for folder in ("models", "topics", "twin_app"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if not (isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Rejected" and node.args):
                    continue
                code = node.args[0]
                parts = [code.body, code.orelse] if isinstance(code, ast.IfExp) else [code]
                found |= {part.value: file.name for part in parts if isinstance(part, ast.Constant)}
    return found


def test_no_refusal_has_a_code_that_is_not_written_down():
    assert {code: file for code, file in raised().items() if code not in REJECTIONS} == {}


def test_no_code_is_written_down_that_does_not_exist():
    source = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "twin_app" / "switchboard").glob("*.py"))
    assert [code for code in REJECTIONS if code not in raised() and f'"{code}"' not in source and code not in PASSED_ON] == []
