"""`cmake --install` puts exactly these files where they belong; packaging/ fits the project."""
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from command_line import BIN, ROOT

BUILD = BIN.parent
BELOW_THE_PREFIX = """
bin/holdfast-client
bin/holdfast-server
lib/systemd/system/holdfast-client.service
lib/systemd/system/holdfast-client@.service
lib/systemd/system/holdfast-server.service
lib/systemd/system/holdfast-server@.service
lib/sysusers.d/holdfast.conf
share/bash-completion/completions/holdfast-client
share/bash-completion/completions/holdfast-server
share/doc/holdfast/LICENSE
share/doc/holdfast/SECURITY.md
share/doc/holdfast/copyright
share/doc/holdfast/examples/client.toml
share/doc/holdfast/examples/balancer/envoy.yaml
share/doc/holdfast/examples/balancer/haproxy.cfg
share/doc/holdfast/examples/balancer/kubernetes.yaml
share/doc/holdfast/examples/balancer/nginx.conf
share/doc/holdfast/examples/grafana/holdfast.json
share/doc/holdfast/examples/make-certs
share/doc/holdfast/examples/prometheus/holdfast.rules.yml
share/doc/holdfast/examples/quickstart/client.toml
share/doc/holdfast/examples/quickstart/server.toml
share/doc/holdfast/examples/server.toml
share/doc/holdfast/examples/systemd/holdfast-client-postgres.socket
share/doc/holdfast/examples/systemd/holdfast-client-redirect.conf
share/doc/holdfast/examples/systemd/holdfast-client-tproxy.conf
share/doc/holdfast/examples/systemd/holdfast-server-link.socket
share/doc/holdfast/examples/systemd/holdfast-server-source.conf
share/fish/vendor_completions.d/holdfast-client.fish
share/fish/vendor_completions.d/holdfast-server.fish
share/man/man5/holdfast.toml.5
share/man/man7/holdfast.7
share/man/man8/holdfast-client.8
share/man/man8/holdfast-server.8
share/zsh/site-functions/_holdfast
""".split() + [f"share/doc/holdfast/guide/{page.name}" for page in (ROOT / "docs" / "guide").iterdir()]


def install(prefix, **variables):
    run = subprocess.run(["cmake", "--install", BUILD, "--prefix", prefix], capture_output=True,
                         text=True, timeout=120, env={**os.environ, **variables})
    assert run.returncode == 0, run.stderr


def files_below(folder):
    return sorted(p.relative_to(folder).as_posix() for p in Path(folder).rglob("*") if not p.is_dir())


@pytest.fixture(autouse=True)
def a_build_of_cmake():
    if not (BUILD / "cmake_install.cmake").exists():
        pytest.skip(f"{BUILD} is no build folder: nothing to install from")


def test_a_folder_of_ones_own_gets_all_files_and_nothing_beside_it(tmp_path):
    install(tmp_path / "stage")
    assert files_below(tmp_path / "stage") == sorted(BELOW_THE_PREFIX)


def test_units_of_a_prefix_with_blanks_name_it_as_systemd_reads_it(tmp_path):
    prefix = tmp_path / "a stage of 100%"
    install(prefix)
    for unit in (prefix / "lib/systemd/system").iterdir():
        programs = set(re.findall(r"(?m)^Exec\w+=\+?(.*?)/bin/holdfast", unit.read_text(encoding="utf-8")))
        assert programs == {f"{tmp_path}/a\\x20stage\\x20of\\x20100%%"}


def test_units_start_the_programs_of_their_prefix(tmp_path):
    prefix = tmp_path / "stage"
    install(prefix)
    for side in ("client", "server"):
        for name in (f"holdfast-{side}.service", f"holdfast-{side}@.service"):
            text = (prefix / "lib/systemd/system" / name).read_text(encoding="utf-8")
            programs = set(re.findall(r"(?m)^Exec\w+=\+?(\S*holdfast\S*)", text))
            assert programs == {str(prefix / f"bin/holdfast-{side}")}
    for example in (prefix / "share/doc/holdfast/examples/systemd").glob("*.conf"):
        folders = set(re.findall(r"(/\S*)/holdfast-(?:client|server)(?= )", example.read_text(encoding="utf-8")))
        assert folders == {str(prefix / "bin")}, example.name


