from netspec.schema import caffe_pb2 as _caffe_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DOUBLE: _ClassVar[Type]
    FLOAT: _ClassVar[Type]
    FLOAT16: _ClassVar[Type]
    INT: _ClassVar[Type]
    UINT: _ClassVar[Type]

class Packing(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    NCHW: _ClassVar[Packing]
    NHWC: _ClassVar[Packing]
DOUBLE: Type
FLOAT: Type
FLOAT16: Type
INT: Type
UINT: Type
NCHW: Packing
NHWC: Packing

class AnnotatedDataParameter(_message.Message):
    __slots__ = ("batch_sampler", "label_map_file", "anno_type", "yolo_data_type", "yolo_data_jitter", "train_diffcult", "single_class", "seg_scales", "seg_resize_width", "seg_resize_height", "difficult_label_warmup")
    BATCH_SAMPLER_FIELD_NUMBER: _ClassVar[int]
    LABEL_MAP_FILE_FIELD_NUMBER: _ClassVar[int]
    ANNO_TYPE_FIELD_NUMBER: _ClassVar[int]
    YOLO_DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    YOLO_DATA_JITTER_FIELD_NUMBER: _ClassVar[int]
    TRAIN_DIFFCULT_FIELD_NUMBER: _ClassVar[int]
    SINGLE_CLASS_FIELD_NUMBER: _ClassVar[int]
    SEG_SCALES_FIELD_NUMBER: _ClassVar[int]
    SEG_RESIZE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    SEG_RESIZE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    DIFFICULT_LABEL_WARMUP_FIELD_NUMBER: _ClassVar[int]
    batch_sampler: _containers.RepeatedCompositeFieldContainer[BatchSampler]
    label_map_file: str
    anno_type: AnnotatedDatum.AnnotationType
    yolo_data_type: int
    yolo_data_jitter: float
    train_diffcult: bool
    single_class: bool
    seg_scales: int
    seg_resize_width: int
    seg_resize_height: int
    difficult_label_warmup: bool
    def __init__(self, batch_sampler: _Optional[_Iterable[_Union[BatchSampler, _Mapping]]] = ..., label_map_file: _Optional[str] = ..., anno_type: _Optional[_Union[AnnotatedDatum.AnnotationType, str]] = ..., yolo_data_type: _Optional[int] = ..., yolo_data_jitter: _Optional[float] = ..., train_diffcult: bool = ..., single_class: bool = ..., seg_scales: _Optional[int] = ..., seg_resize_width: _Optional[int] = ..., seg_resize_height: _Optional[int] = ..., difficult_label_warmup: bool = ...) -> None: ...

class AnnotatedDatum(_message.Message):
    __slots__ = ("datum", "type", "annotation_group", "record_id")
    class AnnotationType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        BBOX: _ClassVar[AnnotatedDatum.AnnotationType]
        BBOXandSeg: _ClassVar[AnnotatedDatum.AnnotationType]
        LANE: _ClassVar[AnnotatedDatum.AnnotationType]
    BBOX: AnnotatedDatum.AnnotationType
    BBOXandSeg: AnnotatedDatum.AnnotationType
    LANE: AnnotatedDatum.AnnotationType
    DATUM_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ANNOTATION_GROUP_FIELD_NUMBER: _ClassVar[int]
    RECORD_ID_FIELD_NUMBER: _ClassVar[int]
    datum: _caffe_pb2.Datum
    type: AnnotatedDatum.AnnotationType
    annotation_group: _containers.RepeatedCompositeFieldContainer[AnnotationGroup]
    record_id: int
    def __init__(self, datum: _Optional[_Union[_caffe_pb2.Datum, _Mapping]] = ..., type: _Optional[_Union[AnnotatedDatum.AnnotationType, str]] = ..., annotation_group: _Optional[_Iterable[_Union[AnnotationGroup, _Mapping]]] = ..., record_id: _Optional[int] = ...) -> None: ...

class Annotation(_message.Message):
    __slots__ = ("instance_id", "bbox")
    INSTANCE_ID_FIELD_NUMBER: _ClassVar[int]
    BBOX_FIELD_NUMBER: _ClassVar[int]
    instance_id: int
    bbox: NormalizedBBox
    def __init__(self, instance_id: _Optional[int] = ..., bbox: _Optional[_Union[NormalizedBBox, _Mapping]] = ...) -> None: ...

class AnnotationGroup(_message.Message):
    __slots__ = ("group_label", "annotation")
    GROUP_LABEL_FIELD_NUMBER: _ClassVar[int]
    ANNOTATION_FIELD_NUMBER: _ClassVar[int]
    group_label: int
    annotation: _containers.RepeatedCompositeFieldContainer[Annotation]
    def __init__(self, group_label: _Optional[int] = ..., annotation: _Optional[_Iterable[_Union[Annotation, _Mapping]]] = ...) -> None: ...

class BNParameter(_message.Message):
    __slots__ = ("scale_filler", "slope_filler", "bias_filler", "shift_filler", "bn_mode", "momentum", "eps", "frozen", "engine", "var_eps", "moving_average", "decay", "across_spatial", "axis", "icnet")
    class BNMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        LEARN: _ClassVar[BNParameter.BNMode]
        INFERENCE: _ClassVar[BNParameter.BNMode]
    LEARN: BNParameter.BNMode
    INFERENCE: BNParameter.BNMode
    class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DEFAULT: _ClassVar[BNParameter.Engine]
        CAFFE: _ClassVar[BNParameter.Engine]
        CUDNN: _ClassVar[BNParameter.Engine]
    DEFAULT: BNParameter.Engine
    CAFFE: BNParameter.Engine
    CUDNN: BNParameter.Engine
    SCALE_FILLER_FIELD_NUMBER: _ClassVar[int]
    SLOPE_FILLER_FIELD_NUMBER: _ClassVar[int]
    BIAS_FILLER_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FILLER_FIELD_NUMBER: _ClassVar[int]
    BN_MODE_FIELD_NUMBER: _ClassVar[int]
    MOMENTUM_FIELD_NUMBER: _ClassVar[int]
    EPS_FIELD_NUMBER: _ClassVar[int]
    FROZEN_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    VAR_EPS_FIELD_NUMBER: _ClassVar[int]
    MOVING_AVERAGE_FIELD_NUMBER: _ClassVar[int]
    DECAY_FIELD_NUMBER: _ClassVar[int]
    ACROSS_SPATIAL_FIELD_NUMBER: _ClassVar[int]
    AXIS_FIELD_NUMBER: _ClassVar[int]
    ICNET_FIELD_NUMBER: _ClassVar[int]
    scale_filler: _caffe_pb2.FillerParameter
    slope_filler: _caffe_pb2.FillerParameter
    bias_filler: _caffe_pb2.FillerParameter
    shift_filler: _caffe_pb2.FillerParameter
    bn_mode: BNParameter.BNMode
    momentum: float
    eps: float
    frozen: bool
    engine: BNParameter.Engine
    var_eps: float
    moving_average: bool
    decay: float
    across_spatial: bool
    axis: int
    icnet: bool
    def __init__(self, scale_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., slope_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., bias_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., shift_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., bn_mode: _Optional[_Union[BNParameter.BNMode, str]] = ..., momentum: _Optional[float] = ..., eps: _Optional[float] = ..., frozen: bool = ..., engine: _Optional[_Union[BNParameter.Engine, str]] = ..., var_eps: _Optional[float] = ..., moving_average: bool = ..., decay: _Optional[float] = ..., across_spatial: bool = ..., axis: _Optional[int] = ..., icnet: bool = ...) -> None: ...

class BatchReductionParameter(_message.Message):
    __slots__ = ("level", "reduction_param", "pos")
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    REDUCTION_PARAM_FIELD_NUMBER: _ClassVar[int]
    POS_FIELD_NUMBER: _ClassVar[int]
    level: _containers.RepeatedScalarFieldContainer[int]
    reduction_param: _caffe_pb2.ReductionParameter
    pos: bool
    def __init__(self, level: _Optional[_Iterable[int]] = ..., reduction_param: _Optional[_Union[_caffe_pb2.ReductionParameter, _Mapping]] = ..., pos: bool = ...) -> None: ...

class BatchSampler(_message.Message):
    __slots__ = ("use_original_image", "sampler", "sample_constraint", "max_sample", "max_trials")
    USE_ORIGINAL_IMAGE_FIELD_NUMBER: _ClassVar[int]
    SAMPLER_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_CONSTRAINT_FIELD_NUMBER: _ClassVar[int]
    MAX_SAMPLE_FIELD_NUMBER: _ClassVar[int]
    MAX_TRIALS_FIELD_NUMBER: _ClassVar[int]
    use_original_image: bool
    sampler: Sampler
    sample_constraint: SampleConstraint
    max_sample: int
    max_trials: int
    def __init__(self, use_original_image: bool = ..., sampler: _Optional[_Union[Sampler, _Mapping]] = ..., sample_constraint: _Optional[_Union[SampleConstraint, _Mapping]] = ..., max_sample: _Optional[int] = ..., max_trials: _Optional[int] = ...) -> None: ...

class BoxAnnotatorOHEMParameter(_message.Message):
    __slots__ = ("roi_per_img", "ignore_label")
    ROI_PER_IMG_FIELD_NUMBER: _ClassVar[int]
    IGNORE_LABEL_FIELD_NUMBER: _ClassVar[int]
    roi_per_img: int
    ignore_label: int
    def __init__(self, roi_per_img: _Optional[int] = ..., ignore_label: _Optional[int] = ...) -> None: ...

class CenterLossParameter(_message.Message):
    __slots__ = ("num_output", "center_filler", "axis", "distance_type", "loss_weight", "alpha", "cluster_num")
    NUM_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    CENTER_FILLER_FIELD_NUMBER: _ClassVar[int]
    AXIS_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_TYPE_FIELD_NUMBER: _ClassVar[int]
    LOSS_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_NUM_FIELD_NUMBER: _ClassVar[int]
    num_output: int
    center_filler: _caffe_pb2.FillerParameter
    axis: int
    distance_type: str
    loss_weight: float
    alpha: float
    cluster_num: int
    def __init__(self, num_output: _Optional[int] = ..., center_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., axis: _Optional[int] = ..., distance_type: _Optional[str] = ..., loss_weight: _Optional[float] = ..., alpha: _Optional[float] = ..., cluster_num: _Optional[int] = ...) -> None: ...

class ChannelScaleParameter(_message.Message):
    __slots__ = ("do_forward", "do_backward_feature", "do_backward_scale", "global_scale", "max_global_scale", "min_global_scale", "init_global_scale")
    DO_FORWARD_FIELD_NUMBER: _ClassVar[int]
    DO_BACKWARD_FEATURE_FIELD_NUMBER: _ClassVar[int]
    DO_BACKWARD_SCALE_FIELD_NUMBER: _ClassVar[int]
    GLOBAL_SCALE_FIELD_NUMBER: _ClassVar[int]
    MAX_GLOBAL_SCALE_FIELD_NUMBER: _ClassVar[int]
    MIN_GLOBAL_SCALE_FIELD_NUMBER: _ClassVar[int]
    INIT_GLOBAL_SCALE_FIELD_NUMBER: _ClassVar[int]
    do_forward: bool
    do_backward_feature: bool
    do_backward_scale: bool
    global_scale: bool
    max_global_scale: float
    min_global_scale: float
    init_global_scale: float
    def __init__(self, do_forward: bool = ..., do_backward_feature: bool = ..., do_backward_scale: bool = ..., global_scale: bool = ..., max_global_scale: _Optional[float] = ..., min_global_scale: _Optional[float] = ..., init_global_scale: _Optional[float] = ...) -> None: ...

class DenseImageDataParameter(_message.Message):
    __slots__ = ("source", "batch_size", "rand_skip", "shuffle", "new_height", "new_width", "is_color", "mean_file", "root_folder", "mirror", "crop_width", "crop_height")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    RAND_SKIP_FIELD_NUMBER: _ClassVar[int]
    SHUFFLE_FIELD_NUMBER: _ClassVar[int]
    NEW_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    NEW_WIDTH_FIELD_NUMBER: _ClassVar[int]
    IS_COLOR_FIELD_NUMBER: _ClassVar[int]
    MEAN_FILE_FIELD_NUMBER: _ClassVar[int]
    ROOT_FOLDER_FIELD_NUMBER: _ClassVar[int]
    MIRROR_FIELD_NUMBER: _ClassVar[int]
    CROP_WIDTH_FIELD_NUMBER: _ClassVar[int]
    CROP_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    source: str
    batch_size: int
    rand_skip: int
    shuffle: bool
    new_height: int
    new_width: int
    is_color: bool
    mean_file: str
    root_folder: str
    mirror: bool
    crop_width: int
    crop_height: int
    def __init__(self, source: _Optional[str] = ..., batch_size: _Optional[int] = ..., rand_skip: _Optional[int] = ..., shuffle: bool = ..., new_height: _Optional[int] = ..., new_width: _Optional[int] = ..., is_color: bool = ..., mean_file: _Optional[str] = ..., root_folder: _Optional[str] = ..., mirror: bool = ..., crop_width: _Optional[int] = ..., crop_height: _Optional[int] = ...) -> None: ...

class DetectionEvaluateParameter(_message.Message):
    __slots__ = ("num_classes", "background_label_id", "overlap_threshold", "evaluate_difficult_gt", "name_size_file", "resize_param")
    NUM_CLASSES_FIELD_NUMBER: _ClassVar[int]
    BACKGROUND_LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    EVALUATE_DIFFICULT_GT_FIELD_NUMBER: _ClassVar[int]
    NAME_SIZE_FILE_FIELD_NUMBER: _ClassVar[int]
    RESIZE_PARAM_FIELD_NUMBER: _ClassVar[int]
    num_classes: int
    background_label_id: int
    overlap_threshold: float
    evaluate_difficult_gt: bool
    name_size_file: str
    resize_param: ResizeParameter
    def __init__(self, num_classes: _Optional[int] = ..., background_label_id: _Optional[int] = ..., overlap_threshold: _Optional[float] = ..., evaluate_difficult_gt: bool = ..., name_size_file: _Optional[str] = ..., resize_param: _Optional[_Union[ResizeParameter, _Mapping]] = ...) -> None: ...

class DetectionOutputParameter(_message.Message):
    __slots__ = ("num_classes", "share_location", "background_label_id", "nms_param", "save_output_param", "code_type", "keep_top_k", "variance_encoded_in_target", "confidence_threshold", "visualize", "visualize_threshold", "save_file", "objectness_score")
    NUM_CLASSES_FIELD_NUMBER: _ClassVar[int]
    SHARE_LOCATION_FIELD_NUMBER: _ClassVar[int]
    BACKGROUND_LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    NMS_PARAM_FIELD_NUMBER: _ClassVar[int]
    SAVE_OUTPUT_PARAM_FIELD_NUMBER: _ClassVar[int]
    CODE_TYPE_FIELD_NUMBER: _ClassVar[int]
    KEEP_TOP_K_FIELD_NUMBER: _ClassVar[int]
    VARIANCE_ENCODED_IN_TARGET_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    VISUALIZE_FIELD_NUMBER: _ClassVar[int]
    VISUALIZE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    SAVE_FILE_FIELD_NUMBER: _ClassVar[int]
    OBJECTNESS_SCORE_FIELD_NUMBER: _ClassVar[int]
    num_classes: int
    share_location: bool
    background_label_id: int
    nms_param: NonMaximumSuppressionParameter
    save_output_param: SaveOutputParameter
    code_type: PriorBoxParameter.CodeType
    keep_top_k: int
    variance_encoded_in_target: bool
    confidence_threshold: float
    visualize: bool
    visualize_threshold: float
    save_file: str
    objectness_score: float
    def __init__(self, num_classes: _Optional[int] = ..., share_location: bool = ..., background_label_id: _Optional[int] = ..., nms_param: _Optional[_Union[NonMaximumSuppressionParameter, _Mapping]] = ..., save_output_param: _Optional[_Union[SaveOutputParameter, _Mapping]] = ..., code_type: _Optional[_Union[PriorBoxParameter.CodeType, str]] = ..., keep_top_k: _Optional[int] = ..., variance_encoded_in_target: bool = ..., confidence_threshold: _Optional[float] = ..., visualize: bool = ..., visualize_threshold: _Optional[float] = ..., save_file: _Optional[str] = ..., objectness_score: _Optional[float] = ...) -> None: ...

class DistortionParameter(_message.Message):
    __slots__ = ("brightness_prob", "brightness_delta", "contrast_prob", "contrast_lower", "contrast_upper", "hue_prob", "hue_delta", "saturation_prob", "saturation_lower", "saturation_upper", "random_order_prob")
    BRIGHTNESS_PROB_FIELD_NUMBER: _ClassVar[int]
    BRIGHTNESS_DELTA_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_PROB_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_LOWER_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_UPPER_FIELD_NUMBER: _ClassVar[int]
    HUE_PROB_FIELD_NUMBER: _ClassVar[int]
    HUE_DELTA_FIELD_NUMBER: _ClassVar[int]
    SATURATION_PROB_FIELD_NUMBER: _ClassVar[int]
    SATURATION_LOWER_FIELD_NUMBER: _ClassVar[int]
    SATURATION_UPPER_FIELD_NUMBER: _ClassVar[int]
    RANDOM_ORDER_PROB_FIELD_NUMBER: _ClassVar[int]
    brightness_prob: float
    brightness_delta: float
    contrast_prob: float
    contrast_lower: float
    contrast_upper: float
    hue_prob: float
    hue_delta: float
    saturation_prob: float
    saturation_lower: float
    saturation_upper: float
    random_order_prob: float
    def __init__(self, brightness_prob: _Optional[float] = ..., brightness_delta: _Optional[float] = ..., contrast_prob: _Optional[float] = ..., contrast_lower: _Optional[float] = ..., contrast_upper: _Optional[float] = ..., hue_prob: _Optional[float] = ..., hue_delta: _Optional[float] = ..., saturation_prob: _Optional[float] = ..., saturation_lower: _Optional[float] = ..., saturation_upper: _Optional[float] = ..., random_order_prob: _Optional[float] = ...) -> None: ...

class EmitConstraint(_message.Message):
    __slots__ = ("emit_type", "emit_overlap")
    class EmitType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CENTER: _ClassVar[EmitConstraint.EmitType]
        MIN_OVERLAP: _ClassVar[EmitConstraint.EmitType]
    CENTER: EmitConstraint.EmitType
    MIN_OVERLAP: EmitConstraint.EmitType
    EMIT_TYPE_FIELD_NUMBER: _ClassVar[int]
    EMIT_OVERLAP_FIELD_NUMBER: _ClassVar[int]
    emit_type: EmitConstraint.EmitType
    emit_overlap: float
    def __init__(self, emit_type: _Optional[_Union[EmitConstraint.EmitType, str]] = ..., emit_overlap: _Optional[float] = ...) -> None: ...

class EvalDetectionParameter(_message.Message):
    __slots__ = ("side", "num_class", "num_object", "threshold", "sqrt", "constriant", "score_type", "nms", "biases")
    class ScoreType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        OBJ: _ClassVar[EvalDetectionParameter.ScoreType]
        PROB: _ClassVar[EvalDetectionParameter.ScoreType]
        MULTIPLY: _ClassVar[EvalDetectionParameter.ScoreType]
    OBJ: EvalDetectionParameter.ScoreType
    PROB: EvalDetectionParameter.ScoreType
    MULTIPLY: EvalDetectionParameter.ScoreType
    SIDE_FIELD_NUMBER: _ClassVar[int]
    NUM_CLASS_FIELD_NUMBER: _ClassVar[int]
    NUM_OBJECT_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    SQRT_FIELD_NUMBER: _ClassVar[int]
    CONSTRIANT_FIELD_NUMBER: _ClassVar[int]
    SCORE_TYPE_FIELD_NUMBER: _ClassVar[int]
    NMS_FIELD_NUMBER: _ClassVar[int]
    BIASES_FIELD_NUMBER: _ClassVar[int]
    side: int
    num_class: int
    num_object: int
    threshold: float
    sqrt: bool
    constriant: bool
    score_type: EvalDetectionParameter.ScoreType
    nms: float
    biases: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, side: _Optional[int] = ..., num_class: _Optional[int] = ..., num_object: _Optional[int] = ..., threshold: _Optional[float] = ..., sqrt: bool = ..., constriant: bool = ..., score_type: _Optional[_Union[EvalDetectionParameter.ScoreType, str]] = ..., nms: _Optional[float] = ..., biases: _Optional[_Iterable[float]] = ...) -> None: ...

class ExpansionParameter(_message.Message):
    __slots__ = ("prob", "max_expand_ratio")
    PROB_FIELD_NUMBER: _ClassVar[int]
    MAX_EXPAND_RATIO_FIELD_NUMBER: _ClassVar[int]
    prob: float
    max_expand_ratio: float
    def __init__(self, prob: _Optional[float] = ..., max_expand_ratio: _Optional[float] = ...) -> None: ...

class FlipParameter(_message.Message):
    __slots__ = ("flip_width", "flip_height")
    FLIP_WIDTH_FIELD_NUMBER: _ClassVar[int]
    FLIP_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    flip_width: bool
    flip_height: bool
    def __init__(self, flip_width: bool = ..., flip_height: bool = ...) -> None: ...

