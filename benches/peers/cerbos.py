"""Cerbos: fetches it, writes the workload's policies and requests, and reads its answers."""

import random
import socket
import subprocess
import tarfile
import time
from itertools import cycle

from workload import DISABLED, MAPPINGS, PERMISSIONS

VERSION = "0.55.0"
PACKAGE = "@cerbos/cerbos-linux-x64"
ADDRESS = "127.0.0.1:3593"
PATH = "/cerbos.svc.v1.CerbosService/CheckResources"
CONFIG = """\
server:
  grpcListenAddr: "{address}"
  httpListenAddr: "127.0.0.1:3592"
  logRequestPayloads: false
  metricsEnabled: false
  apiExplorerEnabled: false
  requestLimits:
    maxActionsPerResource: 500
    maxResourcesPerRequest: 500
audit:
  enabled: false
telemetry:
  disabled: true
schema:
  enforcement: none
storage:
  driver: disk
  disk:
    directory: {policies}
    watchForChanges: false
"""


def fetch(folder):
    """Returns the path of the program. Downloads it from npm if it is not there."""
    program = folder / "package" / "cerbos-linux-x64"
    if not program.exists():
        command = ["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(folder.glob("*.tgz"))) as archive:
            archive.extractall(folder)
    return program


def policies(workload, folder):
    """Writes a version of the policy for each role mapping: Cerbos' fastest way. A disabled role has no rule."""
    folder.mkdir(exist_ok=True)
    for mapping in MAPPINGS:
        lines = ["apiVersion: api.cerbos.dev/v1", "resourcePolicy:", "  resource: organization"]
        lines += [f"  version: {mapping}", "  rules:"]
        for (of, role), granted in workload.grants.items():
            if of == mapping and (of, role) not in DISABLED:
                lines += ["    - effect: EFFECT_ALLOW", f"      roles: [{role}]", "      actions:"]
                lines += [f'        - "{permission}"' for permission in sorted(granted)]
        (folder / f"{mapping}.yaml").write_text("\n".join(lines) + "\n")


def start(program, workload, folder):
    policies(workload, folder / "policies")
    config = folder / "config.yaml"
    config.write_text(CONFIG.format(address=ADDRESS, policies=folder / "policies"))
    command = [program, "server", "--log-level=error", "--debug-listen-addr=", f"--config={config}"]
    with open(folder / "log", "w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    host, port = ADDRESS.split(":")
    for _ in range(300):
        with socket.socket() as client:
            if client.connect_ex((host, int(port))) == 0:
                return server
        if server.poll() is not None:
            break
        time.sleep(0.1)
    server.kill()
    raise SystemExit(f"Cerbos does not start: see {folder / 'log'}")


def calls(workload, count, resources, actions):
    """Returns requests and their answers: one user with one role, some orgs, and for each org some permissions."""
    chance, checks, requests, expected = random.Random(7), cycle(workload.checks), [], []
    for _ in range(count):
        entries, answers = b"", []
        asked = [next(checks) for _ in range(resources)]
        _, user, role, *_ = asked[0]
        for org, _, _, mapping, permission in asked:
            names = [permission] if actions == 1 else chance.sample(PERMISSIONS, actions)
            resource = field(1, "organization") + field(2, mapping) + field(3, org)
            entries += field(4, b"".join(field(1, name) for name in names) + field(2, resource))
            answers.append({name: workload.allows(mapping, role, name) for name in names})
        requests.append(field(3, field(1, user) + field(3, role)) + entries)
        expected.append(answers)
    return requests, expected


def wrong(answer, expected):
    """Returns how many decisions of an answer are wrong."""
    results = [value for number, value in fields(answer) if number == 2]
    assert len(results) == len(expected), "an answer has too few results"
    count = 0
    for result, permissions in zip(results, expected):
        entries = [dict(fields(value)) for number, value in fields(result) if number == 2]
        allowed = {entry[1].decode(): entry.get(2) == 1 for entry in entries}
        count += sum(allowed.get(name) != allow for name, allow in permissions.items())
    return count


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number, value):
    """Returns a field of a protobuf message: a text or a message."""
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(message):
    """Yields the numbers and values of a protobuf message: numbers, texts and messages."""
    at = 0

    def read():
        nonlocal at
        number = shift = 0
        while True:
            byte = message[at]
            at += 1
            number |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return number

    while at < len(message):
        key = read()
        value = read()
        if key & 7 == 2:
            at, value = at + value, message[at:at + value]
        yield key >> 3, value
