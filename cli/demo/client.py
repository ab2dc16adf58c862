"""Makes the demo's calls and shows each: who, which call, with what, and what of the answer matters."""

import json
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape

PATIENCE = 30.0
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{8}([0-9a-f]{4})")
Shown = Callable[[Any], Iterable[str]]


class StepFailed(Exception):
    """A step did not answer as promised."""


class Storyteller:
    """One HTTP client per person, and a voice."""

    def __init__(self, url: str, keys: dict[str, str], console: Console) -> None:
        self._keys = keys
        self._console = console
        self._step = 0
        self._http = httpx.Client(base_url=url, timeout=20)

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def chapter(self, text: str) -> None:
        """Begin a step."""
        self._step += 1
        self._console.print(f"\n[bold]{self._step}. {text}[/]")

    def say(self, text: str) -> None:
        """A remark below a step."""
        self._console.print(f"   {text}", soft_wrap=True, markup=False)

    def call(
        self, who: str, method: str, path: str, *, expect: int, body: Any = None, show: Shown | None = None
    ) -> httpx.Response:
        """Make a call as somebody; raises StepFailed when the status is not the promised one."""
        answer = self._send(who, method, path, body)
        self._tell(who, method, path, answer, body)
        if answer.status_code != expect:
            raise StepFailed(
                f"{method} {path} as {who}: {expect} was promised, {answer.status_code} came: {answer.text}"
            )
        if show:
            self._detail(show(answer.json()))
        return answer

    def until(self, who: str, path: str, found: Callable[[Any], Any], what: str, *, show: Shown) -> Any:
        """Ask again until the answer holds what was promised; raises StepFailed after half a minute."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            answer = self._send(who, "GET", path, None)
            if answer.status_code == 200 and (value := found(answer.json())):
                self._tell(who, "GET", path, answer, None)
                self._detail(show(value))
                return value
            time.sleep(0.1)
        raise StepFailed(f"GET {path} as {who}: {what} did not come within {PATIENCE:.0f} s")

    def _tell(self, who: str, method: str, path: str, answer: httpx.Response, body: Any) -> None:
        call = f"[cyan]{who:<6}[/] {method} {escape(path)}"
        self._console.print(f"   {call}  [dim]→[/] {answer.status_code}", soft_wrap=True)
        if body:
            self._detail(["body: " + UUID.sub(r"…\2", json.dumps(body))])

    def _detail(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._console.print(f"          [dim]{escape(line)}[/]", soft_wrap=True)

    def _send(self, who: str, method: str, path: str, body: Any) -> httpx.Response:
        headers = {"X-API-Key": self._keys[who]} if who in self._keys else {}
        return self._http.request(method, path, json=body, headers=headers)
