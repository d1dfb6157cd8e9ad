"""OpenStack Swift as one server for S3: python3 swift-server.py DIR PROXY ACCOUNT CONTAINER OBJECT (free ports).

Everything is in DIR, on loopback, under the user that runs it. Ends with its servers at SIGTERM.
"""
import contextlib
import ctypes
import getpass
import os
import signal
import sys
import traceback

import pkg_resources  # noqa: F401
import swift.account.server  # noqa: F401
import swift.container.server  # noqa: F401
import swift.obj.server  # noqa: F401
import swift.proxy.server  # noqa: F401
from swift.common import utils
from swift.common.ring import RingBuilder
from swift.common.middleware.s3api import s3api  # noqa: F401
from swift.common.wsgi import run_wsgi

PR_SET_PDEATHSIG = 1


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def write_ring(directory, name, port):
    builder = RingBuilder(part_power=2, replicas=1, min_part_hours=0)
    builder.add_dev({
        "id": 0, "region": 1, "zone": 1, "weight": 1.0, "device": "disk", "meta": "",
        "ip": "127.0.0.1", "port": port,
        "replication_ip": "127.0.0.1", "replication_port": port,
    })
    builder.rebalance(seed=1)
    builder.get_ring().save(os.path.join(directory, name + ".ring.gz"))


def common(directory, port):
    return f"""
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {getpass.getuser()}
swift_dir = {directory}
devices = {directory}/devices
mount_check = false
fallocate_reserve = 0
log_level = WARNING
[filter:healthcheck]
use = egg:swift#healthcheck
"""


def storage(directory, name, port):
    return common(directory, port) + f"""
[pipeline:main]
pipeline = healthcheck {name}-server
[app:{name}-server]
use = egg:swift#{name}
"""


def proxy(directory, port):
    """test:writer may do everything, test:stranger nothing; the third name is no user."""
    return common(directory, port) + """
[pipeline:main]
pipeline = catch_errors healthcheck cache s3api tempauth slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
# tempauth wants to know of one, and does without its answers.
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
# So that a short list has pages.
max_bucket_listing = 3
[filter:tempauth]
use = egg:swift#tempauth
user_test_writer = writer-secret-0123456789 .admin
user_test_stranger = stranger-secret-0123456789
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""


def serve(config, section):
    """In a child of its own, which dies with this process."""
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        try:
            run_wsgi(config, section, verbose=True)
        except BaseException:
            traceback.print_exc()
        print(f"expected a running {section}, got its end", file=sys.stderr, flush=True)
        os._exit(1)
    return pid


def main(directory, *ports):
    proxy_port, *storage_ports = map(int, ports)
    os.makedirs(os.path.join(directory, "devices", "disk"))
    write(os.path.join(directory, "swift.conf"), "[swift-hash]\nswift_hash_path_suffix = test\n")
    utils.set_swift_dir(directory)
    servers = {}
    for name, port in zip(("account", "container", "object"), storage_ports):
        write_ring(directory, name, port)
        servers[name] = storage(directory, name, port)
    servers["proxy"] = proxy(directory, proxy_port)
    children = []
    for name, text in servers.items():
        config = os.path.join(directory, name + "-server.conf")
        write(config, text)
        children.append(serve(config, name + "-server"))

    def end(*_):
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    # None of them ends by itself: then something is wrong, and the others need not go on.
    os.wait()
    end()


if __name__ == "__main__":
    main(*sys.argv[1:])
