"""Apache Kafka: a folder and two ports in, how to start one broker in KRaft mode out.

The broker comes as jars from Maven Central, by the `pom.xml` beside this file: 44 MB, once per version.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from infra.local.daemon import Launch
from infra.local.place import JARS, LocalServiceError, Place
from infra.local.service import Service

POM = Path(__file__).with_name("pom.xml")
LOGGING = Path(__file__).with_name("log4j2.properties")

# One broker is the whole cluster: every internal topic has one copy. The largest message is Kafka's own
# default, written out because Penstock's kafka.max_message_bytes must stay below it.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={folder}
auto.create.topics.enable=false
message.max.bytes=1048588
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""


def launch(place: Place, ports: list[int]) -> Launch:
    jars = fetch_jars()
    home = place.home("kafka")
    home.mkdir(parents=True, exist_ok=True)
    data = home / "data"
    if not data.exists():
        _format(jars, home / "draft", ports)
        (home / "draft").rename(data)
    properties = _write_properties(home, data, ports)
    logging = f"-Dlog4j2.configurationFile={LOGGING}"
    command = [*_java(jars), "-Xmx512m", logging, "kafka.Kafka", str(properties)]
    return Launch(command, folder=home, environment=_environment())


def answers(ports: list[int]) -> bool:
    """Whether it tells a client which brokers and topics there are."""
    asked = subprocess.run(
        ["kcat", "-L", "-J", "-b", f"127.0.0.1:{ports[0]}", "-m", "5"],
        capture_output=True,
        text=True,
    )
    return asked.returncode == 0 and f'"127.0.0.1:{ports[0]}"' in asked.stdout


KAFKA = Service("kafka", (21092, 21093), launch, answers)


def jars_folder() -> Path:
    """Named by what is asked for, so that a new version of the pom is a new folder."""
    return JARS / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"


def fetch_jars() -> Path:
    """Download once; instances share the folder, which appears only when it is complete."""
    folder = jars_folder()
    if folder.exists():
        return folder
    sys.stderr.write("infra.local: downloading Kafka's jars by Maven\n")
    JARS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=JARS, prefix="draft-") as draft:
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={draft}/lib"]
        mvn = ["mvn", "--quiet", "--batch-mode", "--strict-checksums", "--file", str(POM), *goal]
        done = subprocess.run(mvn, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            said = (done.stdout + done.stderr).strip()[-2000:]
            raise LocalServiceError(f"Maven could not download Kafka (is the network there?):\n{said}")
        if not folder.exists():  # another instance may have been faster
            (Path(draft) / "lib").rename(folder)
    return folder


def _format(jars: Path, draft: Path, ports: list[int]) -> None:
    shutil.rmtree(draft, ignore_errors=True)
    properties = _write_properties(draft.parent, draft, ports)
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    if cluster_id.startswith("-"):
        cluster_id = "A" + cluster_id[1:]  # an argument that looks like an option is none
    tool = [*_java(jars), "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(properties)]
    done = subprocess.run(tool, capture_output=True, text=True, env=_environment())
    if done.returncode != 0:
        raise LocalServiceError(f"Kafka could not format its folder:\n{(done.stdout + done.stderr)[-2000:]}")


def _write_properties(home: Path, data: Path, ports: list[int]) -> Path:
    broker, controller = ports
    path = home / "server.properties"
    path.write_text(PROPERTIES.format(broker=broker, controller=controller, folder=data))
    return path


def _java(jars: Path) -> list[str]:
    return ["java", "-cp", f"{jars}/*"]


def _environment() -> dict[str, str]:
    """Without the caller's CLASSPATH and JVM options, which could change which Kafka runs and how."""
    unwanted = ("CLASSPATH", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS")
    return {name: value for name, value in os.environ.items() if name not in unwanted}
