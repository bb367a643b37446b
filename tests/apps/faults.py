"""What the network, or the machine, does to a cell: each fault a beginning and an end.

A fault of `seconds` 0 is momentary.
"""
import dataclasses
import threading
import time
import typing

from streams import wait_until

KILLS, BETWEEN_KILLS_S = 100, 0.25


@dataclasses.dataclass(frozen=True)
class Fault:
    name: str
    told: str                                   # for people
    seconds: float
    begin: typing.Callable                      # (lab, pair)
    end: typing.Callable = lambda lab, pair: lab.heal()
    cuts: bool = False                          # no carrier lives through it
    filters: bool = False                       # the router throws packets away, and counts them
    outage: bool = True                         # nothing gets through until it ends
    direct: bool = True                         # there is something to see without Holdfast
    slow: bool = False                          # on the long path
    kills: bool = False                         # bare TCP cannot live through it, if it talks


def _stop(role):
    return lambda lab, pair: getattr(pair, role).freeze()


def _go_on(role):
    return lambda lab, pair: getattr(pair, role).go_on()


def _kill(pair):
    for number in range(KILLS):
        agent = (pair.server, pair.client)[number % 2]
        before = len(agent.events("recovered"))
        agent.kill_agent()
        wait_until(lambda: len(agent.events("recovered")) > before, 60, "a process that goes on")
        time.sleep(BETWEEN_KILLS_S)


def _begin_kills(lab, pair):
    pair.killing = threading.Thread(target=_kill, args=(pair,), daemon=True)
    pair.killing.start()


def _end_kills(lab, pair):
    pair.killing.join()
    kills = sum(len(agent.events("agent_died")) for agent in (pair.server, pair.client))
    if kills != KILLS:
        raise RuntimeError(f"{kills} agents died of {KILLS}")


def nothing(lab, pair):
    """The path is what it is."""


FAULTS = {fault.name: fault for fault in (
    Fault("reset", "every packet answered with a reset, for 2 s", 2, lambda lab, pair: lab.reject(),
          cuts=True, kills=True, filters=True),
    Fault("refusal", "resets, and every new connection refused, for 15 s", 15,
          lambda lab, pair: lab.reject(), cuts=True, kills=True, filters=True),
    Fault("silence-1", "the path drops everything for 1 s", 1, lambda lab, pair: lab.drop(),
          filters=True),
    Fault("silence-5", "the path drops everything for 5 s", 5, lambda lab, pair: lab.drop(),
          filters=True),
    Fault("silence-30", "the path drops everything for 30 s", 30, lambda lab, pair: lab.drop(),
          cuts=True, filters=True),
    Fault("one-way-up", "what the client sends is dropped for 10 s", 10,
          lambda lab, pair: lab.drop("up"), filters=True),
    Fault("one-way-down", "what the server sends is dropped for 10 s", 10,
          lambda lab, pair: lab.drop("down"), filters=True),
    Fault("loss", "2 % of all packets lost each way, for 15 s", 15, lambda lab, pair: lab.lose(2),
          outage=False, filters=True),
    Fault("slow", "200 ms there and back, 10 Mbit/s, all the time", 10, nothing, nothing,
          outage=False, slow=True),
    Fault("address", "the client's host gets another address", 0,
          lambda lab, pair: lab.change_address(), cuts=True, kills=True),
    Fault("route", "the client's route is gone for 10 s", 10, lambda lab, pair: lab.remove_route(),
          lambda lab, pair: lab.restore_route()),
    Fault("stop-client", "the client agent stopped (SIGSTOP) for 10 s", 10, _stop("client"),
          _go_on("client"), direct=False),
    Fault("stop-server", "the server agent stopped (SIGSTOP) for 10 s", 10, _stop("server"),
          _go_on("server"), direct=False),
    Fault("kills", "the agents killed (kill -9) in turn, 100 times within 30 s or so", 30, _begin_kills, _end_kills,
          direct=False),
)}
