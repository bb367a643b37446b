"""The soak finds what it is there to find, and its picture can be drawn."""
import asyncio
import xml.dom.minidom

import pytest

import heap
import plot_soak
from traffic import Broken, Connection, Totals, echo


def exchange(service, use):
    """use(connection) against the service; gives the totals."""
    async def go():
        server = await asyncio.start_server(service, "127.0.0.1", 0)
        totals = Totals()
        connection = await Connection.open(server.sockets[0].getsockname(), totals)
        try:
            await use(connection)
        finally:
            connection.writer.close()
            server.close()
        return totals
    return asyncio.run(go())


async def talk(connection):
    await connection.exchange(b"x" * 100_000)
    await connection.finish()


def test_what_comes_back_whole_counts():
    totals = exchange(echo, talk)
    assert (totals.bytes_echoed, totals.half_closed, totals.ended) == (100_000, 1, 1)


def test_another_byte_is_noticed():
    async def wrong(reader, writer):
        data = await reader.readexactly(100_000)
        writer.write(data[:-1] + b"y")
    with pytest.raises(Broken, match="other bytes"):
        exchange(wrong, talk)


def test_an_early_end_is_noticed():
    async def short(reader, writer):
        writer.write(await reader.read(10))
        await reader.readexactly(90_000)
        writer.close()
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        exchange(short, talk)


def test_bytes_too_many_are_noticed():
    async def more(reader, writer):
        writer.write(await reader.readexactly(100_000) + b"z")
        await reader.read()
        writer.close()
    with pytest.raises(Broken, match="after everything"):
        exchange(more, talk)


def test_the_picture_is_drawn_with_its_faults():
    samples = [{"at": at, "bytes": at * 1e6, **{f"{role}_{what}": at + 1 for role in ("client", "server")
                                               for what in ("rss", "fds", "cpu")}} for at in (0, 2, 4)]
    text = plot_soak.draw({"samples": samples, "pings": [(0.1, 1.0), (3.0, 250.0)], "seconds": 4,
                           "faults": 1, "reloads": 0, "connections": 3,
                           "outages": [("reset", 1.0, 2.0)]})
    picture = xml.dom.minidom.parseString(text)
    shaded = [r for r in picture.getElementsByTagName("rect")
              if r.getAttribute("fill") == plot_soak.FAULT]
    assert len(shaded) == 4, "once in each panel"
    assert "250" in text and len(picture.getElementsByTagName("polyline")) == 6


def test_a_heap_that_swings_has_not_grown_and_one_that_leaks_has():
    assert heap.growth([4000, 4200, 4100, 4010, 4210, 4005]) == 5
    leaks = [4_000_000 + 6 * seen for seen in range(0, 40_000, 1000)]
    assert heap.growth(leaks) > heap.SLACK_BYTES
