"""Adds up in Redis what the replicas count, every 200 ms, beside the requests and never in their way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from secrets import token_hex

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.limits import Limit

PERIOD = 0.2
PATIENCE = 1.0
PAUSE = 2.0  # after a failure
logger = structlog.get_logger(__name__)


@asynccontextmanager
async def adding_up(limits: Iterable[Limit], redis_url: str) -> AsyncIterator[None]:
    """Reconcile the limits while the block runs; without a Redis, or without limits, there is nothing to do."""
    limits = tuple(limits)
    if not (limits and redis_url):
        yield
        return
    redis = Redis.from_url(redis_url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=None)
    replica = token_hex(8)
    stop = asyncio.Event()  # and no cancellation, which a client in the middle of a call may take for a timeout
    task = asyncio.create_task(_run(limits, redis, replica, stop))
    try:
        yield
    finally:
        stop.set()
        await task
        await redis.aclose()


async def _run(limits: tuple[Limit, ...], redis: Redis, replica: str, stop: asyncio.Event) -> None:
    well = True
    while not stop.is_set():
        was, well = well, await _add_up_all(limits, redis, replica)
        if well != was:
            logger.warning("limits are counted with the other replicas" if well else "limits are counted alone")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), PERIOD if well else PAUSE)


async def _add_up_all(limits: tuple[Limit, ...], redis: Redis, replica: str) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            for limit in limits:
                await add_up(limit, redis, replica)
    except (RedisError, OSError, TimeoutError):
        return False
    return True


async def add_up(limit: Limit, redis: Redis, replica: str) -> None:
    """Tell what was counted here, and hear what the others have counted, in one round trip.

    Each replica has a field of its own for what it has counted in all, so telling that again changes nothing.
    """
    window, counts = limit.untold()
    if not counts:
        return
    prefix = f"tickgate:limits:{limit.name}:{limit.quota.most}/{limit.quota.seconds}:{window}"
    try:
        async with redis.pipeline(transaction=False) as pipe:
            for caller, count in counts.items():
                pipe.hset(f"{prefix}:{caller}", replica, str(count))
                pipe.expire(f"{prefix}:{caller}", limit.quota.seconds + 1)
                pipe.hvals(f"{prefix}:{caller}")
            told = (await pipe.execute())[2::3]
    except BaseException:
        limit.tell_again(window, counts)
        raise
    totals = (sum(map(int, values)) for values in told)
    limit.hear(window, {caller: total - counts[caller] for caller, total in zip(counts, totals, strict=True)})
