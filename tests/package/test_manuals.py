"""The manuals of section 8 name what --help names and nothing else; all pages render cleanly."""
import os
import re
import subprocess

import pytest
from command_line import PROGRAMS, ROOT, options, subcommands, takes_json

PAGES = sorted((ROOT / "docs" / "man").glob("*.scd"))


def chapter(program, title):
    text = (ROOT / "docs" / "man" / f"{program}.8.scd").read_text(encoding="utf-8")
    return re.search(rf"(?ms)^# {title}\n(.*?)(?=^# |\Z)", text).group(1)


def bold_options(text):
    return set(re.findall(r"\*(--?[A-Za-z][\w-]*)\*", text))


def described_subcommands(program):
    """{name: its text}, in the page's order."""
    parts = re.split(r"(?m)^\*([a-z-]+)\*(?=[ \n])", chapter(program, "SUBCOMMANDS"))
    return dict(zip(parts[1::2], parts[2::2]))


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_page_has_the_options_of_the_program(program):
    headings = re.findall(r"(?m)^(\*-.*)$", chapter(program, "OPTIONS"))
    assert bold_options("\n".join(headings)) == options(program)


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_page_has_the_subcommands_of_the_program(program):
    assert sorted(described_subcommands(program)) == sorted(subcommands(program))


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_subcommand_has_its_own_options_in_the_page(program):
    described = described_subcommands(program)
    assert {name: bold_options(text) for name, text in described.items()} == \
        {name: options(program, name) for name in described}


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_page_says_which_subcommands_print_json(program):
    text = re.search(r"(?s)\*--json\*\n(.*?)prints JSON", chapter(program, "OPTIONS")).group(1)
    assert set(re.findall(r"\*([a-z-]+)\*", text)) == takes_json(program)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_renders_without_a_warning(page, tmp_path):
    target = tmp_path / page.stem
    with open(page, "rb") as source, open(target, "wb") as out:
        subprocess.run(["scdoc"], stdin=source, stdout=out, check=True, timeout=60)
    run = subprocess.run(["man", "--warnings=w", "-l", target], capture_output=True, text=True,
                         timeout=60, env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"})
    assert run.returncode == 0 and run.stderr == ""
    assert "NAME" in run.stdout and "SEE ALSO" in run.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_that_it_refers_to_exist(page):
    ours = {p.stem for p in PAGES}
    referred = set(re.findall(r"\b(holdfast[a-z.-]*)\*?\((\d)\)", page.read_text(encoding="utf-8")))
    assert {f"{name}.{number}" for name, number in referred} <= ours
