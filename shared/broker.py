"""Dramatiq as transport only: a message is the id of an outbox row; retries and the truth stay in Postgres."""

from collections.abc import Callable
from typing import cast
from uuid import UUID

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

ACTOR = "deliver"
PATIENCE = 5.0  # seconds that Redis may be silent before a connection to it is given up


class Transport:
    """Carries outbox ids over Redis to whichever worker of the service is free, errands on a queue of their own.

    A receiver that hangs must not keep people from what is in their inboxes.
    """

    def __init__(self, redis_url: str, *, service: str) -> None:
        client = redis.Redis.from_url(redis_url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
        self.broker = RedisBroker(client=client, middleware=[])  # type: ignore[no-untyped-call]
        self._service = service

    def send(self, event_id: UUID, *, errand: bool = False) -> None:
        """Hand one id over; raises when Redis is away."""
        queue = self._queue(errand)
        message: dramatiq.Message[None] = dramatiq.Message(
            queue_name=queue, actor_name=ACTOR, args=(str(event_id),), kwargs={}, options={}
        )
        self.broker.declare_queue(queue)
        self.broker.enqueue(message)

    def waiting(self, *, errands: bool = False) -> int:
        """How many ids no worker has taken yet; raises when Redis is away."""
        return cast("int", self.broker.client.llen(f"{self.broker.namespace}:{self._queue(errands)}"))

    def receive(
        self, deliver: Callable[[UUID], None], *, threads: int, errand_threads: int = 0
    ) -> tuple[dramatiq.Worker, ...]:
        """Workers that are not yet started, calling `deliver` with each id."""

        @dramatiq.actor(actor_name=ACTOR, queue_name=self._queue(False), broker=self.broker)
        def actor(event_id: str) -> None:
            deliver(UUID(event_id))

        self.broker.declare_queue(self._queue(True))
        return tuple(
            dramatiq.Worker(self.broker, queues={self._queue(errands)}, worker_threads=count)
            for errands, count in ((False, threads), (True, errand_threads))
            if count
        )

    def _queue(self, errands: bool) -> str:
        return f"{self._service}-{'errands' if errands else 'outbox'}"

    def ping(self) -> None:
        """Raises when Redis does not answer."""
        self.broker.client.ping()

    def close(self) -> None:
        """Close the connections to Redis."""
        self.broker.close()
