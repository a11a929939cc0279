"""`eventpipeline dev` as a person runs it, on copies of the example's files."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import requests
import yaml
from confluent_kafka.admin import (  # type: ignore[attr-defined] # stubs re-export nothing
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from contracts.runtime import Change, Runtime
from servers.local import REPOSITORY
from servers.waiting import wait_for

EXAMPLES = REPOSITORY / "examples"
START_SECONDS = 240


class Development(Runtime):
    """One run at a time; files and state stay between runs. A process is named by its pid."""

    def __init__(self, directory: Path, *options: str) -> None:
        self._options = options
        self.directory = directory
        self.object = directory / "shop.yaml"
        self.secrets = directory / "dev-secrets.yaml"
        self.code = directory / "code"
        self.state = directory / "state"
        self.output = directory / "output"
        self.started_in = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self.code.mkdir()
        for name in ("shop.yaml", "dev-secrets.yaml"):
            shutil.copy(EXAMPLES / name, directory / name)
        (directory / "dev.yaml").write_text(yaml.safe_dump(self._devfile()))

    def start(self) -> None:
        """Start it and wait until everything is ready."""
        began = time.monotonic()
        program = Path(sys.executable).with_name("eventpipeline")
        self.output.unlink(missing_ok=True)
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                [program, "dev", "-f", self.object, "--state", self.state, "--plain",
                 *self._options],
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        wait_for(f"readiness ({self.output})", self.is_ready, seconds=START_SECONDS)
        self.started_in = time.monotonic() - began

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end."""
        assert self._process
        self._process.send_signal(number)
        return self._process.wait(60)

    def close(self) -> None:
        """End for certain whatever still runs."""
        for pid in self.pids() if self._process else ():
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)

    def is_ready(self) -> bool:
        assert self._process
        assert self._process.poll() is None, self.output.read_text()
        states = [s for s in self.lines() if s.startswith("shop/shop: ")]
        return bool(states) and states[-1].startswith("shop/shop: ready")

    def lines(self) -> list[str]:
        """What was said, without the times."""
        return [line.partition("] ")[2] for line in self.output.read_text().splitlines()]

    def address(self, server: str) -> str:
        found = re.findall(rf"server {server}: ready \(address ([\d.:]+)", self.output.read_text())
        return str(found[-1])

    def call(self, method: str, path: str, body: object = None) -> requests.Response:
        return requests.request(method, self.entry + path, json=body, timeout=30)

    @property
    def entry(self) -> str:
        """The URL of the HTTP entry."""
        (found,) = re.findall(r"entry (http://[\d.:]+)", self.output.read_text())
        return str(found)

    def pids(self) -> set[int]:
        """The process and all that it has started, directly or not."""
        assert self._process
        return {self._process.pid, *_descendants(self._process.pid)}

    def processes(self, workload: str) -> set[str]:
        last: dict[str, str] = {}
        for line in self.lines():
            if match := re.match(rf"process ({workload}-\d+): (.*)", line):
                last[match.group(1)] = match.group(2)
        ready = (re.match(r"ready \(pid (\d+)", state) for state in last.values())
        return {match.group(1) for match in ready if match}

    def runs(self, process: str) -> bool:
        return is_alive(int(process))

    def kill(self, process: str) -> None:
        os.kill(int(process), signal.SIGKILL)

    def edit(self, change: Change) -> None:
        documents = list(yaml.safe_load_all(self.object.read_text()))
        change(documents[-1]["spec"])
        self.object.write_text(yaml.safe_dump_all(documents))

    def read_secret(self, path: str) -> dict[str, str]:
        values: dict[str, str] = yaml.safe_load(self.secrets.read_text())["kv"][path]
        return values

    def write_secret(self, path: str, values: dict[str, str]) -> None:
        contents = yaml.safe_load(self.secrets.read_text())
        contents["kv"][path] = values
        self.secrets.write_text(yaml.safe_dump(contents))

    def setting(self, topic: str, key: str) -> str:
        admin, resource = self._admin(), ConfigResource(ResourceType.TOPIC, topic)
        (future,) = admin.describe_configs([resource]).values()
        value: str = future.result()[key].value
        return value

    def change_setting(self, topic: str, key: str, value: str) -> None:
        entry = ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        admin = self._admin()
        (future,) = admin.incremental_alter_configs([resource]).values()
        future.result()
        wait_for("the broker to know it", lambda: self.setting(topic, key) == value)

    def subjects(self, order: str) -> list[str]:
        return [subject for subject, text in self._mails() if order in text]

    def _mails(self) -> Iterator[tuple[str, str]]:
        for file in (self.state / "servers" / "mail").glob("*.eml"):
            mail = BytesParser(policy=policy.default).parsebytes(file.read_bytes())
            body = mail.get_body(("plain", "html"))
            yield str(mail["Subject"]), str(body.get_content()) if body else ""

    def _admin(self) -> AdminClient:
        """To be held until it has answered: what it was asked ends with it."""
        return AdminClient({"bootstrap.servers": self.address("kafka")})

    def _devfile(self) -> Any:
        """The example's, from elsewhere, and with code that a test may write."""
        devfile = yaml.safe_load((EXAMPLES / "dev.yaml").read_text())
        for program in devfile["images"].values():
            program["directory"] = str((EXAMPLES / program["directory"]).resolve())
            program["watch"] = [str(self.code)]
        return devfile


def memory_of(pids: set[int]) -> int:
    """Proportional memory in bytes: what is shared counts once."""
    return sum(_proportional(pid) for pid in pids)


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def _proportional(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it has just ended
        return 0
    return sum(int(kib) for kib in re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)) * 1024


def _descendants(root: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - numbers, not paths
        if name.isdecimal() and (parent := _parent(int(name))):
            children.setdefault(parent, []).append(int(name))
    waiting = list(children.get(root, ()))
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting += children.get(pid, ())


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
