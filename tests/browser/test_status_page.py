"""The status page in a real Chromium, beside a running pair: facts in the DOM, no markup from
outside, no request away, no complaint in the console; and screenshots for people to look at.
"""
import json

import pytest

from browser import Browser
from pair import EchoBackend, Pair, free_port
from stand_in import StandIn, ask
from streams import ping, wait_until

TAB = "\ue004"
PHONE = {"width": 360, "height": 780, "scale": 2}
UNREACHABLE = ("Failed to load resource", "ERR_CONNECTION_REFUSED")
# Would be run or drawn if any of it became markup.
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"\'><b>bold</b>'


def url(agent, path=""):
    return f"http://127.0.0.1:{agent.metrics_port}/{path}"


def words(browser):
    return browser.text("#words") or ""


def fits(browser):
    """Nothing is wider than the window."""
    return browser.run("return document.documentElement.scrollWidth <= innerWidth")


def weak_texts(browser):
    """Texts whose contrast to what they stand on is below 4.5 (WCAG AA)."""
    return browser.run(r"""
        const channels = text => text.match(/[\d.]+/g).map(Number);
        const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
            .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
        const ground = e => {
            for (; e; e = e.parentElement) {
                const colour = channels(getComputedStyle(e).backgroundColor);
                if (colour.length < 4 || colour[3] > 0) return colour;
            }
            return [255, 255, 255];
        };
        const weak = [];
        for (const e of document.querySelectorAll('body *')) {
            const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
            if (!own || !e.getClientRects().length || e.closest('svg, script')) continue;
            const [one, other] = [light(channels(getComputedStyle(e).color)), light(ground(e))];
            const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
            if (contrast < 4.5) weak.push(e.textContent + ' ' + contrast.toFixed(1));
        }
        return weak;
    """)


def test_the_page_shows_a_link_its_outage_on_the_time_line_and_that_it_is_over(tmp_path, shots):
    with Pair(tmp_path, server={"link": {"grace": "5m"}}) as pair, Browser() as browser:
        app, back = pair.connect()
        other, far = pair.connect()
        ping(app, back)
        browser.open(url(pair.client))
        browser.wait("return document.querySelector('#words').innerText.includes('Ready')")
        assert "edge-1" in browser.text("#name")
        assert "2 connections" in words(browser)
        assert "up" in browser.text("#links .chip")
        assert browser.run("return document.querySelectorAll('#links rect.live').length") == 1
        assert browser.run("return document.querySelectorAll('#links rect.out').length") == 0
        browser.wait("return document.querySelectorAll('#connections tbody tr').length === 2")
        assert f"127.0.0.1:{app.getsockname()[1]}" in browser.text("#connections")

        pair.relay.refuse()
        pair.relay.cut()
        other.sendall(b"while it is down")
        browser.wait("return document.querySelector('#words').innerText.includes('Link down for')")
        browser.wait("return document.querySelectorAll('#links rect.out').length === 1")
        browser.wait("return /2 connections are safe for 4 m \\d+ s more/.test("
                     "document.querySelector('#words').innerText)")
        assert browser.run("return document.title").startswith("▲ edge-1: Link down")
        browser.wait("return document.querySelector('#outages').innerText.includes('going on')")
        browser.screenshot(shots("light-desktop-outage"))
        browser.resize(360, 780, scale=2)
        browser.set_dark(True)
        browser.screenshot(shots("dark-phone-outage"))
        browser.resize(1200, 900)
        browser.set_dark(False)

        pair.relay.accept()
        browser.wait("return document.querySelector('#words').innerText.includes('Ready')")
        assert far.recv(100) == b"while it is down"
        browser.wait("return /2 connections\\s+resumed/.test(document.querySelector('#outages').innerText)")
        label = browser.run("return document.querySelector('#links rect.out').getAttribute('aria-label')")
        assert "carrier_reset" in label and "2 connections resumed" in label
        assert browser.problems() == []
        browser.screenshot(shots("light-desktop-after"))


def test_the_server_shows_each_client_and_who_is_missing(tmp_path):
    with Pair(tmp_path, server={"clients": {"edge-2": {"services": []}}}, link="plain") as pair, \
            Browser() as browser:
        browser.open(url(pair.server, "status"))
        browser.wait("return document.querySelector('#words').innerText.includes('Ready: 1 link up')")
        assert "Not connected: edge-2" in browser.text("#more")
        names = browser.run("return [...document.querySelectorAll('.link .name')].map(e => e.innerText)")
        assert sorted(names) == ["edge-1", "edge-2"]
        pair.relay.refuse()
        pair.relay.cut()
        browser.wait("return document.querySelector('#words').innerText.includes('Link down')")
        pair.relay.accept()
        browser.wait("return document.querySelector('#words').innerText.includes('Ready')")
        assert browser.problems() == []


