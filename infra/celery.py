"""Celery: the app with its one task, `work(lane)`, a doorbell. Truth is in SQL."""

from collections.abc import Callable
from typing import Any, Final

from celery import Celery
from celery.signals import setup_logging

from infra.settings import RedisSettings

TASK: Final = "penstock.work"
QUEUE: Final = "penstock"
#: A bell that waited this long is stale: sweep has rung since.
_EXPIRES_SECONDS: Final = 10
_PUBLISH_TIMEOUT_SECONDS: Final = 1.0
#: kombu's blocking read lasts a second; a shorter timeout would end it each time.
_READ_TIMEOUT_SECONDS: Final = 3.0


def create_app(settings: RedisSettings, *, worker: bool = False) -> Celery:
    """An app that loses nothing when it loses a message, and never hangs on a frozen Redis.

    `worker` is for the process that answers bells; the others only ring.
    """
    timeout = _READ_TIMEOUT_SECONDS if worker else _PUBLISH_TIMEOUT_SECONDS
    app = Celery("penstock", broker=settings.url.get_secret_value())
    app.conf.update(
        task_default_queue=QUEUE,
        task_acks_late=False,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_publish_retry=False,
        task_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "socket_keepalive": True,
            "health_check_interval": 25,
        },
    )
    return app


def sender(app: Celery) -> Callable[[str], None]:
    """A function that rings a lane, over one connection that is kept; raises when Redis does."""

    def send(lane: str) -> None:
        app.send_task(TASK, args=[lane], expires=_EXPIRES_SECONDS, retry=False, ignore_result=True)

    return send


def register(app: Celery, work: Callable[[str], None]) -> None:
    """Name the function that answers the bell."""

    def keep_logging(**_: Any) -> None:
        """Celery sets up the root logger itself unless somebody receives this signal."""

    setup_logging.connect(keep_logging, weak=False)

    @app.task(name=TASK, bind=False)
    def answer(lane: Any) -> None:
        work(str(lane))
