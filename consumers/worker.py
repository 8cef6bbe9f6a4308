"""Due events in, decisions out: the process behind `penstock serve worker`.

Celery brings doorbells on threads; one asyncio loop in a thread of its own does the work and keeps
turning without them.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Awaitable
from concurrent.futures import Future
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from celery.signals import worker_shutdown, worker_shutting_down

from consumers import starting, wiring
from consumers.drain import Drains
from consumers.serving import health
from consumers.watchdog import EXIT_STUCK, Watchdog
from consumers.wiring import Deployment
from infra import celery, sentry
from infra.logs import logger

log = logger()

#: A drain that was cancelled needs this long to journal and to give back.
_LAST_SECONDS: Final = 8.0


@dataclass
class Worker:
    """The loop and the drains on it."""

    deployment: Deployment
    drains: Drains = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _stopped: bool = False
    _stopping: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Start the loop; returns when it is ready to answer bells."""
        threading.Thread(target=self._loop.run_forever, name="loop", daemon=True).start()
        self._on_loop(self._open()).result()

    def answer(self, lane: str) -> None:
        """The Celery task: drain `lane`, or have the running drain look again."""
        self._on_loop(self.drains.answer(lane)).result()

    def stop(self) -> None:
        """Stop in an orderly way, within grace_seconds and a little; may be called twice."""
        with self._stopping:  # the second caller waits for the first
            if not self._stopped:
                self._stopped = True
                self._stop()

    def _stop(self) -> None:
        grace = self.deployment.settings.worker.grace_seconds
        last = threading.Timer(grace + _LAST_SECONDS, os._exit, (EXIT_STUCK,))
        last.daemon = True
        last.start()
        self._on_loop(self._close()).result()
        last.cancel()

    def _on_loop(self, work: Awaitable[Any]) -> "Future[Any]":
        return asyncio.run_coroutine_threadsafe(_await(work), self._loop)

    async def _open(self) -> None:
        await wiring.start(self.deployment)
        await starting.record_settings(self.deployment, "worker")
        settings = self.deployment.settings
        self._model = wiring.model(self.deployment)
        self._bell = wiring.bell(settings, self.deployment.metrics)
        self.drains = Drains(
            catalogue=self.deployment.catalogue,
            store=self.deployment.store,
            world=wiring.world(self.deployment, self._model),
            settings=settings.worker,
            metrics=self.deployment.metrics,
            ring_others=self._bell.ring,
        )
        self._stack = AsyncExitStack()
        await self._stack.enter_async_context(health(self.deployment, "worker"))
        self._tasks = [
            asyncio.create_task(self.drains.keep_looking(settings.worker.look_seconds)),
            asyncio.create_task(self.drains.keep_leases()),
            asyncio.create_task(Watchdog(settings.worker.watchdog_seconds).turn()),
        ]
        for task in self._tasks:
            task.add_done_callback(_end_if_failed)

    async def _close(self) -> None:
        await self.drains.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._bell.close()
        await self._model.close()
        await self._stack.aclose()
        await self.deployment.close()


def _end_if_failed(task: asyncio.Task[None]) -> None:
    """Without leases or looks a worker only seems alive: end, and be started again."""
    if not task.cancelled() and (error := task.exception()):
        sentry.report(error)
        sentry.flush()
        log.error("process.failed", error=error)
        os._exit(EXIT_STUCK)


async def _await(work: Awaitable[Any]) -> Any:
    return await work


def follow_parent() -> None:
    """End in an orderly way when the supervisor is gone, however it went."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def serve(deployment: Deployment) -> None:
    """Run until SIGTERM."""
    worker = Worker(deployment)
    app = celery.create_app(deployment.settings.redis, worker=True)
    celery.register(app, worker.answer)
    # Not at `worker_init`: Celery logs what a receiver raises and goes on without the loop.
    worker.start()
    # Events are claimed from here on, and Celery takes its time until it listens to signals itself.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=_leave, args=[worker]).start())

    def stop_aside(**_: Any) -> None:
        """The signal comes on Celery's own thread, which must go on to take no more bells."""
        threading.Thread(target=worker.stop, name="stop").start()

    def stop(**_: Any) -> None:
        worker.stop()

    worker_shutting_down.connect(stop_aside, weak=False)
    worker_shutdown.connect(stop, weak=False)
    threads = len(deployment.catalogue.entries) + 2
    try:
        app.worker_main(
            [
                "--quiet",
                "worker",
                "--pool=threads",
                f"--concurrency={threads}",
                f"--queues={celery.QUEUE}",
                "--loglevel=WARNING",
                "--without-gossip",
                "--without-mingle",
                "--without-heartbeat",
            ]
        )
    finally:
        worker.stop()


def _leave(worker: Worker) -> None:
    """End, on a thread: what a signal raises is lost where it meets a callback of Python itself."""
    worker.stop()
    sentry.flush()
    os._exit(0)