def test_an_outage_can_be_chosen_by_keyboard_and_by_touching_near_it(tmp_path):
    with Pair(tmp_path) as pair, Browser(**PHONE) as browser:
        ping(*pair.connect())
        pair.client.run("reconnect")
        pair.client.wait_event("link_resumed")
        browser.open(url(pair.client))
        browser.wait("return document.querySelectorAll('#links rect.out').length === 1")
        browser.run("document.querySelector('[data-range=\"14400\"]').focus()")
        browser.press(TAB)
        browser.wait("return document.activeElement.classList.contains('out')")
        browser.wait("return document.querySelector('.detail').innerText.includes('reconnect')")
        key = browser.run("return document.activeElement.dataset.key")
        polls = len(browser.requests())
        wait_until(lambda: len(browser.requests()) >= polls + 2, 20, "two more polls")
        assert browser.run("return document.activeElement.dataset.key") == key
        assert "reconnect" in browser.text(".detail")
        browser.run("""
            document.querySelector('.strip').dispatchEvent(new MouseEvent('click', {clientX: 5, bubbles: true}));
        """)
        assert "reconnect" not in browser.text(".detail")
        browser.run("""
            const out = document.querySelector('rect.out').getBoundingClientRect();
            document.querySelector('.strip').dispatchEvent(
              new MouseEvent('click', {clientX: out.left - 9, clientY: out.top + 5, bubbles: true}));
        """)
        assert "reconnect" in browser.text(".detail")
        assert browser.problems() == []


def several_links(pair, **listens):
    """Makes the client's config one of several links, link X for service X; the last has no server."""
    settings = json.loads(json.dumps(pair.client.settings))
    link = settings.pop("link")
    settings["links"] = {name: dict(link) for name in listens}
    settings["links"][list(listens)[-1]]["server"] = [f"127.0.0.1:{free_port()}"]
    for name in listens:
        settings["services"][name] = {**settings["services"].get(name, {}), "link": name}
        settings["services"][name].setdefault("listen", listens[name])
    pair.client.write_config(settings)


def test_each_of_a_clients_links_has_its_row_by_its_name(tmp_path, shots):
    services = {"berlin": {}, "lisbon": {}}
    with Pair(tmp_path, services=services, wait_ready=False) as pair, Browser() as browser:
        pair.wait_ready()
        pair.client.terminate()
        several_links(pair, berlin=None, lisbon=None, oslo=f"127.0.0.1:{free_port()}")
        pair.client.start()
        wait_until(lambda: pair.client.run("links").stdout.count("live") == 2, 10, "two links that are up")
        app, back = pair.connect("berlin")
        other, far = pair.connect("lisbon")
        ping(app, back)
        pair.client.run("link", "down", "lisbon")
        pair.client.wait_event("link_down")
        pair.client.run("link", "up", "lisbon")
        ping(other, far)
        pair.client.run("link", "down", "lisbon")
        browser.open(url(pair.client))
        browser.wait("return document.querySelectorAll('#links .link').length === 3")
        names = browser.run("return [...document.querySelectorAll('.link .name')].map(e => e.innerText)")
        server = pair.server.status()["name"]
        assert names == [f"berlin to {server}", f"lisbon to {server}", "oslo"]
        browser.wait("return document.querySelectorAll('#links rect.out').length >= 2")
        outs = "return document.querySelectorAll('#links .link')[arguments[0]].querySelectorAll('rect.out').length"
        assert [browser.run(outs, i) for i in range(3)] == [0, 2, 0]
        browser.wait("return document.querySelector('#words').innerText.includes('2 of 3 links down, the longest')")
        assert "oslo: " in browser.text("#more")
        assert "lisbon" in browser.text("#outages")
        assert weak_texts(browser) == []
        browser.screenshot(shots("light-desktop-links"))
        browser.resize(360, 780, scale=2)
        browser.set_dark(True)
        browser.wait("return document.documentElement.scrollWidth <= innerWidth")
        browser.screenshot(shots("dark-phone-links"))
        assert browser.problems() == []
        pair.client.run("link", "up", "lisbon")
        ping(other, far)
        pair.close_sockets()


