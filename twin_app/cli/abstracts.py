"""What a verb is for, read from its source without importing it: `twin --help` lists all, and needs none of their libraries."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path


def abstract(module: str, name: str) -> str | None:
    """The docstring of the function `name` of a module, or the `help` of the group of that name; None if it is not to be read."""
    try:
        spec = importlib.util.find_spec(module)
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8")) if spec is not None and spec.origin else None
    except (OSError, SyntaxError, ValueError):
        return None
    for node in tree.body if tree is not None else ():
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() if node.name == name:
                return ast.get_docstring(node)
            case ast.Assign(targets=[ast.Name(id=found)], value=ast.Call(keywords=keywords)) if found == name:
                texts = [k.value.value for k in keywords if k.arg == "help" and isinstance(k.value, ast.Constant)]
                return next((text for text in texts if isinstance(text, str)), None)
    return None
