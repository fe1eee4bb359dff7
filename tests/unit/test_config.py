"""Settings: which layer wins, where a value came from, and what a typo is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinybench.config import Settings, load
from tinybench.errors import UsageError


def user_file(folder: Path, text: str) -> dict[str, str]:
    path = folder / "user.toml"
    path.write_text(text, encoding="utf-8")
    return {"TINYBENCH_CONFIG": str(path)}


@pytest.fixture
def no_user(tmp_path: Path) -> dict[str, str]:
    return user_file(tmp_path, "")


def test_flags_beat_environment_beat_project_beat_user_beat_defaults(tmp_path: Path) -> None:
    project = tmp_path / "project"
    inside = project / "deep" / "down"
    inside.mkdir(parents=True)
    environ = user_file(tmp_path, 'toolchain = "gcc"\ntimeout_s = 1\nengine = ["user"]\n')
    (project / "tinybench.toml").write_text('timeout_s = 2\nengine = ["project"]\ndevice = ["p"]\n')
    environ |= {"TINYBENCH_ENGINE": "a,b", "TINYBENCH_DEVICE": "e"}
    config = load({"device": ("f",), "results": None}, environ=environ, cwd=inside)
    assert config.settings.device == ("f",)
    assert config.settings.engine == ("a", "b")
    assert config.settings.timeout_s == 2
    assert config.settings.toolchain == "gcc"
    assert config.settings.results == "results"
    assert config.origins == {
        "device": "flag",
        "engine": "environment",
        "timeout_s": str(project / "tinybench.toml"),
        "toolchain": environ["TINYBENCH_CONFIG"],
        **dict.fromkeys(
            ("results", "models", "cache_dir", "plugins", "offline", "engine_option", "target_option"),
            "default",
        ),
    }


def test_pyproject_table_is_a_project_file_and_its_paths_are_its_own(
    tmp_path: Path, no_user: dict[str, str]
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.tinybench]\nmodels = "m"\nplugins = ["mine"]\nresults = "out"\ncache_dir = "c"\n'
    )
    settings = load({}, environ=no_user, cwd=tmp_path).settings
    assert settings.models == tmp_path / "m"
    assert settings.cache_dir == tmp_path / "c"
    assert settings.plugins == (tmp_path / "mine",)
    assert settings.results == str(tmp_path / "out")


def test_a_result_url_stays_a_url(tmp_path: Path, no_user: dict[str, str]) -> None:
    (tmp_path / "tinybench.toml").write_text('results = "memory://nightly"\n')
    assert load({}, environ=no_user, cwd=tmp_path).settings.results == "memory://nightly"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('enigne = ["x"]', r"unknown setting `enigne`"),
        ("timeout_s = 0", r"setting `timeout_s`: .*greater than 0"),
        ('toolchain = "armcc"', r"setting `toolchain`"),
        ("timeout_s = ", r"cannot read `.*tinybench.toml`"),
    ],
)
def test_a_bad_project_file_is_named(tmp_path: Path, no_user: dict[str, str], text: str, said: str) -> None:
    (tmp_path / "tinybench.toml").write_text(text)
    with pytest.raises(UsageError, match=said) as raised:
        load({}, environ=no_user, cwd=tmp_path)
    assert "tinybench.toml" in raised.value.message


def test_a_typo_is_told_the_word(tmp_path: Path, no_user: dict[str, str]) -> None:
    (tmp_path / "tinybench.toml").write_text('enigne = ["x"]')
    with pytest.raises(UsageError) as raised:
        load({}, environ=no_user, cwd=tmp_path)
    assert raised.value.hint == "did you mean `engine`?"


def test_a_named_user_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="TINYBENCH_CONFIG"):
        load({}, environ={"TINYBENCH_CONFIG": str(tmp_path / "none.toml")}, cwd=tmp_path)


def test_every_setting_says_what_it_is() -> None:
    assert all(field.description for field in Settings.model_fields.values())
