"""`python -m shared.probe`: exit 0 if the process in this container is ready; what its health check runs."""

import os
import sys
import urllib.error
import urllib.request

PORTS = ("TICKGATE_PORT", "TICKGATE_METRICS_PORT")


def main() -> int:
    """0 when `/readyz` answers 200, else 1 with a line that says why."""
    port = next((os.environ[name] for name in PORTS if os.environ.get(name)), "8080")
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=4):
            return 0
    except (urllib.error.URLError, TimeoutError) as error:
        print(error, file=sys.stderr)  # noqa: T201  # a command's output
        return 1


if __name__ == "__main__":
    sys.exit(main())
