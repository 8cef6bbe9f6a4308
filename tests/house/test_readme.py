"""The README's table of settings is the one that the Settings models give."""

from pathlib import Path

from consumers.commands.configuration import markdown

ROOT = Path(__file__).resolve().parents[2]


def test_the_table_of_settings_is_the_generated_one() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")

    table = readme.split("<!-- settings: ")[1].split("-->\n")[1].split("<!-- /settings")[0]

    assert table.strip() == markdown(), "run `penstock config show --markdown` and paste it into README.md"