class FocalLossParameter(_message.Message):
    __slots__ = ("engine", "type", "axis", "gamma", "alpha", "beta")
    class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DEFAULT: _ClassVar[FocalLossParameter.Engine]
        CAFFE: _ClassVar[FocalLossParameter.Engine]
        CUDNN: _ClassVar[FocalLossParameter.Engine]
    DEFAULT: FocalLossParameter.Engine
    CAFFE: FocalLossParameter.Engine
    CUDNN: FocalLossParameter.Engine
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ORIGIN: _ClassVar[FocalLossParameter.Type]
        LINEAR: _ClassVar[FocalLossParameter.Type]
        ONEADDP: _ClassVar[FocalLossParameter.Type]
    ORIGIN: FocalLossParameter.Type
    LINEAR: FocalLossParameter.Type
    ONEADDP: FocalLossParameter.Type
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    AXIS_FIELD_NUMBER: _ClassVar[int]
    GAMMA_FIELD_NUMBER: _ClassVar[int]
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    BETA_FIELD_NUMBER: _ClassVar[int]
    engine: FocalLossParameter.Engine
    type: FocalLossParameter.Type
    axis: int
    gamma: float
    alpha: float
    beta: float
    def __init__(self, engine: _Optional[_Union[FocalLossParameter.Engine, str]] = ..., type: _Optional[_Union[FocalLossParameter.Type, str]] = ..., axis: _Optional[int] = ..., gamma: _Optional[float] = ..., alpha: _Optional[float] = ..., beta: _Optional[float] = ...) -> None: ...

class ImResizeParameter(_message.Message):
    __slots__ = ("target_spatial_width", "target_spatial_height", "factor", "start_scale", "scale_gap")
    TARGET_SPATIAL_WIDTH_FIELD_NUMBER: _ClassVar[int]
    TARGET_SPATIAL_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    START_SCALE_FIELD_NUMBER: _ClassVar[int]
    SCALE_GAP_FIELD_NUMBER: _ClassVar[int]
    target_spatial_width: int
    target_spatial_height: int
    factor: float
    start_scale: float
    scale_gap: float
    def __init__(self, target_spatial_width: _Optional[int] = ..., target_spatial_height: _Optional[int] = ..., factor: _Optional[float] = ..., start_scale: _Optional[float] = ..., scale_gap: _Optional[float] = ...) -> None: ...

class InterpParameter(_message.Message):
    __slots__ = ("height", "width", "zoom_factor", "shrink_factor", "pad_beg", "pad_end", "is_seglabel", "full_zoom_factor")
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    ZOOM_FACTOR_FIELD_NUMBER: _ClassVar[int]
    SHRINK_FACTOR_FIELD_NUMBER: _ClassVar[int]
    PAD_BEG_FIELD_NUMBER: _ClassVar[int]
    PAD_END_FIELD_NUMBER: _ClassVar[int]
    IS_SEGLABEL_FIELD_NUMBER: _ClassVar[int]
    FULL_ZOOM_FACTOR_FIELD_NUMBER: _ClassVar[int]
    height: int
    width: int
    zoom_factor: int
    shrink_factor: int
    pad_beg: int
    pad_end: int
    is_seglabel: bool
    full_zoom_factor: int
    def __init__(self, height: _Optional[int] = ..., width: _Optional[int] = ..., zoom_factor: _Optional[int] = ..., shrink_factor: _Optional[int] = ..., pad_beg: _Optional[int] = ..., pad_end: _Optional[int] = ..., is_seglabel: bool = ..., full_zoom_factor: _Optional[int] = ...) -> None: ...

class LabelMap(_message.Message):
    __slots__ = ("item",)
    ITEM_FIELD_NUMBER: _ClassVar[int]
    item: _containers.RepeatedCompositeFieldContainer[LabelMapItem]
    def __init__(self, item: _Optional[_Iterable[_Union[LabelMapItem, _Mapping]]] = ...) -> None: ...

class LabelMapItem(_message.Message):
    __slots__ = ("name", "label", "display_name")
    NAME_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DISPLAY_NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    label: int
    display_name: str
    def __init__(self, name: _Optional[str] = ..., label: _Optional[int] = ..., display_name: _Optional[str] = ...) -> None: ...

class LargeMarginInnerProductParameter(_message.Message):
    __slots__ = ("num_output", "type", "weight_filler", "axis", "base", "gamma", "power", "iteration", "lambda_min")
    class LargeMarginType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SINGLE: _ClassVar[LargeMarginInnerProductParameter.LargeMarginType]
        DOUBLE: _ClassVar[LargeMarginInnerProductParameter.LargeMarginType]
        TRIPLE: _ClassVar[LargeMarginInnerProductParameter.LargeMarginType]
        QUADRUPLE: _ClassVar[LargeMarginInnerProductParameter.LargeMarginType]
    SINGLE: LargeMarginInnerProductParameter.LargeMarginType
    DOUBLE: LargeMarginInnerProductParameter.LargeMarginType
    TRIPLE: LargeMarginInnerProductParameter.LargeMarginType
    QUADRUPLE: LargeMarginInnerProductParameter.LargeMarginType
    NUM_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FILLER_FIELD_NUMBER: _ClassVar[int]
    AXIS_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    GAMMA_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    LAMBDA_MIN_FIELD_NUMBER: _ClassVar[int]
    num_output: int
    type: LargeMarginInnerProductParameter.LargeMarginType
    weight_filler: _caffe_pb2.FillerParameter
    axis: int
    base: float
    gamma: float
    power: float
    iteration: int
    lambda_min: float
    def __init__(self, num_output: _Optional[int] = ..., type: _Optional[_Union[LargeMarginInnerProductParameter.LargeMarginType, str]] = ..., weight_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., axis: _Optional[int] = ..., base: _Optional[float] = ..., gamma: _Optional[float] = ..., power: _Optional[float] = ..., iteration: _Optional[int] = ..., lambda_min: _Optional[float] = ...) -> None: ...

class LocalParameter(_message.Message):
    __slots__ = ("num_output", "bias_term", "pad", "kernel_size", "stride", "weight_filler", "bias_filler")
    NUM_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    BIAS_TERM_FIELD_NUMBER: _ClassVar[int]
    PAD_FIELD_NUMBER: _ClassVar[int]
    KERNEL_SIZE_FIELD_NUMBER: _ClassVar[int]
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FILLER_FIELD_NUMBER: _ClassVar[int]
    BIAS_FILLER_FIELD_NUMBER: _ClassVar[int]
    num_output: int
    bias_term: bool
    pad: int
    kernel_size: int
    stride: int
    weight_filler: _caffe_pb2.FillerParameter
    bias_filler: _caffe_pb2.FillerParameter
    def __init__(self, num_output: _Optional[int] = ..., bias_term: bool = ..., pad: _Optional[int] = ..., kernel_size: _Optional[int] = ..., stride: _Optional[int] = ..., weight_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., bias_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ...) -> None: ...

class MarginInnerProductParameter(_message.Message):
    __slots__ = ("num_output", "type", "weight_filler", "axis", "base", "gamma", "power", "iteration", "lambda_min")
    class MarginType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SINGLE: _ClassVar[MarginInnerProductParameter.MarginType]
        DOUBLE: _ClassVar[MarginInnerProductParameter.MarginType]
        TRIPLE: _ClassVar[MarginInnerProductParameter.MarginType]
        QUADRUPLE: _ClassVar[MarginInnerProductParameter.MarginType]
    SINGLE: MarginInnerProductParameter.MarginType
    DOUBLE: MarginInnerProductParameter.MarginType
    TRIPLE: MarginInnerProductParameter.MarginType
    QUADRUPLE: MarginInnerProductParameter.MarginType
    NUM_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FILLER_FIELD_NUMBER: _ClassVar[int]
    AXIS_FIELD_NUMBER: _ClassVar[int]
    BASE_FIELD_NUMBER: _ClassVar[int]
    GAMMA_FIELD_NUMBER: _ClassVar[int]
    POWER_FIELD_NUMBER: _ClassVar[int]
    ITERATION_FIELD_NUMBER: _ClassVar[int]
    LAMBDA_MIN_FIELD_NUMBER: _ClassVar[int]
    num_output: int
    type: MarginInnerProductParameter.MarginType
    weight_filler: _caffe_pb2.FillerParameter
    axis: int
    base: float
    gamma: float
    power: float
    iteration: int
    lambda_min: float
    def __init__(self, num_output: _Optional[int] = ..., type: _Optional[_Union[MarginInnerProductParameter.MarginType, str]] = ..., weight_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., axis: _Optional[int] = ..., base: _Optional[float] = ..., gamma: _Optional[float] = ..., power: _Optional[float] = ..., iteration: _Optional[int] = ..., lambda_min: _Optional[float] = ...) -> None: ...

class MultiBoxLossParameter(_message.Message):
    __slots__ = ("loc_loss_type", "conf_loss_type", "loc_weight", "num_classes", "share_location", "match_type", "overlap_threshold", "use_prior_for_matching", "background_label_id", "use_difficult_gt", "do_neg_mining", "neg_pos_ratio", "neg_overlap", "code_type", "encode_variance_in_target", "map_object_to_agnostic", "ignore_cross_boundary_bbox", "bp_inside", "mining_type", "nms_param", "sample_size", "use_prior_for_nms", "ignore_difficult_gt", "objectness_score")
    class ConfLossType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SOFTMAX: _ClassVar[MultiBoxLossParameter.ConfLossType]
        LOGISTIC: _ClassVar[MultiBoxLossParameter.ConfLossType]
    SOFTMAX: MultiBoxLossParameter.ConfLossType
    LOGISTIC: MultiBoxLossParameter.ConfLossType
    class LocLossType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        L2: _ClassVar[MultiBoxLossParameter.LocLossType]
        SMOOTH_L1: _ClassVar[MultiBoxLossParameter.LocLossType]
    L2: MultiBoxLossParameter.LocLossType
    SMOOTH_L1: MultiBoxLossParameter.LocLossType
    class MatchType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        BIPARTITE: _ClassVar[MultiBoxLossParameter.MatchType]
        PER_PREDICTION: _ClassVar[MultiBoxLossParameter.MatchType]
    BIPARTITE: MultiBoxLossParameter.MatchType
    PER_PREDICTION: MultiBoxLossParameter.MatchType
    class MiningType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        NONE: _ClassVar[MultiBoxLossParameter.MiningType]
        MAX_NEGATIVE: _ClassVar[MultiBoxLossParameter.MiningType]
        HARD_EXAMPLE: _ClassVar[MultiBoxLossParameter.MiningType]
    NONE: MultiBoxLossParameter.MiningType
    MAX_NEGATIVE: MultiBoxLossParameter.MiningType
    HARD_EXAMPLE: MultiBoxLossParameter.MiningType
    LOC_LOSS_TYPE_FIELD_NUMBER: _ClassVar[int]
    CONF_LOSS_TYPE_FIELD_NUMBER: _ClassVar[int]
    LOC_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    NUM_CLASSES_FIELD_NUMBER: _ClassVar[int]
    SHARE_LOCATION_FIELD_NUMBER: _ClassVar[int]
    MATCH_TYPE_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    USE_PRIOR_FOR_MATCHING_FIELD_NUMBER: _ClassVar[int]
    BACKGROUND_LABEL_ID_FIELD_NUMBER: _ClassVar[int]
    USE_DIFFICULT_GT_FIELD_NUMBER: _ClassVar[int]
    DO_NEG_MINING_FIELD_NUMBER: _ClassVar[int]
    NEG_POS_RATIO_FIELD_NUMBER: _ClassVar[int]
    NEG_OVERLAP_FIELD_NUMBER: _ClassVar[int]
    CODE_TYPE_FIELD_NUMBER: _ClassVar[int]
    ENCODE_VARIANCE_IN_TARGET_FIELD_NUMBER: _ClassVar[int]
    MAP_OBJECT_TO_AGNOSTIC_FIELD_NUMBER: _ClassVar[int]
    IGNORE_CROSS_BOUNDARY_BBOX_FIELD_NUMBER: _ClassVar[int]
    BP_INSIDE_FIELD_NUMBER: _ClassVar[int]
    MINING_TYPE_FIELD_NUMBER: _ClassVar[int]
    NMS_PARAM_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_SIZE_FIELD_NUMBER: _ClassVar[int]
    USE_PRIOR_FOR_NMS_FIELD_NUMBER: _ClassVar[int]
    IGNORE_DIFFICULT_GT_FIELD_NUMBER: _ClassVar[int]
    OBJECTNESS_SCORE_FIELD_NUMBER: _ClassVar[int]
    loc_loss_type: MultiBoxLossParameter.LocLossType
    conf_loss_type: MultiBoxLossParameter.ConfLossType
    loc_weight: float
    num_classes: int
    share_location: bool
    match_type: MultiBoxLossParameter.MatchType
    overlap_threshold: float
    use_prior_for_matching: bool
    background_label_id: int
    use_difficult_gt: bool
    do_neg_mining: bool
    neg_pos_ratio: float
    neg_overlap: float
    code_type: PriorBoxParameter.CodeType
    encode_variance_in_target: bool
    map_object_to_agnostic: bool
    ignore_cross_boundary_bbox: bool
    bp_inside: bool
    mining_type: MultiBoxLossParameter.MiningType
    nms_param: NonMaximumSuppressionParameter
    sample_size: int
    use_prior_for_nms: bool
    ignore_difficult_gt: bool
    objectness_score: float
    def __init__(self, loc_loss_type: _Optional[_Union[MultiBoxLossParameter.LocLossType, str]] = ..., conf_loss_type: _Optional[_Union[MultiBoxLossParameter.ConfLossType, str]] = ..., loc_weight: _Optional[float] = ..., num_classes: _Optional[int] = ..., share_location: bool = ..., match_type: _Optional[_Union[MultiBoxLossParameter.MatchType, str]] = ..., overlap_threshold: _Optional[float] = ..., use_prior_for_matching: bool = ..., background_label_id: _Optional[int] = ..., use_difficult_gt: bool = ..., do_neg_mining: bool = ..., neg_pos_ratio: _Optional[float] = ..., neg_overlap: _Optional[float] = ..., code_type: _Optional[_Union[PriorBoxParameter.CodeType, str]] = ..., encode_variance_in_target: bool = ..., map_object_to_agnostic: bool = ..., ignore_cross_boundary_bbox: bool = ..., bp_inside: bool = ..., mining_type: _Optional[_Union[MultiBoxLossParameter.MiningType, str]] = ..., nms_param: _Optional[_Union[NonMaximumSuppressionParameter, _Mapping]] = ..., sample_size: _Optional[int] = ..., use_prior_for_nms: bool = ..., ignore_difficult_gt: bool = ..., objectness_score: _Optional[float] = ...) -> None: ...

class NmsParameter(_message.Message):
    __slots__ = ("threshold", "num_peak", "max_peaks", "num_parts")
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    NUM_PEAK_FIELD_NUMBER: _ClassVar[int]
    MAX_PEAKS_FIELD_NUMBER: _ClassVar[int]
    NUM_PARTS_FIELD_NUMBER: _ClassVar[int]
    threshold: float
    num_peak: int
    max_peaks: int
    num_parts: int
    def __init__(self, threshold: _Optional[float] = ..., num_peak: _Optional[int] = ..., max_peaks: _Optional[int] = ..., num_parts: _Optional[int] = ...) -> None: ...

class NoiseParameter(_message.Message):
    __slots__ = ("gaussian_std", "prob", "hist_eq", "uniform_range", "bias", "inverse", "decolorize", "gauss_blur", "jpeg", "posterize", "erode", "saltpepper", "saltpepper_param", "clahe", "convert_to_hsv", "convert_to_lab", "mu", "sigma")
    GAUSSIAN_STD_FIELD_NUMBER: _ClassVar[int]
    PROB_FIELD_NUMBER: _ClassVar[int]
    HIST_EQ_FIELD_NUMBER: _ClassVar[int]
    UNIFORM_RANGE_FIELD_NUMBER: _ClassVar[int]
    BIAS_FIELD_NUMBER: _ClassVar[int]
    INVERSE_FIELD_NUMBER: _ClassVar[int]
    DECOLORIZE_FIELD_NUMBER: _ClassVar[int]
    GAUSS_BLUR_FIELD_NUMBER: _ClassVar[int]
    JPEG_FIELD_NUMBER: _ClassVar[int]
    POSTERIZE_FIELD_NUMBER: _ClassVar[int]
    ERODE_FIELD_NUMBER: _ClassVar[int]
    SALTPEPPER_FIELD_NUMBER: _ClassVar[int]
    SALTPEPPER_PARAM_FIELD_NUMBER: _ClassVar[int]
    CLAHE_FIELD_NUMBER: _ClassVar[int]
    CONVERT_TO_HSV_FIELD_NUMBER: _ClassVar[int]
    CONVERT_TO_LAB_FIELD_NUMBER: _ClassVar[int]
    MU_FIELD_NUMBER: _ClassVar[int]
    SIGMA_FIELD_NUMBER: _ClassVar[int]
    gaussian_std: float
    prob: float
    hist_eq: bool
    uniform_range: float
    bias: float
    inverse: bool
    decolorize: bool
    gauss_blur: bool
    jpeg: float
    posterize: bool
    erode: bool
    saltpepper: bool
    saltpepper_param: SaltPepperParameter
    clahe: bool
    convert_to_hsv: bool
    convert_to_lab: bool
    mu: float
    sigma: float
    def __init__(self, gaussian_std: _Optional[float] = ..., prob: _Optional[float] = ..., hist_eq: bool = ..., uniform_range: _Optional[float] = ..., bias: _Optional[float] = ..., inverse: bool = ..., decolorize: bool = ..., gauss_blur: bool = ..., jpeg: _Optional[float] = ..., posterize: bool = ..., erode: bool = ..., saltpepper: bool = ..., saltpepper_param: _Optional[_Union[SaltPepperParameter, _Mapping]] = ..., clahe: bool = ..., convert_to_hsv: bool = ..., convert_to_lab: bool = ..., mu: _Optional[float] = ..., sigma: _Optional[float] = ...) -> None: ...

class NonMaximumSuppressionParameter(_message.Message):
    __slots__ = ("nms_threshold", "top_k", "eta")
    NMS_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    TOP_K_FIELD_NUMBER: _ClassVar[int]
    ETA_FIELD_NUMBER: _ClassVar[int]
    nms_threshold: float
    top_k: int
    eta: float
    def __init__(self, nms_threshold: _Optional[float] = ..., top_k: _Optional[int] = ..., eta: _Optional[float] = ...) -> None: ...

class NormalizeParameter(_message.Message):
    __slots__ = ("across_spatial", "normalize_type", "fix_gradient", "scale_filler", "bp_norm", "channel_shared", "eps", "fix_scale", "add_eps_before_sqrt")
    ACROSS_SPATIAL_FIELD_NUMBER: _ClassVar[int]
    NORMALIZE_TYPE_FIELD_NUMBER: _ClassVar[int]
    FIX_GRADIENT_FIELD_NUMBER: _ClassVar[int]
    SCALE_FILLER_FIELD_NUMBER: _ClassVar[int]
    BP_NORM_FIELD_NUMBER: _ClassVar[int]
    CHANNEL_SHARED_FIELD_NUMBER: _ClassVar[int]
    EPS_FIELD_NUMBER: _ClassVar[int]
    FIX_SCALE_FIELD_NUMBER: _ClassVar[int]
    ADD_EPS_BEFORE_SQRT_FIELD_NUMBER: _ClassVar[int]
    across_spatial: bool
    normalize_type: str
    fix_gradient: bool
    scale_filler: _caffe_pb2.FillerParameter
    bp_norm: bool
    channel_shared: bool
    eps: float
    fix_scale: bool
    add_eps_before_sqrt: bool
    def __init__(self, across_spatial: bool = ..., normalize_type: _Optional[str] = ..., fix_gradient: bool = ..., scale_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., bp_norm: bool = ..., channel_shared: bool = ..., eps: _Optional[float] = ..., fix_scale: bool = ..., add_eps_before_sqrt: bool = ...) -> None: ...

class NormalizedBBox(_message.Message):
    __slots__ = ("xmin", "ymin", "xmax", "ymax", "label", "difficult", "score", "size")
    XMIN_FIELD_NUMBER: _ClassVar[int]
    YMIN_FIELD_NUMBER: _ClassVar[int]
    XMAX_FIELD_NUMBER: _ClassVar[int]
    YMAX_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DIFFICULT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    label: int
    difficult: bool
    score: float
    size: float
    def __init__(self, xmin: _Optional[float] = ..., ymin: _Optional[float] = ..., xmax: _Optional[float] = ..., ymax: _Optional[float] = ..., label: _Optional[int] = ..., difficult: bool = ..., score: _Optional[float] = ..., size: _Optional[float] = ...) -> None: ...

class PSROIPoolingParameter(_message.Message):
    __slots__ = ("spatial_scale", "output_dim", "group_size")
    SPATIAL_SCALE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_DIM_FIELD_NUMBER: _ClassVar[int]
    GROUP_SIZE_FIELD_NUMBER: _ClassVar[int]
    spatial_scale: float
    output_dim: int
    group_size: int
    def __init__(self, spatial_scale: _Optional[float] = ..., output_dim: _Optional[int] = ..., group_size: _Optional[int] = ...) -> None: ...

class PermuteParameter(_message.Message):
    __slots__ = ("order",)
    ORDER_FIELD_NUMBER: _ClassVar[int]
    order: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, order: _Optional[_Iterable[int]] = ...) -> None: ...

