"""An agent's death between any two stores of what outlives it: see die_at.cc, whose file this maps."""
import mmap
import os
import struct
import time

PLACES, PLACE = 128, struct.Struct("=QQ112s")
ORDERS = struct.Struct("=QQ")
ROLES = ("client", "server")


class Orders:
    def __init__(self, folder):
        self.path = os.path.join(folder, "die-at")
        size = ORDERS.size + len(ROLES) * PLACES * PLACE.size
        with open(self.path, "w+b") as file:
            file.truncate(size)
            self._memory = mmap.mmap(file.fileno(), size)

    def places(self, role):
        """{number: name} of those that were passed."""
        first = ROLES.index(role) * PLACES
        found = {}
        for number in range(first, first + PLACES):
            key, _, name = PLACE.unpack_from(self._memory, ORDERS.size + number * PLACE.size)
            if key:
                found[number] = name.partition(b"\0")[0].decode()
        return found

    def die(self, number, passes):
        """The agent whose place that is dies when it is passed for so many times from now on."""
        self._memory[:ORDERS.size] = ORDERS.pack(0, passes)
        self._memory[:8] = struct.pack("=Q", number + 1)

    def died(self, seconds):
        """Whether it did, within the time."""
        end = time.monotonic() + seconds
        while struct.unpack_from("=Q", self._memory)[0]:
            if time.monotonic() > end:
                return False
            time.sleep(0.002)
        return True

    def forget(self):
        self._memory[:ORDERS.size] = bytes(ORDERS.size)
