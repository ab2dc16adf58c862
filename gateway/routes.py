"""The whole public surface: every operation that comes through the door, where it goes and who may call it."""

from dataclasses import dataclass

from shared.principal import Role

OPEN: tuple[Role, ...] = ()
QUANT: tuple[Role, ...] = ("quant", "ops", "admin")
OPS: tuple[Role, ...] = ("ops", "admin")
ADMIN: tuple[Role, ...] = ("admin",)


@dataclass(frozen=True)
class Route:
    """One public operation; without roles it is open to everyone, key or not. What `streams` is open for long."""

    method: str
    path: str
    service: str
    roles: tuple[Role, ...]
    streams: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it needs no key."""
        return self.roles == OPEN


ROUTES: tuple[Route, ...] = (
    Route("GET", "/v1/datasets", "catalog", OPEN),
    Route("POST", "/v1/datasets", "catalog", OPS),
    Route("GET", "/v1/datasets/{symbol}", "catalog", OPEN),
    Route("PATCH", "/v1/datasets/{symbol}", "catalog", OPS),
    Route("DELETE", "/v1/datasets/{symbol}/frequencies/{frequency}", "catalog", OPS),
    Route("GET", "/v1/datasets/{symbol}/coverage", "pricing", OPEN),
    Route("GET", "/v1/datasets/{symbol}/prices", "pricing", QUANT),
    Route("GET", "/v1/datasets/{symbol}/market-caps", "pricing", QUANT),
    Route("POST", "/v1/access-requests", "entitlements", QUANT),
    Route("POST", "/v1/access-requests/preview", "entitlements", QUANT),
    Route("GET", "/v1/access-requests", "entitlements", QUANT),
    Route("GET", "/v1/access-requests/{id}", "entitlements", QUANT),
    Route("POST", "/v1/access-requests/{id}/withdraw", "entitlements", QUANT),
    Route("POST", "/v1/access-requests/{id}/answer", "entitlements", QUANT),
    Route("POST", "/v1/access-requests/{id}/question", "entitlements", OPS),
    Route("POST", "/v1/access-requests/{id}/decisions", "entitlements", OPS),
    Route("POST", "/v1/decisions", "entitlements", OPS),
    Route("GET", "/v1/grants", "entitlements", QUANT),
    Route("POST", "/v1/grants", "entitlements", OPS),
    Route("GET", "/v1/grants/{id}", "entitlements", QUANT),
    Route("POST", "/v1/grants/{id}/revoke", "entitlements", OPS),
    Route("POST", "/v1/grants/{id}/keep", "entitlements", OPS),
    Route("POST", "/v1/grants/{id}/extend", "entitlements", OPS),
    Route("POST", "/v1/grants/{id}/relinquish", "entitlements", QUANT),
    Route("GET", "/v1/notifications", "entitlements", QUANT),
    Route("GET", "/v1/notifications/stream", "entitlements", QUANT, streams=True),
    Route("POST", "/v1/notifications/{id}/read", "entitlements", QUANT),
    Route("GET", "/v1/webhooks", "entitlements", QUANT),
    Route("POST", "/v1/webhooks", "entitlements", QUANT),
    Route("GET", "/v1/webhooks/{id}", "entitlements", QUANT),
    Route("DELETE", "/v1/webhooks/{id}", "entitlements", QUANT),
    Route("POST", "/v1/webhooks/{id}/rotate", "entitlements", QUANT),
    Route("GET", "/v1/webhooks/{id}/deliveries", "entitlements", QUANT),
    Route("POST", "/v1/webhooks/{id}/deliveries/{delivery}/replay", "entitlements", QUANT),
    Route("GET", "/v1/accounts", "entitlements", OPS),
    Route("GET", "/v1/accounts/{id}", "entitlements", OPS),
    Route("GET", "/v1/rules", "entitlements", OPS),
    Route("PUT", "/v1/rules", "entitlements", ADMIN),
    Route("POST", "/v1/rules/simulate", "entitlements", OPS),
    Route("POST", "/v1/accounts/{id}/block", "entitlements", OPS),
    Route("POST", "/v1/accounts/{id}/unblock", "entitlements", OPS),
    Route("POST", "/v1/accounts/{id}/close", "entitlements", OPS),
    Route("GET", "/v1/audit-events", "entitlements", OPS),
    Route("GET", "/v1/audit-events/verify", "entitlements", OPS),
    Route("GET", "/v1/jobs", "pricing", OPS),
    Route("POST", "/v1/jobs/{name}/run", "pricing", OPS),
    Route("GET", "/v1/usage", "pricing", OPS),
    Route("GET", "/v1/me", "keys", QUANT),
    Route("GET", "/v1/me/coverage", "pricing", QUANT),
    Route("GET", "/v1/api-keys", "keys", ADMIN),
    Route("POST", "/v1/api-keys", "keys", ADMIN),
    Route("GET", "/v1/api-keys/{id}", "keys", ADMIN),
    Route("DELETE", "/v1/api-keys/{id}", "keys", ADMIN),
    Route("POST", "/v1/api-keys/{id}/rotate", "keys", ADMIN),
)
