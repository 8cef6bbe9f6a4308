"""Redis: a folder and a port in, how to start a server that loses nothing and evicts nothing out."""

import socket

from infra.local.daemon import Launch
from infra.local.place import Place
from infra.local.service import Service

SETTINGS = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"]


def launch(place: Place, ports: list[int]) -> Launch:
    home = place.home("redis")
    home.mkdir(parents=True, exist_ok=True)
    return Launch(["redis-server", "--port", str(ports[0]), *SETTINGS], folder=home)


def answers(ports: list[int]) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", ports[0]), timeout=5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")  # -LOADING while it reads its file
    except OSError:
        return False


REDIS = Service("redis", (21379,), launch, answers)
