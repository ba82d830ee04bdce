"""SSD's loss of boxes and scores."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from netspec.diagnostics import NetspecError
from netspec.graph import Layer
from netspec.pytorch.boxes import (
    CENTER_SIZE,
    decode,
    encode,
    is_outside,
    require_sizes,
    split_priors,
)
from netspec.pytorch.layers.box_matching import FREE, LabelPlace, Truth, match, read_truth
from netspec.pytorch.layers.box_mining import most_lossy, suppressed
from netspec.pytorch.layers.builder import Builder
from netspec.pytorch.layers.layer_module import LayerModule
from netspec.pytorch.layers.loss import LOG_FLT_MIN
from netspec.pytorch.layers.loss_terms import normalization_of, raise_to, wide
from netspec.pytorch.not_compiled import not_compiled
from netspec.pytorch.refuse_export import refuse_export
from netspec.schema.caffe_pb2 import LossParameter
from netspec.schema.forks import plain_values
from netspec.schema.forks_pb2 import MultiBoxLossParameter

if TYPE_CHECKING:
    from netspec.diagnostics import Span


class MultiBoxLoss(LayerModule):
    """The loss of matched priors' boxes and of the scores, over a normaliser.

    Priors are matched with the true boxes; of the others those with the greatest losses count as
    background. Matches are made anew in each forward pass, as in NVIDIA's Caffe; SSD's keeps those
    of the first one until a backward pass, so that a second forward would add to stale lists.

    Shapes: loc (N, P·L·4), conf (N, P·K), priors (1, 2, P·4), true boxes (1, 1, G, 8); RefineDet's
        scores (N, P·2) and boxes (N, P·4) of its first stage → ()
    """

    def __init__(
        self,
        param: Any,
        normalization: int,
        parts: tuple[bool, bool],
        label: str,
        span: Span | None = None,
    ) -> None:
        super().__init__()
        self.param, self.normalization = param, normalization
        self.counts_loc, self.counts_conf = parts
        self.loc_classes = 1 if param.share_location else param.num_classes
        self.label, self.span = label, span

    def extra_repr(self) -> str:
        return (
            f"num_classes={self.param.num_classes}, "
            f"mining_type={MultiBoxLossParameter.MiningType.Name(self.param.mining_type)}, "
            f"normalization={LossParameter.NormalizationMode.Name(self.normalization)}"
        )

    def forward(
        self, loc: Tensor, conf: Tensor, priors: Tensor, truth: Tensor, *arm: Tensor
    ) -> Tensor:
        refuse_export(
            f"{self.label}: MultiBoxLoss can't be exported: which priors count depends on the data",
            self.span,
        )
        return self._loss(loc, conf, priors, truth, *arm)

    @not_compiled
    def _loss(
        self, loc: Tensor, conf: Tensor, priors: Tensor, truth: Tensor, *arm: Tensor
    ) -> Tensor:
        p, items = self.param, loc.shape[0]
        boxes, variances = split_priors(priors)
        values = wide(loc).reshape(items, len(boxes), self.loc_classes, 4).transpose(1, 2)
        scores = wide(conf).reshape(items, len(boxes), p.num_classes)
        with torch.no_grad():
            self._check(boxes, variances, is_decoded=len(arm) > 1)
            true = read_truth(
                truth,
                items,
                (p.num_classes, p.background_label_id),
                p.use_difficult_gt,
                LabelPlace(self.label, self.span),
            )
            refined = boxes.expand(items, -1, -1)
            if len(arm) > 1:
                refined = self._decode(
                    boxes, variances, arm[1].detach().float().reshape(refined.shape)
                )
            index, overlap = self._match(values, boxes, variances, refined, true)
            negatives = None
            if p.mining_type != MultiBoxLossParameter.NONE:
                index, negatives = self._mine(
                    index, overlap, values, scores, (boxes, variances), true, *arm[:1]
                )
            places = (index > FREE).nonzero(as_tuple=True)
        total = scores.new_zeros(())
        if self.counts_loc:
            item, _, prior = places
            pairs = (refined[item, prior], variances[prior], true.boxes[index[places]])
            total = total + self._loc_terms(values[places], *pairs).sum() * p.loc_weight
        if self.counts_conf:
            total = total + self._conf_loss(scores, index, places, negatives, true)
        return total / self._normalizer(items, len(boxes), len(places[0]))

    def _check(self, boxes: Tensor, variances: Tensor, is_decoded: bool) -> None:
        """Refuses priors by which something would be divided that is 0. Raises: NetspecError."""
        p = self.param
        from_boxes = (
            p.mining_type != MultiBoxLossParameter.NONE
            and _suppresses(p)
            and not p.use_prior_for_nms
        )
        if is_decoded or from_boxes or not p.use_prior_for_matching:
            require_sizes(boxes, p.code_type, self.label, self.span)
        if p.code_type == CENTER_SIZE and not p.encode_variance_in_target:
            return
        if variances.device.type == "cpu" and not bool((variances > 0).all()):
            raise NetspecError(f"{self.label}: the priors' variances must be above 0", self.span)

    def _decode(self, boxes: Tensor, variances: Tensor, values: Tensor) -> Tensor:
        used = None if self.param.encode_variance_in_target else variances
        return decode(self.param.code_type, boxes, used, values)

    def _match(
        self, values: Tensor, boxes: Tensor, variances: Tensor, refined: Tensor, true: Truth
    ) -> tuple[Tensor, Tensor]:
        """The true box of each prior, or FREE or LEFT_OUT, and its overlap.

        Shapes: (N, L, P) both
        """
        p = self.param
        threshold = (
            p.overlap_threshold if p.match_type == MultiBoxLossParameter.PER_PREDICTION else None
        )
        index = torch.full(values.shape[:3], FREE, device=values.device)
        overlap = values.new_zeros(values.shape[:3], dtype=torch.float32)

        def matched(candidates: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
            found, most = match(
                candidates, true.boxes[rows], threshold, p.ignore_cross_boundary_bbox
            )
            return torch.where(found > FREE, rows[found.clamp(min=0)], found), most

        for item in true.images.unique().tolist():
            rows = (true.images == item).nonzero().squeeze(1)
            if p.use_prior_for_matching:
                found, most = matched(refined[item], rows)
                if p.share_location:
                    index[item, 0], overlap[item, 0] = found, most
                    continue
                # Quirk: here a prior that reaches outside is as good as one without a match
                prior = (found > FREE).nonzero().squeeze(1)
                index[item, true.labels[found[prior]], prior] = found[prior]
                continue
            decoded = self._decode(boxes, variances, values[item].detach().float())
            for c in range(self.loc_classes):
                own = rows if p.share_location else rows[true.labels[rows] == c]
                if len(own):
                    index[item, c], overlap[item, c] = matched(decoded[c], own)
        return index, overlap

    def _mine(
        self,
        index: Tensor,
        overlap: Tensor,
        values: Tensor,
        scores: Tensor,
        priors: tuple[Tensor, Tensor],
        true: Truth,
        *arm_conf: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Which matches stay, and which priors count as background: (N, 1, P), (N, P)."""
        p, index, boxes = self.param, index[:, 0], priors[0]
        is_free, is_hard = index == FREE, p.mining_type == MultiBoxLossParameter.HARD_EXAMPLE
        has_truth = torch.zeros(len(index), 1, dtype=torch.bool, device=index.device)
        has_truth[true.images] = True  # an image without a true box has no negatives either
        loss = self._prior_loss(index, values, scores, priors, true)
        candidates = has_truth & (is_hard | (is_free & (overlap[:, 0] < p.neg_overlap)))
        listed = candidates
        for conf in arm_conf:
            is_object = conf.detach().float().reshape(*index.shape, 2)[..., 1] >= p.objectness_score
            listed = candidates & is_object
        most = listed.sum(1)
        if is_hard:
            most = most.clamp(max=p.sample_size)
        else:
            positives = (index > FREE).sum(1).float()
            most = torch.minimum(most, (positives * p.neg_pos_ratio).long())
        if _suppresses(p):
            shown = boxes.expand(len(index), -1, -1)
            if not p.use_prior_for_nms:
                shown = self._decode(*priors, values[:, 0].detach().float())
            # Quirk: an nms_param that states no top_k means 0, so that nothing is selected
            nms = (p.nms_param.nms_threshold, p.nms_param.top_k)
            selected = suppressed(loss, candidates, listed, shown, most, *nms)
        else:
            selected = most_lossy(loss, listed, most)
        if is_hard:
            index = torch.where((index > FREE) & ~selected, FREE, index)
        return index.unsqueeze(1), selected & is_free

    def _prior_loss(
        self,
        index: Tensor,
        values: Tensor,
        scores: Tensor,
        priors: tuple[Tensor, Tensor],
        true: Truth,
    ) -> Tensor:
        """What each prior would add to the loss: (N, P)."""
        p, places = self.param, (index > FREE).nonzero(as_tuple=True)
        labels = torch.full_like(index, p.background_label_id)
        labels[places] = true.labels[index[places]]
        scores = scores.detach()
        if p.conf_loss_type == MultiBoxLossParameter.SOFTMAX:
            loss = _softmax_loss(scores.flatten(0, 1), labels.flatten()).view_as(index)
        else:
            target = F.one_hot(labels, p.num_classes).to(scores.dtype)
            loss = F.binary_cross_entropy_with_logits(scores, target, reduction="none").sum(2)
        if p.mining_type == MultiBoxLossParameter.HARD_EXAMPLE:
            # Quirk: the priors as they are, also where RefineDet's first stage moves them
            item, prior = places
            pairs = (priors[0][prior], priors[1][prior], true.boxes[index[places]])
            terms = self._loc_terms(values[item, 0, prior].detach(), *pairs)
            loss[places] += terms.sum(1)
        return loss

    def _loc_terms(self, values: Tensor, boxes: Tensor, variances: Tensor, true: Tensor) -> Tensor:
        """The loss of each coordinate of matched priors: (M, 4) for all."""
        p = self.param
        in_target = p.encode_variance_in_target
        target = encode(p.code_type, boxes, None if in_target else variances, true)
        if p.bp_inside:
            seen = boxes
            if not p.use_prior_for_matching:
                seen = self._decode(boxes, variances, values.detach().float())
            values = torch.where(is_outside(seen), target, values)
        if in_target:
            # Quirk: Caffe's gradient does not know of this division
            values = (values / variances).detach() + (values - values.detach())
            target = target / variances
        if p.loc_loss_type == MultiBoxLossParameter.L2:
            return (values - target).square() / 2
        return F.smooth_l1_loss(values, target, reduction="none")

    def _conf_loss(
        self,
        scores: Tensor,
        index: Tensor,
        places: tuple[Tensor, ...],
        negatives: Tensor | None,
        true: Truth,
    ) -> Tensor:
        """The summed loss of the scores of the matched priors and the negatives, or of all."""
        p, (item, _, prior) = self.param, places
        background = p.background_label_id
        labels = true.labels[index[places]]
        if p.map_object_to_agnostic:
            labels = torch.full_like(labels, background + 1)
        if negatives is not None:
            rows = torch.cat((scores[item, prior], scores[negatives]))
            free = labels.new_full((len(rows) - len(labels),), background)
            labels = torch.cat((labels, free))
            flat = torch.arange(len(rows), device=rows.device) * p.num_classes + labels
        elif p.conf_loss_type == MultiBoxLossParameter.SOFTMAX:
            # of several classes' boxes of a prior the last one counts
            best = labels.new_full(scores.shape[:2], -1).flatten()
            flat = item * scores.shape[1] + prior
            best = best.scatter_reduce(0, flat, labels, "amax")
            rows, labels = scores.flatten(0, 1), torch.where(best < 0, background, best)
        else:
            rows = scores.flatten(0, 1)
            # Quirk: each image's targets begin P values after the last one's, not P·K
            flat = item * scores.shape[1] + prior * p.num_classes + labels
        if p.conf_loss_type == MultiBoxLossParameter.SOFTMAX:
            return _softmax_loss(rows, labels).sum()
        # Quirk: what is not a target holds the background's label, which is 0 as a rule
        target = torch.full_like(rows, background, requires_grad=False).flatten()
        target[flat] = 1
        return F.binary_cross_entropy_with_logits(rows.flatten(), target, reduction="sum")

    def _normalizer(self, items: int, priors: int, matches: int) -> int:
        sizes: dict[int, int] = {
            LossParameter.VALID: matches,
            LossParameter.FULL: items * priors,
            LossParameter.BATCH_SIZE: items,
        }
        return max(1, sizes.get(self.normalization, 1))


def _suppresses(param: Any) -> bool:
    """Whether candidates are suppressed before some are selected."""
    return bool(param.nms_param and param.nms_param.nms_threshold > 0)


def _softmax_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """-log softmax at the labels, at most 87.3365.

    Shapes: (M, K), (M) → (M)
    """
    picked = F.log_softmax(scores, 1).gather(1, labels.unsqueeze(1)).squeeze(1)
    return 0 - raise_to(LOG_FLT_MIN, picked)


def build_multibox_loss(layer: Layer) -> MultiBoxLoss:
    flags = [*layer.message.propagate_down, True, True]
    return MultiBoxLoss(
        plain_values(layer.field("multibox_loss_param")),
        normalization_of(layer.message.loss_param),
        # Quirk: a part without a gradient is not in the value either
        (flags[0], flags[1]),
        layer.label,
        layer.spans.at("bottom", 3),
    )


BUILDERS = {"MultiBoxLoss": Builder(build_multibox_loss)}
