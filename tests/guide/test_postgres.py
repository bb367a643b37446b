"""docs/guide/postgresql.md: each sentence with a number in it, tried with Debian's PostgreSQL."""
import os
import re
import subprocess

import pytest

from services import POSTGRES, Postgres, Talk, end_outage, hold, outage, unplug
from streams import wait_until


def psql_words(pair, *options, **connection):
    port = pair.listens["raw"][1]
    words = " ".join(f"{k}={v}" for k, v in {"host": "127.0.0.1", "port": port, "user": "postgres",
                                             "dbname": "postgres", **connection}.items())
    return ["psql", "-X", "-A", "-t", *options, words]


def psql(programs, pair, **connection):
    talk = Talk(programs, psql_words(pair, **connection))
    talk.type("select 'ready'||'!';")
    talk.expect("ready!")
    return talk


@pytest.mark.parametrize("seconds", [5, 30])
def test_a_pgbench_run_goes_through_an_outage_without_a_failed_transaction(programs, start, make_pair,
                                                                         seconds):
    postgres = start(Postgres)
    pair = make_pair(postgres.target)
    port = pair.listens["raw"][1]
    subprocess.run([f"{POSTGRES}/pgbench", "-h", "127.0.0.1", "-p", str(postgres.port), "-U",
                    "postgres", "-i", "-q", "postgres"], check=True, capture_output=True)
    bench = Talk(programs, [f"{POSTGRES}/pgbench", "-h", "127.0.0.1", "-p", str(port), "-U",
                            "postgres", "-c", "4", "-T", str(seconds + 8), "-P", "1", "postgres"])
    bench.expect("progress: 3")
    outage(pair, seconds)
    bench.expect_end(30)
    assert bench.process.returncode == 0, bench.text
    assert "number of failed transactions: 0" in bench.text
    done = int(re.search(r"actually processed: (\d+)", bench.text)[1])
    rows = subprocess.run(["psql", "-X", "-A", "-t", "-h", "127.0.0.1", "-p", str(postgres.port), "-U",
                           "postgres", "-c", "select count(*) from pgbench_history", "postgres"],
                          capture_output=True, text=True, check=True).stdout
    assert int(rows) == done, "a transaction was lost or done twice"
    assert pair.client.metric("holdfast_connections_resumed_total") >= 4


def test_an_open_transaction_goes_on_after_an_outage(programs, start, make_pair):
    postgres = start(Postgres, {"tcp_keepalives_idle": 1, "tcp_keepalives_interval": 1,
                                "tcp_keepalives_count": 2, "client_connection_check_interval": "1s"})
    pair = make_pair(postgres.target)
    talk = psql(programs, pair, keepalives_idle=1, keepalives_interval=1, keepalives_count=2)
    talk.type("begin; create table kept (n int); insert into kept values (42); select pg_sleep(4);")
    hold(1)
    outage(pair, 12)
    talk.type("commit; select 'sum '||sum(n) from kept;")
    talk.expect("sum 42", 3)


def test_beyond_the_grace_the_session_ends_and_its_transaction_is_rolled_back(programs, start,
                                                                            make_pair):
    postgres = start(Postgres)
    pair = make_pair(postgres.target, grace="4s")
    talk = psql(programs, pair)
    talk.type("begin; create table lost (n int); select 'began'||'!';")
    talk.expect("began!")
    unplug(pair)
    wait_until(lambda: pair.server.connections() == [], 10, "the end of the grace")
    end_outage(pair)
    talk.type("select 'still'||'!';")
    wait_until(lambda: "closed the connection unexpectedly" in talk.text or "reset" in talk.text, 5,
               talk.text)
    assert "still!" not in talk.text
    wait_until(lambda: "Connection reset by peer" in postgres.said()
               or "unexpected EOF" in postgres.said(), 5, "the backend's end in the server's log")


@pytest.mark.parametrize("setting, before, told", [
    ("idle_in_transaction_session_timeout", "begin;", "idle-in-transaction timeout"),
    ("idle_session_timeout", "", "idle-session timeout")])
def test_timeouts_of_idle_sessions_stay_in_force(programs, start, make_pair, setting, before, told):
    postgres = start(Postgres, {setting: "3s"})
    pair = make_pair(postgres.target)
    talk = psql(programs, pair)
    talk.type(f"{before} select 'began'||'!';")
    talk.expect("began!")
    outage(pair, 6)
    talk.type("select 1;")
    talk.expect(f"terminating connection due to {told}", 5)


def test_statement_timeout_counts_the_time_that_a_result_waits(programs, start, make_pair):
    postgres = start(Postgres, {"statement_timeout": "4s"})
    pair = make_pair(postgres.target)
    talk = psql(programs, pair)
    talk.type("select count(*) from generate_series(1, 10); select 'short'||'!';")
    talk.expect("short!")
    talk.type("\\o /dev/null")
    talk.type("copy (select repeat('x', 1000) from generate_series(1, 400000)) to stdout;")
    wait_until(lambda: pair.client.connections()[0]["bytes_down"] > 1_000_000, 5, "a copy under way")
    outage(pair, 8)
    talk.type("\\o")
    talk.type("select 'after'||'!';")
    talk.expect("after!", 20)
    assert "canceling statement due to statement timeout" in talk.text


