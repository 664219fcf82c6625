"""Payloads: what their parts become, and come back as."""

from __future__ import annotations

import hashlib
import io
import tarfile
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.finra.payloads import Part, PartName, Payload, PayloadFormat, pack, unpack

ATS = Part(PartName.ATS, b"ats rows\n")
NON_ATS = Part(PartName.NON_ATS, b"non-ATS rows\n")


def test_a_payload_of_one_ats_file_is_that_file() -> None:
    assert pack((ATS,)) == (b"ats rows\n", PayloadFormat.PSV)


def test_a_payload_of_two_parts_is_a_tar_that_any_tar_opens() -> None:
    content, payload_format = pack((ATS, NON_ATS))
    assert payload_format is PayloadFormat.PARTS
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == ["ats.psv", "nonats.psv"]
        extracted = [archive.extractfile(member) for member in archive.getmembers()]
        assert [file.read() for file in extracted if file] == [b"ats rows\n", b"non-ATS rows\n"]


def test_the_tar_of_two_parts_is_the_same_bytes_on_every_machine() -> None:
    """A change of this hash makes every payload of two parts in every ledger look new: think before changing it."""
    content, _ = pack((ATS, NON_ATS))
    assert len(content) == 10240
    assert hashlib.sha256(content).hexdigest() == "78dc19f55351392f52f3d166767ea37ed5601fb758b5ab2592ed82341be66fe5"


@pytest.mark.parametrize("parts", [(ATS,), (NON_ATS,), (ATS, NON_ATS)])
def test_unpack_returns_the_parts_that_were_packed(parts: tuple[Part, ...]) -> None:
    assert unpack(*pack(parts)) == parts


@given(ats=st.binary(max_size=2000), non_ats=st.binary(max_size=2000))
def test_unpack_undoes_pack_for_any_bytes(ats: bytes, non_ats: bytes) -> None:
    parts = (Part(PartName.ATS, ats), Part(PartName.NON_ATS, non_ats))
    assert unpack(*pack(parts)) == parts


def test_the_payload_hash_is_the_sha256_of_its_bytes() -> None:
    payload = Payload((b"a", b"bc"), PayloadFormat.PSV, "files:x.psv", datetime(2026, 1, 2, tzinfo=UTC))
    assert (payload.content, payload.size) == (b"abc", 3)
    assert payload.sha256 == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
