#!/usr/bin/env python3
"""Measures Rolecall, a gRPC echo and Cerbos with one client, in alternating rounds, and prints one table.

Needs Linux on x86-64, Rust, Python 3.9 and npm. Writes table.md, rounds.json and the workload to target/peers."""

import argparse
import json
import os
import struct
import subprocess
from pathlib import Path
from statistics import median

import cerbos
from workload import Workload

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "target" / "peers"
MODES = {
    "check": "Check: 1 check a call",
    "batch": "BatchCheck: 1,000 random rows",
    "columns": "BatchCheck by columns: 100 users x 100 permissions",
}
SYSTEMS = ["echo", "Rolecall", f"Cerbos {cerbos.VERSION}"]
# A call of Cerbos is about one user. Requests, resources, actions and calls in flight.
CERBOS = {
    "1 check a call: the only way for different users": (5_000, 1, 1, 16),
    "1 user, 100 resources": (500, 100, 1, 16),
    "1 user, 5 resources x 200 actions": (200, 5, 200, 4),
}


def main():
    args = arguments()
    OUT.mkdir(parents=True, exist_ok=True)
    if not args.rolecall:
        subprocess.run(["cargo", "build", "--profile", "production", "--locked"], cwd=ROOT, check=True)
    program = args.rolecall or ROOT / "target" / "production" / "rolecall"
    workload = Workload(args.memberships, args.checks)
    workload.write(OUT)
    database = OUT / "rolecall.db"
    for file in OUT.glob("rolecall.db*"):
        file.unlink()
    peer = Peer(program, workload, args.seconds)
    rounds = []
    try:
        for turn in range(args.rounds):
            print(f"round {turn + 1} of {args.rounds}", flush=True)
            rounds += [rolecall(program, database, transport, args) for transport in ("tcp", "unix")]
            rounds.append(peer.measure(is_first=turn == 0))
    finally:
        peer.stop()
    (OUT / "rounds.json").write_text(json.dumps(rounds, indent=1))
    text = table([point for points in rounds for point in points])
    text += f"\n{args.memberships:,} memberships, {args.rounds} rounds of {args.seconds:g} s, {os.cpu_count()} cores.\n"
    (OUT / "table.md").write_text(text)
    print(text)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--memberships", type=int, default=1_000_000, help="default: %(default)s")
    parser.add_argument("--checks", type=int, default=500_000, help="different checks (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each round (default: %(default)s)")
    parser.add_argument("--rolecall", help="the program (default: builds it with the profile production)")
    return parser.parse_args()


def point(system, question, side, ratio=None, verified=None):
    return {"system": system, "question": question, **side, "ratio": ratio, "verified": verified}


def rolecall(program, database, transport, args):
    """Measures one round of Rolecall and of the echo. `rolecall bench` loads the workload if it is not there, and
    verifies the answers to all requests, before and after the round."""
    command = [program, "bench", "--json", "--against-echo", "--workload", OUT, "--database", f"sqlite://{database}"]
    command += ["--rounds", "1", "--seconds", str(args.seconds), "--checks", str(args.checks)]
    command += ["--mode", ",".join(MODES)]
    report = json.loads(run(command + ["--unix"] * (transport == "unix")))
    points = []
    for calls in report["workloads"][0]["calls"]:
        question = f"{MODES[calls['mode']]}, {transport}"
        points.append(point("Rolecall", question, calls["rolecall"], calls["ratio_to_echo"], calls["checks_verified"]))
        points.append(point("echo", f"the bytes of {question}", calls["echo"]))
    return points


class Peer:
    """Cerbos, and an echo for each of its questions: it answers as many bytes."""

    def __init__(self, program, workload, seconds):
        self.program, self.seconds, self.questions, self.servers = program, seconds, [], []
        folder = OUT / "cerbos"
        folder.mkdir(exist_ok=True)
        try:
            server = cerbos.start(cerbos.fetch(folder), workload, folder)
            self.servers.append(server)
            for number, (name, (count, resources, actions, in_flight)) in enumerate(CERBOS.items()):
                requests, expected = cerbos.calls(workload, count, resources, actions)
                file = folder / f"requests-{number}"
                file.write_bytes(b"".join(struct.pack(">BI", 0, len(request)) + request for request in requests))
                checks = resources * actions
                call = ["--requests", file, "--in-flight", str(in_flight), "--checks-per-call", str(checks)]
                target = ["--server", cerbos.ADDRESS, "--pid", str(server.pid), "--path", cerbos.PATH]
                answers = self.verify(target + call, folder / "answers", expected)
                self.questions.append((name, call, target, self.echo(answers), count * checks))
        except BaseException:
            self.stop()
            raise

    def verify(self, call, file, expected):
        """Compares every answer. Returns the bytes of one."""
        run([self.program, "bench-replay", *call, "--answers", file])
        data, at, wrong = file.read_bytes(), 0, 0
        for answers in expected:
            _, length = struct.unpack_from(">BI", data, at)
            wrong += cerbos.wrong(data[at + 5:at + 5 + length], answers)
            at += 5 + length
        if wrong:
            raise SystemExit(f"{wrong} decisions of Cerbos are wrong")
        return len(data) // len(expected) - 5

    def echo(self, answer_bytes):
        command = [self.program, "bench-echo", "--listen", "127.0.0.1:0", "--answer-bytes", str(answer_bytes)]
        server = subprocess.Popen(command, stderr=subprocess.PIPE)
        self.servers.append(server)
        address = json.loads(server.stderr.readline())["fields"]["address"]
        return ["--server", address, "--pid", str(server.pid), "--path", "/rolecall.v1.CheckService/Check"]

    def measure(self, is_first):
        # Its answers are verified once, before the rounds.
        points = []
        for name, call, target, echo, verified in self.questions:
            replay = [self.program, "bench-replay", *call, "--seconds", str(self.seconds)]
            side, floor = (json.loads(run(replay + of)) for of in (target, echo))
            rate, floor_rate = side["calls_per_cpu_second"], floor["calls_per_cpu_second"]
            share = rate / floor_rate if rate and floor_rate else None
            points.append(point(SYSTEMS[2], f"{name}, tcp", side, share, verified if is_first else 0))
        return points

    def stop(self):
        for server in self.servers:
            server.terminate()
            server.wait()


def run(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


def table(points):
    """Returns a Markdown table of the medians over the rounds."""
    rows = {}
    for one in sorted(points, key=lambda one: SYSTEMS.index(one["system"])):
        rows.setdefault((one["system"], one["question"]), []).append(one)
    titles = ["system", "question", "checks per CPU second", "p50", "p99", "share of the echo's rate for its bytes"]
    lines = [f"| {' | '.join(titles)} | answers verified |", "|---" * (len(titles) + 1) + "|"]
    for (system, question), measured in rows.items():
        middle = lambda name: median([one[name] for one in measured if one[name]] or [0])
        share, verified = middle("ratio"), sum(one["verified"] or 0 for one in measured)
        lines.append("| " + " | ".join([
            system, question, digits(middle("checks_per_cpu_second")), time(middle("p50_us")), time(middle("p99_us")),
            f"{share:.1%}" if share else "", f"{verified:,}" if verified else "",
        ]) + " |")
    return "\n".join(lines) + "\n"


def digits(figure):
    """Returns a number with three digits: more are noise."""
    figure = float(f"{figure:.3g}")
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:g}"


def time(us):
    return f"{digits(us / 1000)} ms" if us >= 1000 else f"{digits(us)} us"


if __name__ == "__main__":
    main()
