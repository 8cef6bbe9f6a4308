"""The provider puts another model behind a name: seen in a running worker, and after a restart."""

from pathlib import Path
from typing import Final

import aiohttp
import structlog.testing

from infra.simulator.server import Options, serve
from tests.integration.working import Working, working

FAST: Final = "simulated-fast"
#: By which name the simulator answers when it is told to.
OTHER: Final = "simulated-other"


async def worked_on(running: Working) -> list[tuple[str, str]]:
    """The changes that are told while one event is worked on."""
    with structlog.testing.capture_logs() as lines:
        await running.send(1)
        await running.until_done()
    return [(line["before"], line["after"]) for line in lines if line["event"] == "model.changed"]


async def test_a_silent_change_of_the_model_is_told_in_a_process_and_across_a_restart(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/penstock.db"
    async with serve(Options()) as simulator, aiohttp.ClientSession() as client:
        async with working(url, simulator) as running:
            before = [await worked_on(running), await worked_on(running)]
            rules = {"rules": [{"sha256": "*", "fault": "other_model"}]}
            (await client.post(f"{simulator}/script", json=rules)).raise_for_status()
            changed, after = await worked_on(running), await worked_on(running)
        (await client.delete(f"{simulator}/script")).raise_for_status()
        async with working(url, simulator, sent=4) as again:
            restarted, later = await worked_on(again), await worked_on(again)
            metrics = again.deployment.metrics.text().decode()

    assert before == [[], []]
    assert (changed, after) == ([(FAST, OTHER)], [])
    assert (restarted, later) == ([(OTHER, FAST)], [])
    (counted,) = [line for line in metrics.splitlines() if line.startswith("penstock_model_changes_total{")]
    assert counted.endswith(" 1.0")
