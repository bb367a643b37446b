"""Per service each side tells whether it is granted and whether its target answers: from link-up on,
by checks and by what real connects come to."""
from pair import TIMESCALE, Backend, format_address, free_port
from streams import ping, wait_until
from test_reload import change, reload


def health(agent, service):
    told = agent.status()["services"][service]
    return told["granted"], told["target"]


def line(agent, service):
    return next(each for each in agent.run("status").stdout.splitlines()
                if each.startswith(f"service {service}: "))


def nobody():
    return format_address(("127.0.0.1", free_port()))


def test_what_is_not_granted_is_told_before_anybody_asks_for_it(make_pair):
    pair = make_pair(services={"raw": {}, "secret": {}},
                     server={"clients": {"edge-1": {"services": ["raw"]}}})
    assert health(pair.client, "raw") == (True, None)
    assert health(pair.client, "secret") == (False, None)
    assert "does not grant" in line(pair.client, "secret")
    assert any("does not grant this client: secret" in each for each in pair.client.events("warning"))
    assert pair.client.metric("holdfast_service_granted", service="raw") == 1
    assert pair.client.metric("holdfast_service_granted", service="secret") == 0
    assert pair.client.run("ready").returncode == 0
    assert pair.client.run("ready", "--service", "raw").returncode == 0
    ready = pair.client.run("ready", "--service", "secret")
    assert ready.returncode == 75 and "does not grant" in ready.stderr


def test_the_server_names_what_was_asked_for_and_whether_there_is_any(make_pair):
    pair = make_pair(services={"raw": {}, "secret": {}, "typo": {}},
                     server={"clients": {"edge-1": {"services": ["raw"]}}})
    settings = pair.server.settings
    del settings["services"]["typo"]
    pair.server.write_config(settings)
    reload(pair.server)
    for service, reason in (("secret", "not granted to this client"), ("typo", "there is no [services.NAME]")):
        pair.dial_in_vain(service)
        told, = pair.server.wait_event("connection_refused", service=service, cause="unknown_service")
        assert reason in told
    assert health(pair.client, "secret") == (False, "unknown_service")


def test_a_grant_that_a_reload_gives_is_known_from_the_next_answer_on(make_pair):
    pair = make_pair(services={"raw": {}, "late": {}},
                     server={"clients": {"edge-1": {"services": ["raw"]}}})
    assert health(pair.client, "late")[0] is False
    change(pair.server, "clients", "edge-1", "services", value=["raw", "late"])
    reload(pair.server)
    ping(*pair.connect("late"))
    assert health(pair.client, "late") == (True, "answers")


def test_what_a_connect_comes_to_is_told_at_both_ends(make_pair):
    pair = make_pair(services={"raw": {}, "gone": {"target": nobody()}})
    ping(*pair.connect("raw"))
    pair.dial_in_vain("gone")
    for agent in (pair.client, pair.server):
        wait_until(lambda: health(agent, "gone")[1] == "target_refused", 5 * TIMESCALE, agent.role)
        assert health(agent, "raw")[1] == "answers"
        assert "target_refused" in line(agent, "gone") and "answered" in line(agent, "raw")
        assert agent.metric("holdfast_service_target_up", service="gone") == 0
        assert agent.metric("holdfast_service_target_up", service="raw") == 1
        assert agent.run("ready", "--service", "gone").returncode == 75
        assert agent.run("ready", "--service", "raw").returncode == 0


def test_a_checked_target_is_known_before_the_first_application(make_pair):
    service = Backend()
    pair = make_pair(services={"raw": {}, "gw": {"target": service.target, "check": True,
                                                 "check_interval": "200ms"}})
    wait_until(lambda: health(pair.server, "gw")[1] == "answers", 5 * TIMESCALE, "the server asked")
    service.close()
    wait_until(lambda: health(pair.server, "gw")[1] == "target_refused", 5 * TIMESCALE, "it is down")
    wait_until(lambda: health(pair.client, "gw")[1] == "other", 5 * TIMESCALE, "the client is told")
    assert "is down, the server says" in line(pair.client, "gw")
    assert pair.client.metric("holdfast_listening",
                              address=format_address(pair.listens["gw"])) == 1, "it does not mirror"
    back_again = Backend(("127.0.0.1", int(service.target.rpartition(":")[2])))
    for agent in (pair.client, pair.server):
        wait_until(lambda: health(agent, "gw")[1] == "answers", 5 * TIMESCALE, "it is back")
    assert back_again.accept()
    change(pair.server, "services", "gw", "check", value=False)
    assert "services.gw.check: true -> false" in reload(pair.server)
