"""Dramatiq as transport only: a message is the id of an outbox row; retries and the truth stay in Postgres."""

from collections.abc import Callable
from uuid import UUID

import dramatiq
from dramatiq.brokers.redis import RedisBroker


class Transport:
    """Carries outbox ids over Redis to whichever worker of the service is free."""

    def __init__(self, redis_url: str, *, service: str) -> None:
        self.broker = RedisBroker(url=redis_url, middleware=[])  # type: ignore[no-untyped-call]
        self._queue = f"{service}-outbox"

    def send(self, event_id: UUID) -> None:
        """Hand one id over; raises when Redis is away."""
        message: dramatiq.Message[None] = dramatiq.Message(
            queue_name=self._queue, actor_name="deliver", args=(str(event_id),), kwargs={}, options={}
        )
        self.broker.declare_queue(self._queue)
        self.broker.enqueue(message)

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
