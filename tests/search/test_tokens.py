"""Sub-tokens: what is found within the words of the index."""

import pytest

from khive_persist.search_index.tokens import SEPARATOR, parts_of, sub_tokens


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("getUserName", ["get", "User", "Name"]),
        ("parseHTTPResponse", ["parse", "HTTP", "Response"]),
        ("HTTPServer", ["HTTP", "Server"]),
        ("utf8", ["utf", "8"]),
        ("iOS17beta2", ["i", "OS", "17", "beta", "2"]),
        ("ÜberGröße", ["Über", "Größe"]),
        ("東京都", ["東京", "京都"]),
        ("東京", ["東京"]),
        ("字", ["字"]),
        ("検索sqlite3エンジン", ["検索", "sqlite", "3", "エン", "ンジ", "ジン"]),
        ("한국어", ["한국", "국어"]),
        ("plain", []),
        ("Plain", []),
        ("PLAIN", []),
        ("2026", []),
        ("446e8256a9c1", []),
        ("aGVsbG8gd29ybGQgdGhpcyBpcyBiYXNlNjQ", []),
        ("aB" * 200, []),
    ],
)
def test_the_parts_of_a_word(word: str, parts: list[str]) -> None:
    assert list(parts_of(word)) == parts


def test_a_text_gives_the_parts_of_its_words_each_apart() -> None:
    text = "in src/some_path: getName(); “quoted” fooBar — done"
    assert set(sub_tokens(text).split(f" {SEPARATOR} ")) == {"get Name", "foo Bar"}
    assert sub_tokens("only plain words, snake_case and /some/path.py") == ""


@pytest.mark.parametrize("text", ["a" * 1_000_000, "aB" * 500_000, "東" * 100_000, "aB " * 300_000])
@pytest.mark.timeout(20)
def test_a_long_text_takes_no_longer_than_its_length(text: str) -> None:
    sub_tokens(text)
