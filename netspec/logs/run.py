"""What a log says of a run: rows of numbers, of the training and of each test net."""

from __future__ import annotations

from dataclasses import dataclass, field

from netspec.listener import Values

JSON_LINES, CAFFE = "a log of JSON lines", "a log in Caffe's format"
_LARGEST = 2**53  # of a count; what is beyond is damage


@dataclass(slots=True)
class Row:
    """What a run logged at one iteration. None is what it did not log."""

    iter: int
    # of training since the run began; the pauses before it was resumed don't count
    seconds: float | None = None
    # of the training the smoothed loss, of a test the mean of the weighted sum
    loss: float | None = None
    rate: float | None = None  # the learning rate; rows of the training only
    outputs: Values = field(default_factory=dict)
    epoch: float | None = None  # passes over the training data that had ended

    def __post_init__(self) -> None:
        if not 0 <= self.iter <= _LARGEST or not 0 <= (self.seconds or 0) <= _LARGEST:
            raise ValueError(f"no row of a run: iteration {self.iter} after {self.seconds} s")


@dataclass(slots=True)
class Run:
    """A run's rows, by rising iteration."""

    name: str
    train: list[Row] = field(default_factory=list)
    tests: list[list[Row]] = field(default_factory=list)  # of each test net
    loss_outputs: set[str] = field(default_factory=set)  # the outputs that the loss is made of
    knows_epochs: bool = False
    earlier_runs: int = 0  # runs that the file holds before this one
    form: str = ""  # JSON_LINES or CAFFE

    def begin(self) -> None:
        """A run begins: what was logged before is of another one."""
        self.earlier_runs += bool(self.train or self.tests)
        self.train, self.tests, self.loss_outputs, self.knows_epochs = [], [], set(), False

    def go_on_from(self, iteration: int) -> None:
        """The run is resumed: what was logged of the iterations that now come again is void."""
        _cut(self.train, iteration)
        for rows in self.tests:
            _cut(rows, iteration + 1)  # a last test that the resumed run does not repeat stands

    def add_train(self, row: Row) -> None:
        _cut(self.train, row.iter)
        self.train.append(row)

    def add_test(self, net: int, row: Row) -> None:
        while len(self.tests) <= net:
            self.tests.append([])
        _cut(self.tests[net], row.iter)
        self.tests[net].append(row)


def _cut(rows: list[Row], iteration: int) -> None:
    """Takes away the rows from an iteration on."""
    while rows and rows[-1].iter >= iteration:
        rows.pop()
