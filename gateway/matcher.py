"""Finds the row of a request by its raw path: what is not written plainly is not found."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.errors import MethodRefused
from gateway.routes import Route
from shared.errors import NotFound

SEGMENT = re.compile(r"[A-Za-z0-9._~-]+")
PARAMETER = "{}"


@dataclass
class _Node:
    children: dict[str, "_Node"] = field(default_factory=dict)
    routes: dict[str, Route] = field(default_factory=dict)


class Matcher:
    """The rows as a tree of path segments; a fixed segment is preferred to a parameter."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._root = _Node()
        for route in routes:
            self._add(route)

    def find(self, method: str, path: str) -> Route:
        """The row for this method and raw path; HEAD is answered by GET's. Raises NotFound, MethodRefused."""
        segments = path.split("/")[1:]
        if not path.startswith("/") or not all(_is_plain(segment) for segment in segments):
            raise NotFound
        routes = _walk(self._root, segments)
        if not routes:
            raise NotFound
        route = routes.get("GET" if method == "HEAD" else method)
        if route is None:
            raise MethodRefused(routes)
        return route

    def _add(self, route: Route) -> None:
        node = self._root
        for segment in route.path.split("/")[1:]:
            node = node.children.setdefault(PARAMETER if segment.startswith("{") else segment, _Node())
        if route.method in node.routes:
            raise ValueError(f"two rows for {route.method} {route.path}")
        node.routes[route.method] = route


def _is_plain(segment: str) -> bool:
    return SEGMENT.fullmatch(segment) is not None and segment not in (".", "..")


def _walk(node: _Node, segments: list[str]) -> Mapping[str, Route]:
    if not segments:
        return node.routes
    for choice in (segments[0], PARAMETER):
        child = node.children.get(choice)
        routes = _walk(child, segments[1:]) if child else {}
        if routes:
            return routes
    return {}
