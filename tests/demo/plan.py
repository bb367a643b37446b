"""The cuts: their kinds, and which come when."""
import dataclasses


@dataclasses.dataclass(frozen=True)
class Cut:
    kind: str
    hold_s: float = 0.0
    at: float = 0.0                    # the part of the download that has arrived by then

    @property
    def text(self):
        return {
            "reset": "reset: the TCP connection that carries it all is torn down",
            "silence": f"silence: for {self.hold_s:g} s every packet vanishes, both ways",
            "one-way": f"one-way silence: for {self.hold_s:g} s nothing comes back",
            "refusal": f"refusal: torn down, and for {self.hold_s:g} s new connections are refused",
        }[self.kind]

    def begin(self, relay):
        if self.kind == "silence":
            relay.blackhole("both")
        elif self.kind == "one-way":
            relay.blackhole("down")
        else:
            if self.kind == "refusal":
                relay.refuse()
            relay.cut()

    @staticmethod
    def end(relay):
        relay.thaw()
        relay.accept()


@dataclasses.dataclass(frozen=True)
class Plan:
    file_bytes: int
    without: tuple
    cuts: tuple


FULL = Plan(70_000_000,
            (Cut("reset"), Cut("silence", 2), Cut("refusal", 1)),
            (Cut("reset", 0, 0.10), Cut("silence", 3, 0.25), Cut("refusal", 2, 0.45),
             Cut("one-way", 2, 0.65), Cut("reset", 0, 0.85)))
QUICK = Plan(25_000_000,
             (Cut("reset"), Cut("silence", 1), Cut("refusal", 0.5)),
             (Cut("reset", 0, 0.10), Cut("silence", 1.5, 0.35), Cut("refusal", 1, 0.70)))
