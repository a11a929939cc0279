from pathlib import Path

import pytest

from provision.cache import build_once, cache_root, hash_files


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EVENTPIPELINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_hash_is_the_same_for_the_same_content(tmp_path: Path) -> None:
    file = write(tmp_path / "recipe" / "build", "one")
    before = hash_files([tmp_path / "recipe"], base=tmp_path)
    file.write_text("one")
    assert hash_files([tmp_path / "recipe"], base=tmp_path) == before


@pytest.mark.parametrize("change", ["content", "name", "mode", "more", "salt"])
def test_hash_changes_with(change: str, tmp_path: Path) -> None:
    file = write(tmp_path / "recipe" / "build", "one")
    before = hash_files([tmp_path / "recipe"], base=tmp_path)
    salt = ""
    if change == "content":
        file.write_text("two")
    elif change == "name":
        file.rename(file.with_name("other"))
    elif change == "mode":
        file.chmod(0o755)
    elif change == "more":
        write(tmp_path / "recipe" / "deep" / "more", "")
    else:
        salt = "x"
    assert hash_files([tmp_path / "recipe"], base=tmp_path, salt=salt) != before


def test_hash_ignores_byte_code(tmp_path: Path) -> None:
    write(tmp_path / "recipe" / "build", "one")
    before = hash_files([tmp_path / "recipe"], base=tmp_path)
    write(tmp_path / "recipe" / "__pycache__" / "build.pyc", "x")
    assert hash_files([tmp_path / "recipe"], base=tmp_path) == before


def test_what_is_built_once_is_not_built_again(own_cache: Path) -> None:
    path, built = build_once("thing", "abc", lambda out: (out / "file").touch())
    again, built_again = build_once("thing", "abc", lambda _: pytest.fail("built again"))
    assert (path, built, built_again) == (own_cache / "thing" / "abc", True, False)
    assert again == path


def test_an_interrupted_build_leaves_no_result(own_cache: Path) -> None:
    def interrupt(out: Path) -> None:
        (out / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_once("thing", "abc", interrupt)
    assert not (own_cache / "thing" / "abc").exists()
    path, _ = build_once("thing", "abc", lambda out: (out / "whole").touch())
    assert [file.name for file in path.iterdir()] == ["whole"]


def test_a_finished_build_sweeps_up_after_interrupted_ones(own_cache: Path) -> None:
    write(own_cache / "thing" / "unfinished-x" / "half", "")
    build_once("thing", "abc", lambda _: None)
    assert [path.name for path in (own_cache / "thing").iterdir()] == ["abc"]


def test_cache_lies_in_the_users_cache_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EVENTPIPELINE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/cache")
    assert cache_root() == Path("/somewhere/cache/eventpipeline")
