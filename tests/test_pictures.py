"""The README's pictures are what the tool draws today, and stand alone."""

import re

import pytest
from pictures import FOLDER, PICTURES, stamp, words
from support import ROOT


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_are_current(name: str) -> None:
    """Every word and figure is what the tool shows; drawn by the same version of the library, every byte is."""
    stored, drawn = (FOLDER / name).read_text(encoding="utf-8"), PICTURES[name]()
    remedy = "Make them again: python tests/pictures.py"
    assert words(stored) == words(drawn), remedy
    assert len(words(stored)) > 20
    assert PICTURES[name]() == drawn
    if stamp(stored) == stamp(drawn):
        assert stored == drawn, remedy


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_stand_alone(name: str) -> None:
    """They fetch nothing, and the README shows them with a text for whoever can't see them."""
    stored = (FOLDER / name).read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[\w./]+", stored)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    assert "@import" not in stored
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [text] = re.findall(rf"!\[([^\]]+)\]\(tests/pictures/{name}\)", readme)
    assert len(text) > 40
