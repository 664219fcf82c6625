"""The mutants of a source file: each is the file with one change that a test ought to notice."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

FLIPS: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.And: (ast.Or,),
    ast.Or: (ast.And,),
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div,),
    ast.Div: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}
SPEAKING = {"logger", "warnings"}  # what is said in a log is no behaviour that a test should hold


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: where, what stood there and stands there now, and the whole text of the changed file."""

    line: int
    function: str
    before: str
    after: str
    source: str

    def __str__(self) -> str:
        return f"{self.function}: {self.before} -> {self.after}"


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of the functions of a module. Constants of the module and docstrings are left as they are."""
    tree = ast.parse(source)
    for function in _functions(tree):
        for node in _behaviour(function):
            for changed in _changes(node):
                yield _mutant(source, function, node, changed)


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name != "__str__")


def _behaviour(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """The nodes of a function's body, without what is only said, what types say, and functions within."""
    waiting: list[ast.AST] = [statement for statement in function.body if not _is_said(statement)]
    while waiting:
        node = waiting.pop()
        yield node
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list"):
                continue
            children = value if isinstance(value, list) else [value]
            waiting.extend(
                child
                for child in children
                if isinstance(child, ast.AST) and not _is_said(child) and not isinstance(child, ast.FunctionDef)
            )


def _is_said(node: ast.AST) -> bool:
    """Docstrings, log messages, and the words of an error."""
    if isinstance(node, ast.JoinedStr):
        return True
    if not isinstance(node, ast.Expr):
        return False
    if isinstance(node.value, ast.Constant):
        return True
    called = node.value.func if isinstance(node.value, ast.Call) else None
    return isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id in SPEAKING


def _changes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in the place of a node."""
    if isinstance(node, ast.Compare):
        for other in FLIPS.get(type(node.ops[0]), ()):
            yield _with(node, lambda made, other=other: made.ops.__setitem__(0, other()))
    elif isinstance(node, (ast.BoolOp, ast.BinOp)):
        for other in FLIPS.get(type(node.op), ()):
            yield _with(node, lambda made, other=other: setattr(made, "op", other()))
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.Invert)):
        yield copy.deepcopy(node.operand)
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)) and not isinstance(node.test, (ast.Compare, ast.UnaryOp)):
        yield _with(node, lambda made: setattr(made, "test", ast.UnaryOp(ast.Not(), made.test)))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield ast.Constant(node.value + 1)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield ast.Pass()
    elif isinstance(node, ast.Call) and len(node.keywords) > 1:
        for at, keyword in enumerate(node.keywords):
            if keyword.arg is not None:
                yield _with(node, lambda made, at=at: made.keywords.pop(at))


def _with(node: ast.AST, change: Callable[..., object]) -> ast.AST:
    made = copy.deepcopy(node)
    change(made)
    return made


def _mutant(source: str, function: ast.FunctionDef, node: ast.AST, changed: ast.AST) -> Mutant:
    """The file with the node's text replaced: the rest keeps its lines, so that a traceback is worth reading."""
    lines = source.encode().split(b"\n")
    first, last = node.lineno - 1, node.end_lineno - 1  # type: ignore[attr-defined]
    head, tail = lines[first][: node.col_offset], lines[last][node.end_col_offset :]  # type: ignore[attr-defined]
    after = ast.unparse(ast.fix_missing_locations(changed))
    before = ast.get_source_segment(source, node) or ""
    indented = after.replace("\n", "\n" + " " * node.col_offset)  # type: ignore[attr-defined]
    text = indented if isinstance(changed, ast.stmt) else f"({indented})"
    made = b"\n".join([*lines[:first], head + text.encode() + tail, *lines[last + 1 :]])
    short = _without(node, changed) or _short(after)
    return Mutant(node.lineno, function.name, _short(before), short, made.decode())  # type: ignore[attr-defined]


def _without(node: ast.AST, changed: ast.AST) -> str:
    """The keyword that a call has lost; "" where another change was made."""
    if not (isinstance(node, ast.Call) and isinstance(changed, ast.Call)):
        return ""
    kept = {keyword.arg for keyword in changed.keywords}
    return "".join(f"without {keyword.arg}=" for keyword in node.keywords if keyword.arg not in kept)


def _short(text: str) -> str:
    return " ".join(text.split("\n    ", maxsplit=1)[0].split())[:80]
