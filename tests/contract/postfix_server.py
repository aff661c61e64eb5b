"""A real Postfix of a test's own: Debian's package unpacked into a folder, its own queue, loopback, a high port.

Nothing is installed and no queue but its own is touched. Postfix starts as root and becomes another user.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_QUEUES = (
    "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "maildrop", "private", "public",
    "saved", "trace",
)  # fmt: skip
_OWNER, _GROUP = "mail", "utmp"

_MAIN = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
daemon_directory = {package}/usr/lib/postfix/sbin
command_directory = {package}/usr/sbin
shlib_directory = {package}/usr/lib/postfix
meta_directory = {home}/conf
import_environment = MAIL_CONFIG={home}/conf LD_LIBRARY_PATH={package}/usr/lib/postfix
mail_owner = {owner}
setgid_group = {group}
default_privs = nobody
maillog_file = {home}/log/maillog
maillog_file_prefixes = {home}/log
myhostname = mx.test
mydestination =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions =
relayhost = [127.0.0.1]:{onward}
transport_maps = inline:{{ {{ {back_domain} = smtp:[127.0.0.1]:{back} }} }}
smtp_dns_support_level = disabled
smtp_host_lookup = native
disable_dns_lookups = yes
alias_maps =
minimal_backoff_time = 2s
queue_run_delay = 2s
"""

_MASTER = """\
{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Postfix:
    """A running one. log: its own log; port: where it takes mail."""

    port: int
    log: Path


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def unpacked(folder: Path) -> Path:
    """Debian's package in a folder; skips the test where there is none to be had."""
    if os.geteuid() != 0:
        pytest.skip("a real Postfix needs root to start")
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            pytest.skip(f"a real Postfix comes from Debian's package; there is no {tool}")
    got = subprocess.run(
        ["apt-get", "-o", "APT::Sandbox::User=root", "download", "postfix"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    packages = list(folder.glob("postfix_*.deb"))
    if got.returncode != 0 or not packages:
        pytest.skip(f"Debian's Postfix could not be fetched: {got.stderr.strip()[-200:]}")
    subprocess.run(["dpkg", "-x", packages[0], folder / "package"], check=True)
    return folder / "package"


@contextmanager
def serve(onward: int, back: int, back_domain: str) -> Iterator[Postfix]:
    """Takes all mail, hands it to the server at `onward`, and what comes back for us to the one at `back`."""
    # The queue's sockets need a short path.
    home = Path(tempfile.mkdtemp(prefix="congvan-pf-"))
    home.chmod(0o755)
    try:
        package = unpacked(home)
        port = free_port()
        for name in ("conf", "data", "log", "queue", *(f"queue/{one}" for one in (*_QUEUES, "pid"))):
            (home / name).mkdir()
        owner = pwd.getpwnam(_OWNER)
        for name in ("data", *(f"queue/{one}" for one in _QUEUES)):
            os.chown(home / name, owner.pw_uid, -1)
        values = {"home": home, "package": package, "owner": _OWNER, "group": _GROUP, "onward": onward, "back": back}
        (home / "conf" / "main.cf").write_text(_MAIN.format(back_domain=back_domain, **values))
        (home / "conf" / "master.cf").write_text(_MASTER.format(port=f"127.0.0.1:{port}"))
        with _running(home, package, port):
            yield Postfix(port, home / "log" / "maillog")
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _running(home: Path, package: Path, port: int) -> Iterator[None]:
    libraries = package / "usr" / "lib" / "postfix"
    with (home / "master.out").open("wb") as out:
        master = subprocess.Popen(
            [libraries / "sbin" / "master", "-c", home / "conf", "-d"],
            env={"LD_LIBRARY_PATH": str(libraries), "PATH": os.environ["PATH"]}, stdout=out, stderr=out, cwd=home,
        )  # fmt: skip
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert master.poll() is None, (home / "master.out").read_text()
            time.sleep(0.1)
        else:
            log = home / "log" / "maillog"
            raise AssertionError(log.read_text() if log.exists() else "Postfix does not listen and logs nothing")
        yield
    finally:
        master.terminate()
        master.wait(20)
