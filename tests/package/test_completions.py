"""Completions parse, and offer in each place what --help lists there: run in the shells themselves."""
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import BIN, PROGRAMS, ROOT, options, subcommands, takes_json

FOLDER = ROOT / "config" / "completions"
GLOBAL = {"-c", "--config", "--socket", "-h", "--help"}


def run(arguments, text="", **variables):
    result = subprocess.run(arguments, input=text, capture_output=True, text=True, timeout=60,
                            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **variables})
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def bash(program, *words):
    """What bash offers for the last of the words."""
    script = f"""
        source {FOLDER}/holdfast.bash
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _holdfast "$1" "${{@: -1}}" "${{@: -2:1}}"
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return set(run(["bash", "-c", script, "bash", program, *words]).split())


def fish(program, *words):
    line = " ".join([program, *words])
    script = f"source {FOLDER}/holdfast.fish; complete -C '{line}'"
    out = run(["fish", "--no-config", "-c", script])
    return {row.split("\t")[0] for row in out.splitlines()}


# zsh completes only at a prompt: a shell on a terminal of its own, with a key that notes what is offered.
ZSH = r"""
PS1= PS2= LISTMAX=9999; setopt no_beep
autoload -Uz compinit; fpath=(%(folder)s $fpath); compinit -u -D
zstyle ':completion:*' completer _complete
compadd() {
  local -a offered
  [[ " $* " == *' -'[OAD]' '* ]] || { builtin compadd -O offered "$@"; print -rl -- $offered >> %(notes)s; }
  builtin compadd "$@"
}
note() { zle complete-word; print -- ';' >> %(notes)s; BUFFER= }
zle -N note; bindkey '^T' note
"""


class Zsh:
    """with Zsh(folder) as zsh: zsh.offers("holdfast-client ")"""

    def __init__(self, folder):
        self.notes = Path(folder) / "notes"
        self.notes.write_text("")
        setup = Path(folder) / "setup"
        setup.write_text(ZSH % {"folder": FOLDER, "notes": self.notes})
        self.terminal, other = pty.openpty()
        self.shell = subprocess.Popen(
            ["zsh", "-f", "-i"], stdin=other, stdout=other, stderr=other, start_new_session=True,
            env={**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "TERM": "xterm"})
        os.close(other)
        os.set_blocking(self.terminal, False)
        os.write(self.terminal, f"source {setup}\n".encode())
        self.said = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.shell.kill()
        self.shell.wait()
        os.close(self.terminal)

    def drain(self):
        try:
            self.said += os.read(self.terminal, 65536)
        except BlockingIOError:
            pass

    def offers(self, line):
        self.notes.write_text("")
        os.write(self.terminal, line.encode() + b"\x14")
        end = time.monotonic() + 60
        while not (text := self.notes.read_text()).endswith(";\n"):
            assert time.monotonic() < end, self.said.decode(errors="replace")
            self.drain()
            time.sleep(0.01)
        return set(text.split()) - {";"}


@pytest.fixture(scope="module")
def zsh(tmp_path_factory):
    with Zsh(tmp_path_factory.mktemp("zsh")) as shell:
        yield lambda program, *words: shell.offers(" ".join([program, *words]))


@pytest.fixture(params=["bash", "zsh", "fish"])
def offers(request):
    """offers(program, word...): what the shell offers for the last word."""
    return {"bash": bash, "fish": fish}.get(request.param) or request.getfixturevalue("zsh")


@pytest.mark.parametrize("shell,file", [("bash", "holdfast.bash"), ("zsh", "_holdfast"),
                                        ("fish", "holdfast.fish")])
def test_the_file_parses(shell, file):
    run([shell, "-n", FOLDER / file])


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_subcommand_is_offered_and_nothing_else(offers, program):
    assert offers(program, "") == set(subcommands(program))
    assert offers(program, "-c", "/dev/null", "") == set(subcommands(program))


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_option_of_the_program_is_offered_and_nothing_else(offers, program):
    # fish offers short options for "-" and long ones for "--".
    assert offers(program, "-") | offers(program, "--") == options(program)


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_option_of_a_subcommand_is_offered_and_nothing_else(offers, program):
    with_json = takes_json(program)
    for name in subcommands(program):
        expected = GLOBAL | options(program, name) | ({"--json"} if name in with_json else set())
        assert (name, offers(program, name, "-") | offers(program, name, "--")) == (name, expected)


def test_fixed_words_are_offered(offers):
    assert offers("holdfast-client", "link", "") == {"down", "up"}
    assert offers("holdfast-server", "log-level", "") == {"error", "warn", "info", "debug", "trace"}
    assert offers("holdfast-server", "connections", "--state", "") == \
        {"opening", "open", "closing", "detached"}


def test_ids_links_and_services_come_from_the_running_agent(offers, tmp_path, monkeypatch):
    # A program in place of the agent's, for what an agent answers is tests/e2e's.
    stand_in = tmp_path / "holdfast-client"
    answers = {"connections": [{"id": "3fa9c1d2-17", "service": "postgres"},
                               {"id": "3fa9c1d2-18", "service": "ssh"}],
               "links": [{"name": "hub-1", "peer": "x"}, {"name": "hub-2", "peer": "y"}]}
    stand_in.write_text(f"#!{sys.executable}\nimport json, sys\n"
                        f"assert sys.argv[2:] == ['--json', '--socket', '/a.sock'], sys.argv\n"
                        f"print(json.dumps({answers}[sys.argv[1]]))\n")
    stand_in.chmod(0o755)
    program = str(stand_in)
    assert offers(program, "--socket", "/a.sock", "kill", "") == {"3fa9c1d2-17", "3fa9c1d2-18"}
    assert offers(program, "connection", "--socket", "/a.sock", "") == {"3fa9c1d2-17", "3fa9c1d2-18"}
    assert offers(program, "reconnect", "--socket", "/a.sock", "") == {"hub-1", "hub-2"}
    assert offers(program, "link", "down", "--socket", "/a.sock", "") == {"hub-1", "hub-2"}
    assert offers(program, "connections", "--socket", "/a.sock", "--service", "") == {"postgres", "ssh"}
    assert offers(program, "kill", "") == set()
