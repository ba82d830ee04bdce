from netspec.schema import caffe_pb2 as _caffe_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ColorVector(_message.Message):
    __slots__ = ("blue", "green", "red")
    BLUE_FIELD_NUMBER: _ClassVar[int]
    GREEN_FIELD_NUMBER: _ClassVar[int]
    RED_FIELD_NUMBER: _ClassVar[int]
    blue: float
    green: float
    red: float
    def __init__(self, blue: _Optional[float] = ..., green: _Optional[float] = ..., red: _Optional[float] = ...) -> None: ...

class ErasingParameter(_message.Message):
    __slots__ = ("prob", "min_area", "max_area", "min_aspect_ratio", "max_aspect_ratio", "fill_value")
    PROB_FIELD_NUMBER: _ClassVar[int]
    MIN_AREA_FIELD_NUMBER: _ClassVar[int]
    MAX_AREA_FIELD_NUMBER: _ClassVar[int]
    MIN_ASPECT_RATIO_FIELD_NUMBER: _ClassVar[int]
    MAX_ASPECT_RATIO_FIELD_NUMBER: _ClassVar[int]
    FILL_VALUE_FIELD_NUMBER: _ClassVar[int]
    prob: float
    min_area: float
    max_area: float
    min_aspect_ratio: float
    max_aspect_ratio: float
    fill_value: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, prob: _Optional[float] = ..., min_area: _Optional[float] = ..., max_area: _Optional[float] = ..., min_aspect_ratio: _Optional[float] = ..., max_aspect_ratio: _Optional[float] = ..., fill_value: _Optional[_Iterable[float]] = ...) -> None: ...

class LightingParameter(_message.Message):
    __slots__ = ("std", "pca_file", "eigenvalue", "eigenvector")
    STD_FIELD_NUMBER: _ClassVar[int]
    PCA_FILE_FIELD_NUMBER: _ClassVar[int]
    EIGENVALUE_FIELD_NUMBER: _ClassVar[int]
    EIGENVECTOR_FIELD_NUMBER: _ClassVar[int]
    std: float
    pca_file: str
    eigenvalue: _containers.RepeatedScalarFieldContainer[float]
    eigenvector: _containers.RepeatedCompositeFieldContainer[ColorVector]
    def __init__(self, std: _Optional[float] = ..., pca_file: _Optional[str] = ..., eigenvalue: _Optional[_Iterable[float]] = ..., eigenvector: _Optional[_Iterable[_Union[ColorVector, _Mapping]]] = ...) -> None: ...

class ResizedCropParameter(_message.Message):
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

class RotationParameter(_message.Message):
    __slots__ = ("max_degrees", "fill_value")
    MAX_DEGREES_FIELD_NUMBER: _ClassVar[int]
    FILL_VALUE_FIELD_NUMBER: _ClassVar[int]
    max_degrees: float
    fill_value: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, max_degrees: _Optional[float] = ..., fill_value: _Optional[_Iterable[float]] = ...) -> None: ...

class TransformationFields(_message.Message):
    __slots__ = ()
    GAUSSIAN_NOISE_STD_FIELD_NUMBER: _ClassVar[int]
    gaussian_noise_std: _descriptor.FieldDescriptor
    GRAY_PROB_FIELD_NUMBER: _ClassVar[int]
    gray_prob: _descriptor.FieldDescriptor
    LIGHTING_PARAM_FIELD_NUMBER: _ClassVar[int]
    lighting_param: _descriptor.FieldDescriptor
    RESIZED_CROP_PARAM_FIELD_NUMBER: _ClassVar[int]
    resized_crop_param: _descriptor.FieldDescriptor
    ROTATION_PARAM_FIELD_NUMBER: _ClassVar[int]
    rotation_param: _descriptor.FieldDescriptor
    ERASING_PARAM_FIELD_NUMBER: _ClassVar[int]
    erasing_param: _descriptor.FieldDescriptor
    def __init__(self) -> None: ...
