"""Which results count: a fold over the record, in which corrections and withdrawals follow what they mend."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from services.assays.facts import AssayFact, AssayResult, AssayWithdrawn

Subject = tuple[str, str, str]


@dataclass(slots=True)
class Course:
    """Everything that was recorded of one subject, oldest first; at most the last one counts."""

    results: list[AssayResult] = field(default_factory=list)
    withdrawn: AssayWithdrawn | None = None

    @property
    def standing(self) -> AssayResult | None:
        """The result that counts."""
        return None if self.withdrawn else self.results[-1]

    def state_of(self, result: AssayResult) -> str:
        """Return what became of a result: counts, corrected or withdrawn."""
        if result is not self.results[-1]:
            return "corrected"
        return "withdrawn" if self.withdrawn else "counts"


class Courses:
    """The course of every subject, in the order in which they were first recorded."""

    def __init__(self, facts: Iterable[AssayFact] = ()) -> None:
        self.by_subject: dict[Subject, Course] = {}
        self._subject_of: dict[str, Subject] = {}
        for fact in facts:
            self.take(fact)

    def take(self, fact: AssayFact) -> None:
        """Take the next row of the record in."""
        if isinstance(fact, AssayResult):
            course = self.by_subject.setdefault(fact.subject, Course())
            course.results.append(fact)
            course.withdrawn = None
            self._subject_of[fact.result_id] = fact.subject
        elif isinstance(fact, AssayWithdrawn):
            self.by_subject[self._subject_of[fact.withdraws]].withdrawn = fact

    def standing(self) -> list[AssayResult]:
        """Return the results that count, ordered by the time of the sample."""
        results = [course.standing for course in self.by_subject.values()]
        return sorted((r for r in results if r is not None), key=lambda r: (r.at, r.flask, r.biomarker))
