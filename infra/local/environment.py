"""What a Penstock process must be told to use one instance: a place in, variables and `<folder>/env` out."""

import hashlib
import shlex

from infra.local.place import Place, remembered_ports, secret_of, write_whole

SERVICE_VARIABLES = ("PENSTOCK_DATABASE__URL", "PENSTOCK_REDIS__URL", "PENSTOCK_KAFKA__BOOTSTRAP_SERVERS")
OTHER_PORTS = {"api": (21080,), "simulator": (21081,)}


def variables(place: Place) -> dict[str, str]:
    """The services, and the simulator as the model."""
    ports = {name: those[0] for name, those in remembered_ports(place).items()}
    model_url = f"http://127.0.0.1:{ports['simulator']}/v1"
    return {
        "PENSTOCK_DATABASE__URL": f"postgresql+psycopg://penstock@127.0.0.1:{ports['postgres']}/penstock",
        "PENSTOCK_REDIS__URL": f"redis://127.0.0.1:{ports['redis']}/0",
        "PENSTOCK_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{ports['kafka']}",
        "PENSTOCK_SECRET": secret_of(place),
        "PENSTOCK_AUDIT__KEY": _audit_key(place),
        "PENSTOCK_API__PORT": str(ports["api"]),
        "PENSTOCK_SIMULATOR__PORT": str(ports["simulator"]),
        "PENSTOCK_MODELS__FAST__BASE_URL": model_url,
        "PENSTOCK_MODELS__FAST__MODEL": "simulated-fast",
        "PENSTOCK_MODELS__FAST__API_KEY": "simulated",
        "PENSTOCK_MODELS__STRONG__BASE_URL": model_url,
        "PENSTOCK_MODELS__STRONG__MODEL": "simulated-strong",
        "PENSTOCK_MODELS__STRONG__API_KEY": "simulated",
    }


def _audit_key(place: Place) -> str:
    """A signing key as lasting as the instance's secret: it is made of it."""
    seed = hashlib.sha256(b"audit key\0" + secret_of(place).encode()).hexdigest()
    name = hashlib.sha256(seed.encode()).hexdigest()[:8]
    return f"penstock.local/{name}:{seed}"


def write_env(place: Place) -> None:
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in variables(place).items()]
    write_whole(place.env_file, "".join(lines))