def test_an_agent_that_does_not_answer_is_told_and_so_is_its_return(tmp_path, shots):
    with Pair(tmp_path) as pair, Browser(**PHONE, dark=True) as browser:
        browser.open(url(pair.client))
        browser.wait("return document.querySelector('#words').innerText.includes('Ready')")
        pair.client.freeze()
        try:
            browser.wait("return document.querySelector('#words').innerText.includes('No answer')", seconds=30)
            assert browser.run("return document.body.classList.contains('stale')")
            browser.screenshot(shots("dark-phone-stale"))
        finally:
            pair.client.go_on()
        browser.wait("return document.querySelector('#words').innerText.includes('Ready')", seconds=30)
        assert not browser.run("return document.body.classList.contains('stale')")


def test_a_restarted_agent_begins_anew(tmp_path):
    with Pair(tmp_path) as pair, Browser() as browser:
        browser.open(url(pair.client))
        browser.wait("return document.querySelector('#words').innerText.includes('Ready')")
        before = browser.text("#about")
        pair.client.terminate()
        browser.wait("return document.querySelector('#words').innerText.includes('No answer')", seconds=30)
        pair.client.start()
        browser.wait("return document.querySelector('#words').innerText.includes('Ready')", seconds=30)
        assert browser.text("#about") != before
        assert browser.problems(expected=UNREACHABLE) == []