class PriorBoxParameter(_message.Message):
    __slots__ = ("min_size", "max_size", "aspect_ratio", "flip", "clip", "variance", "img_size", "img_h", "img_w", "step", "step_h", "step_w", "offset", "reduce_boxes", "fixed_size", "fixed_ratio", "density", "denser_prior_boxes", "width", "height", "offset_w", "offset_h")
    class CodeType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CORNER: _ClassVar[PriorBoxParameter.CodeType]
        CENTER_SIZE: _ClassVar[PriorBoxParameter.CodeType]
        CORNER_SIZE: _ClassVar[PriorBoxParameter.CodeType]
    CORNER: PriorBoxParameter.CodeType
    CENTER_SIZE: PriorBoxParameter.CodeType
    CORNER_SIZE: PriorBoxParameter.CodeType
    MIN_SIZE_FIELD_NUMBER: _ClassVar[int]
    MAX_SIZE_FIELD_NUMBER: _ClassVar[int]
    ASPECT_RATIO_FIELD_NUMBER: _ClassVar[int]
    FLIP_FIELD_NUMBER: _ClassVar[int]
    CLIP_FIELD_NUMBER: _ClassVar[int]
    VARIANCE_FIELD_NUMBER: _ClassVar[int]
    IMG_SIZE_FIELD_NUMBER: _ClassVar[int]
    IMG_H_FIELD_NUMBER: _ClassVar[int]
    IMG_W_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    STEP_H_FIELD_NUMBER: _ClassVar[int]
    STEP_W_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    REDUCE_BOXES_FIELD_NUMBER: _ClassVar[int]
    FIXED_SIZE_FIELD_NUMBER: _ClassVar[int]
    FIXED_RATIO_FIELD_NUMBER: _ClassVar[int]
    DENSITY_FIELD_NUMBER: _ClassVar[int]
    DENSER_PRIOR_BOXES_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_W_FIELD_NUMBER: _ClassVar[int]
    OFFSET_H_FIELD_NUMBER: _ClassVar[int]
    min_size: _containers.RepeatedScalarFieldContainer[float]
    max_size: _containers.RepeatedScalarFieldContainer[float]
    aspect_ratio: _containers.RepeatedScalarFieldContainer[float]
    flip: bool
    clip: bool
    variance: _containers.RepeatedScalarFieldContainer[float]
    img_size: int
    img_h: int
    img_w: int
    step: float
    step_h: float
    step_w: float
    offset: float
    reduce_boxes: bool
    fixed_size: _containers.RepeatedScalarFieldContainer[float]
    fixed_ratio: _containers.RepeatedScalarFieldContainer[float]
    density: _containers.RepeatedScalarFieldContainer[float]
    denser_prior_boxes: bool
    width: _containers.RepeatedScalarFieldContainer[float]
    height: _containers.RepeatedScalarFieldContainer[float]
    offset_w: _containers.RepeatedScalarFieldContainer[float]
    offset_h: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, min_size: _Optional[_Iterable[float]] = ..., max_size: _Optional[_Iterable[float]] = ..., aspect_ratio: _Optional[_Iterable[float]] = ..., flip: bool = ..., clip: bool = ..., variance: _Optional[_Iterable[float]] = ..., img_size: _Optional[int] = ..., img_h: _Optional[int] = ..., img_w: _Optional[int] = ..., step: _Optional[float] = ..., step_h: _Optional[float] = ..., step_w: _Optional[float] = ..., offset: _Optional[float] = ..., reduce_boxes: bool = ..., fixed_size: _Optional[_Iterable[float]] = ..., fixed_ratio: _Optional[_Iterable[float]] = ..., density: _Optional[_Iterable[float]] = ..., denser_prior_boxes: bool = ..., width: _Optional[_Iterable[float]] = ..., height: _Optional[_Iterable[float]] = ..., offset_w: _Optional[_Iterable[float]] = ..., offset_h: _Optional[_Iterable[float]] = ...) -> None: ...

class ProposalParameter(_message.Message):
    __slots__ = ("feat_stride", "base_size", "min_size", "ratio", "scale", "pre_nms_topn", "post_nms_topn", "nms_thresh", "anchor_base_size", "anchor_scale", "anchor_ratio", "max_rois", "rpn_min_size", "rpn_nms_thresh")
    FEAT_STRIDE_FIELD_NUMBER: _ClassVar[int]
    BASE_SIZE_FIELD_NUMBER: _ClassVar[int]
    MIN_SIZE_FIELD_NUMBER: _ClassVar[int]
    RATIO_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    PRE_NMS_TOPN_FIELD_NUMBER: _ClassVar[int]
    POST_NMS_TOPN_FIELD_NUMBER: _ClassVar[int]
    NMS_THRESH_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_BASE_SIZE_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_SCALE_FIELD_NUMBER: _ClassVar[int]
    ANCHOR_RATIO_FIELD_NUMBER: _ClassVar[int]
    MAX_ROIS_FIELD_NUMBER: _ClassVar[int]
    RPN_MIN_SIZE_FIELD_NUMBER: _ClassVar[int]
    RPN_NMS_THRESH_FIELD_NUMBER: _ClassVar[int]
    feat_stride: int
    base_size: int
    min_size: int
    ratio: _containers.RepeatedScalarFieldContainer[float]
    scale: _containers.RepeatedScalarFieldContainer[float]
    pre_nms_topn: int
    post_nms_topn: int
    nms_thresh: float
    anchor_base_size: int
    anchor_scale: _containers.RepeatedScalarFieldContainer[float]
    anchor_ratio: _containers.RepeatedScalarFieldContainer[float]
    max_rois: int
    rpn_min_size: float
    rpn_nms_thresh: float
    def __init__(self, feat_stride: _Optional[int] = ..., base_size: _Optional[int] = ..., min_size: _Optional[int] = ..., ratio: _Optional[_Iterable[float]] = ..., scale: _Optional[_Iterable[float]] = ..., pre_nms_topn: _Optional[int] = ..., post_nms_topn: _Optional[int] = ..., nms_thresh: _Optional[float] = ..., anchor_base_size: _Optional[int] = ..., anchor_scale: _Optional[_Iterable[float]] = ..., anchor_ratio: _Optional[_Iterable[float]] = ..., max_rois: _Optional[int] = ..., rpn_min_size: _Optional[float] = ..., rpn_nms_thresh: _Optional[float] = ...) -> None: ...

class ROIPoolingParameter(_message.Message):
    __slots__ = ("pooled_h", "pooled_w", "spatial_scale", "pooled_size")
    POOLED_H_FIELD_NUMBER: _ClassVar[int]
    POOLED_W_FIELD_NUMBER: _ClassVar[int]
    SPATIAL_SCALE_FIELD_NUMBER: _ClassVar[int]
    POOLED_SIZE_FIELD_NUMBER: _ClassVar[int]
    pooled_h: int
    pooled_w: int
    spatial_scale: float
    pooled_size: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, pooled_h: _Optional[int] = ..., pooled_w: _Optional[int] = ..., spatial_scale: _Optional[float] = ..., pooled_size: _Optional[_Iterable[int]] = ...) -> None: ...

class RandomAspectRatioParameter(_message.Message):
    __slots__ = ("min_area_ratio", "max_area_ratio", "aspect_ratio_change", "max_attempt", "resize_param")
    MIN_AREA_RATIO_FIELD_NUMBER: _ClassVar[int]
    MAX_AREA_RATIO_FIELD_NUMBER: _ClassVar[int]
    ASPECT_RATIO_CHANGE_FIELD_NUMBER: _ClassVar[int]
    MAX_ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    RESIZE_PARAM_FIELD_NUMBER: _ClassVar[int]
    min_area_ratio: float
    max_area_ratio: float
    aspect_ratio_change: float
    max_attempt: int
    resize_param: ResizeParameter
    def __init__(self, min_area_ratio: _Optional[float] = ..., max_area_ratio: _Optional[float] = ..., aspect_ratio_change: _Optional[float] = ..., max_attempt: _Optional[int] = ..., resize_param: _Optional[_Union[ResizeParameter, _Mapping]] = ...) -> None: ...

class RandomResizeParameter(_message.Message):
    __slots__ = ("min_size", "max_size", "resize_param")
    MIN_SIZE_FIELD_NUMBER: _ClassVar[int]
    MAX_SIZE_FIELD_NUMBER: _ClassVar[int]
    RESIZE_PARAM_FIELD_NUMBER: _ClassVar[int]
    min_size: int
    max_size: int
    resize_param: ResizeParameter
    def __init__(self, min_size: _Optional[int] = ..., max_size: _Optional[int] = ..., resize_param: _Optional[_Union[ResizeParameter, _Mapping]] = ...) -> None: ...

class RegionLossParameter(_message.Message):
    __slots__ = ("side", "num_class", "bias_match", "coords", "num", "softmax", "jitter", "rescore", "object_scale", "class_scale", "noobject_scale", "coord_scale", "absolute", "thresh", "random", "biases", "softmax_tree", "class_map")
    SIDE_FIELD_NUMBER: _ClassVar[int]
    NUM_CLASS_FIELD_NUMBER: _ClassVar[int]
    BIAS_MATCH_FIELD_NUMBER: _ClassVar[int]
    COORDS_FIELD_NUMBER: _ClassVar[int]
    NUM_FIELD_NUMBER: _ClassVar[int]
    SOFTMAX_FIELD_NUMBER: _ClassVar[int]
    JITTER_FIELD_NUMBER: _ClassVar[int]
    RESCORE_FIELD_NUMBER: _ClassVar[int]
    OBJECT_SCALE_FIELD_NUMBER: _ClassVar[int]
    CLASS_SCALE_FIELD_NUMBER: _ClassVar[int]
    NOOBJECT_SCALE_FIELD_NUMBER: _ClassVar[int]
    COORD_SCALE_FIELD_NUMBER: _ClassVar[int]
    ABSOLUTE_FIELD_NUMBER: _ClassVar[int]
    THRESH_FIELD_NUMBER: _ClassVar[int]
    RANDOM_FIELD_NUMBER: _ClassVar[int]
    BIASES_FIELD_NUMBER: _ClassVar[int]
    SOFTMAX_TREE_FIELD_NUMBER: _ClassVar[int]
    CLASS_MAP_FIELD_NUMBER: _ClassVar[int]
    side: int
    num_class: int
    bias_match: int
    coords: int
    num: int
    softmax: int
    jitter: float
    rescore: int
    object_scale: float
    class_scale: float
    noobject_scale: float
    coord_scale: float
    absolute: int
    thresh: float
    random: int
    biases: _containers.RepeatedScalarFieldContainer[float]
    softmax_tree: str
    class_map: str
    def __init__(self, side: _Optional[int] = ..., num_class: _Optional[int] = ..., bias_match: _Optional[int] = ..., coords: _Optional[int] = ..., num: _Optional[int] = ..., softmax: _Optional[int] = ..., jitter: _Optional[float] = ..., rescore: _Optional[int] = ..., object_scale: _Optional[float] = ..., class_scale: _Optional[float] = ..., noobject_scale: _Optional[float] = ..., coord_scale: _Optional[float] = ..., absolute: _Optional[int] = ..., thresh: _Optional[float] = ..., random: _Optional[int] = ..., biases: _Optional[_Iterable[float]] = ..., softmax_tree: _Optional[str] = ..., class_map: _Optional[str] = ...) -> None: ...

class ReorgParameter(_message.Message):
    __slots__ = ("stride", "reverse")
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    REVERSE_FIELD_NUMBER: _ClassVar[int]
    stride: int
    reverse: bool
    def __init__(self, stride: _Optional[int] = ..., reverse: bool = ...) -> None: ...

class ResizeParameter(_message.Message):
    __slots__ = ("height", "prob", "resize_mode", "width", "is_pyramid_test", "out_height_scale", "out_width_scale", "pad_mode", "pad_value", "interp_mode", "height_scale", "width_scale")
    class Interp_mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        LINEAR: _ClassVar[ResizeParameter.Interp_mode]
        AREA: _ClassVar[ResizeParameter.Interp_mode]
        NEAREST: _ClassVar[ResizeParameter.Interp_mode]
        CUBIC: _ClassVar[ResizeParameter.Interp_mode]
        LANCZOS4: _ClassVar[ResizeParameter.Interp_mode]
    LINEAR: ResizeParameter.Interp_mode
    AREA: ResizeParameter.Interp_mode
    NEAREST: ResizeParameter.Interp_mode
    CUBIC: ResizeParameter.Interp_mode
    LANCZOS4: ResizeParameter.Interp_mode
    class Pad_mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CONSTANT: _ClassVar[ResizeParameter.Pad_mode]
        MIRRORED: _ClassVar[ResizeParameter.Pad_mode]
        REPEAT_NEAREST: _ClassVar[ResizeParameter.Pad_mode]
    CONSTANT: ResizeParameter.Pad_mode
    MIRRORED: ResizeParameter.Pad_mode
    REPEAT_NEAREST: ResizeParameter.Pad_mode
    class Resize_mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        WARP: _ClassVar[ResizeParameter.Resize_mode]
        FIT_SMALL_SIZE: _ClassVar[ResizeParameter.Resize_mode]
        FIT_LARGE_SIZE_AND_PAD: _ClassVar[ResizeParameter.Resize_mode]
    WARP: ResizeParameter.Resize_mode
    FIT_SMALL_SIZE: ResizeParameter.Resize_mode
    FIT_LARGE_SIZE_AND_PAD: ResizeParameter.Resize_mode
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    PROB_FIELD_NUMBER: _ClassVar[int]
    RESIZE_MODE_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    IS_PYRAMID_TEST_FIELD_NUMBER: _ClassVar[int]
    OUT_HEIGHT_SCALE_FIELD_NUMBER: _ClassVar[int]
    OUT_WIDTH_SCALE_FIELD_NUMBER: _ClassVar[int]
    PAD_MODE_FIELD_NUMBER: _ClassVar[int]
    PAD_VALUE_FIELD_NUMBER: _ClassVar[int]
    INTERP_MODE_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_SCALE_FIELD_NUMBER: _ClassVar[int]
    WIDTH_SCALE_FIELD_NUMBER: _ClassVar[int]
    height: int
    prob: float
    resize_mode: ResizeParameter.Resize_mode
    width: int
    is_pyramid_test: bool
    out_height_scale: float
    out_width_scale: float
    pad_mode: ResizeParameter.Pad_mode
    pad_value: _containers.RepeatedScalarFieldContainer[float]
    interp_mode: _containers.RepeatedScalarFieldContainer[ResizeParameter.Interp_mode]
    height_scale: int
    width_scale: int
    def __init__(self, height: _Optional[int] = ..., prob: _Optional[float] = ..., resize_mode: _Optional[_Union[ResizeParameter.Resize_mode, str]] = ..., width: _Optional[int] = ..., is_pyramid_test: bool = ..., out_height_scale: _Optional[float] = ..., out_width_scale: _Optional[float] = ..., pad_mode: _Optional[_Union[ResizeParameter.Pad_mode, str]] = ..., pad_value: _Optional[_Iterable[float]] = ..., interp_mode: _Optional[_Iterable[_Union[ResizeParameter.Interp_mode, str]]] = ..., height_scale: _Optional[int] = ..., width_scale: _Optional[int] = ...) -> None: ...

class SaltPepperParameter(_message.Message):
    __slots__ = ("fraction", "value")
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    fraction: float
    value: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, fraction: _Optional[float] = ..., value: _Optional[_Iterable[float]] = ...) -> None: ...

class SampleConstraint(_message.Message):
    __slots__ = ("min_jaccard_overlap", "max_jaccard_overlap", "min_sample_coverage", "max_sample_coverage", "min_object_coverage", "max_object_coverage")
    MIN_JACCARD_OVERLAP_FIELD_NUMBER: _ClassVar[int]
    MAX_JACCARD_OVERLAP_FIELD_NUMBER: _ClassVar[int]
    MIN_SAMPLE_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    MAX_SAMPLE_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    MIN_OBJECT_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    MAX_OBJECT_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    min_jaccard_overlap: float
    max_jaccard_overlap: float
    min_sample_coverage: float
    max_sample_coverage: float
    min_object_coverage: float
    max_object_coverage: float
    def __init__(self, min_jaccard_overlap: _Optional[float] = ..., max_jaccard_overlap: _Optional[float] = ..., min_sample_coverage: _Optional[float] = ..., max_sample_coverage: _Optional[float] = ..., min_object_coverage: _Optional[float] = ..., max_object_coverage: _Optional[float] = ...) -> None: ...

class Sampler(_message.Message):
    __slots__ = ("min_scale", "max_scale", "min_aspect_ratio", "max_aspect_ratio")
    MIN_SCALE_FIELD_NUMBER: _ClassVar[int]
    MAX_SCALE_FIELD_NUMBER: _ClassVar[int]
    MIN_ASPECT_RATIO_FIELD_NUMBER: _ClassVar[int]
    MAX_ASPECT_RATIO_FIELD_NUMBER: _ClassVar[int]
    min_scale: float
    max_scale: float
    min_aspect_ratio: float
    max_aspect_ratio: float
    def __init__(self, min_scale: _Optional[float] = ..., max_scale: _Optional[float] = ..., min_aspect_ratio: _Optional[float] = ..., max_aspect_ratio: _Optional[float] = ...) -> None: ...

class SaveOutputParameter(_message.Message):
    __slots__ = ("output_directory", "output_name_prefix", "output_format", "label_map_file", "name_size_file", "num_test_image", "resize_param")
    OUTPUT_DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_NAME_PREFIX_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FORMAT_FIELD_NUMBER: _ClassVar[int]
    LABEL_MAP_FILE_FIELD_NUMBER: _ClassVar[int]
    NAME_SIZE_FILE_FIELD_NUMBER: _ClassVar[int]
    NUM_TEST_IMAGE_FIELD_NUMBER: _ClassVar[int]
    RESIZE_PARAM_FIELD_NUMBER: _ClassVar[int]
    output_directory: str
    output_name_prefix: str
    output_format: str
    label_map_file: str
    name_size_file: str
    num_test_image: int
    resize_param: ResizeParameter
    def __init__(self, output_directory: _Optional[str] = ..., output_name_prefix: _Optional[str] = ..., output_format: _Optional[str] = ..., label_map_file: _Optional[str] = ..., name_size_file: _Optional[str] = ..., num_test_image: _Optional[int] = ..., resize_param: _Optional[_Union[ResizeParameter, _Mapping]] = ...) -> None: ...

