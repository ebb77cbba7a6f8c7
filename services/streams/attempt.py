"""One request to one model, and what all requests of a stream share."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial

from services import llm
from services.cost.reservation import Grant, Reservation
from services.cost.tally import Tally
from services.cost.tokens import OutputMeter
from services.errors import ProviderFailure, ProviderIncomplete, ProviderTimeout
from services.events import Event, Notice
from services.streams.allowance import Allowance
from services.streams.clock import Clock
from services.streams.hearing import Hearing, Silences
from services.streams.models import Model
from services.streams.retry import Retry
from services.streams.route import Planned, Route
from services.telemetry.ends import STOPPED, WHOLE, Course, Request

# A provider whose cap is ours ends where we cut it, and then says what it used: some milliseconds later.
TAIL_S = 0.5


@dataclass(kw_only=True, eq=False)
class Terms:
    """On what terms the calls of one stream are answered; ``running`` are the attempts under way.

    ``recovers`` tells whether an answer that breaks off is asked for again.
    """

    models: tuple[Model, ...]
    clock: Clock
    silences: Silences
    retry: Retry
    allowance: Allowance
    reservation: Reservation
    tally: Tally
    emit: Callable[[Event], None]
    recovers: bool
    course: Course = field(default_factory=Course)
    running: set["Attempt"] = field(default_factory=set)
    route: Route = field(init=False)

    def __post_init__(self) -> None:
        """Begin with the model that was chosen."""
        self.route = Route(self.models, partial(_fell_back, self.emit, self.course))

    def retried(self, detail: str) -> None:
        """Tell the readers that a provider is asked again."""
        self.course.retries += 1
        self.notice("provider-retry", detail)

    def notice(self, code: str, detail: str) -> None:
        """Tell the readers something that ends nothing."""
        self.emit(Notice(code=code, detail=detail))


def _fell_back(emit: Callable[[Event], None], course: Course, model: Model) -> None:
    course.fall_backs += 1
    emit(Notice(code="provider-fallback", detail=f"{model.name} answers from here on."))


class Attempt:
    """One request: what it says within ``cap``, why it ended, what it used of its ``grant``.

    ``spoke`` tells afterwards whether there was text. ``said`` is kept where the answer may have to
    be asked for again.
    """

    def __init__(  # noqa: PLR0913 - what one request is
        self, terms: Terms, model: Model, planned: Planned, *, grant: Grant, cap: int, keeps: bool
    ) -> None:
        self.reason: llm.DoneReason | None = None
        self.spoke = False
        self.said: list[str] = []
        self._reported: llm.Tokens | None = None
        self.model = model
        self.planned = planned
        self._terms = terms
        self._grant = grant
        self._keeps = keeps
        self._cap = cap
        self._meter = OutputMeter(model.counter, cap)

    @property
    def counted(self) -> llm.Tokens:
        """Return what it has used until now, counted here."""
        return llm.Tokens(input=self.planned.input_tokens, output=self._meter.tokens)

    def used(self) -> Callable[[], int]:
        """Return what counts what it used of its cap: as the provider does, which may be more than we do."""
        if self._reported is None and self.reason == "length":
            return partial(int, self._cap)
        return partial(_more, self._meter, self._reported.output if self._reported else 0)

    def deltas(self) -> Generator[str, None, None]:
        """Ask, and yield the text; raises ProviderFailure."""
        terms = self._terms
        hearing, meter = Hearing(terms.clock, terms.silences, terms.notice), self._meter
        free, outcome, began = False, STOPPED, terms.clock.monotonic()
        terms.running.add(self)
        try:
            with closing(self.model.provider.stream(self.planned.request)) as values:
                for value in values:
                    if type(value) is not str:
                        hearing.note(value)
                        continue
                    if not hearing.spoke:
                        hearing.begin()
                    hearing.text()
                    if fits := meter.add(value):
                        if self._keeps:
                            self.said.append(fits)
                        yield fits
                    if meter.full:  # a provider that counts otherwise, or does not heed its cap
                        self.reason, outcome = "length", WHOLE
                        if self._cap == self.planned.request.max_output_tokens:
                            hearing.end(values, TAIL_S)
                        return
            self.reason, outcome = hearing.reason, WHOLE
        except ProviderFailure as failure:
            outcome = failure.slug
            free = not (hearing.spoke or hearing.thought or _had_begun(failure))
            raise
        finally:
            self.spoke = hearing.spoke
            hearing.close()
            terms.running.discard(self)
            terms.course.asked(self._request(outcome, hearing.done, began))
            if free:
                terms.reservation.give_back(self._grant)
            else:
                self._account(hearing.done)

    def _request(self, outcome: str, done: llm.Done | None, began: float) -> Request:
        tokens = done.tokens if done and done.tokens else self.counted
        return Request(
            model=self.model.name, outcome=outcome, reason=self.reason,
            began=began, ended=self._terms.clock.monotonic(),
            input_tokens=tokens.input, output_tokens=tokens.output,
        )  # fmt: skip

    def _account(self, done: llm.Done | None) -> None:
        reported = self._reported = done.tokens if done else None
        tokens = reported or self.counted
        dollars = self._terms.tally.add(tokens, self.model.price, estimated=reported is None)
        self._terms.reservation.spend(
            self._grant, self.model.name, tokens, dollars, reported=reported is not None
        )


def _more(meter: OutputMeter, reported: int) -> int:
    return max(meter.tokens, reported)


def _had_begun(failure: ProviderFailure) -> bool:
    """Tell whether the provider may have read the prompt: it neither refused nor was out of reach."""
    silent = isinstance(failure, ProviderTimeout) and not failure.retryable
    return silent or isinstance(failure, ProviderIncomplete)