def test_the_prefix_usr_adds_the_config_folder_and_logrotate_and_changes_no_unit(tmp_path):
    install("/usr", DESTDIR=str(tmp_path))
    assert files_below(tmp_path) == sorted([f"usr/{name}" for name in BELOW_THE_PREFIX] +
                                           ["etc/logrotate.d/holdfast"])
    assert list((tmp_path / "etc/holdfast").iterdir()) == []
    for unit in (ROOT / "config/systemd").glob("*.service"):
        assert (tmp_path / "usr/lib/systemd/system" / unit.name).read_text() == unit.read_text()


def test_the_changelog_of_the_package_is_of_this_version():
    version = re.search(r"(?m)^project\(holdfast VERSION (\S+)",
                        (ROOT / "CMakeLists.txt").read_text()).group(1)
    assert (ROOT / "packaging/debian/changelog").read_text().startswith(f"holdfast ({version}) ")


@pytest.mark.parametrize("script", ["postinst", "prerm", "postrm"])
def test_the_maintainer_script_parses(script):
    subprocess.run(["sh", "-n", ROOT / "packaging/debian" / script], check=True, timeout=60)


@pytest.mark.parametrize("script", ["post", "preun", "postun"])
def test_the_rpms_script_parses(script):
    subprocess.run(["sh", "-n", ROOT / "packaging/rpm" / script], check=True, timeout=60)
    assert "%" not in (ROOT / "packaging/rpm" / script).read_text(), "rpm expands what follows"


def test_after_an_rpms_upgrade_agents_go_on_and_a_unit_is_restarted_only_where_one_cannot(tmp_path):
    said = tmp_path / "said"
    units = "holdfast-client@west.service loaded active running x\nholdfast-server.service loaded active running x\n"
    for name, does in (("systemctl", f'case $1 in list-units) printf "{units}" ;; *) echo "$0 $*" >>"{said}" ;; esac'),
                       ("holdfast-client", f'echo "$0 $*" >>"{said}"'),
                       ("holdfast-server", f'echo "$0 $*" >>"{said}"; exit 1')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)

    def after(*arguments):
        said.write_text("")
        subprocess.run(["sh", ROOT / "packaging/rpm/postun", *arguments], check=True, timeout=60,
                       env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
        return [line.removeprefix(f"{tmp_path}/") for line in said.read_text().splitlines() if "daemon-reload" not in line]

    assert after("1") == ["holdfast-client upgrade -c /etc/holdfast/client-west.toml",
                          "holdfast-server upgrade -c /etc/holdfast/server.toml",
                          "systemctl try-restart holdfast-server.service"]
    assert after("0") == []


def examples():
    with open(ROOT / "packaging/compose.yaml", encoding="utf-8") as file:
        compose = yaml.safe_load(file)
    with open(ROOT / "packaging/kubernetes/sidecar.yaml", encoding="utf-8") as file:
        parts = {part["kind"]: part for part in yaml.safe_load_all(file)}
    return compose, parts["ConfigMap"], parts["Pod"]["spec"]


def test_container_examples_fit_the_images():
    compose, _, pod = examples()
    version = re.search(r"(?m)^project\(holdfast VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    said = dict(re.findall(r"(?m)^(USER|ENV|ENTRYPOINT|CMD) (.*)$", (ROOT / "packaging/Containerfile").read_text()))
    user = said["USER"]
    [sidecar] = pod["initContainers"]
    assert sidecar["image"] == f"holdfast-client:{version}"
    assert f"{sidecar['securityContext']['runAsUser']}:{sidecar['securityContext']['runAsGroup']}" == user
    folders = {mount["mountPath"] for mount in sidecar["volumeMounts"]}
    assert {mount["name"] for mount in sidecar["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert said["ENV"].split("=")[1] in folders and "/etc/holdfast" in folders
    for role, service in compose["services"].items():
        assert service["image"] == f"holdfast-{role}:{version}" and service["user"] == user
        assert service["read_only"] and service["volumes"] == [f"./{role}.toml:/etc/holdfast/agent.toml:ro"]


def test_the_sidecars_config_is_right(tmp_path):
    _, config, _ = examples()
    path, keys = tmp_path / "agent.toml", tmp_path / "keys"
    path.write_text(config["data"]["agent.toml"])
    keys.mkdir()
    key = keys / "edge-1"
    key.touch(mode=0o600)
    key.write_text(subprocess.run([BIN / "holdfast-client", "genpsk"], capture_output=True, text=True).stdout)
    run = subprocess.run([BIN / "holdfast-client", "check", "-c", path], capture_output=True, text=True,
                         env={**os.environ, "CREDENTIALS_DIRECTORY": str(keys)})
    assert run.returncode == 0, run.stdout + run.stderr
