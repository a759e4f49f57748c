"""The teacher against a real server on this machine that misbehaves as scripted."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from engrain.documents.base import Section
from engrain.errors import EngrainError, SettingError
from engrain.knowledge.facts import Fact
from engrain.knowledge.wording import STUDIED, Wording
from engrain.progress import Progress, Stage
from engrain.study import teacher_endpoint, teacher_prompts
from engrain.study.base import StudySettings
from engrain.study.details import UNNOTICED, worth_asking
from engrain.study.teacher import Teacher, linked, teacher_from, whole_words
from engrain.study.teacher_asking import Price
from engrain.study.teacher_endpoint import Endpoint, checked_url, content, json_object, retry_after, strings
from engrain.study.teacher_prompts import expected

HOURS = Section("a.md", 1, ("Harbour Kites", "Hours"), "The kite shop opens at nine. Mira runs the kite shop with 15 helpers.", 0)
TEAM = Section("a.md", 2, ("Harbour Kites", "Team"), "Mira mends sails and keeps a grey parrot.", 80)
SECTIONS = {section.id: section for section in (HOURS, TEAM)}


def fact(name: str, section: Section, value: str, relation: str, evidence: str, subject: str = "the kite shop") -> Fact:
    start = section.text.index(value)
    return Fact(
        name, subject, relation, value, "text", evidence, section.id, start, start + len(value), section.headings[-1], "Harbour Kites"
    )


NINE = replace(fact("nine", HOURS, "nine", "The kite shop opens at ___.", "The kite shop opens at nine."), kind="time")
MIRA = fact("mira", HOURS, "Mira", "___ runs the kite shop with 15 helpers.", "Mira runs the kite shop with 15 helpers.")
SAILS = fact("sails", TEAM, "sails", "Mira mends ___.", TEAM.text, subject="Mira")


@dataclass
class Answer:
    """What the server does with one request."""

    status: int = 200
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0.0
    close: bool = False


def says(reply: Any, **usage: int) -> Answer:
    """A chat completion that says `reply`: a text as it is, anything else as JSON."""
    said = reply if isinstance(reply, str) else json.dumps(reply)
    return Answer(text=json.dumps({"choices": [{"message": {"role": "assistant", "content": said}}], "usage": usage}))


class Server(ThreadingHTTPServer):
    """Answers each chat request with the next answer of the script, then as `usual` says; remembers what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Answer] = []
        self.usual: Callable[[dict[str, Any]], Answer] = lambda body: says({}, prompt_tokens=1000, completion_tokens=500)
        self.models = ["kite-1"]
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news."""


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.keys.append(self.headers["Authorization"])
        self.send(Answer(text=json.dumps({"data": [{"id": name} for name in self.server.models]})))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.keys.append(self.headers["Authorization"])
            answer = self.server.script.pop(0) if self.server.script else None
        self.send(answer or self.server.usual(body) if self.path == "/v1/chat/completions" else Answer(404, "no such path"))

    def send(self, answer: Answer) -> None:
        time.sleep(answer.delay_seconds)
        self.close_connection = self.close_connection or answer.close
        if answer.status == 0:
            return
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.text.encode())), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.text.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


class Notes(Progress):
    def __init__(self, stop_after: int = 10**6) -> None:
        self.texts: list[str] = []
        self.stages: list[tuple[str, float | None]] = []
        self.figures: list[dict[str, float]] = []
        self.advanced, self.stop_after = 0.0, stop_after
        self.stopped = threading.Event()

    @contextmanager
    def stage(self, title: str, total: float | None = None, unit: str = "") -> Iterator[Stage]:
        self.stages.append((title, total))
        yield Counting(self)

    def note(self, text: str) -> None:
        self.texts.append(text)

    def has(self, *words: str) -> bool:
        return any(all(word in text for word in words) for text in self.texts)


class Counting(Stage):
    def __init__(self, notes: Notes) -> None:
        self.notes = notes

    def advance(self, amount: float = 1, **figures: float) -> None:
        self.notes.advanced += amount
        self.notes.figures.append(figures)
        if self.notes.advanced >= self.notes.stop_after:
            self.notes.stopped.set()
            raise KeyboardInterrupt


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher_endpoint, "BACKOFF_SECONDS", 0.001)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in teacher_endpoint.KEYS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def made(server: Server, notes: Notes, tmp_path: Path) -> Teacher:
    """A teacher that asks one request at a time, so that the script meets a known one."""
    return Teacher(Endpoint(server.url, "secret-key"), "kite-1", tmp_path / "cache", notes, concurrency=1)


def asked(body: dict[str, Any]) -> str:
    """Which of the four requests a prompt is."""
    prompt = body["messages"][-1]["content"]
    starts = {"details": "List of each", "questions": "For each detail write", "two": "Write up to 8", "absent": "Write up to 6"}
    return next(name for name, words in starts.items() if words in prompt)


GOOD = "When do they unlock the doors at Harbour Kites?"
QUESTIONS = {
    "1": {
        "questions": [GOOD, "Is 9 the hour Harbour Kites opens?", "When?", 7, GOOD],
        "reverse": [
            {"question": "What opens at nine?", "answer": "The kite shop"},
            {"question": "Who comes at nine?", "answer": "Jonas"},
            {"question": "What opens at nine?"},
            "no object",
        ],
    },
    "2": {"questions": ["Who is in charge at Harbour Kites?"]},
    "9": {"questions": ["Whose number is this at Harbour Kites?"]},
}
TWO = {
    "questions": [
        {"first": 2, "second": "1", "link": "kite shop", "question": "When does the business that Mira runs open?"},
        {"first": 2, "second": 1, "link": "kite shop", "question": "When does Mira's kite shop open?"},
        {"first": 2, "second": 1, "link": "sail loft", "question": "When does the loft that Mira runs open?"},
        {"first": 1, "second": 7, "link": "kite shop", "question": "Who runs what opens so early?"},
    ]
}
ABSENT = {"questions": ["Does Harbour Kites open on Christmas Day?", "Really?"]}


def as_a_good_teacher(body: dict[str, Any]) -> Answer:
    reply = {"details": {"1": ["nine"]}, "questions": QUESTIONS, "two": TWO, "absent": ABSENT}[asked(body)]
    return says(reply, prompt_tokens=1000, completion_tokens=500)


def huts(count: int) -> dict[str, Section]:
    """As many sections, each of its own."""
    return {f"a.md#{n}": replace(HOURS, number=n, text=f"{HOURS.text} Hut {n} is red.") for n in range(1, count + 1)}


# What it returns


def test_what_it_lists_weighs_more_and_only_what_stands_there_is_new(server: Server, made: Teacher, notes: Notes) -> None:
    details = {"1": ["nine", "at ten", "ine", ""], "2": ["15 helpers", "5", "with nobody"]}
    server.script = [says(details), says({"1": ["a grey\nparrot", None]})]
    found = made.notice([replace(MIRA, weight=0.5), NINE, replace(SAILS, weight=0.5)], [HOURS, TEAM], "Harbour Kites")
    assert [f.value for f in found] == ["nine", "Mira", "15 helpers", "sails", "a grey parrot"]
    assert [f.value for f in found if worth_asking(f)] == ["nine", "15 helpers", "a grey parrot"]
    assert all(SECTIONS[f.section].text[f.start : f.end] == f.value for f in found)
    assert "1. The kite shop opens at nine.\n2. Mira runs" in server.bodies[0]["messages"][-1]["content"]
    assert notes.has("Dropped", "4 details that do not stand in their sentence")
    assert notes.stages == [("Teacher: listing details", 2)]
    assert notes.advanced == 2


def test_facts_keep_their_weight_where_no_reply_could_be_read(server: Server, made: Teacher, notes: Notes) -> None:
    server.script = [says("I would rather not.")] * 3 + [says({"1": []})]
    known = [replace(MIRA, weight=0.5), replace(SAILS, weight=0.5)]
    assert [f.weight for f in made.notice(known, [HOURS, TEAM], "Harbour Kites")] == [0.5, UNNOTICED]
    assert len(server.bodies) == 4
    assert notes.has("1 replies that were no JSON")


def test_wordings_that_pass_the_rules_and_questions_that_no_section_answers(server: Server, made: Teacher, notes: Notes) -> None:
    server.usual = as_a_good_teacher
    common = replace(SAILS, weight=0.3)
    found = made.study([NINE, MIRA, common], {HOURS.id: HOURS})
    assert found.wordings == {
        "nine": [
            Wording("question", STUDIED, GOOD, "Nine."),
            Wording("reverse", STUDIED, "What opens at nine?", "The kite shop"),
            Wording("two", STUDIED, "When does the business that Mira runs open?", "Nine."),
        ],
        "mira": [Wording("question", STUDIED, "Who is in charge at Harbour Kites?", "Mira.")],
    }
    assert found.absent == {HOURS.id: ["Does Harbour Kites open on Christmas Day?"]}
    assert {(one.section, one.text) for one in found.dropped} >= {(HOURS.id, "Really?"), (HOURS.id, "When?")}
    assert notes.has("2 questions that give their answer away", "1 reversed questions", "3 questions on two details", "1 unanswerable")
    assert sorted(map(asked, server.bodies)) == ["absent", "questions", "two"]


def test_each_fact_and_section_that_was_asked_about_has_its_entry(server: Server, made: Teacher) -> None:
    found = made.study([NINE, SAILS], SECTIONS)
    assert (found.wordings, found.absent) == ({"nine": [], "sails": []}, {HOURS.id: [], TEAM.id: []})
    lost = replace(HOURS, text="A line of the kite shop.\n" * 1000)
    start = lost.text.rindex("kite shop")
    late = replace(NINE, value="kite shop", start=start, end=start + 9)
    server.bodies.clear()
    assert made.study([late], {lost.id: lost}).absent == {lost.id: []}, "too long to tell what it does not answer"
    assert len(server.bodies) == 1
    assert len(server.bodies[0]["messages"][-1]["content"]) < teacher_prompts.LONGEST_SHOWN + 3000
    assert made.study([], {}).wordings == {}


def test_other_sections_are_named_where_unanswered_questions_are_asked_for(server: Server, made: Teacher) -> None:
    made.study([NINE], SECTIONS)
    prompts = [body["messages"][-1]["content"] for body in server.bodies if asked(body) == "absent"]
    assert ["Other parts of the documents: Team" in p for p in prompts] == [True, False]
    assert ["Other parts of the documents: Hours" in p for p in prompts] == [False, True]


def test_a_question_needs_two_facts_where_it_leaves_out_what_links_them() -> None:
    assert linked(MIRA, NINE, "the kite shop", "When does the place that Mira runs open?")
    assert not linked(MIRA, NINE, "the kite shop", "When does the kite shop that Mira runs open?")
    assert not linked(MIRA, NINE, "the kite shop", "Does the place that Mira runs open at nine?")
    assert not linked(MIRA, SAILS, "the kite shop", "What does the woman who runs it mend?"), "the second source has no kite shop"
    assert not linked(MIRA, MIRA, "the kite shop", "Who is it that runs it?")
    assert not linked(MIRA, NINE, "", "When does the place that Mira runs open?")


# How it asks


def test_it_asks_for_json_and_tells_what_it_sends_and_what_that_cost(server: Server, notes: Notes, tmp_path: Path) -> None:
    made = Teacher(Endpoint(server.url + "/", "secret-key"), "kite-1", tmp_path, notes, price=Price(2.5, 10))
    made.study([NINE], {HOURS.id: HOURS})
    body = server.bodies[0]
    assert (body["model"], body["temperature"], body["response_format"]) == ("kite-1", 0.8, {"type": "json_object"})
    assert set(server.keys) == {"Bearer secret-key"}
    characters = sum(len(m["content"]) for b in server.bodies for m in b["messages"])
    assert notes.has("kite-1", server.url, f"2 requests with about {characters // 4:,} tokens", "0 were answered before")
    assert notes.has("about", "cost about 0.00 at 2.5 and 10 for a million; 0 were")
    assert notes.has("2,000 tokens sent", "1,000 received", "cost 0.01 at 2.5 and 10")
    assert notes.figures[-1] == {"tokens": 3000, "cost": 0.015}, "also while it goes on"


PASSING = {
    "too many requests": [Answer(429, "slow down", {"Retry-After": "0.1"})],
    "two faults of the server": [Answer(500, "oops"), Answer(503, "oops")],
    "a slow reply": [Answer(delay_seconds=1.0)],
    "a success that is an error": [Answer(text='{"error": {"message": "upstream"}}')],
    "a page instead of a reply": [Answer(text="<html>one moment</html>")],
    "broken JSON": [says('{"questions": ["Does it'), says("")],
    "no choice": [Answer(text="{}"), Answer(text='{"choices": [{"message": null}]}')],
}


@pytest.mark.parametrize("faults", PASSING.values(), ids=list(PASSING))
def test_a_fault_that_passes_is_waited_out(server: Server, made: Teacher, monkeypatch: pytest.MonkeyPatch, faults: list[Answer]) -> None:
    if any(fault.delay_seconds for fault in faults):
        monkeypatch.setattr(teacher_endpoint, "READ_SECONDS", 0.4)
    server.script = [*faults, says({"questions": ["Does Harbour Kites open on Christmas Day?"]})]
    began = time.monotonic()
    assert made.study([], {HOURS.id: HOURS}).absent[HOURS.id] == ["Does Harbour Kites open on Christmas Day?"]
    assert len(server.bodies) == len(faults) + 1
    waited = sum(float(fault.headers.get("Retry-After", 0)) for fault in faults)
    assert time.monotonic() - began >= waited


def test_a_fault_that_does_not_pass_ends_with_what_to_do(server: Server, made: Teacher) -> None:
    server.usual = lambda body: Answer(502, "bad gateway")
    with pytest.raises(EngrainError, match="failed 6 times: status 502 bad gateway") as caught:
        made.study([], {HOURS.id: HOURS})
    assert server.url in str(caught.value)
    assert "start again later" in str(caught.value)
    assert len(server.bodies) == 6


def test_a_server_that_is_not_there(tmp_path: Path, server: Server) -> None:
    server.server_close()
    with pytest.raises(EngrainError, match=r"failed 6 times: ConnectError"):
        Teacher(Endpoint(server.url, None), "kite-1", tmp_path).study([], {HOURS.id: HOURS})


def test_nobody_waits_for_an_hour_in_silence(server: Server, made: Teacher) -> None:
    server.usual = lambda body: Answer(429, "quota", {"Retry-After": "3600"})
    with pytest.raises(EngrainError, match="asks to wait 3,600 seconds: status 429 quota"):
        made.study([], {HOURS.id: HOURS})
    assert len(server.bodies) == 1


REFUSALS = {
    401: (SettingError, "ENGRAIN_TEACHER_KEY"),
    403: (SettingError, "may use this model"),
    404: (SettingError, "name of the model"),
    413: (EngrainError, "Check the URL"),
}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_is_one_clear_error(server: Server, made: Teacher, status: int) -> None:
    server.usual = lambda body: Answer(status, '{"error": {"message": "no: secret-key"}}', delay_seconds=0.02)
    with pytest.raises(REFUSALS[status][0]) as caught:
        made.study([], huts(30))
    assert str(caught.value).startswith(f"The teacher at {server.url} refused the request: status {status}")
    assert REFUSALS[status][1] in str(caught.value)
    assert "secret-key" not in str(caught.value)
    assert len(server.bodies) < 30, "only what a free thread began in that moment is still sent"


def test_an_unknown_model(server: Server, notes: Notes, tmp_path: Path) -> None:
    server.usual = lambda body: Answer(404, f'{{"error": {{"message": "The model {body["model"]} does not exist"}}}}')
    with pytest.raises(SettingError, match="The model kite-9 does not exist"):
        Teacher(Endpoint(server.url, None), "kite-9", tmp_path, notes).study([], {HOURS.id: HOURS})
    assert server.keys == [None]


def test_options_that_the_server_refuses_are_left_out_from_then_on(server: Server, made: Teacher) -> None:
    server.script = [Answer(400, "json is unknown here"), Answer(422, "temperature must be 1")]
    made.study([NINE], {HOURS.id: HOURS})
    options = [set(body) - {"model", "messages"} for body in server.bodies]
    assert options == [{"temperature", "response_format"}, {"temperature"}, set(), set()]


def test_a_request_that_is_bad_for_another_reason_is_asked_once_without_json(server: Server, made: Teacher) -> None:
    server.usual = lambda body: Answer(400, "too long")
    with pytest.raises(EngrainError, match="status 400 too long"):
        made.study([], {HOURS.id: HOURS})
    assert len(server.bodies) == 2


def test_replies_that_are_no_json_are_dropped_after_three(server: Server, made: Teacher, notes: Notes) -> None:
    server.usual = lambda body: says("Sure! {not quite", prompt_tokens=10)
    found = made.study([NINE], {HOURS.id: HOURS})
    assert (found.wordings, found.absent) == ({}, {}), "no entry: the next build asks again"
    assert len(server.bodies) == 6
    assert notes.has("2 replies that were no JSON")
    assert notes.has("60 tokens sent"), "they cost all the same"


HUNG_UP = {
    "in the middle of a reply": Answer(text='{"choices": [{"mess', headers={"Content-Length": "900"}, close=True),
    "with nothing at all": Answer(status=0, close=True),
    "through a gateway that gave up": Answer(504, "upstream timed out"),
}


@pytest.mark.parametrize("fault", HUNG_UP.values(), ids=list(HUNG_UP))
def test_a_server_that_hangs_up_is_asked_again(server: Server, made: Teacher, fault: Answer) -> None:
    server.script = [fault, says(ABSENT)]
    assert made.study([], {HOURS.id: HOURS}).absent[HOURS.id] == ABSENT["questions"][:1]
    assert len(server.bodies) == 2


def test_replies_of_wrong_kinds_hold_nothing(server: Server, made: Teacher) -> None:
    strange: list[Any] = [
        {"questions": {"a": 1}},
        {"questions": [["x"], {"q": "y"}, 3]},
        {"1": ["no object"]},
        {"1": {"questions": "When?"}},
    ]
    for reply in strange:
        server.usual = lambda body, reply=reply: says(reply)  # type: ignore[misc]
        found = made.study([NINE, MIRA], {HOURS.id: HOURS})
        assert not any(found.wordings.values())
        assert not any(found.absent.values())
        for file in made.asking.cache.glob("*.json"):
            file.unlink()


def test_usage_that_is_no_number_is_not_counted(server: Server, made: Teacher, notes: Notes) -> None:
    told = {"prompt_tokens": 7, "completion_tokens": "many", "details": {"cached": 3}}
    server.usual = lambda body: Answer(text=json.dumps({"choices": [{"message": {"content": "{}"}}], "usage": told}))
    made.study([], {HOURS.id: HOURS})
    assert notes.has("7 tokens sent and 0 received")


def test_what_it_will_take_is_known_before(server: Server, made: Teacher) -> None:
    facts = [NINE, MIRA, SAILS]
    before = expected(facts, SECTIONS)
    made.notice(facts, list(SECTIONS.values()), "Harbour Kites")
    made.study(facts, SECTIONS)
    assert before.requests == len(server.bodies)
    assert before.sent == sum(len(m["content"]) for body in server.bodies for m in body["messages"]) // 4
    assert before.received > 3 * 14 * 10
    assert expected([], {}).requests == 0


# What is kept


def test_what_was_stopped_goes_on_with_the_rest(server: Server, made: Teacher, notes: Notes, tmp_path: Path) -> None:
    sections = huts(6)
    server.script = [says(ABSENT)] * 4
    server.usual = lambda body: Answer(400, "out of order")
    with pytest.raises(EngrainError, match="out of order"):
        made.study([], sections)
    assert len(list((tmp_path / "cache").glob("*.json"))) == 4
    server.bodies.clear()
    server.usual = as_a_good_teacher
    again = Teacher(Endpoint(server.url, None), "kite-1", tmp_path / "cache", notes)
    assert again.study([], sections).absent == dict.fromkeys(sections, ABSENT["questions"][:1])
    assert len(server.bodies) == 2
    assert notes.has("2 requests", "4 were answered before")
    server.bodies.clear()
    assert len(again.study([], sections).absent) == 6
    assert server.bodies == []
    Teacher(Endpoint(server.url, None), "kite-2", tmp_path / "cache").study([], sections)
    assert len(server.bodies) == 6, "another model answers for itself"


def test_an_interrupt_keeps_what_came_and_asks_no_more(server: Server, tmp_path: Path) -> None:
    notes = Notes(stop_after=2)

    def wait_for_the_interrupt(body: dict[str, Any]) -> Answer:
        interrupted = len(server.bodies) < 4 or notes.stopped.wait(5)
        return replace(says(ABSENT), delay_seconds=0.02 * interrupted)

    server.usual = wait_for_the_interrupt
    with pytest.raises(KeyboardInterrupt):
        Teacher(Endpoint(server.url, None), "kite-1", tmp_path, notes, concurrency=1).study([], huts(20))
    assert 2 <= len(server.bodies) < 20
    assert len(list(tmp_path.glob("*.json"))) == len(server.bodies), "what was under way is kept"


@pytest.mark.parametrize("stop_after", [1, 10**6])
def test_replies_under_way_are_counted_when_it_is_stopped(server: Server, tmp_path: Path, stop_after: int) -> None:
    notes, together = Notes(stop_after), threading.Barrier(3, timeout=5)

    def one_before_the_others(body: dict[str, Any]) -> Answer:
        first = together.wait() == 0
        if first and stop_after > 1:
            return Answer(401, "no")
        return replace(says(ABSENT, prompt_tokens=10, completion_tokens=5), delay_seconds=0.0 if first else 0.5)

    server.usual = one_before_the_others
    with pytest.raises((KeyboardInterrupt, EngrainError)):
        Teacher(Endpoint(server.url, None), "kite-1", tmp_path, notes, concurrency=3).study([], huts(3))
    kept = len(list(tmp_path.glob("*.json")))
    assert kept >= 2
    assert notes.has(f"{10 * kept} tokens sent and {5 * kept} received")


def test_a_refusal_ends_the_pauses_of_other_requests(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher_endpoint, "BACKOFF_SECONDS", 1000)
    server.script = [Answer(500, "later")]
    server.usual = lambda body: Answer(401, "no", delay_seconds=0.05)
    began = time.monotonic()
    with pytest.raises(SettingError):
        Teacher(Endpoint(server.url, None), "kite-1", tmp_path, concurrency=2).study([], SECTIONS)
    assert time.monotonic() - began < 20


def test_a_spoilt_file_of_the_cache_is_asked_for_again(server: Server, made: Teacher, tmp_path: Path) -> None:
    made.study([], {HOURS.id: HOURS})
    (file,) = (tmp_path / "cache").glob("*.json")
    kept = json.loads(file.read_text(encoding="utf-8"))
    assert kept["request"] == server.bodies[0]
    for spoilt in ('{"reply": [1]}', "{", "\udcff"):
        file.write_bytes(spoilt.encode("utf-8", "surrogateescape"))
        made.study([], {HOURS.id: HOURS})
    assert len(server.bodies) == 4


def test_one_text_is_asked_about_once_and_several_at_a_time(server: Server, tmp_path: Path) -> None:
    together = threading.Barrier(3, timeout=2)

    def wait_for_others(body: dict[str, Any]) -> Answer:
        together.wait()
        return says(ABSENT)

    server.usual = wait_for_others
    alone = {f"a.md#{n}": replace(HOURS, number=n, headings=(), text=f"Hut {n % 3} is red.") for n in range(6)}
    found = Teacher(Endpoint(server.url, None), "kite-1", tmp_path, concurrency=3).study([], alone)
    assert len(server.bodies) == 3
    assert all(found.absent[name] for name in alone)


# What a user gives


def named(spec: str, cache: Path, **settings: Any) -> Teacher:
    """The teacher of `--teacher SPEC`."""
    return teacher_from(StudySettings(teacher=spec, **settings), cache)


def test_concurrency_and_price_are_settings(server: Server, tmp_path: Path) -> None:
    made = named(f"{server.url}#m", tmp_path, teacher_concurrency=3, teacher_price_received=4.0).asking
    assert (made.concurrency, made.price) == (3, Price(0.0, 4.0))
    assert named(f"{server.url}#m", tmp_path).asking.price is None
    with pytest.raises(SettingError, match="teacher_concurrency=0") as caught:
        StudySettings(teacher_concurrency=0, teacher_price_sent=-1.0)
    assert len(caught.value.problems) == 2


def test_a_model_that_is_alone_need_not_be_named(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "general")
    assert named(server.url, tmp_path).asking.model == "kite-1"
    monkeypatch.setenv("ENGRAIN_TEACHER_KEY", " own \n")
    assert named(f"{server.url}#", tmp_path).asking.endpoint.key == "own"
    assert server.keys == [None, "Bearer own"], "OpenAI's key is for OpenAI only"
    assert named(f"{server.url}/chat/completions#gpt-x", tmp_path).asking.model == "gpt-x"
    assert len(server.keys) == 2, "a model that is named is not asked for"


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("https://api.openai.com/v1", "general"),
        ("https://openai.com", "general"),
        ("https://notopenai.com/v1", None),
        ("https://openai.com.example/v1", None),
        ("https://openai.com@kites.example", None),
    ],
)
def test_the_key_for_openai_goes_to_openai_only(url: str, key: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "general")
    assert named(f"{url}#m", tmp_path).asking.endpoint.key == key


def test_of_several_models_one_must_be_named(server: Server, tmp_path: Path) -> None:
    server.models = ["kite-1", "kite-2"]
    with pytest.raises(SettingError, match=r"2 models to choose from") as caught:
        named(server.url, tmp_path)
    assert caught.value.problems == ("kite-1", "kite-2")
    assert f"{server.url}#MODEL" in str(caught.value)


@pytest.mark.parametrize("url", ["", "api.example/v1", "ftp://api.example", "http://", "http://a:b:c", "file:///etc", "http://[::1"])
def test_a_url_that_cannot_be_asked(url: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"Give one like https://api\.example/v1#model"):
        named(f"{url}#m", tmp_path)


def test_a_key_that_no_header_can_carry_is_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(SettingError) as caught:
        Teacher(Endpoint("http://localhost", "clé"), "m", tmp_path)
    assert "clé" not in str(caught.value)


# Small parts


def test_the_time_to_wait_is_given_in_seconds_or_as_a_date() -> None:
    def wait(text: str) -> float:
        return retry_after(httpx.Response(429, headers={"Retry-After": text}))

    assert (wait("7"), wait("0.5"), wait("soon"), wait("-3"), wait("")) == (7, 0.5, 0, 0, 0)
    assert 50 < wait(format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)) <= 60
    assert wait("Wed, 21 Oct 2015 07:28:00 GMT") == wait("Wed, 21 Oct 2015 07:28:00 -0000") == 0
    assert retry_after(httpx.Response(429)) == 0


def test_json_is_found_in_what_stands_around_it() -> None:
    assert json_object('Sure:\n```json\n{"a": {"b": 1}}\n```') == {"a": {"b": 1}}
    for text in ("", "}{", "[1]", "{", '{"a": 1} or {"a": 2}', "{" + '"a":{' * 100_000 + "}" * 100_001):
        assert json_object(text) is None
    assert content({"choices": [{"message": {"content": '<think>{"a"</think>{"b": 1}'}}]}) == '{"b": 1}'
    assert strings(["a\n b", "a b", 3, None, "", "ok \ud83d"]) == ["a b", "ok"]
    assert strings("abc") == strings(None) == []


def test_a_span_cuts_no_word() -> None:
    assert whole_words("nine, £5", (0, 4))
    assert whole_words("nine, £5", (6, 8))
    assert not whole_words("nine, £5", (1, 4))
    assert not whole_words("15 boats", (0, 1))
    assert checked_url(" https://api.example/v1/ ") == "https://api.example/v1"
