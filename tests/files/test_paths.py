"""Where a path is looked for."""

from netspec.files.paths import resolve_path


def test_the_working_directory_comes_first_then_the_nearest_file(tmp_path, monkeypatch):
    for folder in ("work", "lists", "nets"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    named_in = (str(tmp_path / "lists" / "list.txt"), str(tmp_path / "nets" / "net.prototxt"))
    assert resolve_path("a", *named_in) == "a"
    for folder in ("nets", "lists"):
        (tmp_path / folder / "a").touch()
        assert resolve_path("a", *named_in) == str(tmp_path / folder / "a")
    (tmp_path / "work" / "a").touch()
    assert resolve_path("a", *named_in) == "a"


def test_what_is_nowhere_or_absolute_stays_as_it_is(tmp_path):
    assert resolve_path("none", str(tmp_path / "net.prototxt"), "", None) == "none"
    assert resolve_path("", str(tmp_path / "net.prototxt")) == ""
    assert resolve_path(str(tmp_path / "none"), "net.prototxt") == str(tmp_path / "none")
    assert resolve_path("nul\0", str(tmp_path / "net.prototxt")) == "nul\0"
