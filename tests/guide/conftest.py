"""What docs/guide says of real services. The pair and the relay are those of tests/lib."""
import pytest


@pytest.fixture
def make_pair(tmp_path):
    """make_pair(target, **options): a Pair for one service, encrypted, with the default timers."""
    from pair import Pair
    pairs = []

    def make(target, grace="5m"):
        folder = tmp_path / f"pair-{len(pairs)}"
        folder.mkdir()
        pair = Pair(folder, services={"raw": {"target": target}}, fast=False, link="psk",
                    server={"link": {"grace": grace}})
        pairs.append(pair)
        return pair.__enter__()
    yield make
    for pair in pairs:
        try:
            pair.__exit__(None, None, None)
        finally:
            pair.print_logs(20)


@pytest.fixture
def programs(make_pair, tmp_path):
    """Programs in the foreground; stopped by pid before the pair is looked at."""
    from programs import Programs
    started = Programs(tmp_path)
    yield started
    started.stop_all()


@pytest.fixture
def start(programs):
    """start(Postgres, ...): a service of services.py, its folder taken away afterwards."""
    services = []

    def begin(kind, *arguments, **options):
        services.append(kind(programs, *arguments, **options))
        return services[-1]
    yield begin
    programs.stop_all()
    for service in services:
        service.remove()
