"""What an operator watches: figures that move with what happens, for the operator's token alone."""

import pytest

from ledger.operator.grant import ADMIN, APPEND
from tests.hosting import entries
from tests.service.conftest import Service


def value(text: str, name: str) -> float:
    """The one sample called ``name``, labels included."""
    (line,) = [line for line in text.splitlines() if line.rpartition(" ")[0] == name]
    return float(line.rpartition(" ")[2])


def test_appends_and_their_groups_are_counted(service: Service) -> None:
    service.post(b"".join(entries(3)))
    service.post(entries(1, 5)[0])
    text = service.metrics_text()
    assert value(text, "tally_appended_entries_total") == 4
    assert value(text, "tally_group_entries_count") == 2
    assert value(text, "tally_commit_seconds_count") == 2
    commit, append = (value(text, f"tally_{name}_seconds_sum") for name in ("commit", "append"))
    assert 0 < commit < append
    assert value(text, "tally_tree_size") == 4
    asked = 'tally_requests_total{route="/v1/entries",status="200"}'
    assert value(text, asked) == 2


def test_state_of_guard_disk_and_stamps_is_read_when_asked(service: Service) -> None:
    service.post(entries(1)[0])
    text = service.metrics_text()
    assert value(text, "tally_guard_ok") == 1
    assert value(text, "tally_ready") == 1
    assert value(text, "tally_waiting_entries") == 0
    assert value(text, "tally_disk_free_bytes") > 0
    assert value(text, "tally_checkpoint_age_seconds") >= 0
    assert value(text, 'tally_stamp_pending{tsa="development-1"}') == 1
    service.hosted.schedule.round()
    service.clock.time = service.clock.time.replace(hour=13)
    later = service.metrics_text()
    assert value(later, 'tally_stamp_pending{tsa="development-1"}') == 0
    assert value(later, 'tally_stamp_age_seconds{tsa="development-2"}') == 3600


def test_only_the_operators_token_reads_them(service: Service) -> None:
    given = {"Authorization": f"Bearer {service.new_token(APPEND)}"}
    assert service.client.get("/metrics").status_code == 401
    assert service.client.get("/metrics", headers=given).status_code == 403
    given = {"Authorization": f"Bearer {service.new_token(APPEND, ADMIN)}"}
    assert service.client.get("/metrics", headers=given).status_code == 200


def test_addresses_and_entries_are_in_no_metric(service: Service) -> None:
    service.client.get("/v1/receipts/" + "A" * 86)
    service.client.get("/secret-place")
    text = service.metrics_text()
    assert "A" * 86 not in text
    assert "secret-place" not in text
    assert value(text, 'tally_requests_total{route="none",status="404"}') == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_scheduled_work_that_ended_by_a_fault_of_ours_makes_it_not_ready(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("nobody foresaw it")

    schedule = service.hosted.schedule
    assert service.client.get("/readyz").status_code == 200
    monkeypatch.setattr(schedule, "round", fail)
    schedule.start()
    schedule._thread.join(30)
    ready = service.client.get("/readyz")
    assert (ready.status_code, ready.json["reasons"]) == (
        503,
        ["the scheduled work ended by a fault"],
    )
    assert value(service.metrics_text(), "tally_ready") == 0
    assert service.client.get("/healthz").status_code == 200
