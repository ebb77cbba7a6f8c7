"""How one stream went, as a value; from it come its line in the log and its part in the figures."""

from dataclasses import dataclass, field
from decimal import Decimal

from services.telemetry import names
from services.telemetry.metrics import Metrics

WHOLE, STOPPED = "whole", "stopped"  # how a request to a provider went, where it met with no problem


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request to a provider; ``outcome`` is WHOLE, STOPPED (by us) or a problem's slug."""

    model: str
    outcome: str
    reason: str | None
    began: float
    ended: float
    input_tokens: int
    output_tokens: int

    @property
    def failed(self) -> bool:
        """Tell whether it met with a problem."""
        return self.outcome not in {WHOLE, STOPPED}


@dataclass(kw_only=True, slots=True)
class Course:
    """What the making of a stream comes to; times are by the monotonic clock.

    Kept per piece of text as plain additions: a histogram would cost each piece more than its text.
    ``outcomes`` counts requests to providers by model and by how they went; of the first ``keeps``
    all is kept.
    """

    began: float = 0.0
    first_text: float | None = None
    last_text: float = 0.0
    longest_pause_s: float = 0.0
    texts: int = 0
    readers: int = 0
    retries: int = 0
    fall_backs: int = 0
    outcomes: dict[tuple[str, str], int] = field(default_factory=dict)
    keeps: int = 0
    requests: list[Request] = field(default_factory=list)

    def text(self, now: float) -> None:
        """Note a piece of text."""
        if self.first_text is None:
            self.first_text = now
        elif now - self.last_text > self.longest_pause_s:
            self.longest_pause_s = now - self.last_text
        self.last_text = now
        self.texts += 1

    def asked(self, request: Request) -> None:
        """Note a request to a provider that has come to its end."""
        how = (request.model, request.outcome)
        self.outcomes[how] = self.outcomes.get(how, 0) + 1
        if len(self.requests) < self.keeps:
            self.requests.append(request)

    @property
    def first_text_s(self) -> float | None:
        """Return seconds from the opening to the first text, None without text."""
        return None if self.first_text is None else self.first_text - self.began

    @property
    def between_texts_s(self) -> float | None:
        """Return the mean of the seconds between two texts, None for fewer than two."""
        if self.first_text is None or self.texts < 2:  # noqa: PLR2004 - between takes two
            return None
        return (self.last_text - self.first_text) / (self.texts - 1)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """One stream: ``reason`` where the end was meant, ``problem`` (a slug) where it was not.

    ``whole`` if the answer is complete, or as long as its caller asked for.
    """

    stream: str
    use_case: str
    model: str
    key: str
    reason: str | None
    problem: str | None
    whole: bool
    input_tokens: int
    output_tokens: int
    cached_input_tokens: int
    reasoning_tokens: int
    cost_usd: Decimal | None
    estimated: bool
    from_cache: bool
    total_s: float
    events: int
    course: Course

    def fields(self) -> dict[str, object]:
        """Return what its line in the log says, in whole milliseconds."""
        first = self.course.first_text_s
        return {
            "stream": self.stream,
            "use_case": self.use_case,
            names.REQUEST_MODEL: self.model,
            "key": self.key,
            "reason": self.reason,
            "problem": self.problem,
            names.INPUT_TOKENS: self.input_tokens,
            names.OUTPUT_TOKENS: self.output_tokens,
            names.CACHED_TOKENS: self.cached_input_tokens or None,
            names.REASONING_TOKENS: self.reasoning_tokens or None,
            "cost_usd": None if self.cost_usd is None else f"{self.cost_usd:f}",
            "estimated": self.estimated or None,
            "from_cache": self.from_cache or None,
            "first_text_ms": None if first is None else _ms(first),
            "total_ms": _ms(self.total_s),
            "texts": self.course.texts,
            "longest_pause_ms": _ms(self.course.longest_pause_s) or None,
            "events": self.events,
            "readers": self.course.readers,
            "retries": self.course.retries or None,
            "fall_backs": self.course.fall_backs or None,
        }

    def count(self, metrics: Metrics) -> None:
        """Add it to the figures."""
        by = (self.use_case, metrics.model(self.model))
        metrics.count(names.ENDED, *by, self.reason or "", self.problem or "")
        metrics.observe(names.DURATION, self.total_s, *by)
        self._count_pace(metrics, by)
        self._count_cost(metrics, by)
        self._count_attempts(metrics, by)

    def _count_pace(self, metrics: Metrics, by: tuple[str, str]) -> None:
        course = self.course
        if course.first_text_s is not None:
            metrics.observe(names.FIRST_TEXT, course.first_text_s, *by)
        if course.between_texts_s is not None:
            metrics.observe(names.BETWEEN_TEXTS, course.between_texts_s, *by)
            metrics.observe(names.LONGEST_PAUSE, course.longest_pause_s, *by)

    def _count_cost(self, metrics: Metrics, by: tuple[str, str]) -> None:
        metrics.observe(names.TOKEN_USAGE, self.input_tokens, *by, "input")
        metrics.observe(names.TOKEN_USAGE, self.output_tokens, *by, "output")
        if self.cost_usd is None:
            metrics.count(names.UNPRICED, *by)
        for metric, by_much in (
            (names.CACHED_INPUT, self.cached_input_tokens),
            (names.REASONING, self.reasoning_tokens),
            (names.COST_USD, float(self.cost_usd or 0)),
            (names.ESTIMATED, self.estimated),
            (names.FROM_CACHE, self.from_cache),
        ):
            if by_much:
                metrics.count(metric, *by, by=by_much)

    def _count_attempts(self, metrics: Metrics, by: tuple[str, str]) -> None:
        for (model, outcome), times in self.course.outcomes.items():
            metrics.count(names.ATTEMPTS, metrics.model(model), outcome, by=times)
        for metric, times in (
            (names.RETRIED, self.course.retries),
            (names.FALL_BACKS, self.course.fall_backs),
        ):
            if times:
                metrics.count(metric, *by, by=times)


def _ms(seconds: float) -> int:
    return round(1000 * seconds)
