"""A server for the tests of the clients: user `retry` is allowed at the third try, and user `slow` gets no answer in time."""

import sys
import time
from concurrent import futures

import grpc
from rolecall.v1 import check_pb2, check_pb2_grpc, decision_pb2


class Checks(check_pb2_grpc.CheckServiceServicer):
    tries = 0

    def Check(self, request, context):
        if request.user_id == "slow":
            time.sleep(60)
            context.abort(grpc.StatusCode.UNAVAILABLE, "too late")
        self.tries += 1
        if self.tries % 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "try again")
        return check_pb2.CheckResponse(allowed=True, decision=decision_pb2.DECISION_ALLOWED)


server = grpc.server(futures.ThreadPoolExecutor(8))
check_pb2_grpc.add_CheckServiceServicer_to_server(Checks(), server)
key, certificate = (open(path, "rb").read() for path in sys.argv[1:])
port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([(key, certificate)]))
server.start()
print(port, flush=True)
server.wait_for_termination()
