"""The plugin's process: the engine starts it, reads its port from the first line, and ends it.

Which emulator to use is in the variables that every AWS client reads: AWS_ENDPOINT_URL, AWS_CA_BUNDLE.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

import grpc
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import provider_pb2_grpc

from local.emulator.emulator import Emulator
from local.provider.provider import Provider

_THREADS = 16


def main() -> None:
    """Serve until the engine ends this process.

    Ends with a message where no emulator on this machine is named: this plugin must never touch a real AWS.
    """
    endpoint, authority = os.environ.get("AWS_ENDPOINT_URL", ""), os.environ.get("AWS_CA_BUNDLE", "")
    if urlsplit(endpoint).hostname != "127.0.0.1" or not authority:
        sys.exit(
            f"AWS_ENDPOINT_URL is {endpoint!r} and AWS_CA_BUNDLE is {authority!r}: this plugin works on an "
            "emulator at 127.0.0.1 only; set both as `python -m local engine` prints them"
        )
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=_GRPC_CHANNEL_OPTIONS)
    provider = Provider(Emulator.attached(endpoint, Path(authority)), version("pulumi-aws"))
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
