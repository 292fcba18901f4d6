"""Files, facts and the lease: one request a line in, one reply a line out."""

from __future__ import annotations

import select
import sys
import zipfile
from typing import Any

from .cache import Cache
from .evidence import evidence
from .facts import facts, identity
from .lease import EXPIRES_S, Door, Holder
from .requests import checked
from .wire import LONGEST_REQUEST_BYTES, Lines, Refused, parse, reply, reply_in_time

LOOK_MS = 1000
MOST_TRIES = 20


class Agent:
    """Answers requests until standard input ends, or the lease that it holds is lost."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.cache = Cache(root)
        self.door = Door(identity())
        self.holder: Holder | None = None
        self.swept_bytes = 0

    def serve(self) -> None:
        """Answer every request; serve those who ask about the lease meanwhile."""
        requests = Lines(0, LONGEST_REQUEST_BYTES)
        while True:
            while requests.ready:
                line = requests.next()
                assert line is not None
                reply_in_time(1, self.answer(line), EXPIRES_S)
            if requests.ended:
                return
            self.wait(requests)

    def wait(self, requests: Lines) -> None:
        """Wait for input from the host, or serve those who ask about the lease."""
        watch = select.poll()
        for fd in [0, *(self.holder.files() if self.holder else ())]:
            watch.register(fd, select.POLLIN)
        for fd, _ in watch.poll(LOOK_MS if self.holder else None):
            if fd == 0:
                requests.fill()
            elif self.holder:
                self.holder.serve(fd)
        if self.holder and self.holder.expired:
            by = self.holder.revoked_by
            sys.exit("the lease expired: the host was silent" if by is None else "the lease was taken away by %d" % by)

    def answer(self, line: bytes) -> dict[str, Any]:
        """Return the answer to one request; whatever it holds, the agent lives on."""
        try:
            request = checked(parse(line))
            handler = getattr(self, "do_" + request["op"], None)
            if handler is None:
                raise Refused("%r is no request to an agent" % request["op"])
            return {"ok": handler(request)}
        except OSError as error:
            return {"error": {"kind": "disk full" if error.errno in (28, 122) else "os", "message": str(error)}}
        except (Refused, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            return {"error": {"kind": "refused", "message": "%s: %s" % (type(error).__name__, error)}}
        finally:
            if self.holder:
                self.holder.beat()

    def do_facts(self, request: dict[str, Any]) -> dict[str, Any]:
        """Say what this device is."""
        return facts(self.root)

    def do_evidence(self, request: dict[str, Any]) -> dict[str, Any]:
        """Say what state this device is in."""
        return evidence()

    def do_missing(self, request: dict[str, Any]) -> dict[str, Any]:
        """Say what is not in the cache."""
        return self.cache.missing(request)

    def do_adopt(self, request: dict[str, Any]) -> dict[str, Any]:
        """Take files that arrived into the cache."""
        return self.cache.adopt(request)

    def do_assemble(self, request: dict[str, Any]) -> dict[str, Any]:
        """Make a folder of what is in the cache."""
        return self.cache.assemble(request)

    def do_trim(self, request: dict[str, Any]) -> dict[str, Any]:
        """Make the cache as small as asked, but for what is kept; say how much was freed, leftovers included."""
        self.require_lease()
        swept, self.swept_bytes = self.swept_bytes, 0
        return {"freed_bytes": swept + self.cache.trim(request["limit_bytes"], set(request["keep"]))}

    def do_lease(self, request: dict[str, Any]) -> dict[str, Any]:
        """Take the lease, or say who has it."""
        for _ in range(MOST_TRIES):
            if self.holder is None:
                self.holder = self.door.take(request["owner"], request["token"])
            if self.holder:
                self.swept_bytes += self.cache.sweep()
                return {"identity": identity()}
            holder = self.door.ask()
            if holder is not None:
                return {"holder": holder}
        return {"holder": {}}

    def do_await(self, request: dict[str, Any]) -> dict[str, Any]:
        """Wait until the lease may be free."""
        self.door.wait(request["seconds"])
        return {}

    def do_beat(self, request: dict[str, Any]) -> dict[str, Any]:
        """Hear that the host lives."""
        return {}

    def do_holder(self, request: dict[str, Any]) -> dict[str, Any]:
        """Say who holds the lease."""
        if self.holder:
            return {"holder": self.holder.card()}
        holder = self.door.ask()
        self.door.leave()
        return {"holder": holder}

    def do_revoke(self, request: dict[str, Any]) -> dict[str, Any]:
        """Ask the holder of the lease to end."""
        return self.door.revoke()

    def require_lease(self) -> None:
        """Refuse what only the holder of the lease may do."""
        if self.holder is None:
            raise Refused("this needs the lease")


def serve_agent(root: str) -> None:
    """Answer requests until standard input ends."""
    try:
        agent = Agent(root)
    except (Refused, OSError) as error:
        reply(1, {"error": {"kind": "unsuited", "message": str(error)}})
        sys.exit(str(error))
    try:
        agent.serve()
    except BrokenPipeError:
        sys.exit("the host does not listen any more")
