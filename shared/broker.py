"""Dramatiq as transport only: a message is the id of an outbox row; retries and the truth stay in Postgres."""

from collections.abc import Callable
from typing import cast
from uuid import UUID

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

PATIENCE = 5.0  # seconds that Redis may be silent before a connection to it is given up


class Transport:
    """Carries outbox ids over Redis to whichever worker of the service is free."""

    def __init__(self, redis_url: str, *, service: str) -> None:
        client = redis.Redis.from_url(redis_url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
        self.broker = RedisBroker(client=client, middleware=[])  # type: ignore[no-untyped-call]
        self._queue = f"{service}-outbox"

    def send(self, event_id: UUID) -> None:
        """Hand one id over; raises when Redis is away."""
        message: dramatiq.Message[None] = dramatiq.Message(
            queue_name=self._queue, actor_name="deliver", args=(str(event_id),), kwargs={}, options={}
        )
        self.broker.declare_queue(self._queue)
        self.broker.enqueue(message)

    def waiting(self) -> int:
        """How many ids no worker has taken yet; raises when Redis is away."""
        return cast("int", self.broker.client.llen(f"{self.broker.namespace}:{self._queue}"))

    def receive(self, deliver: Callable[[UUID], None], *, threads: int) -> dramatiq.Worker:
        """A worker that is not yet started, calling `deliver` with each id."""

        @dramatiq.actor(actor_name="deliver", queue_name=self._queue, broker=self.broker)
        def actor(event_id: str) -> None:
            deliver(UUID(event_id))

        return dramatiq.Worker(self.broker, worker_threads=threads)

    def ping(self) -> None:
        """Raises when Redis does not answer."""
        self.broker.client.ping()

    def close(self) -> None:
        """Close the connections to Redis."""
        self.broker.close()