class SegAccuracyParameter(_message.Message):
    __slots__ = ("metric", "ignore_label", "reset")
    class AccuracyMetric(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PixelAccuracy: _ClassVar[SegAccuracyParameter.AccuracyMetric]
        ClassAccuracy: _ClassVar[SegAccuracyParameter.AccuracyMetric]
        PixelIOU: _ClassVar[SegAccuracyParameter.AccuracyMetric]
    PixelAccuracy: SegAccuracyParameter.AccuracyMetric
    ClassAccuracy: SegAccuracyParameter.AccuracyMetric
    PixelIOU: SegAccuracyParameter.AccuracyMetric
    METRIC_FIELD_NUMBER: _ClassVar[int]
    IGNORE_LABEL_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    metric: SegAccuracyParameter.AccuracyMetric
    ignore_label: _containers.RepeatedScalarFieldContainer[int]
    reset: bool
    def __init__(self, metric: _Optional[_Union[SegAccuracyParameter.AccuracyMetric, str]] = ..., ignore_label: _Optional[_Iterable[int]] = ..., reset: bool = ...) -> None: ...

class SegmentationEvaluateParameter(_message.Message):
    __slots__ = ("num_classes", "threshold")
    NUM_CLASSES_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    num_classes: int
    threshold: float
    def __init__(self, num_classes: _Optional[int] = ..., threshold: _Optional[float] = ...) -> None: ...

class ShuffleChannelParameter(_message.Message):
    __slots__ = ("group",)
    GROUP_FIELD_NUMBER: _ClassVar[int]
    group: int
    def __init__(self, group: _Optional[int] = ...) -> None: ...

class SmoothL1LossParameter(_message.Message):
    __slots__ = ("sigma",)
    SIGMA_FIELD_NUMBER: _ClassVar[int]
    sigma: float
    def __init__(self, sigma: _Optional[float] = ...) -> None: ...

class SmoothL1Parameter(_message.Message):
    __slots__ = ("turn_point",)
    TURN_POINT_FIELD_NUMBER: _ClassVar[int]
    turn_point: float
    def __init__(self, turn_point: _Optional[float] = ...) -> None: ...

class SpatialDropoutParameter(_message.Message):
    __slots__ = ("dropout_ratio",)
    DROPOUT_RATIO_FIELD_NUMBER: _ClassVar[int]
    dropout_ratio: float
    def __init__(self, dropout_ratio: _Optional[float] = ...) -> None: ...

class SplitParameter(_message.Message):
    __slots__ = ("engine",)
    class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DEFAULT: _ClassVar[SplitParameter.Engine]
        CAFFE: _ClassVar[SplitParameter.Engine]
        MKL2017: _ClassVar[SplitParameter.Engine]
        MKLDNN: _ClassVar[SplitParameter.Engine]
    DEFAULT: SplitParameter.Engine
    CAFFE: SplitParameter.Engine
    MKL2017: SplitParameter.Engine
    MKLDNN: SplitParameter.Engine
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    engine: SplitParameter.Engine
    def __init__(self, engine: _Optional[_Union[SplitParameter.Engine, str]] = ...) -> None: ...

class TripletLossParameter(_message.Message):
    __slots__ = ("margin",)
    MARGIN_FIELD_NUMBER: _ClassVar[int]
    margin: float
    def __init__(self, margin: _Optional[float] = ...) -> None: ...

class UnpoolingParameter(_message.Message):
    __slots__ = ("unpool", "kernel_size", "stride", "pad", "kernel_h", "kernel_w", "stride_h", "stride_w", "pad_h", "pad_w", "engine", "unpool_size", "unpool_h", "unpool_w")
    class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DEFAULT: _ClassVar[UnpoolingParameter.Engine]
        CAFFE: _ClassVar[UnpoolingParameter.Engine]
    DEFAULT: UnpoolingParameter.Engine
    CAFFE: UnpoolingParameter.Engine
    class UnpoolMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MAX: _ClassVar[UnpoolingParameter.UnpoolMethod]
        AVE: _ClassVar[UnpoolingParameter.UnpoolMethod]
        TILE: _ClassVar[UnpoolingParameter.UnpoolMethod]
    MAX: UnpoolingParameter.UnpoolMethod
    AVE: UnpoolingParameter.UnpoolMethod
    TILE: UnpoolingParameter.UnpoolMethod
    UNPOOL_FIELD_NUMBER: _ClassVar[int]
    KERNEL_SIZE_FIELD_NUMBER: _ClassVar[int]
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    PAD_FIELD_NUMBER: _ClassVar[int]
    KERNEL_H_FIELD_NUMBER: _ClassVar[int]
    KERNEL_W_FIELD_NUMBER: _ClassVar[int]
    STRIDE_H_FIELD_NUMBER: _ClassVar[int]
    STRIDE_W_FIELD_NUMBER: _ClassVar[int]
    PAD_H_FIELD_NUMBER: _ClassVar[int]
    PAD_W_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    UNPOOL_SIZE_FIELD_NUMBER: _ClassVar[int]
    UNPOOL_H_FIELD_NUMBER: _ClassVar[int]
    UNPOOL_W_FIELD_NUMBER: _ClassVar[int]
    unpool: UnpoolingParameter.UnpoolMethod
    kernel_size: int
    stride: int
    pad: int
    kernel_h: int
    kernel_w: int
    stride_h: int
    stride_w: int
    pad_h: int
    pad_w: int
    engine: UnpoolingParameter.Engine
    unpool_size: int
    unpool_h: int
    unpool_w: int
    def __init__(self, unpool: _Optional[_Union[UnpoolingParameter.UnpoolMethod, str]] = ..., kernel_size: _Optional[int] = ..., stride: _Optional[int] = ..., pad: _Optional[int] = ..., kernel_h: _Optional[int] = ..., kernel_w: _Optional[int] = ..., stride_h: _Optional[int] = ..., stride_w: _Optional[int] = ..., pad_h: _Optional[int] = ..., pad_w: _Optional[int] = ..., engine: _Optional[_Union[UnpoolingParameter.Engine, str]] = ..., unpool_size: _Optional[int] = ..., unpool_h: _Optional[int] = ..., unpool_w: _Optional[int] = ...) -> None: ...

class UpsampleParameter(_message.Message):
    __slots__ = ("scale", "scale_h", "scale_w", "pad_out_h", "pad_out_w", "upsample_h", "upsample_w")
    SCALE_FIELD_NUMBER: _ClassVar[int]
    SCALE_H_FIELD_NUMBER: _ClassVar[int]
    SCALE_W_FIELD_NUMBER: _ClassVar[int]
    PAD_OUT_H_FIELD_NUMBER: _ClassVar[int]
    PAD_OUT_W_FIELD_NUMBER: _ClassVar[int]
    UPSAMPLE_H_FIELD_NUMBER: _ClassVar[int]
    UPSAMPLE_W_FIELD_NUMBER: _ClassVar[int]
    scale: int
    scale_h: int
    scale_w: int
    pad_out_h: bool
    pad_out_w: bool
    upsample_h: int
    upsample_w: int
    def __init__(self, scale: _Optional[int] = ..., scale_h: _Optional[int] = ..., scale_w: _Optional[int] = ..., pad_out_h: bool = ..., pad_out_w: bool = ..., upsample_h: _Optional[int] = ..., upsample_w: _Optional[int] = ...) -> None: ...

class VideoDataParameter(_message.Message):
    __slots__ = ("source", "video_type", "device_id", "scale", "mean_file", "video_file", "batch_size", "skip_frames", "crop_size", "mirror", "rand_skip", "shuffle", "new_height", "new_width", "new_length", "num_segments", "modality", "name_pattern", "encoded", "grayscale", "length_first", "rand_step", "step", "is_color", "root_folder", "show_data", "use_image", "use_temporal_jitter", "sampling_rate", "max_sampling_rate", "use_sampling_rate_jitter", "use_multiple_label", "num_of_labels")
    class Modality(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        RGB: _ClassVar[VideoDataParameter.Modality]
        FLOW: _ClassVar[VideoDataParameter.Modality]
    RGB: VideoDataParameter.Modality
    FLOW: VideoDataParameter.Modality
    class VideoType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        WEBCAM: _ClassVar[VideoDataParameter.VideoType]
        VIDEO: _ClassVar[VideoDataParameter.VideoType]
    WEBCAM: VideoDataParameter.VideoType
    VIDEO: VideoDataParameter.VideoType
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    VIDEO_TYPE_FIELD_NUMBER: _ClassVar[int]
    DEVICE_ID_FIELD_NUMBER: _ClassVar[int]
    SCALE_FIELD_NUMBER: _ClassVar[int]
    MEAN_FILE_FIELD_NUMBER: _ClassVar[int]
    VIDEO_FILE_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    SKIP_FRAMES_FIELD_NUMBER: _ClassVar[int]
    CROP_SIZE_FIELD_NUMBER: _ClassVar[int]
    MIRROR_FIELD_NUMBER: _ClassVar[int]
    RAND_SKIP_FIELD_NUMBER: _ClassVar[int]
    SHUFFLE_FIELD_NUMBER: _ClassVar[int]
    NEW_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    NEW_WIDTH_FIELD_NUMBER: _ClassVar[int]
    NEW_LENGTH_FIELD_NUMBER: _ClassVar[int]
    NUM_SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    MODALITY_FIELD_NUMBER: _ClassVar[int]
    NAME_PATTERN_FIELD_NUMBER: _ClassVar[int]
    ENCODED_FIELD_NUMBER: _ClassVar[int]
    GRAYSCALE_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIRST_FIELD_NUMBER: _ClassVar[int]
    RAND_STEP_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    IS_COLOR_FIELD_NUMBER: _ClassVar[int]
    ROOT_FOLDER_FIELD_NUMBER: _ClassVar[int]
    SHOW_DATA_FIELD_NUMBER: _ClassVar[int]
    USE_IMAGE_FIELD_NUMBER: _ClassVar[int]
    USE_TEMPORAL_JITTER_FIELD_NUMBER: _ClassVar[int]
    SAMPLING_RATE_FIELD_NUMBER: _ClassVar[int]
    MAX_SAMPLING_RATE_FIELD_NUMBER: _ClassVar[int]
    USE_SAMPLING_RATE_JITTER_FIELD_NUMBER: _ClassVar[int]
    USE_MULTIPLE_LABEL_FIELD_NUMBER: _ClassVar[int]
    NUM_OF_LABELS_FIELD_NUMBER: _ClassVar[int]
    source: str
    video_type: VideoDataParameter.VideoType
    device_id: int
    scale: float
    mean_file: str
    video_file: str
    batch_size: int
    skip_frames: int
    crop_size: int
    mirror: bool
    rand_skip: int
    shuffle: bool
    new_height: int
    new_width: int
    new_length: int
    num_segments: int
    modality: VideoDataParameter.Modality
    name_pattern: str
    encoded: bool
    grayscale: bool
    length_first: bool
    rand_step: bool
    step: int
    is_color: bool
    root_folder: str
    show_data: int
    use_image: bool
    use_temporal_jitter: bool
    sampling_rate: int
    max_sampling_rate: int
    use_sampling_rate_jitter: bool
    use_multiple_label: bool
    num_of_labels: int
    def __init__(self, source: _Optional[str] = ..., video_type: _Optional[_Union[VideoDataParameter.VideoType, str]] = ..., device_id: _Optional[int] = ..., scale: _Optional[float] = ..., mean_file: _Optional[str] = ..., video_file: _Optional[str] = ..., batch_size: _Optional[int] = ..., skip_frames: _Optional[int] = ..., crop_size: _Optional[int] = ..., mirror: bool = ..., rand_skip: _Optional[int] = ..., shuffle: bool = ..., new_height: _Optional[int] = ..., new_width: _Optional[int] = ..., new_length: _Optional[int] = ..., num_segments: _Optional[int] = ..., modality: _Optional[_Union[VideoDataParameter.Modality, str]] = ..., name_pattern: _Optional[str] = ..., encoded: bool = ..., grayscale: bool = ..., length_first: bool = ..., rand_step: bool = ..., step: _Optional[int] = ..., is_color: bool = ..., root_folder: _Optional[str] = ..., show_data: _Optional[int] = ..., use_image: bool = ..., use_temporal_jitter: bool = ..., sampling_rate: _Optional[int] = ..., max_sampling_rate: _Optional[int] = ..., use_sampling_rate_jitter: bool = ..., use_multiple_label: bool = ..., num_of_labels: _Optional[int] = ...) -> None: ...

class YoloDetectionOutputParameter(_message.Message):
    __slots__ = ("side", "num_classes", "num_box", "coords", "confidence_threshold", "nms_threshold", "biases", "label_map_file")
    SIDE_FIELD_NUMBER: _ClassVar[int]
    NUM_CLASSES_FIELD_NUMBER: _ClassVar[int]
    NUM_BOX_FIELD_NUMBER: _ClassVar[int]
    COORDS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    NMS_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    BIASES_FIELD_NUMBER: _ClassVar[int]
    LABEL_MAP_FILE_FIELD_NUMBER: _ClassVar[int]
    side: int
    num_classes: int
    num_box: int
    coords: int
    confidence_threshold: float
    nms_threshold: float
    biases: _containers.RepeatedScalarFieldContainer[float]
    label_map_file: str
    def __init__(self, side: _Optional[int] = ..., num_classes: _Optional[int] = ..., num_box: _Optional[int] = ..., coords: _Optional[int] = ..., confidence_threshold: _Optional[float] = ..., nms_threshold: _Optional[float] = ..., biases: _Optional[_Iterable[float]] = ..., label_map_file: _Optional[str] = ...) -> None: ...

class YoloSegParameter(_message.Message):
    __slots__ = ("num_class", "object_scale", "class_scale", "use_logic_gradient", "use_hardsigmoid")
    NUM_CLASS_FIELD_NUMBER: _ClassVar[int]
    OBJECT_SCALE_FIELD_NUMBER: _ClassVar[int]
    CLASS_SCALE_FIELD_NUMBER: _ClassVar[int]
    USE_LOGIC_GRADIENT_FIELD_NUMBER: _ClassVar[int]
    USE_HARDSIGMOID_FIELD_NUMBER: _ClassVar[int]
    num_class: int
    object_scale: float
    class_scale: float
    use_logic_gradient: bool
    use_hardsigmoid: bool
    def __init__(self, num_class: _Optional[int] = ..., object_scale: _Optional[float] = ..., class_scale: _Optional[float] = ..., use_logic_gradient: bool = ..., use_hardsigmoid: bool = ...) -> None: ...

class Yolov3DetectionOutputParameter(_message.Message):
    __slots__ = ("num_classes", "num_box", "confidence_threshold", "nms_threshold", "biases", "anchors_scale", "mask_group_num", "mask", "gaussian_box")
    NUM_CLASSES_FIELD_NUMBER: _ClassVar[int]
    NUM_BOX_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    NMS_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    BIASES_FIELD_NUMBER: _ClassVar[int]
    ANCHORS_SCALE_FIELD_NUMBER: _ClassVar[int]
    MASK_GROUP_NUM_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    GAUSSIAN_BOX_FIELD_NUMBER: _ClassVar[int]
    num_classes: int
    num_box: int
    confidence_threshold: float
    nms_threshold: float
    biases: _containers.RepeatedScalarFieldContainer[float]
    anchors_scale: _containers.RepeatedScalarFieldContainer[int]
    mask_group_num: int
    mask: _containers.RepeatedScalarFieldContainer[int]
    gaussian_box: bool
    def __init__(self, num_classes: _Optional[int] = ..., num_box: _Optional[int] = ..., confidence_threshold: _Optional[float] = ..., nms_threshold: _Optional[float] = ..., biases: _Optional[_Iterable[float]] = ..., anchors_scale: _Optional[_Iterable[int]] = ..., mask_group_num: _Optional[int] = ..., mask: _Optional[_Iterable[int]] = ..., gaussian_box: bool = ...) -> None: ...

class Yolov3Parameter(_message.Message):
    __slots__ = ("side", "num_class", "num", "object_scale", "class_scale", "noobject_scale", "coord_scale", "thresh", "anchors_scale", "biases", "mask", "use_logic_gradient", "use_focal_loss", "iou_loss", "iou_normalizer", "iou_thresh", "max_delta", "accumulate", "label_smooth_eps")
    class IOU_LOSS(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        IOU: _ClassVar[Yolov3Parameter.IOU_LOSS]
        GIOU: _ClassVar[Yolov3Parameter.IOU_LOSS]
        MSE: _ClassVar[Yolov3Parameter.IOU_LOSS]
        DIOU: _ClassVar[Yolov3Parameter.IOU_LOSS]
        CIOU: _ClassVar[Yolov3Parameter.IOU_LOSS]
    IOU: Yolov3Parameter.IOU_LOSS
    GIOU: Yolov3Parameter.IOU_LOSS
    MSE: Yolov3Parameter.IOU_LOSS
    DIOU: Yolov3Parameter.IOU_LOSS
    CIOU: Yolov3Parameter.IOU_LOSS
    SIDE_FIELD_NUMBER: _ClassVar[int]
    NUM_CLASS_FIELD_NUMBER: _ClassVar[int]
    NUM_FIELD_NUMBER: _ClassVar[int]
    OBJECT_SCALE_FIELD_NUMBER: _ClassVar[int]
    CLASS_SCALE_FIELD_NUMBER: _ClassVar[int]
    NOOBJECT_SCALE_FIELD_NUMBER: _ClassVar[int]
    COORD_SCALE_FIELD_NUMBER: _ClassVar[int]
    THRESH_FIELD_NUMBER: _ClassVar[int]
    ANCHORS_SCALE_FIELD_NUMBER: _ClassVar[int]
    BIASES_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    USE_LOGIC_GRADIENT_FIELD_NUMBER: _ClassVar[int]
    USE_FOCAL_LOSS_FIELD_NUMBER: _ClassVar[int]
    IOU_LOSS_FIELD_NUMBER: _ClassVar[int]
    IOU_NORMALIZER_FIELD_NUMBER: _ClassVar[int]
    IOU_THRESH_FIELD_NUMBER: _ClassVar[int]
    MAX_DELTA_FIELD_NUMBER: _ClassVar[int]
    ACCUMULATE_FIELD_NUMBER: _ClassVar[int]
    LABEL_SMOOTH_EPS_FIELD_NUMBER: _ClassVar[int]
    side: int
    num_class: int
    num: int
    object_scale: float
    class_scale: float
    noobject_scale: float
    coord_scale: float
    thresh: float
    anchors_scale: int
    biases: _containers.RepeatedScalarFieldContainer[float]
    mask: _containers.RepeatedScalarFieldContainer[int]
    use_logic_gradient: bool
    use_focal_loss: bool
    iou_loss: Yolov3Parameter.IOU_LOSS
    iou_normalizer: float
    iou_thresh: float
    max_delta: float
    accumulate: bool
    label_smooth_eps: float
    def __init__(self, side: _Optional[int] = ..., num_class: _Optional[int] = ..., num: _Optional[int] = ..., object_scale: _Optional[float] = ..., class_scale: _Optional[float] = ..., noobject_scale: _Optional[float] = ..., coord_scale: _Optional[float] = ..., thresh: _Optional[float] = ..., anchors_scale: _Optional[int] = ..., biases: _Optional[_Iterable[float]] = ..., mask: _Optional[_Iterable[int]] = ..., use_logic_gradient: bool = ..., use_focal_loss: bool = ..., iou_loss: _Optional[_Union[Yolov3Parameter.IOU_LOSS, str]] = ..., iou_normalizer: _Optional[float] = ..., iou_thresh: _Optional[float] = ..., max_delta: _Optional[float] = ..., accumulate: bool = ..., label_smooth_eps: _Optional[float] = ...) -> None: ...

class LSTMParameter(_message.Message):
    __slots__ = ("num_output", "clipping_threshold", "weight_filler", "bias_filler", "batch_size")
    NUM_OUTPUT_FIELD_NUMBER: _ClassVar[int]
    CLIPPING_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FILLER_FIELD_NUMBER: _ClassVar[int]
    BIAS_FILLER_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    num_output: int
    clipping_threshold: float
    weight_filler: _caffe_pb2.FillerParameter
    bias_filler: _caffe_pb2.FillerParameter
    batch_size: int
    def __init__(self, num_output: _Optional[int] = ..., clipping_threshold: _Optional[float] = ..., weight_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., bias_filler: _Optional[_Union[_caffe_pb2.FillerParameter, _Mapping]] = ..., batch_size: _Optional[int] = ...) -> None: ...

class ReverseParameter(_message.Message):
    __slots__ = ("axis",)
    AXIS_FIELD_NUMBER: _ClassVar[int]
    axis: int
    def __init__(self, axis: _Optional[int] = ...) -> None: ...

class TransposeParameter(_message.Message):
    __slots__ = ("dim",)
    DIM_FIELD_NUMBER: _ClassVar[int]
    dim: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, dim: _Optional[_Iterable[int]] = ...) -> None: ...

class ContinuationIndicatorParameter(_message.Message):
    __slots__ = ("time_step", "batch_size")
    TIME_STEP_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    time_step: int
    batch_size: int
    def __init__(self, time_step: _Optional[int] = ..., batch_size: _Optional[int] = ...) -> None: ...

class CTCDecoderParameter(_message.Message):
    __slots__ = ("blank_index", "ctc_merge_repeated")
    BLANK_INDEX_FIELD_NUMBER: _ClassVar[int]
    CTC_MERGE_REPEATED_FIELD_NUMBER: _ClassVar[int]
    blank_index: int
    ctc_merge_repeated: bool
    def __init__(self, blank_index: _Optional[int] = ..., ctc_merge_repeated: bool = ...) -> None: ...

class CTCLossParameter(_message.Message):
    __slots__ = ("output_delay", "blank_index", "preprocess_collapse_repeated", "ctc_merge_repeated", "loss_calculation_t", "alphabet_size", "time_step", "blank_label")
    OUTPUT_DELAY_FIELD_NUMBER: _ClassVar[int]
    BLANK_INDEX_FIELD_NUMBER: _ClassVar[int]
    PREPROCESS_COLLAPSE_REPEATED_FIELD_NUMBER: _ClassVar[int]
    CTC_MERGE_REPEATED_FIELD_NUMBER: _ClassVar[int]
    LOSS_CALCULATION_T_FIELD_NUMBER: _ClassVar[int]
    ALPHABET_SIZE_FIELD_NUMBER: _ClassVar[int]
    TIME_STEP_FIELD_NUMBER: _ClassVar[int]
    BLANK_LABEL_FIELD_NUMBER: _ClassVar[int]
    output_delay: int
    blank_index: int
    preprocess_collapse_repeated: bool
    ctc_merge_repeated: bool
    loss_calculation_t: int
    alphabet_size: int
    time_step: int
    blank_label: int
    def __init__(self, output_delay: _Optional[int] = ..., blank_index: _Optional[int] = ..., preprocess_collapse_repeated: bool = ..., ctc_merge_repeated: bool = ..., loss_calculation_t: _Optional[int] = ..., alphabet_size: _Optional[int] = ..., time_step: _Optional[int] = ..., blank_label: _Optional[int] = ...) -> None: ...

class LabelsequenceAccuracyParameter(_message.Message):
    __slots__ = ("blank_label",)
    BLANK_LABEL_FIELD_NUMBER: _ClassVar[int]
    blank_label: int
    def __init__(self, blank_label: _Optional[int] = ...) -> None: ...

class MatWriteParameter(_message.Message):
    __slots__ = ("prefix", "source", "strip", "period")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    STRIP_FIELD_NUMBER: _ClassVar[int]
    PERIOD_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    source: str
    strip: int
    period: int
    def __init__(self, prefix: _Optional[str] = ..., source: _Optional[str] = ..., strip: _Optional[int] = ..., period: _Optional[int] = ...) -> None: ...

class MatReadParameter(_message.Message):
    __slots__ = ("prefix", "source", "strip", "batch_size")
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    STRIP_FIELD_NUMBER: _ClassVar[int]
    BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    prefix: str
    source: str
    strip: int
    batch_size: int
    def __init__(self, prefix: _Optional[str] = ..., source: _Optional[str] = ..., strip: _Optional[int] = ..., batch_size: _Optional[int] = ...) -> None: ...

class MultiStageMeanfieldParameter(_message.Message):
    __slots__ = ("compatibility_mode", "threshold", "theta_alpha", "theta_beta", "theta_gamma", "num_iterations", "spatial_filter_weight", "bilateral_filter_weight", "forced_spatial_filter_weight", "forced_bilateral_filter_weight", "spatial_filter_weights_str", "bilateral_filter_weights_str")
    class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        POTTS: _ClassVar[MultiStageMeanfieldParameter.Mode]
        LEARN_KERNEL: _ClassVar[MultiStageMeanfieldParameter.Mode]
    POTTS: MultiStageMeanfieldParameter.Mode
    LEARN_KERNEL: MultiStageMeanfieldParameter.Mode
    COMPATIBILITY_MODE_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    THETA_ALPHA_FIELD_NUMBER: _ClassVar[int]
    THETA_BETA_FIELD_NUMBER: _ClassVar[int]
    THETA_GAMMA_FIELD_NUMBER: _ClassVar[int]
    NUM_ITERATIONS_FIELD_NUMBER: _ClassVar[int]
    SPATIAL_FILTER_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    BILATERAL_FILTER_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    FORCED_SPATIAL_FILTER_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    FORCED_BILATERAL_FILTER_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    SPATIAL_FILTER_WEIGHTS_STR_FIELD_NUMBER: _ClassVar[int]
    BILATERAL_FILTER_WEIGHTS_STR_FIELD_NUMBER: _ClassVar[int]
    compatibility_mode: MultiStageMeanfieldParameter.Mode
    threshold: float
    theta_alpha: float
    theta_beta: float
    theta_gamma: float
    num_iterations: int
    spatial_filter_weight: float
    bilateral_filter_weight: float
    forced_spatial_filter_weight: float
    forced_bilateral_filter_weight: float
    spatial_filter_weights_str: str
    bilateral_filter_weights_str: str
    def __init__(self, compatibility_mode: _Optional[_Union[MultiStageMeanfieldParameter.Mode, str]] = ..., threshold: _Optional[float] = ..., theta_alpha: _Optional[float] = ..., theta_beta: _Optional[float] = ..., theta_gamma: _Optional[float] = ..., num_iterations: _Optional[int] = ..., spatial_filter_weight: _Optional[float] = ..., bilateral_filter_weight: _Optional[float] = ..., forced_spatial_filter_weight: _Optional[float] = ..., forced_bilateral_filter_weight: _Optional[float] = ..., spatial_filter_weights_str: _Optional[str] = ..., bilateral_filter_weights_str: _Optional[str] = ...) -> None: ...

class DetectNetGroundTruthParameter(_message.Message):
    __slots__ = ("stride", "scale_cvg", "gridbox_type", "max_cvg_len", "min_cvg_len", "coverage_type", "image_size_x", "image_size_y", "obj_norm", "crop_bboxes", "object_class")
    class GridboxType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        GRIDBOX_MAX: _ClassVar[DetectNetGroundTruthParameter.GridboxType]
        GRIDBOX_MIN: _ClassVar[DetectNetGroundTruthParameter.GridboxType]
    GRIDBOX_MAX: DetectNetGroundTruthParameter.GridboxType
    GRIDBOX_MIN: DetectNetGroundTruthParameter.GridboxType
    class CoverageType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        RECTANGULAR: _ClassVar[DetectNetGroundTruthParameter.CoverageType]
    RECTANGULAR: DetectNetGroundTruthParameter.CoverageType
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    SCALE_CVG_FIELD_NUMBER: _ClassVar[int]
    GRIDBOX_TYPE_FIELD_NUMBER: _ClassVar[int]
    MAX_CVG_LEN_FIELD_NUMBER: _ClassVar[int]
    MIN_CVG_LEN_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_TYPE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SIZE_X_FIELD_NUMBER: _ClassVar[int]
    IMAGE_SIZE_Y_FIELD_NUMBER: _ClassVar[int]
    OBJ_NORM_FIELD_NUMBER: _ClassVar[int]
    CROP_BBOXES_FIELD_NUMBER: _ClassVar[int]
    OBJECT_CLASS_FIELD_NUMBER: _ClassVar[int]
    stride: int
    scale_cvg: float
    gridbox_type: DetectNetGroundTruthParameter.GridboxType
    max_cvg_len: int
    min_cvg_len: int
    coverage_type: DetectNetGroundTruthParameter.CoverageType
    image_size_x: int
    image_size_y: int
    obj_norm: bool
    crop_bboxes: bool
    object_class: _containers.RepeatedCompositeFieldContainer[ClassMapping]
    def __init__(self, stride: _Optional[int] = ..., scale_cvg: _Optional[float] = ..., gridbox_type: _Optional[_Union[DetectNetGroundTruthParameter.GridboxType, str]] = ..., max_cvg_len: _Optional[int] = ..., min_cvg_len: _Optional[int] = ..., coverage_type: _Optional[_Union[DetectNetGroundTruthParameter.CoverageType, str]] = ..., image_size_x: _Optional[int] = ..., image_size_y: _Optional[int] = ..., obj_norm: bool = ..., crop_bboxes: bool = ..., object_class: _Optional[_Iterable[_Union[ClassMapping, _Mapping]]] = ...) -> None: ...

class DetectNetAugmentationParameter(_message.Message):
    __slots__ = ("crop_prob", "shift_x", "shift_y", "scale_prob", "scale_min", "scale_max", "flip_prob", "rotation_prob", "max_rotate_degree", "hue_rotation_prob", "hue_rotation", "desaturation_prob", "desaturation_max", "resize_param")
    CROP_PROB_FIELD_NUMBER: _ClassVar[int]
    SHIFT_X_FIELD_NUMBER: _ClassVar[int]
    SHIFT_Y_FIELD_NUMBER: _ClassVar[int]
    SCALE_PROB_FIELD_NUMBER: _ClassVar[int]
    SCALE_MIN_FIELD_NUMBER: _ClassVar[int]
    SCALE_MAX_FIELD_NUMBER: _ClassVar[int]
    FLIP_PROB_FIELD_NUMBER: _ClassVar[int]
    ROTATION_PROB_FIELD_NUMBER: _ClassVar[int]
    MAX_ROTATE_DEGREE_FIELD_NUMBER: _ClassVar[int]
    HUE_ROTATION_PROB_FIELD_NUMBER: _ClassVar[int]
    HUE_ROTATION_FIELD_NUMBER: _ClassVar[int]
    DESATURATION_PROB_FIELD_NUMBER: _ClassVar[int]
    DESATURATION_MAX_FIELD_NUMBER: _ClassVar[int]
    RESIZE_PARAM_FIELD_NUMBER: _ClassVar[int]
    crop_prob: float
    shift_x: int
    shift_y: int
    scale_prob: float
    scale_min: float
    scale_max: float
    flip_prob: float
    rotation_prob: float
    max_rotate_degree: float
    hue_rotation_prob: float
    hue_rotation: float
    desaturation_prob: float
    desaturation_max: float
    resize_param: ResizeParameter
    def __init__(self, crop_prob: _Optional[float] = ..., shift_x: _Optional[int] = ..., shift_y: _Optional[int] = ..., scale_prob: _Optional[float] = ..., scale_min: _Optional[float] = ..., scale_max: _Optional[float] = ..., flip_prob: _Optional[float] = ..., rotation_prob: _Optional[float] = ..., max_rotate_degree: _Optional[float] = ..., hue_rotation_prob: _Optional[float] = ..., hue_rotation: _Optional[float] = ..., desaturation_prob: _Optional[float] = ..., desaturation_max: _Optional[float] = ..., resize_param: _Optional[_Union[ResizeParameter, _Mapping]] = ...) -> None: ...

class ClassMapping(_message.Message):
    __slots__ = ("src", "dst")
    SRC_FIELD_NUMBER: _ClassVar[int]
    DST_FIELD_NUMBER: _ClassVar[int]
    src: int
    dst: int
    def __init__(self, src: _Optional[int] = ..., dst: _Optional[int] = ...) -> None: ...

class ReLU6Parameter(_message.Message):
    __slots__ = ("negative_slope", "engine")
    class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DEFAULT: _ClassVar[ReLU6Parameter.Engine]
        CAFFE: _ClassVar[ReLU6Parameter.Engine]
        CUDNN: _ClassVar[ReLU6Parameter.Engine]
    DEFAULT: ReLU6Parameter.Engine
    CAFFE: ReLU6Parameter.Engine
    CUDNN: ReLU6Parameter.Engine
    NEGATIVE_SLOPE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    negative_slope: float
    engine: ReLU6Parameter.Engine
    def __init__(self, negative_slope: _Optional[float] = ..., engine: _Optional[_Union[ReLU6Parameter.Engine, str]] = ...) -> None: ...

class DenseCRFParameter(_message.Message):
    __slots__ = ("max_iter", "pos_w", "pos_xy_std", "bi_w", "bi_xy_std", "bi_rgb_std", "output_probability")
    MAX_ITER_FIELD_NUMBER: _ClassVar[int]
    POS_W_FIELD_NUMBER: _ClassVar[int]
    POS_XY_STD_FIELD_NUMBER: _ClassVar[int]
    BI_W_FIELD_NUMBER: _ClassVar[int]
    BI_XY_STD_FIELD_NUMBER: _ClassVar[int]
    BI_RGB_STD_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    max_iter: int
    pos_w: _containers.RepeatedScalarFieldContainer[float]
    pos_xy_std: _containers.RepeatedScalarFieldContainer[float]
    bi_w: _containers.RepeatedScalarFieldContainer[float]
    bi_xy_std: _containers.RepeatedScalarFieldContainer[float]
    bi_rgb_std: _containers.RepeatedScalarFieldContainer[float]
    output_probability: bool
    def __init__(self, max_iter: _Optional[int] = ..., pos_w: _Optional[_Iterable[float]] = ..., pos_xy_std: _Optional[_Iterable[float]] = ..., bi_w: _Optional[_Iterable[float]] = ..., bi_xy_std: _Optional[_Iterable[float]] = ..., bi_rgb_std: _Optional[_Iterable[float]] = ..., output_probability: bool = ...) -> None: ...

class DomainTransformParameter(_message.Message):
    __slots__ = ("num_iter", "spatial_sigma", "range_sigma", "min_weight")
    NUM_ITER_FIELD_NUMBER: _ClassVar[int]
    SPATIAL_SIGMA_FIELD_NUMBER: _ClassVar[int]
    RANGE_SIGMA_FIELD_NUMBER: _ClassVar[int]
    MIN_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    num_iter: int
    spatial_sigma: float
    range_sigma: float
    min_weight: float
    def __init__(self, num_iter: _Optional[int] = ..., spatial_sigma: _Optional[float] = ..., range_sigma: _Optional[float] = ..., min_weight: _Optional[float] = ...) -> None: ...

class CorrelationParameter(_message.Message):
    __slots__ = ("pad", "kernel_size", "max_displacement", "stride_1", "stride_2", "do_abs", "single_direction", "correlation_type")
    class CorrelationType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MULTIPLY: _ClassVar[CorrelationParameter.CorrelationType]
        SUBTRACT: _ClassVar[CorrelationParameter.CorrelationType]
    MULTIPLY: CorrelationParameter.CorrelationType
    SUBTRACT: CorrelationParameter.CorrelationType
    PAD_FIELD_NUMBER: _ClassVar[int]
    KERNEL_SIZE_FIELD_NUMBER: _ClassVar[int]
    MAX_DISPLACEMENT_FIELD_NUMBER: _ClassVar[int]
    STRIDE_1_FIELD_NUMBER: _ClassVar[int]
    STRIDE_2_FIELD_NUMBER: _ClassVar[int]
    DO_ABS_FIELD_NUMBER: _ClassVar[int]
    SINGLE_DIRECTION_FIELD_NUMBER: _ClassVar[int]
    CORRELATION_TYPE_FIELD_NUMBER: _ClassVar[int]
    pad: int
    kernel_size: int
    max_displacement: int
    stride_1: int
    stride_2: int
    do_abs: bool
    single_direction: int
    correlation_type: CorrelationParameter.CorrelationType
    def __init__(self, pad: _Optional[int] = ..., kernel_size: _Optional[int] = ..., max_displacement: _Optional[int] = ..., stride_1: _Optional[int] = ..., stride_2: _Optional[int] = ..., do_abs: bool = ..., single_direction: _Optional[int] = ..., correlation_type: _Optional[_Union[CorrelationParameter.CorrelationType, str]] = ...) -> None: ...

class ResampleParameter(_message.Message):
    __slots__ = ("width", "height", "type", "antialias", "factor")
    class ResampleType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        NEAREST: _ClassVar[ResampleParameter.ResampleType]
        LINEAR: _ClassVar[ResampleParameter.ResampleType]
        CUBIC: _ClassVar[ResampleParameter.ResampleType]
        AREA: _ClassVar[ResampleParameter.ResampleType]
    NEAREST: ResampleParameter.ResampleType
    LINEAR: ResampleParameter.ResampleType
    CUBIC: ResampleParameter.ResampleType
    AREA: ResampleParameter.ResampleType
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    ANTIALIAS_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    width: int
    height: int
    type: ResampleParameter.ResampleType
    antialias: bool
    factor: float
    def __init__(self, width: _Optional[int] = ..., height: _Optional[int] = ..., type: _Optional[_Union[ResampleParameter.ResampleType, str]] = ..., antialias: bool = ..., factor: _Optional[float] = ...) -> None: ...

class DownsampleParameter(_message.Message):
    __slots__ = ("top_height", "top_width")
    TOP_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    TOP_WIDTH_FIELD_NUMBER: _ClassVar[int]
    top_height: int
    top_width: int
    def __init__(self, top_height: _Optional[int] = ..., top_width: _Optional[int] = ...) -> None: ...

class QuantizationParameter(_message.Message):
    __slots__ = ("precision", "rounding_scheme", "bw_layer_in", "bw_layer_out", "bw_params", "fl_layer_in", "fl_layer_out", "fl_params", "mant_bits", "exp_bits", "exp_min", "exp_max", "scale_in", "scale_out", "scale_params", "is_negative_input")
    class Precision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DYNAMIC_FIXED_POINT: _ClassVar[QuantizationParameter.Precision]
        MINIFLOAT: _ClassVar[QuantizationParameter.Precision]
        INTEGER_POWER_OF_2_WEIGHTS: _ClassVar[QuantizationParameter.Precision]
        MINI_FLOATING_POINT: _ClassVar[QuantizationParameter.Precision]
    DYNAMIC_FIXED_POINT: QuantizationParameter.Precision
    MINIFLOAT: QuantizationParameter.Precision
    INTEGER_POWER_OF_2_WEIGHTS: QuantizationParameter.Precision
    MINI_FLOATING_POINT: QuantizationParameter.Precision
    class Rounding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        NEAREST: _ClassVar[QuantizationParameter.Rounding]
        STOCHASTIC: _ClassVar[QuantizationParameter.Rounding]
    NEAREST: QuantizationParameter.Rounding
    STOCHASTIC: QuantizationParameter.Rounding
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    ROUNDING_SCHEME_FIELD_NUMBER: _ClassVar[int]
    BW_LAYER_IN_FIELD_NUMBER: _ClassVar[int]
    BW_LAYER_OUT_FIELD_NUMBER: _ClassVar[int]
    BW_PARAMS_FIELD_NUMBER: _ClassVar[int]
    FL_LAYER_IN_FIELD_NUMBER: _ClassVar[int]
    FL_LAYER_OUT_FIELD_NUMBER: _ClassVar[int]
    FL_PARAMS_FIELD_NUMBER: _ClassVar[int]
    MANT_BITS_FIELD_NUMBER: _ClassVar[int]
    EXP_BITS_FIELD_NUMBER: _ClassVar[int]
    EXP_MIN_FIELD_NUMBER: _ClassVar[int]
    EXP_MAX_FIELD_NUMBER: _ClassVar[int]
    SCALE_IN_FIELD_NUMBER: _ClassVar[int]
    SCALE_OUT_FIELD_NUMBER: _ClassVar[int]
    SCALE_PARAMS_FIELD_NUMBER: _ClassVar[int]
    IS_NEGATIVE_INPUT_FIELD_NUMBER: _ClassVar[int]
    precision: QuantizationParameter.Precision
    rounding_scheme: QuantizationParameter.Rounding
    bw_layer_in: int
    bw_layer_out: int
    bw_params: int
    fl_layer_in: _containers.RepeatedScalarFieldContainer[int]
    fl_layer_out: _containers.RepeatedScalarFieldContainer[int]
    fl_params: _containers.RepeatedScalarFieldContainer[int]
    mant_bits: int
    exp_bits: int
    exp_min: int
    exp_max: int
    scale_in: _containers.RepeatedScalarFieldContainer[float]
    scale_out: _containers.RepeatedScalarFieldContainer[float]
    scale_params: _containers.RepeatedScalarFieldContainer[float]
    is_negative_input: bool
    def __init__(self, precision: _Optional[_Union[QuantizationParameter.Precision, str]] = ..., rounding_scheme: _Optional[_Union[QuantizationParameter.Rounding, str]] = ..., bw_layer_in: _Optional[int] = ..., bw_layer_out: _Optional[int] = ..., bw_params: _Optional[int] = ..., fl_layer_in: _Optional[_Iterable[int]] = ..., fl_layer_out: _Optional[_Iterable[int]] = ..., fl_params: _Optional[_Iterable[int]] = ..., mant_bits: _Optional[int] = ..., exp_bits: _Optional[int] = ..., exp_min: _Optional[int] = ..., exp_max: _Optional[int] = ..., scale_in: _Optional[_Iterable[float]] = ..., scale_out: _Optional[_Iterable[float]] = ..., scale_params: _Optional[_Iterable[float]] = ..., is_negative_input: bool = ...) -> None: ...

class CPMTransformationParameter(_message.Message):
    __slots__ = ("stride", "max_rotate_degree", "visualize", "crop_size_x", "crop_size_y", "scale_prob", "scale_min", "scale_max", "flip_prob", "target_dist", "center_perterb_max", "sigma", "sigma_center", "do_clahe", "clahe_tile_size", "clahe_clip_limit", "num_parts", "np_in_lmdb", "put_gaussian", "transform_body_joint", "num_total_augs", "aug_way", "gray", "img_header", "bbox_norm_factor", "mirror", "contrast_brightness_adjustment", "smooth_filtering", "min_contrast", "max_contrast", "max_smooth", "max_color_shift", "apply_probability")
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    MAX_ROTATE_DEGREE_FIELD_NUMBER: _ClassVar[int]
    VISUALIZE_FIELD_NUMBER: _ClassVar[int]
    CROP_SIZE_X_FIELD_NUMBER: _ClassVar[int]
    CROP_SIZE_Y_FIELD_NUMBER: _ClassVar[int]
    SCALE_PROB_FIELD_NUMBER: _ClassVar[int]
    SCALE_MIN_FIELD_NUMBER: _ClassVar[int]
    SCALE_MAX_FIELD_NUMBER: _ClassVar[int]
    FLIP_PROB_FIELD_NUMBER: _ClassVar[int]
    TARGET_DIST_FIELD_NUMBER: _ClassVar[int]
    CENTER_PERTERB_MAX_FIELD_NUMBER: _ClassVar[int]
    SIGMA_FIELD_NUMBER: _ClassVar[int]
    SIGMA_CENTER_FIELD_NUMBER: _ClassVar[int]
    DO_CLAHE_FIELD_NUMBER: _ClassVar[int]
    CLAHE_TILE_SIZE_FIELD_NUMBER: _ClassVar[int]
    CLAHE_CLIP_LIMIT_FIELD_NUMBER: _ClassVar[int]
    NUM_PARTS_FIELD_NUMBER: _ClassVar[int]
    NP_IN_LMDB_FIELD_NUMBER: _ClassVar[int]
    PUT_GAUSSIAN_FIELD_NUMBER: _ClassVar[int]
    TRANSFORM_BODY_JOINT_FIELD_NUMBER: _ClassVar[int]
    NUM_TOTAL_AUGS_FIELD_NUMBER: _ClassVar[int]
    AUG_WAY_FIELD_NUMBER: _ClassVar[int]
    GRAY_FIELD_NUMBER: _ClassVar[int]
    IMG_HEADER_FIELD_NUMBER: _ClassVar[int]
    BBOX_NORM_FACTOR_FIELD_NUMBER: _ClassVar[int]
    MIRROR_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_BRIGHTNESS_ADJUSTMENT_FIELD_NUMBER: _ClassVar[int]
    SMOOTH_FILTERING_FIELD_NUMBER: _ClassVar[int]
    MIN_CONTRAST_FIELD_NUMBER: _ClassVar[int]
    MAX_CONTRAST_FIELD_NUMBER: _ClassVar[int]
    MAX_SMOOTH_FIELD_NUMBER: _ClassVar[int]
    MAX_COLOR_SHIFT_FIELD_NUMBER: _ClassVar[int]
    APPLY_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    stride: int
    max_rotate_degree: float
    visualize: bool
    crop_size_x: int
    crop_size_y: int
    scale_prob: float
    scale_min: float
    scale_max: float
    flip_prob: float
    target_dist: float
    center_perterb_max: float
    sigma: float
    sigma_center: float
    do_clahe: bool
    clahe_tile_size: float
    clahe_clip_limit: float
    num_parts: int
    np_in_lmdb: int
    put_gaussian: bool
    transform_body_joint: bool
    num_total_augs: int
    aug_way: str
    gray: int
    img_header: str
    bbox_norm_factor: float
    mirror: bool
    contrast_brightness_adjustment: bool
    smooth_filtering: bool
    min_contrast: float
    max_contrast: float
    max_smooth: float
    max_color_shift: int
    apply_probability: float
    def __init__(self, stride: _Optional[int] = ..., max_rotate_degree: _Optional[float] = ..., visualize: bool = ..., crop_size_x: _Optional[int] = ..., crop_size_y: _Optional[int] = ..., scale_prob: _Optional[float] = ..., scale_min: _Optional[float] = ..., scale_max: _Optional[float] = ..., flip_prob: _Optional[float] = ..., target_dist: _Optional[float] = ..., center_perterb_max: _Optional[float] = ..., sigma: _Optional[float] = ..., sigma_center: _Optional[float] = ..., do_clahe: bool = ..., clahe_tile_size: _Optional[float] = ..., clahe_clip_limit: _Optional[float] = ..., num_parts: _Optional[int] = ..., np_in_lmdb: _Optional[int] = ..., put_gaussian: bool = ..., transform_body_joint: bool = ..., num_total_augs: _Optional[int] = ..., aug_way: _Optional[str] = ..., gray: _Optional[int] = ..., img_header: _Optional[str] = ..., bbox_norm_factor: _Optional[float] = ..., mirror: bool = ..., contrast_brightness_adjustment: bool = ..., smooth_filtering: bool = ..., min_contrast: _Optional[float] = ..., max_contrast: _Optional[float] = ..., max_smooth: _Optional[float] = ..., max_color_shift: _Optional[int] = ..., apply_probability: _Optional[float] = ...) -> None: ...

class AccuracyFields(_message.Message):
    __slots__ = ()
    MIN_IS_BETTER_FIELD_NUMBER: _ClassVar[int]
    min_is_better: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class BatchNormFields(_message.Message):
    __slots__ = ()
    class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DEFAULT: _ClassVar[BatchNormFields.Engine]
        CAFFE: _ClassVar[BatchNormFields.Engine]
        CUDNN: _ClassVar[BatchNormFields.Engine]
        MKL2017: _ClassVar[BatchNormFields.Engine]
        MKLDNN: _ClassVar[BatchNormFields.Engine]
    DEFAULT: BatchNormFields.Engine
    CAFFE: BatchNormFields.Engine
    CUDNN: BatchNormFields.Engine
    MKL2017: BatchNormFields.Engine
    MKLDNN: BatchNormFields.Engine
    BIAS_FILLER_FIELD_NUMBER: _ClassVar[int]
    bias_filler: _descriptor.FieldDescriptor
    BIAS_TERM_FIELD_NUMBER: _ClassVar[int]
    bias_term: _descriptor.FieldDescriptor
    DISABLE_MEAN_FIELD_NUMBER: _ClassVar[int]
    disable_mean: _descriptor.FieldDescriptor
    DISABLE_VARIANCE_FIELD_NUMBER: _ClassVar[int]
    disable_variance: _descriptor.FieldDescriptor
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    engine: _descriptor.FieldDescriptor
    FILLER_FIELD_NUMBER: _ClassVar[int]
    filler: _descriptor.FieldDescriptor
    RELU_FIELD_NUMBER: _ClassVar[int]
    relu: _descriptor.FieldDescriptor
    SCALE_BIAS_FIELD_NUMBER: _ClassVar[int]
    scale_bias: _descriptor.FieldDescriptor
    SCALE_FILLER_FIELD_NUMBER: _ClassVar[int]
    scale_filler: _descriptor.FieldDescriptor
    STATS_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    stats_batch_size: _descriptor.FieldDescriptor
    UPDATE_GLOBAL_STATS_FIELD_NUMBER: _ClassVar[int]
    update_global_stats: _descriptor.FieldDescriptor
    USE_WEIGHT_BIAS_FIELD_NUMBER: _ClassVar[int]
    use_weight_bias: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class ConcatFields(_message.Message):
    __slots__ = ()
    class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DEFAULT: _ClassVar[ConcatFields.Engine]
        CAFFE: _ClassVar[ConcatFields.Engine]
        MKL2017: _ClassVar[ConcatFields.Engine]
        MKLDNN: _ClassVar[ConcatFields.Engine]
    DEFAULT: ConcatFields.Engine
    CAFFE: ConcatFields.Engine
    MKL2017: ConcatFields.Engine
    MKLDNN: ConcatFields.Engine
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    engine: _descriptor.FieldDescriptor
    PER_FLA_FUSE_FIELD_NUMBER: _ClassVar[int]
    per_fla_fuse: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class ConvolutionFields(_message.Message):
    __slots__ = ()
    class CuDNNConvolutionAlgorithmSeeker(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        GET: _ClassVar[ConvolutionFields.CuDNNConvolutionAlgorithmSeeker]
        FINDEX: _ClassVar[ConvolutionFields.CuDNNConvolutionAlgorithmSeeker]
    GET: ConvolutionFields.CuDNNConvolutionAlgorithmSeeker
    FINDEX: ConvolutionFields.CuDNNConvolutionAlgorithmSeeker
    class FusionType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        NONE_FUSION: _ClassVar[ConvolutionFields.FusionType]
        SUM_FUSION: _ClassVar[ConvolutionFields.FusionType]
    NONE_FUSION: ConvolutionFields.FusionType
    SUM_FUSION: ConvolutionFields.FusionType
    class TFPaddingMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SAME: _ClassVar[ConvolutionFields.TFPaddingMethod]
        VALID: _ClassVar[ConvolutionFields.TFPaddingMethod]
    SAME: ConvolutionFields.TFPaddingMethod
    VALID: ConvolutionFields.TFPaddingMethod
    class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MKL2017: _ClassVar[ConvolutionFields.Engine]
        MKLDNN: _ClassVar[ConvolutionFields.Engine]
    MKL2017: ConvolutionFields.Engine
    MKLDNN: ConvolutionFields.Engine
    COEFF_FIELD_NUMBER: _ClassVar[int]
    coeff: _descriptor.FieldDescriptor
    CONV_ALGORITHM_FIELD_NUMBER: _ClassVar[int]
    conv_algorithm: _descriptor.FieldDescriptor
    CONV_ALGOS_OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    conv_algos_override: _descriptor.FieldDescriptor
    CUDNN_CONVOLUTION_ALGO_SEEKER_FIELD_NUMBER: _ClassVar[int]
    cudnn_convolution_algo_seeker: _descriptor.FieldDescriptor
    DILATION_H_FIELD_NUMBER: _ClassVar[int]
    dilation_h: _descriptor.FieldDescriptor
    DILATION_W_FIELD_NUMBER: _ClassVar[int]
    dilation_w: _descriptor.FieldDescriptor
    FILTER_GROUP_FIELD_NUMBER: _ClassVar[int]
    filter_group: _descriptor.FieldDescriptor
    FP16_ACCUMULATION_FIELD_NUMBER: _ClassVar[int]
    fp16_accumulation: _descriptor.FieldDescriptor
    FUSION_TYPE_FIELD_NUMBER: _ClassVar[int]
    fusion_type: _descriptor.FieldDescriptor
    HALF_PAD_FIELD_NUMBER: _ClassVar[int]
    half_pad: _descriptor.FieldDescriptor
    HOLE_FIELD_NUMBER: _ClassVar[int]
    hole: _descriptor.FieldDescriptor
    HOLE_H_FIELD_NUMBER: _ClassVar[int]
    hole_h: _descriptor.FieldDescriptor
    HOLE_W_FIELD_NUMBER: _ClassVar[int]
    hole_w: _descriptor.FieldDescriptor
    KERNEL_DEPTH_FIELD_NUMBER: _ClassVar[int]
    kernel_depth: _descriptor.FieldDescriptor
    NEGATIVE_SLOPE_FIELD_NUMBER: _ClassVar[int]
    negative_slope: _descriptor.FieldDescriptor
    RELU_FIELD_NUMBER: _ClassVar[int]
    relu: _descriptor.FieldDescriptor
    SHAPE_OFFSET_FIELD_NUMBER: _ClassVar[int]
    shape_offset: _descriptor.FieldDescriptor
    TEMPORAL_PAD_FIELD_NUMBER: _ClassVar[int]
    temporal_pad: _descriptor.FieldDescriptor
    TEMPORAL_STRIDE_FIELD_NUMBER: _ClassVar[int]
    temporal_stride: _descriptor.FieldDescriptor
    TF_PAD_FIELD_NUMBER: _ClassVar[int]
    tf_pad: _descriptor.FieldDescriptor
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    engine: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class DataFields(_message.Message):
    __slots__ = ()
    class Backend(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        IMAGEDB: _ClassVar[DataFields.Backend]
    IMAGEDB: DataFields.Backend
    CACHE_FIELD_NUMBER: _ClassVar[int]
    cache: _descriptor.FieldDescriptor
    ENABLE_RANDOM_SELECTION_FIELD_NUMBER: _ClassVar[int]
    enable_random_selection: _descriptor.FieldDescriptor
    PARSER_THREADS_FIELD_NUMBER: _ClassVar[int]
    parser_threads: _descriptor.FieldDescriptor
    PRECACHE_FIELD_NUMBER: _ClassVar[int]
    precache: _descriptor.FieldDescriptor
    SHUFFLE_FIELD_NUMBER: _ClassVar[int]
    shuffle: _descriptor.FieldDescriptor
    SIDE_FIELD_NUMBER: _ClassVar[int]
    side: _descriptor.FieldDescriptor
    THREADS_FIELD_NUMBER: _ClassVar[int]
    threads: _descriptor.FieldDescriptor
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    backend: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class DropoutFields(_message.Message):
    __slots__ = ()
    class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DEFAULT: _ClassVar[DropoutFields.Engine]
        CAFFE: _ClassVar[DropoutFields.Engine]
        CUDNN: _ClassVar[DropoutFields.Engine]
    DEFAULT: DropoutFields.Engine
    CAFFE: DropoutFields.Engine
    CUDNN: DropoutFields.Engine
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    engine: _descriptor.FieldDescriptor
    RANDOM_SEED_FIELD_NUMBER: _ClassVar[int]
    random_seed: _descriptor.FieldDescriptor
    SAMPLE_WEIGHTS_TEST_FIELD_NUMBER: _ClassVar[int]
    sample_weights_test: _descriptor.FieldDescriptor
    SCALE_TRAIN_FIELD_NUMBER: _ClassVar[int]
    scale_train: _descriptor.FieldDescriptor
    SQRT_SCALE_FIELD_NUMBER: _ClassVar[int]
    sqrt_scale: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class ELUFields(_message.Message):
    __slots__ = ()
    LAMBDA_FIELD_NUMBER: _ClassVar[int]
    lambda: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class EltwiseFields(_message.Message):
    __slots__ = ()
    class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DEFAULT: _ClassVar[EltwiseFields.Engine]
        CAFFE: _ClassVar[EltwiseFields.Engine]
        MKL2017: _ClassVar[EltwiseFields.Engine]
        MKLDNN: _ClassVar[EltwiseFields.Engine]
    DEFAULT: EltwiseFields.Engine
    CAFFE: EltwiseFields.Engine
    MKL2017: EltwiseFields.Engine
    MKLDNN: EltwiseFields.Engine
    class Operation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SORT: _ClassVar[EltwiseFields.Operation]
        STOCHASTIC_SUM: _ClassVar[EltwiseFields.Operation]
    SORT: EltwiseFields.Operation
    STOCHASTIC_SUM: EltwiseFields.Operation
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    engine: _descriptor.FieldDescriptor
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class FillerFields(_message.Message):
    __slots__ = ()
    ALPHA_FIELD_NUMBER: _ClassVar[int]
    alpha: _descriptor.FieldDescriptor
    SCALE_FIELD_NUMBER: _ClassVar[int]
    scale: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class HDF5DataFields(_message.Message):
    __slots__ = ()
    DEBUG_FIELD_NUMBER: _ClassVar[int]
    debug: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class ImageDataFields(_message.Message):
    __slots__ = ()
    class LabelType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        NONE: _ClassVar[ImageDataFields.LabelType]
        IMAGE: _ClassVar[ImageDataFields.LabelType]
        PIXEL: _ClassVar[ImageDataFields.LabelType]
    NONE: ImageDataFields.LabelType
    IMAGE: ImageDataFields.LabelType
    PIXEL: ImageDataFields.LabelType
    BALANCE_BY_FIELD_NUMBER: _ClassVar[int]
    balance_by: _descriptor.FieldDescriptor
    BALANCE_CLASS_FIELD_NUMBER: _ClassVar[int]
    balance_class: _descriptor.FieldDescriptor
    CACHE_FIELD_NUMBER: _ClassVar[int]
    cache: _descriptor.FieldDescriptor
    DATASET_SHARE_PER_NODE_FIELD_NUMBER: _ClassVar[int]
    dataset_share_per_node: _descriptor.FieldDescriptor
    FACE_MIRROR_FIELD_NUMBER: _ClassVar[int]
    face_mirror: _descriptor.FieldDescriptor
    FACE_POINT_NUM_FIELD_NUMBER: _ClassVar[int]
    face_point_num: _descriptor.FieldDescriptor
    FACE_TRANSFORM_FIELD_NUMBER: _ClassVar[int]
    face_transform: _descriptor.FieldDescriptor
    HAS_LABEL_FIELD_NUMBER: _ClassVar[int]
    has_label: _descriptor.FieldDescriptor
    IGNORE_LABEL_FIELD_NUMBER: _ClassVar[int]
    ignore_label: _descriptor.FieldDescriptor
    LABEL_CUT_END_FIELD_NUMBER: _ClassVar[int]
    label_cut_end: _descriptor.FieldDescriptor
    LABEL_CUT_START_FIELD_NUMBER: _ClassVar[int]
    label_cut_start: _descriptor.FieldDescriptor
    LABEL_TYPE_FIELD_NUMBER: _ClassVar[int]
    label_type: _descriptor.FieldDescriptor
    MAX_ASPECT_RATIO_FIELD_NUMBER: _ClassVar[int]
    max_aspect_ratio: _descriptor.FieldDescriptor
    MAX_LABELS_FIELD_NUMBER: _ClassVar[int]
    max_labels: _descriptor.FieldDescriptor
    MAX_RANDOM_SCALE_FIELD_NUMBER: _ClassVar[int]
    max_random_scale: _descriptor.FieldDescriptor
    MAX_RANDOM_SHIFT_FIELD_NUMBER: _ClassVar[int]
    max_random_shift: _descriptor.FieldDescriptor
    MAX_ROTATE_ANGLE_FIELD_NUMBER: _ClassVar[int]
    max_rotate_angle: _descriptor.FieldDescriptor
    MAX_SHEAR_RATIO_FIELD_NUMBER: _ClassVar[int]
    max_shear_ratio: _descriptor.FieldDescriptor
    MIN_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    min_height: _descriptor.FieldDescriptor
    MIN_RANDOM_SCALE_FIELD_NUMBER: _ClassVar[int]
    min_random_scale: _descriptor.FieldDescriptor
    MIN_WIDTH_FIELD_NUMBER: _ClassVar[int]
    min_width: _descriptor.FieldDescriptor
    NEW_LENGTH_FIELD_NUMBER: _ClassVar[int]
    new_length: _descriptor.FieldDescriptor
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    normalize: _descriptor.FieldDescriptor
    OTHER_OBJECT_LABEL_FIELD_NUMBER: _ClassVar[int]
    other_object_label: _descriptor.FieldDescriptor
    PRECACHE_FIELD_NUMBER: _ClassVar[int]
    precache: _descriptor.FieldDescriptor
    SAMPLING_RATE_FIELD_NUMBER: _ClassVar[int]
    sampling_rate: _descriptor.FieldDescriptor
    SHORT_SIDE_FIELD_NUMBER: _ClassVar[int]
    short_side: _descriptor.FieldDescriptor
    SHOW_DATA_FIELD_NUMBER: _ClassVar[int]
    show_data: _descriptor.FieldDescriptor
    THREADS_FIELD_NUMBER: _ClassVar[int]
    threads: _descriptor.FieldDescriptor
    USE_IMAGE_FIELD_NUMBER: _ClassVar[int]
    use_image: _descriptor.FieldDescriptor
    USE_LABEL_FIELD_NUMBER: _ClassVar[int]
    use_label: _descriptor.FieldDescriptor
    USE_TEMPORAL_JITTER_FIELD_NUMBER: _ClassVar[int]
    use_temporal_jitter: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class InnerProductFields(_message.Message):
    __slots__ = ()
    class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DEFAULT: _ClassVar[InnerProductFields.Engine]
        CAFFE: _ClassVar[InnerProductFields.Engine]
        CUDNN: _ClassVar[InnerProductFields.Engine]
        MKLDNN: _ClassVar[InnerProductFields.Engine]
    DEFAULT: InnerProductFields.Engine
    CAFFE: InnerProductFields.Engine
    CUDNN: InnerProductFields.Engine
    MKLDNN: InnerProductFields.Engine
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    engine: _descriptor.FieldDescriptor
    MIN_TOP_AXES_FIELD_NUMBER: _ClassVar[int]
    min_top_axes: _descriptor.FieldDescriptor
    NEGATIVE_SLOPE_FIELD_NUMBER: _ClassVar[int]
    negative_slope: _descriptor.FieldDescriptor
    NORMALIZE_FIELD_NUMBER: _ClassVar[int]
    normalize: _descriptor.FieldDescriptor
    RELU_FIELD_NUMBER: _ClassVar[int]
    relu: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class LRNFields(_message.Message):
    __slots__ = ()
    class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MKL2017: _ClassVar[LRNFields.Engine]
        MKLDNN: _ClassVar[LRNFields.Engine]
    MKL2017: LRNFields.Engine
    MKLDNN: LRNFields.Engine
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    engine: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class LayerFields(_message.Message):
    __slots__ = ()
    ANNOTATED_DATA_PARAM_FIELD_NUMBER: _ClassVar[int]
    annotated_data_param: _descriptor.FieldDescriptor
    BACKWARD_MATH_FIELD_NUMBER: _ClassVar[int]
    backward_math: _descriptor.FieldDescriptor
    BACKWARD_TYPE_FIELD_NUMBER: _ClassVar[int]
    backward_type: _descriptor.FieldDescriptor
    BATCH_REDUCTION_PARAM_FIELD_NUMBER: _ClassVar[int]
    batch_reduction_param: _descriptor.FieldDescriptor
    BN_PARAM_FIELD_NUMBER: _ClassVar[int]
    bn_param: _descriptor.FieldDescriptor
    BOX_ANNOTATOR_OHEM_PARAM_FIELD_NUMBER: _ClassVar[int]
    box_annotator_ohem_param: _descriptor.FieldDescriptor
    CENTER_LOSS_PARAM_FIELD_NUMBER: _ClassVar[int]
    center_loss_param: _descriptor.FieldDescriptor
    CHANNEL_SCALE_PARAM_FIELD_NUMBER: _ClassVar[int]
    channel_scale_param: _descriptor.FieldDescriptor
    CONTINUATION_INDICATOR_PARAM_FIELD_NUMBER: _ClassVar[int]
    continuation_indicator_param: _descriptor.FieldDescriptor
    CTC_DECODER_PARAM_FIELD_NUMBER: _ClassVar[int]
    ctc_decoder_param: _descriptor.FieldDescriptor
    CTC_LOSS_PARAM_FIELD_NUMBER: _ClassVar[int]
    ctc_loss_param: _descriptor.FieldDescriptor
    CUDNN_MATH_OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    cudnn_math_override: _descriptor.FieldDescriptor
    DEBUG_FIELD_NUMBER: _ClassVar[int]
    debug: _descriptor.FieldDescriptor
    DENSE_IMAGE_DATA_PARAM_FIELD_NUMBER: _ClassVar[int]
    dense_image_data_param: _descriptor.FieldDescriptor
    DETECTION_EVALUATE_PARAM_FIELD_NUMBER: _ClassVar[int]
    detection_evaluate_param: _descriptor.FieldDescriptor
    DETECTION_OUTPUT_PARAM_FIELD_NUMBER: _ClassVar[int]
    detection_output_param: _descriptor.FieldDescriptor
    DETECTNET_AUGMENTATION_PARAM_FIELD_NUMBER: _ClassVar[int]
    detectnet_augmentation_param: _descriptor.FieldDescriptor
    DETECTNET_GROUNDTRUTH_PARAM_FIELD_NUMBER: _ClassVar[int]
    detectnet_groundtruth_param: _descriptor.FieldDescriptor
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    engine: _descriptor.FieldDescriptor
    EVAL_DETECTION_PARAM_FIELD_NUMBER: _ClassVar[int]
    eval_detection_param: _descriptor.FieldDescriptor
    FLIP_PARAM_FIELD_NUMBER: _ClassVar[int]
    flip_param: _descriptor.FieldDescriptor
    FOCAL_LOSS_PARAM_FIELD_NUMBER: _ClassVar[int]
    focal_loss_param: _descriptor.FieldDescriptor
    FORWARD_MATH_FIELD_NUMBER: _ClassVar[int]
    forward_math: _descriptor.FieldDescriptor
    FORWARD_TYPE_FIELD_NUMBER: _ClassVar[int]
    forward_type: _descriptor.FieldDescriptor
    IMRESIZE_PARAM_FIELD_NUMBER: _ClassVar[int]
    imresize_param: _descriptor.FieldDescriptor
    INTERP_PARAM_FIELD_NUMBER: _ClassVar[int]
    interp_param: _descriptor.FieldDescriptor
    LABELSEQUENCE_ACCURACY_PARAM_FIELD_NUMBER: _ClassVar[int]
    labelsequence_accuracy_param: _descriptor.FieldDescriptor
    LARGEMARGIN_INNER_PRODUCT_PARAM_FIELD_NUMBER: _ClassVar[int]
    largemargin_inner_product_param: _descriptor.FieldDescriptor
    LOCAL_PARAM_FIELD_NUMBER: _ClassVar[int]
    local_param: _descriptor.FieldDescriptor
    LSTM_PARAM_FIELD_NUMBER: _ClassVar[int]
    lstm_param: _descriptor.FieldDescriptor
    MARGIN_INNER_PRODUCT_PARAM_FIELD_NUMBER: _ClassVar[int]
    margin_inner_product_param: _descriptor.FieldDescriptor
    MAT_READ_PARAM_FIELD_NUMBER: _ClassVar[int]
    mat_read_param: _descriptor.FieldDescriptor
    MAT_WRITE_PARAM_FIELD_NUMBER: _ClassVar[int]
    mat_write_param: _descriptor.FieldDescriptor
    MULTI_STAGE_MEANFIELD_PARAM_FIELD_NUMBER: _ClassVar[int]
    multi_stage_meanfield_param: _descriptor.FieldDescriptor
    MULTIBOX_LOSS_PARAM_FIELD_NUMBER: _ClassVar[int]
    multibox_loss_param: _descriptor.FieldDescriptor
    NMS_PARAM_FIELD_NUMBER: _ClassVar[int]
    nms_param: _descriptor.FieldDescriptor
    NOISE_PARAM_FIELD_NUMBER: _ClassVar[int]
    noise_param: _descriptor.FieldDescriptor
    NORM_PARAM_FIELD_NUMBER: _ClassVar[int]
    norm_param: _descriptor.FieldDescriptor
    NORMALIZE_PARAM_FIELD_NUMBER: _ClassVar[int]
    normalize_param: _descriptor.FieldDescriptor
    PERMUTE_PARAM_FIELD_NUMBER: _ClassVar[int]
    permute_param: _descriptor.FieldDescriptor
    PRIOR_BOX_PARAM_FIELD_NUMBER: _ClassVar[int]
    prior_box_param: _descriptor.FieldDescriptor
    PROPOSAL_PARAM_FIELD_NUMBER: _ClassVar[int]
    proposal_param: _descriptor.FieldDescriptor
    PSROI_POOLING_PARAM_FIELD_NUMBER: _ClassVar[int]
    psroi_pooling_param: _descriptor.FieldDescriptor
    REGION_LOSS_PARAM_FIELD_NUMBER: _ClassVar[int]
    region_loss_param: _descriptor.FieldDescriptor
    RELU6_PARAM_FIELD_NUMBER: _ClassVar[int]
    relu6_param: _descriptor.FieldDescriptor
    REORG_PARAM_FIELD_NUMBER: _ClassVar[int]
    reorg_param: _descriptor.FieldDescriptor
    RESIZE_PARAM_FIELD_NUMBER: _ClassVar[int]
    resize_param: _descriptor.FieldDescriptor
    REVERSE_PARAM_FIELD_NUMBER: _ClassVar[int]
    reverse_param: _descriptor.FieldDescriptor
    ROI_POOLING_PARAM_FIELD_NUMBER: _ClassVar[int]
    roi_pooling_param: _descriptor.FieldDescriptor
    SEG_ACCURACY_PARAM_FIELD_NUMBER: _ClassVar[int]
    seg_accuracy_param: _descriptor.FieldDescriptor
    SEGMENTATION_EVALUATE_PARAM_FIELD_NUMBER: _ClassVar[int]
    segmentation_evaluate_param: _descriptor.FieldDescriptor
    SHUFFLE_CHANNEL_PARAM_FIELD_NUMBER: _ClassVar[int]
    shuffle_channel_param: _descriptor.FieldDescriptor
    SMOOTH_L1_LOSS_PARAM_FIELD_NUMBER: _ClassVar[int]
    smooth_l1_loss_param: _descriptor.FieldDescriptor
    SMOOTHL1_PARAM_FIELD_NUMBER: _ClassVar[int]
    smoothl1_param: _descriptor.FieldDescriptor
    SPATIAL_DROPOUT_PARAM_FIELD_NUMBER: _ClassVar[int]
    spatial_dropout_param: _descriptor.FieldDescriptor
    SPLIT_PARAM_FIELD_NUMBER: _ClassVar[int]
    split_param: _descriptor.FieldDescriptor
    TRANSPOSE_PARAM_FIELD_NUMBER: _ClassVar[int]
    transpose_param: _descriptor.FieldDescriptor
    TRIPLET_LOSS_PARAM_FIELD_NUMBER: _ClassVar[int]
    triplet_loss_param: _descriptor.FieldDescriptor
    UNPOOLING_PARAM_FIELD_NUMBER: _ClassVar[int]
    unpooling_param: _descriptor.FieldDescriptor
    UPSAMPLE_PARAM_FIELD_NUMBER: _ClassVar[int]
    upsample_param: _descriptor.FieldDescriptor
    VIDEO_DATA_PARAM_FIELD_NUMBER: _ClassVar[int]
    video_data_param: _descriptor.FieldDescriptor
    YOLO_DETECTION_OUTPUT_PARAM_FIELD_NUMBER: _ClassVar[int]
    yolo_detection_output_param: _descriptor.FieldDescriptor
    YOLO_SEG_PARAM_FIELD_NUMBER: _ClassVar[int]
    yolo_seg_param: _descriptor.FieldDescriptor
    YOLOV3_DETECTION_OUTPUT_PARAM_FIELD_NUMBER: _ClassVar[int]
    yolov3_detection_output_param: _descriptor.FieldDescriptor
    YOLOV3_PARAM_FIELD_NUMBER: _ClassVar[int]
    yolov3_param: _descriptor.FieldDescriptor
    DENSE_CRF_PARAM_FIELD_NUMBER: _ClassVar[int]
    dense_crf_param: _descriptor.FieldDescriptor
    DOMAIN_TRANSFORM_PARAM_FIELD_NUMBER: _ClassVar[int]
    domain_transform_param: _descriptor.FieldDescriptor
    CORRELATION_PARAM_FIELD_NUMBER: _ClassVar[int]
    correlation_param: _descriptor.FieldDescriptor
    RESAMPLE_PARAM_FIELD_NUMBER: _ClassVar[int]
    resample_param: _descriptor.FieldDescriptor
    DOWNSAMPLE_PARAM_FIELD_NUMBER: _ClassVar[int]
    downsample_param: _descriptor.FieldDescriptor
    QUANTIZATION_PARAM_FIELD_NUMBER: _ClassVar[int]
    quantization_param: _descriptor.FieldDescriptor
    CPM_TRANSFORM_PARAM_FIELD_NUMBER: _ClassVar[int]
    cpm_transform_param: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class LossFields(_message.Message):
    __slots__ = ()
    class Normalization(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        PRE_FIXED: _ClassVar[LossFields.Normalization]
    PRE_FIXED: LossFields.Normalization
    CLASS_WEIGHT_SOURCE_FIELD_NUMBER: _ClassVar[int]
    class_weight_source: _descriptor.FieldDescriptor
    CLASS_WEIGHTING_FIELD_NUMBER: _ClassVar[int]
    class_weighting: _descriptor.FieldDescriptor
    LABEL_SMOOTHING_FIELD_NUMBER: _ClassVar[int]
    label_smoothing: _descriptor.FieldDescriptor
    PRE_FIXED_NORMALIZER_FIELD_NUMBER: _ClassVar[int]
    pre_fixed_normalizer: _descriptor.FieldDescriptor
    WEIGHT_BY_LABEL_FREQS_FIELD_NUMBER: _ClassVar[int]
    weight_by_label_freqs: _descriptor.FieldDescriptor
    NORMALIZATION_FIELD_NUMBER: _ClassVar[int]
    normalization: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class MemoryDataFields(_message.Message):
    __slots__ = ()
    LABEL_CHANNELS_FIELD_NUMBER: _ClassVar[int]
    label_channels: _descriptor.FieldDescriptor
    LABEL_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    label_height: _descriptor.FieldDescriptor
    LABEL_TYPE_FIELD_NUMBER: _ClassVar[int]
    label_type: _descriptor.FieldDescriptor
    LABEL_WIDTH_FIELD_NUMBER: _ClassVar[int]
    label_width: _descriptor.FieldDescriptor
    TRANSPOSE_FIELD_NUMBER: _ClassVar[int]
    transpose: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class NetFields(_message.Message):
    __slots__ = ()
    BN_STATS_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    bn_stats_batch_size: _descriptor.FieldDescriptor
    DEFAULT_BACKWARD_MATH_FIELD_NUMBER: _ClassVar[int]
    default_backward_math: _descriptor.FieldDescriptor
    DEFAULT_BACKWARD_TYPE_FIELD_NUMBER: _ClassVar[int]
    default_backward_type: _descriptor.FieldDescriptor
    DEFAULT_CONV_ALGOS_OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    default_conv_algos_override: _descriptor.FieldDescriptor
    DEFAULT_CUDNN_MATH_OVERRIDE_FIELD_NUMBER: _ClassVar[int]
    default_cudnn_math_override: _descriptor.FieldDescriptor
    DEFAULT_FORWARD_MATH_FIELD_NUMBER: _ClassVar[int]
    default_forward_math: _descriptor.FieldDescriptor
    DEFAULT_FORWARD_TYPE_FIELD_NUMBER: _ClassVar[int]
    default_forward_type: _descriptor.FieldDescriptor
    ELTWISE_MEM_SHARING_FIELD_NUMBER: _ClassVar[int]
    eltwise_mem_sharing: _descriptor.FieldDescriptor
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    engine: _descriptor.FieldDescriptor
    GLOBAL_GRAD_SCALE_FIELD_NUMBER: _ClassVar[int]
    global_grad_scale: _descriptor.FieldDescriptor
    GLOBAL_GRAD_SCALE_ADAPTIVE_FIELD_NUMBER: _ClassVar[int]
    global_grad_scale_adaptive: _descriptor.FieldDescriptor
    REDUCE_BUCKETS_FIELD_NUMBER: _ClassVar[int]
    reduce_buckets: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class NetStateRuleFields(_message.Message):
    __slots__ = ()
    class Phase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        RUN: _ClassVar[NetStateRuleFields.Phase]
    RUN: NetStateRuleFields.Phase
    PHASE_FIELD_NUMBER: _ClassVar[int]
    phase: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class ParameterFields(_message.Message):
    __slots__ = ()
    BLOB_FILLER_FIELD_NUMBER: _ClassVar[int]
    blob_filler: _descriptor.FieldDescriptor
    FILLER_FIELD_NUMBER: _ClassVar[int]
    filler: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class ParamSpecFields(_message.Message):
    __slots__ = ()
    FORCE_MULT_FIELD_NUMBER: _ClassVar[int]
    force_mult: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class PoolingFields(_message.Message):
    __slots__ = ()
    class Method(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DEF: _ClassVar[PoolingFields.Method]
        DEF_ALL: _ClassVar[PoolingFields.Method]
        DEF_ALL2: _ClassVar[PoolingFields.Method]
        DEF_ALL3: _ClassVar[PoolingFields.Method]
        DEF_ALL4: _ClassVar[PoolingFields.Method]
        LOWRES: _ClassVar[PoolingFields.Method]
    DEF: PoolingFields.Method
    DEF_ALL: PoolingFields.Method
    DEF_ALL2: PoolingFields.Method
    DEF_ALL3: PoolingFields.Method
    DEF_ALL4: PoolingFields.Method
    LOWRES: PoolingFields.Method
    class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MKL2017: _ClassVar[PoolingFields.Engine]
        MKLDNN: _ClassVar[PoolingFields.Engine]
    MKL2017: PoolingFields.Engine
    MKLDNN: PoolingFields.Engine
    AVG_INCLUDE_PAD_FIELD_NUMBER: _ClassVar[int]
    avg_include_pad: _descriptor.FieldDescriptor
    AXIS_FIELD_NUMBER: _ClassVar[int]
    axis: _descriptor.FieldDescriptor
    BLOBS_A_MIN_FIELD_NUMBER: _ClassVar[int]
    blobs_a_min: _descriptor.FieldDescriptor
    BLOBS_LR_FIELD_NUMBER: _ClassVar[int]
    blobs_lr: _descriptor.FieldDescriptor
    CEIL_MODE_FIELD_NUMBER: _ClassVar[int]
    ceil_mode: _descriptor.FieldDescriptor
    KERNEL_DEPTH_FIELD_NUMBER: _ClassVar[int]
    kernel_depth: _descriptor.FieldDescriptor
    KERNEL_SIZE_3D_FIELD_NUMBER: _ClassVar[int]
    kernel_size_3d: _descriptor.FieldDescriptor
    PAD_3D_FIELD_NUMBER: _ClassVar[int]
    pad_3d: _descriptor.FieldDescriptor
    PAD_L_FIELD_NUMBER: _ClassVar[int]
    pad_l: _descriptor.FieldDescriptor
    PAD_R_FIELD_NUMBER: _ClassVar[int]
    pad_r: _descriptor.FieldDescriptor
    PAD_TYPE_FIELD_NUMBER: _ClassVar[int]
    pad_type: _descriptor.FieldDescriptor
    STRIDE_3D_FIELD_NUMBER: _ClassVar[int]
    stride_3d: _descriptor.FieldDescriptor
    TEMPORAL_STRIDE_FIELD_NUMBER: _ClassVar[int]
    temporal_stride: _descriptor.FieldDescriptor
    TORCH_POOLING_FIELD_NUMBER: _ClassVar[int]
    torch_pooling: _descriptor.FieldDescriptor
    POOL_FIELD_NUMBER: _ClassVar[int]
    pool: _descriptor.FieldDescriptor
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    engine: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class ReLUFields(_message.Message):
    __slots__ = ()
    class Engine(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MKL2017: _ClassVar[ReLUFields.Engine]
        MKLDNN: _ClassVar[ReLUFields.Engine]
    MKL2017: ReLUFields.Engine
    MKLDNN: ReLUFields.Engine
    FUSE_FIELD_NUMBER: _ClassVar[int]
    fuse: _descriptor.FieldDescriptor
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    engine: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class ReductionFields(_message.Message):
    __slots__ = ()
    class Operation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TOPK: _ClassVar[ReductionFields.Operation]
    TOPK: ReductionFields.Operation
    K_FIELD_NUMBER: _ClassVar[int]
    k: _descriptor.FieldDescriptor
    OPERATION_FIELD_NUMBER: _ClassVar[int]
    operation: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class ReshapeFields(_message.Message):
    __slots__ = ()
    PIXELSHUFFLER_FIELD_NUMBER: _ClassVar[int]
    pixelshuffler: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class ScaleFields(_message.Message):
    __slots__ = ()
    MAX_VALUE_FIELD_NUMBER: _ClassVar[int]
    max_value: _descriptor.FieldDescriptor
    MIN_VALUE_FIELD_NUMBER: _ClassVar[int]
    min_value: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class SoftmaxFields(_message.Message):
    __slots__ = ()
    CLASS_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    class_weight: _descriptor.FieldDescriptor
    CUTTING_POINT_FIELD_NUMBER: _ClassVar[int]
    cutting_point: _descriptor.FieldDescriptor
    HARD_MINING_LABEL_FIELD_NUMBER: _ClassVar[int]
    hard_mining_label: _descriptor.FieldDescriptor
    HARD_RATIO_FIELD_NUMBER: _ClassVar[int]
    hard_ratio: _descriptor.FieldDescriptor
    LABEL_SMOOTH_FACTOR_FIELD_NUMBER: _ClassVar[int]
    label_smooth_factor: _descriptor.FieldDescriptor
    NORMALIZE_TYPE_FIELD_NUMBER: _ClassVar[int]
    normalize_type: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class SolverFields(_message.Message):
    __slots__ = ()
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SAG: _ClassVar[SolverFields.Type]
    SAG: SolverFields.Type
    ACCURACY_AVERAGE_WINDOW_FIELD_NUMBER: _ClassVar[int]
    accuracy_average_window: _descriptor.FieldDescriptor
    ADAMW_DECAY_FIELD_NUMBER: _ClassVar[int]
    adamw_decay: _descriptor.FieldDescriptor
    AP_VERSION_FIELD_NUMBER: _ClassVar[int]
    ap_version: _descriptor.FieldDescriptor
    CLAMP_WEIGHTS_LOWER_FIELD_NUMBER: _ClassVar[int]
    clamp_weights_lower: _descriptor.FieldDescriptor
    CLAMP_WEIGHTS_UPPER_FIELD_NUMBER: _ClassVar[int]
    clamp_weights_upper: _descriptor.FieldDescriptor
    CLIP_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    clip_weights: _descriptor.FieldDescriptor
    DISABLED_UPDATE_FIELD_NUMBER: _ClassVar[int]
    disabled_update: _descriptor.FieldDescriptor
    ENABLE_CLIP_GRADIENT_STATUS_FIELD_NUMBER: _ClassVar[int]
    enable_clip_gradient_status: _descriptor.FieldDescriptor
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    engine: _descriptor.FieldDescriptor
    EVAL_TYPE_FIELD_NUMBER: _ClassVar[int]
    eval_type: _descriptor.FieldDescriptor
    FORCE_ITER_FIELD_NUMBER: _ClassVar[int]
    force_iter: _descriptor.FieldDescriptor
    GROUP_ID_FIELD_NUMBER: _ClassVar[int]
    group_id: _descriptor.FieldDescriptor
    LARC_FIELD_NUMBER: _ClassVar[int]
    larc: _descriptor.FieldDescriptor
    LARC_ETA_FIELD_NUMBER: _ClassVar[int]
    larc_eta: _descriptor.FieldDescriptor
    LARC_POLICY_FIELD_NUMBER: _ClassVar[int]
    larc_policy: _descriptor.FieldDescriptor
    LARC_TURBO_FIELD_NUMBER: _ClassVar[int]
    larc_turbo: _descriptor.FieldDescriptor
    LOCAL_GW_RATIO_FIELD_NUMBER: _ClassVar[int]
    local_gw_ratio: _descriptor.FieldDescriptor
    LOCAL_LR_AUTO_FIELD_NUMBER: _ClassVar[int]
    local_lr_auto: _descriptor.FieldDescriptor
    MAX_MOMENTUM_FIELD_NUMBER: _ClassVar[int]
    max_momentum: _descriptor.FieldDescriptor
    MAX_WEIGHT_DECAY_FIELD_NUMBER: _ClassVar[int]
    max_weight_decay: _descriptor.FieldDescriptor
    MIN_LR_FIELD_NUMBER: _ClassVar[int]
    min_lr: _descriptor.FieldDescriptor
    MOMENTUM_POLICY_FIELD_NUMBER: _ClassVar[int]
    momentum_policy: _descriptor.FieldDescriptor
    MOMENTUM_POWER_FIELD_NUMBER: _ClassVar[int]
    momentum_power: _descriptor.FieldDescriptor
    OUTPUT_AVERAGE_RESULTS_FIELD_NUMBER: _ClassVar[int]
    output_average_results: _descriptor.FieldDescriptor
    PLATEAU_WINSIZE_FIELD_NUMBER: _ClassVar[int]
    plateau_winsize: _descriptor.FieldDescriptor
    RAMPUP_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    rampup_interval: _descriptor.FieldDescriptor
    RAMPUP_LR_FIELD_NUMBER: _ClassVar[int]
    rampup_lr: _descriptor.FieldDescriptor
    RICHNESS_FIELD_NUMBER: _ClassVar[int]
    richness: _descriptor.FieldDescriptor
    SHOW_PER_CLASS_RESULT_FIELD_NUMBER: _ClassVar[int]
    show_per_class_result: _descriptor.FieldDescriptor
    SNAPSHOT_INCLUDE_STATE_FIELD_NUMBER: _ClassVar[int]
    snapshot_include_state: _descriptor.FieldDescriptor
    SNAPSHOT_INCLUDE_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    snapshot_include_weights: _descriptor.FieldDescriptor
    SOLVER_DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    solver_data_type: _descriptor.FieldDescriptor
    STAGEITER_FIELD_NUMBER: _ClassVar[int]
    stageiter: _descriptor.FieldDescriptor
    STAGELR_FIELD_NUMBER: _ClassVar[int]
    stagelr: _descriptor.FieldDescriptor
    STEPEARLY_FIELD_NUMBER: _ClassVar[int]
    stepearly: _descriptor.FieldDescriptor
    STORE_BLOBS_IN_OLD_FORMAT_FIELD_NUMBER: _ClassVar[int]
    store_blobs_in_old_format: _descriptor.FieldDescriptor
    TEST_AND_SNAPSHOT_LAST_EPOCHS_FIELD_NUMBER: _ClassVar[int]
    test_and_snapshot_last_epochs: _descriptor.FieldDescriptor
    TEST_OFFSET_FIELD_NUMBER: _ClassVar[int]
    test_offset: _descriptor.FieldDescriptor
    WARMUP_ITER_FIELD_NUMBER: _ClassVar[int]
    warmup_iter: _descriptor.FieldDescriptor
    WARMUP_START_LR_FIELD_NUMBER: _ClassVar[int]
    warmup_start_lr: _descriptor.FieldDescriptor
    WEIGHT_DECAY_POLICY_FIELD_NUMBER: _ClassVar[int]
    weight_decay_policy: _descriptor.FieldDescriptor
    WEIGHT_DECAY_POWER_FIELD_NUMBER: _ClassVar[int]
    weight_decay_power: _descriptor.FieldDescriptor
    SOLVER_TYPE_FIELD_NUMBER: _ClassVar[int]
    solver_type: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class TransformationFields(_message.Message):
    __slots__ = ()
    class InterpolationAlgo(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        INTER_NEAREST: _ClassVar[TransformationFields.InterpolationAlgo]
        INTER_LINEAR: _ClassVar[TransformationFields.InterpolationAlgo]
        INTER_CUBIC: _ClassVar[TransformationFields.InterpolationAlgo]
        INTER_AREA: _ClassVar[TransformationFields.InterpolationAlgo]
    INTER_NEAREST: TransformationFields.InterpolationAlgo
    INTER_LINEAR: TransformationFields.InterpolationAlgo
    INTER_CUBIC: TransformationFields.InterpolationAlgo
    INTER_AREA: TransformationFields.InterpolationAlgo
    ALLOW_UPSCALE_FIELD_NUMBER: _ClassVar[int]
    allow_upscale: _descriptor.FieldDescriptor
    APPLY_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    apply_probability: _descriptor.FieldDescriptor
    ASPECT_MAX_FIELD_NUMBER: _ClassVar[int]
    aspect_max: _descriptor.FieldDescriptor
    ASPECT_MIN_FIELD_NUMBER: _ClassVar[int]
    aspect_min: _descriptor.FieldDescriptor
    AUG_WAY_FIELD_NUMBER: _ClassVar[int]
    aug_way: _descriptor.FieldDescriptor
    BBOX_NORM_FACTOR_FIELD_NUMBER: _ClassVar[int]
    bbox_norm_factor: _descriptor.FieldDescriptor
    BGR2RGB_FIELD_NUMBER: _ClassVar[int]
    bgr2rgb: _descriptor.FieldDescriptor
    CENTER_CROP_FIELD_NUMBER: _ClassVar[int]
    center_crop: _descriptor.FieldDescriptor
    CENTER_PERTERB_MAX_FIELD_NUMBER: _ClassVar[int]
    center_perterb_max: _descriptor.FieldDescriptor
    CLAHE_CLIP_LIMIT_FIELD_NUMBER: _ClassVar[int]
    clahe_clip_limit: _descriptor.FieldDescriptor
    CLAHE_TILE_SIZE_FIELD_NUMBER: _ClassVar[int]
    clahe_tile_size: _descriptor.FieldDescriptor
    COLOR_ORDER_FIELD_NUMBER: _ClassVar[int]
    color_order: _descriptor.FieldDescriptor
    CONTRAST_BRIGHTNESS_ADJUSTMENT_FIELD_NUMBER: _ClassVar[int]
    contrast_brightness_adjustment: _descriptor.FieldDescriptor
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    coverage: _descriptor.FieldDescriptor
    CROP_H_FIELD_NUMBER: _ClassVar[int]
    crop_h: _descriptor.FieldDescriptor
    CROP_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    crop_height: _descriptor.FieldDescriptor
    CROP_SIZE_X_FIELD_NUMBER: _ClassVar[int]
    crop_size_x: _descriptor.FieldDescriptor
    CROP_SIZE_Y_FIELD_NUMBER: _ClassVar[int]
    crop_size_y: _descriptor.FieldDescriptor
    CROP_W_FIELD_NUMBER: _ClassVar[int]
    crop_w: _descriptor.FieldDescriptor
    CROP_WIDTH_FIELD_NUMBER: _ClassVar[int]
    crop_width: _descriptor.FieldDescriptor
    CVT_BGR2RGB_FIELD_NUMBER: _ClassVar[int]
    cvt_bgr2rgb: _descriptor.FieldDescriptor
    DEBUG_PARAMS_FIELD_NUMBER: _ClassVar[int]
    debug_params: _descriptor.FieldDescriptor
    DISPLAY_FIELD_NUMBER: _ClassVar[int]
    display: _descriptor.FieldDescriptor
    DISTORT_PARAM_FIELD_NUMBER: _ClassVar[int]
    distort_param: _descriptor.FieldDescriptor
    DO_CLAHE_FIELD_NUMBER: _ClassVar[int]
    do_clahe: _descriptor.FieldDescriptor
    EMIT_CONSTRAINT_FIELD_NUMBER: _ClassVar[int]
    emit_constraint: _descriptor.FieldDescriptor
    ENABLE_CLASSF_AUG_FIELD_NUMBER: _ClassVar[int]
    enable_classf_aug: _descriptor.FieldDescriptor
    ERASE_RATIO_FIELD_NUMBER: _ClassVar[int]
    erase_ratio: _descriptor.FieldDescriptor
    EXPAND_PARAM_FIELD_NUMBER: _ClassVar[int]
    expand_param: _descriptor.FieldDescriptor
    FIX_CROP_FIELD_NUMBER: _ClassVar[int]
    fix_crop: _descriptor.FieldDescriptor
    FLIP_PROB_FIELD_NUMBER: _ClassVar[int]
    flip_prob: _descriptor.FieldDescriptor
    FLOW_FIELD_NUMBER: _ClassVar[int]
    flow: _descriptor.FieldDescriptor
    FORWARD_PACKING_FIELD_NUMBER: _ClassVar[int]
    forward_packing: _descriptor.FieldDescriptor
    GRAY_FIELD_NUMBER: _ClassVar[int]
    gray: _descriptor.FieldDescriptor
    HORIZONTAL_STRETCH_LOWER_FIELD_NUMBER: _ClassVar[int]
    horizontal_stretch_lower: _descriptor.FieldDescriptor
    HORIZONTAL_STRETCH_UPPER_FIELD_NUMBER: _ClassVar[int]
    horizontal_stretch_upper: _descriptor.FieldDescriptor
    IMG_HEADER_FIELD_NUMBER: _ClassVar[int]
    img_header: _descriptor.FieldDescriptor
    IMG_RAND_RESIZE_LOWER_FIELD_NUMBER: _ClassVar[int]
    img_rand_resize_lower: _descriptor.FieldDescriptor
    IMG_RAND_RESIZE_UPPER_FIELD_NUMBER: _ClassVar[int]
    img_rand_resize_upper: _descriptor.FieldDescriptor
    INTERPOLATION_ALGO_DOWN_FIELD_NUMBER: _ClassVar[int]
    interpolation_algo_down: _descriptor.FieldDescriptor
    INTERPOLATION_ALGO_UP_FIELD_NUMBER: _ClassVar[int]
    interpolation_algo_up: _descriptor.FieldDescriptor
    IS_FLOW_FIELD_NUMBER: _ClassVar[int]
    is_flow: _descriptor.FieldDescriptor
    MAX_BRIGHTNESS_SHIFT_FIELD_NUMBER: _ClassVar[int]
    max_brightness_shift: _descriptor.FieldDescriptor
    MAX_COLOR_SHIFT_FIELD_NUMBER: _ClassVar[int]
    max_color_shift: _descriptor.FieldDescriptor
    MAX_CONTRAST_FIELD_NUMBER: _ClassVar[int]
    max_contrast: _descriptor.FieldDescriptor
    MAX_CVG_LEN_FIELD_NUMBER: _ClassVar[int]
    max_cvg_len: _descriptor.FieldDescriptor
    MAX_DISTORT_FIELD_NUMBER: _ClassVar[int]
    max_distort: _descriptor.FieldDescriptor
    MAX_ROTATE_DEGREE_FIELD_NUMBER: _ClassVar[int]
    max_rotate_degree: _descriptor.FieldDescriptor
    MAX_ROTATION_ANGLE_FIELD_NUMBER: _ClassVar[int]
    max_rotation_angle: _descriptor.FieldDescriptor
    MAX_SCALING_FACTOR_FIELD_NUMBER: _ClassVar[int]
    max_scaling_factor: _descriptor.FieldDescriptor
    MAX_SMOOTH_FIELD_NUMBER: _ClassVar[int]
    max_smooth: _descriptor.FieldDescriptor
    MIN_CONTRAST_FIELD_NUMBER: _ClassVar[int]
    min_contrast: _descriptor.FieldDescriptor
    MIN_CVG_LEN_FIELD_NUMBER: _ClassVar[int]
    min_cvg_len: _descriptor.FieldDescriptor
    MIN_SCALING_FACTOR_FIELD_NUMBER: _ClassVar[int]
    min_scaling_factor: _descriptor.FieldDescriptor
    MIN_SIDE_FIELD_NUMBER: _ClassVar[int]
    min_side: _descriptor.FieldDescriptor
    MIN_SIDE_MAX_FIELD_NUMBER: _ClassVar[int]
    min_side_max: _descriptor.FieldDescriptor
    MIN_SIDE_MIN_FIELD_NUMBER: _ClassVar[int]
    min_side_min: _descriptor.FieldDescriptor
    MORE_FIX_CROP_FIELD_NUMBER: _ClassVar[int]
    more_fix_crop: _descriptor.FieldDescriptor
    MULTI_SCALE_FIELD_NUMBER: _ClassVar[int]
    multi_scale: _descriptor.FieldDescriptor
    NOISE_PARAM_FIELD_NUMBER: _ClassVar[int]
    noise_param: _descriptor.FieldDescriptor
    NP_IN_LMDB_FIELD_NUMBER: _ClassVar[int]
    np_in_lmdb: _descriptor.FieldDescriptor
    NUM_LABELS_FIELD_NUMBER: _ClassVar[int]
    num_labels: _descriptor.FieldDescriptor
    NUM_PARTS_FIELD_NUMBER: _ClassVar[int]
    num_parts: _descriptor.FieldDescriptor
    NUM_TOTAL_AUGS_FIELD_NUMBER: _ClassVar[int]
    num_total_augs: _descriptor.FieldDescriptor
    OPAQUE_COVERAGE_FIELD_NUMBER: _ClassVar[int]
    opaque_coverage: _descriptor.FieldDescriptor
    ORIGINAL_IMAGE_FIELD_NUMBER: _ClassVar[int]
    original_image: _descriptor.FieldDescriptor
    PAD_FIELD_NUMBER: _ClassVar[int]
    pad: _descriptor.FieldDescriptor
    PAD_RATIO_FIELD_NUMBER: _ClassVar[int]
    pad_ratio: _descriptor.FieldDescriptor
    PUT_GAUSSIAN_FIELD_NUMBER: _ClassVar[int]
    put_gaussian: _descriptor.FieldDescriptor
    RAND_RESIZE_RATIO_LOWER_FIELD_NUMBER: _ClassVar[int]
    rand_resize_ratio_lower: _descriptor.FieldDescriptor
    RAND_RESIZE_RATIO_UPPER_FIELD_NUMBER: _ClassVar[int]
    rand_resize_ratio_upper: _descriptor.FieldDescriptor
    RANDOM_ASPECT_RATIO_PARAM_FIELD_NUMBER: _ClassVar[int]
    random_aspect_ratio_param: _descriptor.FieldDescriptor
    RANDOM_RESIZE_PARAM_FIELD_NUMBER: _ClassVar[int]
    random_resize_param: _descriptor.FieldDescriptor
    RANDOM_SEED_FIELD_NUMBER: _ClassVar[int]
    random_seed: _descriptor.FieldDescriptor
    RESIZE_PARAM_FIELD_NUMBER: _ClassVar[int]
    resize_param: _descriptor.FieldDescriptor
    SCALE_CVG_FIELD_NUMBER: _ClassVar[int]
    scale_cvg: _descriptor.FieldDescriptor
    SCALE_FACTORS_FIELD_NUMBER: _ClassVar[int]
    scale_factors: _descriptor.FieldDescriptor
    SCALE_MAX_FIELD_NUMBER: _ClassVar[int]
    scale_max: _descriptor.FieldDescriptor
    SCALE_MIN_FIELD_NUMBER: _ClassVar[int]
    scale_min: _descriptor.FieldDescriptor
    SCALE_PROB_FIELD_NUMBER: _ClassVar[int]
    scale_prob: _descriptor.FieldDescriptor
    SCALE_RATIOS_FIELD_NUMBER: _ClassVar[int]
    scale_ratios: _descriptor.FieldDescriptor
    SIGMA_FIELD_NUMBER: _ClassVar[int]
    sigma: _descriptor.FieldDescriptor
    SIGMA_CENTER_FIELD_NUMBER: _ClassVar[int]
    sigma_center: _descriptor.FieldDescriptor
    SMOOTH_FILTERING_FIELD_NUMBER: _ClassVar[int]
    smooth_filtering: _descriptor.FieldDescriptor
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    stride: _descriptor.FieldDescriptor
    TARGET_DIST_FIELD_NUMBER: _ClassVar[int]
    target_dist: _descriptor.FieldDescriptor
    TRANSFORM_BODY_JOINT_FIELD_NUMBER: _ClassVar[int]
    transform_body_joint: _descriptor.FieldDescriptor
    UPPER_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    upper_height: _descriptor.FieldDescriptor
    UPPER_SIZE_FIELD_NUMBER: _ClassVar[int]
    upper_size: _descriptor.FieldDescriptor
    UPPER_WIDTH_FIELD_NUMBER: _ClassVar[int]
    upper_width: _descriptor.FieldDescriptor
    USE_GPU_TRANSFORM_FIELD_NUMBER: _ClassVar[int]
    use_gpu_transform: _descriptor.FieldDescriptor
    USE_IMAGEDB_MEAN_FIELD_NUMBER: _ClassVar[int]
    use_imagedb_mean: _descriptor.FieldDescriptor
    VERTICAL_STRETCH_LOWER_FIELD_NUMBER: _ClassVar[int]
    vertical_stretch_lower: _descriptor.FieldDescriptor
    VERTICAL_STRETCH_UPPER_FIELD_NUMBER: _ClassVar[int]
    vertical_stretch_upper: _descriptor.FieldDescriptor
    VISUALIZE_FIELD_NUMBER: _ClassVar[int]
    visualize: _descriptor.FieldDescriptor
    VISUALIZE_LABEL_FIELD_NUMBER: _ClassVar[int]
    visualize_label: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...

class V1LayerFields(_message.Message):
    __slots__ = ()
    class LayerType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        BATCH_NORM: _ClassVar[V1LayerFields.LayerType]
        BIN_ACCURACY: _ClassVar[V1LayerFields.LayerType]
        BN: _ClassVar[V1LayerFields.LayerType]
        CROP: _ClassVar[V1LayerFields.LayerType]
        DROPOUT_CHANNEL: _ClassVar[V1LayerFields.LayerType]
        ELTWISE_ACCURACY: _ClassVar[V1LayerFields.LayerType]
        ELTWISE_AFFINE: _ClassVar[V1LayerFields.LayerType]
        IMAGE_SEG_DATA: _ClassVar[V1LayerFields.LayerType]
        INSANITY: _ClassVar[V1LayerFields.LayerType]
        LOCAL: _ClassVar[V1LayerFields.LayerType]
        NORMALIZE: _ClassVar[V1LayerFields.LayerType]
        RED_ACCURACY: _ClassVar[V1LayerFields.LayerType]
        RED_SOFTMAX_LOSS: _ClassVar[V1LayerFields.LayerType]
        RELU6: _ClassVar[V1LayerFields.LayerType]
        ROIPOOLING: _ClassVar[V1LayerFields.LayerType]
        SELECT_SEG_BINARY: _ClassVar[V1LayerFields.LayerType]
        TRIPLET_LOSS: _ClassVar[V1LayerFields.LayerType]
        UNPOOLING: _ClassVar[V1LayerFields.LayerType]
        WINDOW_CLS_DATA: _ClassVar[V1LayerFields.LayerType]
        WINDOW_INST_SEG_DATA: _ClassVar[V1LayerFields.LayerType]
        WINDOW_SEG_BINARY: _ClassVar[V1LayerFields.LayerType]
        WINDOW_SEG_DATA: _ClassVar[V1LayerFields.LayerType]
        INTERP: _ClassVar[V1LayerFields.LayerType]
        SEG_ACCURACY: _ClassVar[V1LayerFields.LayerType]
        MAT_READ: _ClassVar[V1LayerFields.LayerType]
        MAT_WRITE: _ClassVar[V1LayerFields.LayerType]
        MULTI_STAGE_MEANFIELD: _ClassVar[V1LayerFields.LayerType]
        UPSAMPLE: _ClassVar[V1LayerFields.LayerType]
        DENSE_IMAGE_DATA: _ClassVar[V1LayerFields.LayerType]
        DENSE_CRF: _ClassVar[V1LayerFields.LayerType]
        UNIQUE_LABEL: _ClassVar[V1LayerFields.LayerType]
        CONVOLUTION3D: _ClassVar[V1LayerFields.LayerType]
        POOLING3D: _ClassVar[V1LayerFields.LayerType]
        VIDEO_DATA: _ClassVar[V1LayerFields.LayerType]
        VOLUME_DATA: _ClassVar[V1LayerFields.LayerType]
        BATCH_REDUCTION: _ClassVar[V1LayerFields.LayerType]
    BATCH_NORM: V1LayerFields.LayerType
    BIN_ACCURACY: V1LayerFields.LayerType
    BN: V1LayerFields.LayerType
    CROP: V1LayerFields.LayerType
    DROPOUT_CHANNEL: V1LayerFields.LayerType
    ELTWISE_ACCURACY: V1LayerFields.LayerType
    ELTWISE_AFFINE: V1LayerFields.LayerType
    IMAGE_SEG_DATA: V1LayerFields.LayerType
    INSANITY: V1LayerFields.LayerType
    LOCAL: V1LayerFields.LayerType
    NORMALIZE: V1LayerFields.LayerType
    RED_ACCURACY: V1LayerFields.LayerType
    RED_SOFTMAX_LOSS: V1LayerFields.LayerType
    RELU6: V1LayerFields.LayerType
    ROIPOOLING: V1LayerFields.LayerType
    SELECT_SEG_BINARY: V1LayerFields.LayerType
    TRIPLET_LOSS: V1LayerFields.LayerType
    UNPOOLING: V1LayerFields.LayerType
    WINDOW_CLS_DATA: V1LayerFields.LayerType
    WINDOW_INST_SEG_DATA: V1LayerFields.LayerType
    WINDOW_SEG_BINARY: V1LayerFields.LayerType
    WINDOW_SEG_DATA: V1LayerFields.LayerType
    INTERP: V1LayerFields.LayerType
    SEG_ACCURACY: V1LayerFields.LayerType
    MAT_READ: V1LayerFields.LayerType
    MAT_WRITE: V1LayerFields.LayerType
    MULTI_STAGE_MEANFIELD: V1LayerFields.LayerType
    UPSAMPLE: V1LayerFields.LayerType
    DENSE_IMAGE_DATA: V1LayerFields.LayerType
    DENSE_CRF: V1LayerFields.LayerType
    UNIQUE_LABEL: V1LayerFields.LayerType
    CONVOLUTION3D: V1LayerFields.LayerType
    POOLING3D: V1LayerFields.LayerType
    VIDEO_DATA: V1LayerFields.LayerType
    VOLUME_DATA: V1LayerFields.LayerType
    BATCH_REDUCTION: V1LayerFields.LayerType
    BN_PARAM_FIELD_NUMBER: _ClassVar[int]
    bn_param: _descriptor.FieldDescriptor
    LOCAL_PARAM_FIELD_NUMBER: _ClassVar[int]
    local_param: _descriptor.FieldDescriptor
    NOISE_PARAM_FIELD_NUMBER: _ClassVar[int]
    noise_param: _descriptor.FieldDescriptor
    RELU6_PARAM_FIELD_NUMBER: _ClassVar[int]
    relu6_param: _descriptor.FieldDescriptor
    ROI_POOLING_PARAM_FIELD_NUMBER: _ClassVar[int]
    roi_pooling_param: _descriptor.FieldDescriptor
    TRIPLET_LOSS_PARAM_FIELD_NUMBER: _ClassVar[int]
    triplet_loss_param: _descriptor.FieldDescriptor
    UNPOOLING_PARAM_FIELD_NUMBER: _ClassVar[int]
    unpooling_param: _descriptor.FieldDescriptor
    TYPE_FIELD_NUMBER: _ClassVar[int]
    type: _descriptor.FieldDescriptor
    INTERP_PARAM_FIELD_NUMBER: _ClassVar[int]
    interp_param: _descriptor.FieldDescriptor
    SEG_ACCURACY_PARAM_FIELD_NUMBER: _ClassVar[int]
    seg_accuracy_param: _descriptor.FieldDescriptor
    MAT_READ_PARAM_FIELD_NUMBER: _ClassVar[int]
    mat_read_param: _descriptor.FieldDescriptor
    MAT_WRITE_PARAM_FIELD_NUMBER: _ClassVar[int]
    mat_write_param: _descriptor.FieldDescriptor
    MULTI_STAGE_MEANFIELD_PARAM_FIELD_NUMBER: _ClassVar[int]
    multi_stage_meanfield_param: _descriptor.FieldDescriptor
    UPSAMPLE_PARAM_FIELD_NUMBER: _ClassVar[int]
    upsample_param: _descriptor.FieldDescriptor
    DENSE_IMAGE_DATA_PARAM_FIELD_NUMBER: _ClassVar[int]
    dense_image_data_param: _descriptor.FieldDescriptor
    DENSE_CRF_PARAM_FIELD_NUMBER: _ClassVar[int]
    dense_crf_param: _descriptor.FieldDescriptor
    VIDEO_DATA_PARAM_FIELD_NUMBER: _ClassVar[int]
    video_data_param: _descriptor.FieldDescriptor
    NORM_PARAM_FIELD_NUMBER: _ClassVar[int]
    norm_param: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...
