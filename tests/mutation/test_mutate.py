"""Which mutants there are, and which are none."""
import mutate
import pytest


def mutants(tmp_path, monkeypatch, text):
    monkeypatch.setattr(mutate, "REPOSITORY", str(tmp_path))
    (tmp_path / "file.cc").write_text(text)
    return [after for _, _, after in mutate.mutants_of("file.cc")]


def test_an_operator_and_a_constant_change_one_at_a_time(tmp_path, monkeypatch):
    assert mutants(tmp_path, monkeypatch, "if (a < 4 && !b) return;\n") == [
        "if (a <= 4 && !b) return;", "if (a > 4 && !b) return;", "if (a < 4 || !b) return;",
        "if (a < 4 && b) return;", "if (a < 5 && !b) return;"]


def test_comments_text_and_declarations_are_left_alone(tmp_path, monkeypatch):
    assert mutants(tmp_path, monkeypatch, '// a < b\n#include <x>\nlog("a < b");\n'
                   "template <int n = 1>\nstatic_assert(a < 1);\n") == []


def test_what_was_looked_at_is_found_again(tmp_path, monkeypatch):
    (tmp_path / "equivalents.txt").write_text("# head\n\ncommon/core/x.cc\n- a < b\n+ a <= b\nno matter\n"
                                              "\ncommon/core/y.cc\n- c + 1\n+ c + 2\nneither\n")
    monkeypatch.setattr(mutate, "HERE", str(tmp_path))
    assert mutate.equivalents() == {("common/core/x.cc", "a < b", "a <= b"),
                                    ("common/core/y.cc", "c + 1", "c + 2")}


def test_a_run_goes_on_where_its_file_ends_and_not_with_other_mutants(tmp_path):
    chosen = [("a.cc", 1, "a < b", "a > b"), ("a.cc", 2, "c + 1", "c - 1")]
    assert mutate.earlier(None, chosen) == mutate.earlier(str(tmp_path / "none"), chosen) == []
    file = tmp_path / "results"
    file.write_text('[["a.cc", 1, "a < b", "a > b", "survived"]]')
    assert mutate.earlier(str(file), chosen) == [(*chosen[0], "survived")]
    with pytest.raises(SystemExit):
        mutate.earlier(str(file), chosen[1:])
