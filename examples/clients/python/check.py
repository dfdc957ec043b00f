"""Asks Rolecall whether a user may do something: check.py ORG USER PERMISSION."""

import json
import os
import sys

import grpc
from rolecall.v1 import check_pb2, check_pb2_grpc, decision_pb2

RETRY = {"methodConfig": [{"name": [{"service": "rolecall.v1.CheckService"}], "retryPolicy": {
    "maxAttempts": 4, "initialBackoff": "0.05s", "maxBackoff": "0.5s", "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"]}}]}
options = [("grpc.service_config", json.dumps(RETRY))]

server = os.environ["ROLECALL_SERVER"]  # unix:PATH or HOST:PORT
if server.startswith("unix:"):
    # A path is no valid name of a host.
    channel = grpc.insecure_channel(server, [*options, ("grpc.default_authority", "localhost")])
else:
    with open(os.environ["ROLECALL_CA"], "rb") as ca:
        channel = grpc.secure_channel(server, grpc.ssl_channel_credentials(ca.read()), options)

org, user, permission = sys.argv[1:]
request = check_pb2.CheckRequest(org_id=org, user_id=user, permission=permission)
deadline = float(os.environ.get("ROLECALL_DEADLINE", "2"))  # in seconds
key = ("authorization", "Bearer " + os.environ["ROLECALL_KEY"])
try:
    answer = check_pb2_grpc.CheckServiceStub(channel).Check(request, timeout=deadline, metadata=[key])
except grpc.RpcError as error:
    sys.exit(f"{error.code().name}: {error.details()}")
print(decision_pb2.Decision.Name(answer.decision))
