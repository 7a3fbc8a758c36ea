"""The page of DNS records: what is missing for all domains, as a zone file to copy or to download."""

import dns.rdatatype
import dns.zone
import pytest

from tests.web.fakes import REALISTIC, FakeSource, loading, many, source_of
from tests.web.visitor import visiting


def entries(text: str) -> dict[str, str]:
    """The records of a zone file, by owner and type."""
    zone = dns.zone.from_text(text, origin=".", relativize=False, check_origin=False)
    return {
        f"{name} {dns.rdatatype.to_text(data.rdtype)}": data.to_text()
        for name, _, data in zone.iterate_rdatas()
    }


async def test_download_is_a_zone_file_with_the_missing_records() -> None:
    """What must not be published yet is a comment: the id, before the policy is served."""
    async with visiting(source_of(REALISTIC)) as visitor:
        status, text, response = await visitor.get("records.zone")
    assert status == 200
    assert response.headers["Content-Disposition"] == 'attachment; filename="missing-records.zone"'
    assert response.content_type == "text/plain"
    found = entries(text)
    assert found["mta-sts.just-added.example. CNAME"] == "mail.example.org."
    assert found["_smtp._tls.just-added.example. TXT"].startswith('"v=TLSRPTv1;')
    assert found["_mta-sts.new-shop.example. TXT"].startswith('"v=STSv1;')
    assert set(found) == {
        "mta-sts.just-added.example. CNAME",
        "_smtp._tls.just-added.example. TXT",
        "_mta-sts.new-shop.example. TXT",
    }
    assert "; _mta-sts.just-added.example." in text


async def test_download_of_all_has_every_domain() -> None:
    """Also the records that the DNS has."""
    async with visiting(source_of(REALISTIC)) as visitor:
        _, text, response = await visitor.get("records.zone?all=1")
    assert 'filename="records.zone"' in response.headers["Content-Disposition"]
    assert {f"mta-sts.{given.name}. CNAME" for given in REALISTIC} <= set(entries(text))


async def test_page_counts_what_is_missing() -> None:
    """And the overview leads to it."""
    async with visiting(source_of(REALISTIC)) as visitor:
        _, text, _ = await visitor.get("records")
        assert "3 records to publish now, 1 later." in text
        assert "_mta-sts.new-shop.example. 120 IN TXT" in text
        _, text, _ = await visitor.get("")
        assert "All 3 missing records" in text


@pytest.mark.integration
async def test_page_with_thousands_shows_the_beginning() -> None:
    """The download has all of it."""
    async with visiting(source_of(many(2_000))) as visitor:
        _, text, _ = await visitor.get("records?all=1")
        assert "The first 150 of" in text
        assert len(text) < 100_000
        _, text, _ = await visitor.get("records.zone?all=1")
        assert "mta-sts.d1999.example. 3600 IN CNAME" in text


@pytest.mark.parametrize("source", [loading(), source_of(())], ids=["loading", "no domains"])
async def test_page_without_domains_is_a_page(source: FakeSource) -> None:
    """Before the first pass and in an empty mailcow."""
    async with visiting(source) as visitor:
        status, text, _ = await visitor.get("records")
        assert status == 200
        assert ("for the first time" if source.report is None else "Nothing to publish now") in text
        assert (await visitor.get("records.zone"))[0] == (503 if source.report is None else 200)
