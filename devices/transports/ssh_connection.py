"""paramiko's connection, with what it lacks."""

from __future__ import annotations

import logging
import signal
import socket
import struct
from typing import Any

import paramiko
from paramiko import common

WINDOW_BYTES = 1 << 24
MOST_GREETING_BYTES = 1 << 16
NO_STATUS = -(1 << 16)
UNKNOWN_SIGNAL = 128
# paramiko logs what it raises as well; a library's log is not for the user's terminal.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


def _note_request(channel: paramiko.Channel, message: paramiko.Message) -> None:
    """Keep the signal that ended a command as a negative status; paramiko drops it."""
    kind = message.get_text()
    if kind == "exit-signal":
        message.get_boolean()
        number = getattr(signal, f"SIG{message.get_text()}", UNKNOWN_SIGNAL)
        channel.exit_status = -int(number)
        channel.status_event.set()
        return
    message.rewind()
    message.get_int()
    channel._handle_request(message)  # type: ignore[attr-defined]


class Connection(paramiko.Transport):
    """paramiko's connection with some of its gaps closed.

    It tells by which signal a command ended (128: one without a name). It sends nothing on a channel after its end:
    a write that crosses the server's own end made OpenSSH hang up on the whole connection. And it counts what arrives
    in `packets`, so that silence is noticed, keeps the server's last words in `farewell`, and listens to no greeting
    for ever.
    """

    _channel_handler_table = {  # noqa: RUF012
        **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]
        common.MSG_CHANNEL_REQUEST: _note_request,
    }

    def __init__(self, road: socket.socket | paramiko.Channel) -> None:
        self._ended: set[bytes] = set()
        self.packets = 0
        self.farewell = ""
        super().__init__(road, default_window_size=WINDOW_BYTES)
        self._read_message = self.packetizer.read_message
        self.packetizer.read_message = self._read_and_count  # type: ignore[method-assign]
        self._greeting_bytes = 0
        self._read_greeting = self.packetizer._read_timeout  # type: ignore[attr-defined]
        self.packetizer._read_timeout = self._read_and_limit  # type: ignore[attr-defined]

    def _read_and_count(self) -> tuple[int, paramiko.Message]:
        message = self._read_message()
        self.packets += 1
        return message

    def _read_and_limit(self, timeout_s: float) -> bytes:
        data: bytes = self._read_greeting(timeout_s)
        self._greeting_bytes += len(data)
        if self._greeting_bytes > MOST_GREETING_BYTES:
            raise paramiko.SSHException("its greeting has no end")
        return data

    def _parse_disconnect(self, message: paramiko.Message) -> None:
        message.get_int()
        self.farewell = message.get_text()

    def ask_for_an_answer(self) -> None:
        """Send a request that every server answers, if only to say that it does not know it; do not wait."""
        request = paramiko.Message()
        request.add_byte(common.cMSG_GLOBAL_REQUEST)
        request.add_string("keepalive@openssh.com")
        request.add_boolean(True)
        self._send_user_message(request)  # type: ignore[attr-defined]

    def open_channel(self, *args: Any, **kwargs: Any) -> paramiko.Channel:
        """Open a channel; the server may give it the number of one that ended."""
        channel = super().open_channel(*args, **kwargs)
        self._ended.discard(struct.pack(">I", channel.remote_chanid))
        return channel

    def _send_message(self, data: paramiko.Message) -> None:
        # paramiko calls this for channels under a lock, so the order here is the order on the wire.
        sent = data.asbytes()
        kind, number = sent[0], sent[1:5]
        if common.MSG_CHANNEL_WINDOW_ADJUST <= kind <= common.MSG_CHANNEL_REQUEST:
            if number in self._ended:
                return
            if kind == common.MSG_CHANNEL_CLOSE:
                self._ended.add(number)
        super()._send_message(data)  # type: ignore[misc]
