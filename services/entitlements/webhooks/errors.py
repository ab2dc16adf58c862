"""Why a webhook is refused."""

from shared.errors import Problem


class WebhookNotFound(Problem):
    """You have no webhook with this id; GET /v1/webhooks lists yours."""

    status = 404


class DeliveryNotFound(Problem):
    """The webhook has no delivery with this id; GET /v1/webhooks/{id}/deliveries lists them."""

    status = 404


class TooManyWebhooks(Problem):
    """You have ten webhooks already; delete one first."""

    status = 409


class WebhookDisabled(Problem):
    """The webhook was disabled; `disabled_reason` says why. Make a new one for a receiver that answers again."""

    status = 409