def test_a_statement_that_ran_to_its_end_in_the_outage_gives_its_result(programs, start, make_pair):
    postgres = start(Postgres, {"statement_timeout": "4s"})
    pair = make_pair(postgres.target)
    talk = psql(programs, pair)
    talk.type("select 'slept', pg_sleep(2);")
    hold(0.5)
    outage(pair, 8)
    talk.expect("slept|", 2)
    assert "canceling" not in talk.text


@pytest.mark.parametrize("setting, ends", [("5s", True), ("0", False)])
def test_tcp_user_timeout_ends_a_transfer_that_the_outage_holds_up(programs, start, make_pair, setting,
                                                                 ends):
    """The agent's kernel answers, with a window of 0: that counts as no progress."""
    postgres = start(Postgres, {"tcp_user_timeout": setting})
    pair = make_pair(postgres.target)
    idle, bulk = psql(programs, pair), psql(programs, pair)
    bulk.type("\\o /dev/null")
    bulk.type("copy (select repeat('x', 1000) from generate_series(1, 400000)) to stdout;")
    wait_until(lambda: max(c["bytes_down"] for c in pair.client.connections()) > 1_000_000, 5,
               "a copy under way")
    outage(pair, 20)
    idle.type("select 'idle lives'||'!';")
    idle.expect("idle lives!", 3)
    try:
        bulk.type("\\o")
        bulk.type("select 'bulk lives'||'!';")
        bulk.expect("bulk lives!", 20)
        lives = True
    except (AssertionError, OSError):
        lives = False
    assert lives != ends


def test_tcp_user_timeout_of_libpq_ends_an_upload_that_the_outage_holds_up(programs, start, make_pair):
    postgres = start(Postgres)
    pair = make_pair(postgres.target)
    talk = psql(programs, pair, tcp_user_timeout=5000)
    talk.type("create table t (x text);")
    talk.type("\\copy t from program 'yes | head -c 400000000'")
    wait_until(lambda: pair.client.connections()[0]["bytes_up"] > 1_000_000, 5, "an upload under way")
    outage(pair, 20)
    wait_until(lambda: "lost" in talk.text or "could not" in talk.text, 10, talk.text)


def test_connect_timeout_covers_the_whole_login(programs, start, make_pair):
    postgres = start(Postgres)
    pair = make_pair(postgres.target)
    pair.relay.freeze()
    hold(3)
    short = Talk(programs, psql_words(pair, "-c", "select 'in'||'!'", connect_timeout=3))
    patient = Talk(programs, psql_words(pair, "-c", "select 'in'||'!'"))
    short.expect_end()
    assert "timeout expired" in short.text
    assert patient.running
    end_outage(pair)
    patient.expect("in!", 3)


@pytest.mark.parametrize("limit, lives", [("4s", False), ("60s", True)])
def test_wal_sender_timeout_stays_in_force(programs, start, make_pair, limit, lives):
    postgres = start(Postgres, {"wal_sender_timeout": limit, "wal_level": "replica",
                                "max_wal_senders": 5})
    pair = make_pair(postgres.target)
    folder = os.path.join(programs.folder, f"wal-{limit}")
    os.mkdir(folder)
    receiver = Talk(programs, [f"{POSTGRES}/pg_receivewal", "-h", "127.0.0.1", "-p",
                               str(pair.listens["raw"][1]), "-U", "postgres", "-D", folder, "-s", "1",
                               "-n", "-v"])
    wait_until(lambda: pair.client.connections(), 5, "streaming")
    hold(1.5)
    outage(pair, 10)
    told = "terminating walsender process due to replication timeout"
    if not lives:
        wait_until(lambda: not receiver.running and told in postgres.said(), 10, "the receiver's end")
    hold(1.5)
    assert receiver.running == lives
    assert (told in postgres.said()) != lives


@pytest.mark.parametrize("limit, lives", [("4s", False), ("60s", True)])
def test_wal_receiver_timeout_stays_in_force(programs, start, make_pair, limit, lives):
    postgres = start(Postgres, {"wal_level": "replica", "max_wal_senders": 5,
                                "wal_sender_timeout": "0"})
    pair = make_pair(postgres.target)

    def base(data):
        Postgres.as_postgres(postgres, "pg_basebackup", "-h", "127.0.0.1", "-p", str(postgres.port),
                             "-U", "postgres", "-D", data, "--checkpoint=fast", "--no-sync")
        open(os.path.join(data, "standby.signal"), "w").close()
    standby = start(Postgres, {"primary_conninfo": f"host=127.0.0.1 port={pair.listens['raw'][1]} "
                               "user=postgres", "wal_receiver_timeout": limit}, base=base)
    wait_until(lambda: "started streaming WAL" in standby.said(), 10, "streaming")
    outage(pair, 10)
    told = "terminating walreceiver due to timeout"
    if not lives:
        wait_until(lambda: told in standby.said(), 10, "the receiver's end")
    hold(1)
    assert (told in standby.said()) != lives
