"""The lines that JsonLog writes → rows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from netspec.listener import Values
from netspec.logs.run import Row, Run

# A larger number is damage
_MAX_NETS = 1000
_LONGEST = 1e12  # seconds of a run, images in an epoch


def read_json_lines(lines: Iterable[str], name: str) -> Run:
    """Reads a JsonLog's lines.

    Events and fields that it does not know are passed over, and lines that are no events.
    """
    reader = _Reader(Run(name))
    for line in lines:
        event = read_event(line)
        if event is not None:
            try:
                reader.take(event)
            except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
                continue  # a line of another program
    return reader.run


def read_event(line: str) -> dict[str, Any] | None:
    """The event that a line is; None where it is none."""
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None


class _Reader:
    """Follows a run through its parts: each "start" goes on where the run is resumed."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.before = 0.0  # seconds of the parts before this one
        self.now = 0.0
        # of this part; the last is 0 where it is not known
        self.begin = self.begin_epoch = self.epochs_an_iteration = 0.0
        self.test_loss_weights: list[dict[str, float]] = []

    def take(self, event: dict[str, Any]) -> None:
        match event["event"]:
            case "start":
                self.start(event)
            case "train":
                outputs = _values(event["outputs"])
                row = Row(
                    int(event["iter"]),
                    self.seconds(event),
                    float(event["loss"]),
                    float(event["lr"]),
                    outputs,
                    self.epoch(event),
                )
                self.run.add_train(row)
            case "test":
                self.test(event)
            case "end" if "loss" in event:
                self.run.add_train(
                    Row(
                        int(event["iter"]),
                        self.seconds(event),
                        float(event["loss"]),
                        epoch=self.epoch(event),
                    )
                )

    def start(self, event: dict[str, Any]) -> None:
        if int(event["iter"]) == 0:  # it goes on from none
            self.now = 0.0
            self.run.begin()
        self.before = self.now
        self.run.go_on_from(int(event["iter"]))
        self.test_loss_weights = [
            _weights(weights) for weights in event.get("test_loss_weights", [])
        ]
        for weights in [*self.test_loss_weights, _weights(event.get("loss_weights", {}))]:
            self.run.loss_outputs.update(name for name, weight in weights.items() if weight)
        records, images = (
            int(event.get("dataset_size") or 0),
            int(event.get("images_per_iteration") or 0),
        )
        self.begin, self.epochs_an_iteration = int(event["iter"]), 0.0
        if 0 < records < _LONGEST and 0 < images < _LONGEST:
            self.epochs_an_iteration = images / records
            self.begin_epoch = int(event.get("start_records", self.begin * images)) / records
            self.run.knows_epochs = True

    def epoch(self, event: dict[str, Any]) -> float | None:
        if not self.epochs_an_iteration:
            return None
        return self.begin_epoch + (int(event["iter"]) - self.begin) * self.epochs_an_iteration

    def test(self, event: dict[str, Any]) -> None:
        net, outputs = int(event["net"]), _values(event["outputs"])
        weights = self.test_loss_weights[net] if 0 <= net < len(self.test_loss_weights) else {}
        loss = float(event["loss"]) if "loss" in event else _weighted_sum(outputs, weights)
        if not 0 <= net < _MAX_NETS:
            raise ValueError(net)
        self.run.add_test(
            net,
            Row(
                int(event["iter"]),
                self.seconds(event),
                loss,
                outputs=outputs,
                epoch=self.epoch(event),
            ),
        )

    def seconds(self, event: dict[str, Any]) -> float | None:
        if "seconds" not in event:
            return None
        seconds = self.before + float(event["seconds"])
        if not 0 <= seconds <= _LONGEST:
            raise ValueError(seconds)
        self.now = max(self.now, seconds)
        return self.now


def _values(outputs: dict[str, Any]) -> Values:
    return {
        name: [float(item) for item in value] if isinstance(value, list) else [float(value)]
        for name, value in outputs.items()
    }


def _weights(weights: dict[str, Any]) -> dict[str, float]:
    return {name: float(weight) for name, weight in weights.items()}


def _weighted_sum(outputs: Values, weights: dict[str, float]) -> float | None:
    terms = [
        weight * sum(outputs[name])
        for name, weight in weights.items()
        if weight and name in outputs
    ]
    return sum(terms) if terms else None
