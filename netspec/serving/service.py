"""What a request asks of a net: a picture's bytes in, an object for JSON out."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from netspec.diagnostics import NetspecError
from netspec.pytorch.classify import Classifier
from netspec.pytorch.detect import Detector
from netspec.pytorch.picture_net import Seen
from netspec.readers.images import image_shape
from netspec.readers.picture import Size
from netspec.serving.batcher import Batcher
from netspec.serving.metrics import Metrics

_DECODERS = 4  # threads: so many pictures lie decoded in memory at once
_USUAL_BATCH = 32  # items of a batch, where the net takes any number and nothing else is said


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may ask for.

    Args:
        body: bytes of a request.
        pixels: of a picture, by its header.
        seconds: of a request as a whole.
        requests: that are worked on at once; more are refused.
    """

    body: int = 16 << 20
    pixels: int = 25_000_000
    seconds: float = 30.0
    requests: int = 256


class NetFailed(Exception):
    """A picture is one, but the net has no answer to it."""


class TooLarge(Exception):
    """A picture has more pixels than it may."""


class Service:
    """A classifier or a detector, fed by many requests at once.

    Args: wait: seconds that a batch which is not full waits for more.
    """

    def __init__(
        self,
        net: Classifier | Detector,
        limits: Limits,
        batch: int | None = None,
        wait: float = 0.0,
    ) -> None:
        self.net, self.limits, self.metrics = net, limits, Metrics()
        pictures = net.pictures
        if batch is None and pictures.takes_any_batch:
            pictures.batch = max(pictures.batch, _USUAL_BATCH)
        split = net.scores if isinstance(net, Classifier) else net.rows
        self.batcher = Batcher(
            lambda items: pictures.run_items(items, split),
            max(pictures.batch, pictures.plan.windows_each),
            limits.requests,
            wait,
            self.metrics.batch,
        )
        self._decoders = ThreadPoolExecutor(_DECODERS, "decode")

    @property
    def endpoint(self) -> str:
        """Where pictures are posted to."""
        return "/classify" if isinstance(self.net, Classifier) else "/detect"

    def facts(self) -> dict[str, Any]:
        """What /health answers."""
        pictures = self.net.pictures
        return {
            "status": "ok" if self.batcher.works else "failed",
            "net": pictures.net.name,
            "endpoint": self.endpoint,
            "device": pictures.device,
            "batch": pictures.batch,
        }

    async def answer(self, data: bytes, top: int, threshold: float | None) -> dict[str, Any]:
        """What the net says of a picture.

        Raises: NetspecError where it is no picture; TooLarge; Full; NetFailed.
        """
        loop = asyncio.get_running_loop()
        size, items = await loop.run_in_executor(self._decoders, self._windows, data)
        try:
            found = await asyncio.wrap_future(self.batcher.submit(items))
        except NetspecError as error:  # as where memory does not suffice
            raise NetFailed(error.diagnostics[0].message) from None
        seen = Seen("the picture", size, found)
        if isinstance(self.net, Classifier):
            classified = self.net.guesses(seen, top)
            if classified.fault is not None:
                raise NetFailed(classified.fault.diagnostics[0].message)
            return {"width": size[1], "height": size[0], "classes": classified.rows()}
        detected = self.net.boxes(seen, threshold)
        if detected.fault is not None:
            raise NetFailed(detected.fault.diagnostics[0].message)
        return {"width": size[1], "height": size[0], "boxes": detected.rows()}

    def _windows(self, data: bytes) -> tuple[Size, Any]:
        name, most = "the picture", self.limits.pixels
        _, height, width = image_shape(data, None, name)
        if height * width > most:  # by its header, before it is decoded
            raise TooLarge(f"{name} has {height * width:,} pixels, at most {most:,} are read")
        return self.net.pictures.windows(data, name)

    def close(self) -> None:
        """Ends its threads."""
        self._decoders.shutdown(cancel_futures=True)
        self.batcher.close()
