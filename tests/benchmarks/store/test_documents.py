"""A file that is not what it should be is named, with what was expected and what to do."""

from __future__ import annotations

import pytest
from facebench.benchmarks.store.documents import read_document
from facebench.errors import ResultsError, SchemaVersionError


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (None, ResultsError, "cannot read"),
        (b"", ResultsError, "cannot read"),
        (b"\xff", ResultsError, "cannot read"),
        (b"{", ResultsError, "cannot read"),
        (b"[]", ResultsError, "is another file: expected \"schema\": 'made-up'"),
        (b'{"schema": "other", "schema_version": 2}', ResultsError, "is another file: expected \"schema\": 'made-up'"),
        (b'{"schema": "made-up"}', SchemaVersionError, "schema version None, this facebench reads 2"),
        (b'{"schema": "made-up", "schema_version": 3}', SchemaVersionError, "schema version 3, this facebench reads 2"),
    ],
    ids=["missing", "empty", "not UTF-8", "cut", "a list", "another schema", "no version", "a later version"],
)
def test_a_file_that_cannot_be_used(tmp_path, content, error, words):
    file = tmp_path / "file.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(error) as caught:
        read_document(file, "made-up", 2, "Make it again")
    said = str(caught.value)
    assert words in said and str(file) in said and said.endswith(". Make it again")


def test_the_content_comes_back_as_it_is(tmp_path):
    (tmp_path / "file.json").write_text('{"schema": "made-up", "schema_version": 2, "more": ["é"]}', encoding="utf-8")
    found = read_document(tmp_path / "file.json", "made-up", 2, "")
    assert found == {"schema": "made-up", "schema_version": 2, "more": ["é"]}
