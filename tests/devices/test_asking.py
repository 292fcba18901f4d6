"""Requests to an agent: one at a time, each within its deadline, each with its own answer."""

import threading
import time

import pytest

from hwloop.deadline import Deadline
from hwloop.devices.agent import Agent
from hwloop.errors import DeviceTimeout, DeviceUnreachable


class Mute:
    """A process that takes requests and never answers."""

    def write(self, data, deadline):
        pass

    def read_line(self, deadline):
        time.sleep(min(5.0, deadline.remaining_s))
        raise DeviceTimeout("box", "silence")


def test_a_request_waits_for_another_one_no_longer_than_its_deadline():
    agent = Agent("box", Mute())

    def ask_first():
        with pytest.raises(DeviceTimeout):
            agent.ask("facts", Deadline.after(2.0))

    first = threading.Thread(target=ask_first)
    first.start()
    time.sleep(0.2)
    with pytest.raises(DeviceTimeout, match="busy"):
        agent.ask("beat", Deadline.after(0.1))
    first.join()


def test_an_answer_that_came_too_late_is_never_taken_for_the_next_one():
    agent = Agent("box", Mute())
    with pytest.raises(DeviceTimeout):
        agent.ask("facts", Deadline.after(0.1))
    with pytest.raises(DeviceUnreachable, match="did not answer in time"):
        agent.ask("beat", Deadline.after(0.1))
