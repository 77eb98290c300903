"""What a template may contain: expressions only, made of the allowed nodes, with names written out."""

from __future__ import annotations

from collections.abc import Collection

from jinja2 import nodes

from shared.config.templates.engine import environment, parse
from shared.core.suggestions import did_you_mean

# Every other node is refused, so that a new release of Jinja2 does not extend the language of templates.
_ALLOWED_NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr,
    nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Keyword, nodes.CondExpr,
    nodes.Compare, nodes.Operand, nodes.Concat, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div,
    nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.And, nodes.Or, nodes.Not, nodes.List,
    nodes.Dict, nodes.Pair,
)  # fmt: skip


def find_names(text: str) -> frozenset[tuple[str, ...]]:
    """Return the dotted names that a text uses, each as its parts.

    Raises:
        ValueError: The text is not a template, or uses something that is not allowed.
    """
    found: set[tuple[str, ...]] = set()
    _walk(parse(text), found)
    return frozenset(found)


def _walk(node: nodes.Node, found: set[tuple[str, ...]]) -> None:
    """Check a node and all nodes below it, and collect their names."""
    if isinstance(node, nodes.Name | nodes.Getattr | nodes.Getitem):
        name = _name_of(node)
        if name is not None:
            found.add(name)
            return
    _check_node(node)
    for child in node.iter_child_nodes():
        _walk(child, found)


def _name_of(node: nodes.Node) -> tuple[str, ...] | None:
    """Return the dotted name that a chain of lookups spells, or None if it is not such a chain."""
    if isinstance(node, nodes.Name):
        return (node.name,)
    if isinstance(node, nodes.Getattr):
        below = _name_of(node.node)
        return (*below, node.attr) if below else None
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        below = _name_of(node.node)
        return (*below, node.arg.value) if below and isinstance(node.arg.value, str) else None
    return None


def _check_node(node: nodes.Node) -> None:
    """Refuse a node that templates must not contain.

    Raises:
        ValueError: The node is not allowed.
    """
    match node:
        case nodes.Call():
            raise ValueError(
                f"calls are not allowed; use one of the filters: {_listed(environment().filters)}"
            )
        case nodes.Pow():
            raise ValueError("** is not allowed; multiply with *")
        case nodes.Filter() if node.name not in environment().filters:
            raise ValueError(_unknown("filter", node.name, environment().filters))
        case nodes.Test() if node.name not in environment().tests:
            raise ValueError(_unknown("test", node.name, environment().tests))
        case nodes.Getitem(arg=nodes.Slice() | nodes.Neg() | nodes.Const(value=int())):
            return
        case nodes.Getitem():
            raise ValueError("only a literal text or number is allowed in [ ]")
        case nodes.Tuple():
            raise ValueError("tuples are not allowed; write a list with brackets: [1, 2]")
        case nodes.CondExpr(expr2=None):
            raise ValueError("an if needs an else")
        case _ if not isinstance(node, _ALLOWED_NODES):
            raise ValueError(f"{type(node).__name__} is not allowed in a template")


def _unknown(kind: str, name: str, known: Collection[str]) -> str:
    hint = did_you_mean(name, known)
    return f"there is no {kind} {name}{hint}; the {kind}s are {_listed(known)}"


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names))
