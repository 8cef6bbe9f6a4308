"""A Redis of our own, which keeps nothing: stopping it loses every doorbell that it holds."""

import subprocess
import time
from dataclasses import dataclass

from redis import Redis as Client
from redis.exceptions import RedisError

_START_SECONDS = 10.0


@dataclass
class Redis:
    """Started and stopped at will, always on the same port."""

    port: int
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Returns when it answers."""
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self._process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), *options], stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, "redis-server does not start"
            time.sleep(0.05)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=10)
            self._process = None

    def listeners(self) -> int:
        """How many clients wait for a bell."""
        with Client.from_url(self.url) as client:
            return sum(listed["cmd"] == "brpop" for listed in client.client_list())

    def _answers(self) -> bool:
        with Client.from_url(self.url) as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False
