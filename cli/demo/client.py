"""Makes the demo's calls and shows each: who, which call, what came back."""

import time
from collections.abc import Callable
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape

PATIENCE = 30.0
SHOWN = 400


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
        self._console.print(f"   {text}", soft_wrap=True)

    def call(
        self, who: str, method: str, path: str, *, expect: int, body: Any = None, show: bool = True
    ) -> httpx.Response:
        """Make a call as somebody; raises StepFailed when the status is not the promised one."""
        answer = self._send(who, method, path, body)
        self._console.print(f"   [cyan]{who:<6}[/] {method} {path}  [dim]→[/] {answer.status_code}", soft_wrap=True)
        if answer.status_code != expect:
            raise StepFailed(
                f"{method} {path} as {who}: {expect} was promised, {answer.status_code} came: {answer.text}"
            )
        if show and answer.content:
            text = answer.text
            self.say(f"[dim]{escape(text[:SHOWN])}{' …' if len(text) > SHOWN else ''}[/]")
        return answer

    def until(self, who: str, path: str, found: Callable[[Any], Any], what: str) -> Any:
        """Ask again until the answer holds what was promised; raises StepFailed after half a minute."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            answer = self._send(who, "GET", path, None)
            if answer.status_code == 200 and (value := found(answer.json())):
                self._console.print(f"   [cyan]{who:<6}[/] GET {path}  [dim]→[/] {answer.status_code}", soft_wrap=True)
                return value
            time.sleep(0.1)
        raise StepFailed(f"GET {path} as {who}: {what} did not come within {PATIENCE:.0f} s")

    def _send(self, who: str, method: str, path: str, body: Any) -> httpx.Response:
        headers = {"X-API-Key": self._keys[who]} if who in self._keys else {}
        return self._http.request(method, path, json=body, headers=headers)
