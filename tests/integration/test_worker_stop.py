"""A worker that is told to stop while Celery is still starting."""

import signal
import subprocess
import sys
from typing import Final

#: Celery's start meets the signal within a finalizer, where Python drops what a signal handler raises.
STARTING: Final = """
import time
from types import SimpleNamespace
from consumers import worker

class Finalized:
    def __del__(self):
        print("starting", flush=True)
        time.sleep(3)

class App:
    def worker_main(self, arguments):
        Finalized()
        time.sleep(60)

worker.Worker.start = lambda self: None
worker.Worker.stop = lambda self: print("stopped", flush=True)
worker.celery.create_app = lambda *_, **__: App()
worker.celery.register = lambda *_: None
catalogue = SimpleNamespace(entries=())
worker.serve(SimpleNamespace(settings=SimpleNamespace(redis=None), catalogue=catalogue))
"""


def test_a_stop_is_not_lost_in_a_callback_that_drops_exceptions() -> None:
    with subprocess.Popen([sys.executable, "-c", STARTING], stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == "starting\n"
            child.send_signal(signal.SIGTERM)
            said, _ = child.communicate(timeout=30)
        finally:
            child.kill()

    assert (said, child.returncode) == ("stopped\n", 0)