def hostile(data, wanted):
    """Every text that is not the agent's own vocabulary, wherever it stands."""
    def change(value, key=""):
        if isinstance(value, dict):
            return {k: change(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [change(v, key) for v in value]
        return HOSTILE if isinstance(value, str) and key not in ("state", "result", "kind") else value
    data.update(change(data))
    data["services"] = [{"name": HOSTILE, "health": HOSTILE, "fault": True, "opened": 1, "closed": {HOSTILE: 2},
                         "unusual": {HOSTILE: 2}, "bytes_up": 1, "bytes_down": 2}]
    data["totals"]["reconnects"] = {HOSTILE: 3}
    data["connections"]["by_state"][HOSTILE] = 1


@pytest.mark.parametrize("role", ["client", "server"])
def test_hostile_text_stays_text(tmp_path, role):
    with Pair(tmp_path) as pair:
        app, back = pair.connect()
        ping(app, back)
        pair.client.run("reconnect")
        pair.client.wait_event("link_resumed")
        killed = pair.client.connections()[0]["id"]
        pair.client.run("kill", killed)
        pair.client.wait_event("connection_closed", cause="admin_kill")
        ping(*pair.connect())
        with StandIn(getattr(pair, role).metrics_port, hostile) as page, Browser() as browser:
            browser.open(page)
            browser.wait("return document.querySelectorAll('#connections tbody tr').length === 1")
            for place in ("#name", "#links", "#outages", "#connections", "#services", "#endings", "#totals"):
                assert HOSTILE in browser.run("return document.querySelector(arguments[0]).textContent", place), place
            assert browser.run("return window.hacked === undefined")
            assert browser.run("return document.querySelectorAll('main img, main script, main b').length") == 0
            assert browser.run("return document.scripts.length") == 1
            assert browser.problems() == []
            # The policy would have stopped it besides: markup cannot even be assigned.
            assert browser.run("try { document.body.innerHTML = '<p>'; return 'taken' } catch (e) { return e.name }"
                               ) == "TypeError"


def crowd(data, wanted):
    """A busy day: hundreds of connections, four hours of rates, a dozen outages."""
    import math
    import random
    dice = random.Random(7)
    first = wanted["since"] == "0"
    data["uptime_s"] += 20000
    now = data["uptime_s"]
    data["started_at_ms"] -= 20000000

    def sample(t, span):
        level = 1 + math.sin(t / 900) ** 2 * 4 + dice.random()
        calm = any(o["began"] <= t <= o["ended"] + span for o in outages)
        return [t, span, 0 if calm else int(level * 4e5 * span), 0 if calm else int(level * 3e6 * span * dice.random()),
                260 + int(60 * math.sin(t / 1500)), 280 if calm else 0, None if calm else 0.02 + dice.random() * 0.01]

    causes = ["carrier_silent", "carrier_reset", "carrier_eof", "carrier_silent"]
    outages = []
    for i in range(16):
        began = now - 15000 + i * 940 + dice.random() * 300
        outages.append({"link": "3fa9c1d2", "peer": "hub-1", "began": began, "ended": began + 2 + dice.random() * 60,
                        "result": "resumed", "cause": causes[i % 4], "end_cause": "none", "connections": 280,
                        "resumed": 280, "replayed_bytes": dice.randrange(10 ** 7)})
    outages[3].update(result="ended", end_cause="grace_expired", resumed=0)
    history = data["history"]
    history["outages"] = outages
    history["lives"] = [{"link": "3fa9c1d2", "peer": "hub-1", "began": now - 19990, "ended": outages[3]["ended"],
                         "cause": "grace_expired"},
                        {"link": "4fa9c1d2", "peer": "hub-1", "began": outages[3]["ended"] + 40, "ended": None,
                         "cause": "none"}]
    if first:
        history["older"] = [sample(now - 14400 + i * 10, 10) for i in range(1440)]
        history["recent"] = [sample(now - 600 + i, 1) for i in range(600)]
    data["links"][0].update(peer="hub-1", connections=312, rtt_s=0.0241, in_state_s=7200)
    top = [{"id": f"4fa9c1d2-{i}", "service": dice.choice(["postgres", "redis", "ssh", "web"]), "peer": "hub-1",
            "client": f"10.1.{dice.randrange(4)}.{dice.randrange(250)}:{30000 + i}",
            "state": dice.choice(["open"] * 9 + ["closing"]), "bytes_up": 4 * 10 ** 9 // (i + 1),
            "bytes_down": 9 * 10 ** 9 // (i + 1), "unacked_bytes": dice.choice([0, 0, 0, 65536]),
            "queued_bytes": dice.choice([0, 0, 8192]), "paused": i == 2, "duration_s": 90000 / (i + 1),
            "detached_s": 40.5 if i % 3 else 0, "resumes": i % 3} for i in range(50)]
    data["connections"].update(total=312, by_state={"opening": 1, "open": 305, "closing": 6, "detached": 0}, top=top[:int(wanted["top"])])
    data["services"] = [{"name": name, "health": "granted, its target does not answer: target_refused, 3 s ago"
                         if name == "web" else "granted, its target answered 3 s ago", "fault": name == "web",
                         "opened": 41235, "closed": {"client_fin": 40900, "target_fin": 20, "grace_expired": 3},
                         "unusual": {"grace_expired": 3}, "bytes_up": 10 ** 10, "bytes_down": 10 ** 12} for name in ("postgres", "redis", "ssh", "web")]
    history["endings"] = [{"id": f"3fa9c1d2-{i}", "at": now - 9000 + i * 300, "service": "web", "client": f"10.1.0.7:{4000 + i}",
                           "cause": cause, "bytes_up": 100, "bytes_down": 100, "duration_s": 33} for i, cause in
                          enumerate(["target_refused", "grace_expired", "grace_expired", "admin_kill", "target_timeout"])]
    data["totals"].update(replayed_bytes=73 * 10 ** 6, connections_resumed=4200, outage_total_s=410.2,
                          reconnects={"carrier_silent": 8, "carrier_reset": 5, "carrier_eof": 4}, paused_credit=41)
    data.update(send_log_bytes=2 * 10 ** 7)


def test_a_busy_agent_is_legible_on_a_desk_and_on_a_phone(tmp_path, shots):
    with Pair(tmp_path) as pair, StandIn(pair.client.metrics_port, crowd) as page:
        for name, options in (("light-desktop-busy", {}), ("dark-desktop-busy", {"dark": True}),
                              ("dark-phone-busy", {**PHONE, "dark": True}), ("light-phone-busy", PHONE)):
            with Browser(**options) as browser:
                browser.open(page)
                listed = 5 if "phone" in name else 15
                browser.wait(f"return document.querySelectorAll('#connections tbody tr').length === {listed}")
                assert f"and {312 - listed} more" in browser.text("#connections")
                assert weak_texts(browser) == []
                assert browser.run("return document.querySelectorAll('#outages tbody tr').length") == 12
                assert fits(browser), name
                browser.screenshot(shots(name))
                browser.run("document.querySelector('[data-range=\"14400\"]').click()")
                assert browser.run("return document.querySelectorAll('#links rect.out').length") >= 14
                assert fits(browser), name
                browser.screenshot(shots(name + "-hours"), whole=False)
                browser.run("document.querySelector('[data-list]').click()")
                browser.wait("return document.querySelectorAll('#connections tbody tr').length === 50")
                assert "lists all" in browser.text("#connections")
                assert fits(browser), name
                assert browser.problems() == []


def test_a_fresh_agent_without_anything_is_legible(tmp_path, shots):
    with Pair(tmp_path) as pair, Browser(**PHONE, dark=True) as browser:
        browser.open(url(pair.client))
        browser.wait("return document.querySelector('#connections').innerText.includes('None now')")
        assert fits(browser)
        browser.screenshot(shots("dark-phone-empty"))
        assert browser.problems() == []


def test_a_service_can_be_chosen_and_an_id_copied(tmp_path):
    services = {"raw": {"target": EchoBackend()}, "web": {"target": EchoBackend()}}
    with Pair(tmp_path, services=services) as pair, Browser() as browser:
        apps = [pair.dial("raw") for _ in range(20)] + [pair.dial("web") for _ in range(3)]
        browser.open(url(pair.client))
        browser.wait("return document.querySelectorAll('#connections tbody tr').length === 15")
        assert "and 8 more" in browser.text("#connections")
        browser.run("""
            const choice = document.querySelector('#service');
            choice.value = 'web';
            choice.dispatchEvent(new Event('change'));
        """)
        browser.wait("return document.querySelectorAll('#connections tbody tr').length === 3")
        led = browser.run("return [...document.querySelectorAll('#connections td strong')].map(e => e.innerText)")
        assert led == ["web"] * 3
        assert "more" not in browser.text("#connections")
        ids = {each["id"] for each in pair.client.connections()}
        browser.run("""
            window.copied = [];
            Object.defineProperty(navigator, 'clipboard', {value: {writeText: async text => copied.push(text)}});
            document.querySelector('#connections .copy').click();
        """)
        browser.wait("return document.querySelector('#connections .copy').innerText === 'copied'")
        (copied,) = browser.run("return window.copied")
        assert copied in ids
        assert browser.problems() == []
        for app in apps:
            app.close()


def test_unusual_ends_are_grouped_and_a_service_without_a_target_is_told(tmp_path, shots):
    services = {"raw": {"target": EchoBackend()}, "web": {"target": f"127.0.0.1:{free_port()}"}}
    with Pair(tmp_path, services=services) as pair, Browser() as browser:
        pair.dial("raw")
        for _ in range(5):
            pair.dial_in_vain("web")
        browser.open(url(pair.client))
        browser.wait("return document.querySelectorAll('#endings tbody tr').length === 1")
        browser.wait("return document.querySelector('#endings td.n').innerText === '5'")
        assert "target_refused" in browser.text("#endings")
        assert "5 connections" in browser.text("#endings-about")
        assert "web" in browser.text("#services-about")
        assert "does not answer: target_refused" in browser.text("#services")
        browser.screenshot(shots("light-desktop-service-down"))


def test_a_phone_shows_the_rest_at_a_touch_and_a_young_agents_axis_is_short(tmp_path):
    with Pair(tmp_path) as pair, Browser(**PHONE) as browser:
        ping(*pair.connect())
        pair.client.run("reconnect")
        pair.client.wait_event("link_resumed")
        browser.open(url(pair.client))
        browser.wait("return document.querySelectorAll('#outages tbody tr').length === 1")
        seen = "return document.querySelector('[aria-label=\"Outages\"] details').open"
        assert not browser.run(seen)
        browser.run("document.querySelector('[aria-label=\"Outages\"] summary').click()")
        assert browser.run(seen)
        browser.wait("return document.querySelector('#outages tbody') !== null")
        assert browser.run("return document.querySelectorAll('details[open]').length") == 1
        assert browser.run("return document.querySelector('#links .axis span').innerText") == "1 min ago"
        assert browser.run("return document.querySelectorAll('#graphs .axis').length") == 4
        browser.resize(1200, 900)
        browser.wait("return document.querySelectorAll('details:not([open])').length === 0")
        assert browser.problems() == []


def test_hundreds_of_real_connections_and_their_rates_are_shown(tmp_path, shots):
    services = {"raw": {"target": EchoBackend()}, "web": {"target": EchoBackend()}}
    with Pair(tmp_path, services=services) as pair, Browser() as browser:
        browser.open(url(pair.server))
        apps = [pair.dial("raw") for _ in range(200)] + [pair.dial("web") for _ in range(100)]
        browser.wait("return /300 in all/.test(document.querySelector('#connections-about').innerText)")
        for app in apps[:20]:
            app.sendall(b"x" * 30000)
        browser.wait("return document.querySelectorAll('#connections tbody tr').length === 15")
        browser.wait("return document.querySelector('#connections td:nth-child(3)').innerText.includes('29.3 KiB')")
        browser.wait("return document.querySelector('.c-up .curve').getAttribute('d').length > 10")
        browser.wait("return document.querySelector('#services').innerText.includes('586 KiB')")
        browser.screenshot(shots("light-desktop-connections"))
        assert browser.problems() == []
        for app in apps:
            app.close()


def test_names_that_others_made_lead_here_are_refused(tmp_path):
    with Pair(tmp_path) as pair:
        for path in ("/", "/status", "/status.json"):
            assert ask(pair.client.metrics_port, path)[0] == 200
            status, _, body = ask(pair.client.metrics_port, path, host="rebound.example:80")
            assert status == 403
            assert b"open it as http://" in body
        assert ask(pair.client.metrics_port, "/metrics", host="monitor.example")[0] == 200
