"""A small net for each layer type, that loads, and the rule of its shapes: what `netspec layers TYPE` shows."""

from __future__ import annotations

from typing import NamedTuple

from netspec.graph import Shape

_FILLER = 'weight_filler { type: "xavier" }'
_PYTHON = """\
# my_layers.py
import caffe  # netspec stands in for it where no Caffe is installed


class Double(caffe.Layer):
    def setup(self, bottom, top):
        self.factor = float(self.param_str)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = self.factor * top[0].diff
"""


class Example(NamedTuple):
    """A layer: what it reads, the text of its settings, what it makes."""

    bottoms: dict[str, Shape]
    settings: str = ""
    tops: tuple[str, ...] = ("out",)
    shapes: str = ""  # the rule, where neither the layer's docstring nor the example tells it
    inputs: dict[str, Shape] = {}  # shapes to give where its files are not there
    code: str = ""  # the Python file that it names

    def text(self, type_name: str) -> str:
        """The net's text; the layer is named like its type."""
        lines = [
            f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {" ".join(f"dim: {dim}" for dim in shape)} }} }} }}'
            for name, shape in self.bottoms.items()
        ]
        ends = [f'bottom: "{name}"' for name in self.bottoms] + [f'top: "{name}"' for name in self.tops]
        return "\n".join([*lines, f'layer {{ name: "{type_name.lower()}" type: "{type_name}" {" ".join(ends)} {self.settings} }}'])


_IMAGES: dict[str, Shape] = {"data": (1, 3, 224, 224)}
_MAPS: dict[str, Shape] = {"data": (1, 64, 56, 56)}
_ROWS: dict[str, Shape] = {"data": (32, 10)}
_SCORES: dict[str, Shape] = {"scores": (32, 10), "label": (32,)}
_SEQUENCE: dict[str, Shape] = {"data": (16, 8, 100), "cont": (16, 8)}
_DATA = ("data", "label")
_TRANSFORM = "transform_param { crop_size: 227 mirror: true mean_value: 104 mean_value: 117 mean_value: 123 }"
_CROPPED: dict[str, Shape] = {"data": (64, 3, 227, 227), "label": (64,)}
_WINDOW = "floor((H + 2·pad - (dilation·(kernel - 1) + 1)) / stride) + 1"
_SAME = "the top has the first bottom's"
_SCALAR = "the loss is a scalar"

EXAMPLES = {
    "Input": Example(
        {}, "input_param { shape { dim: 1 dim: 3 dim: 224 dim: 224 } }", ("data",), "those of its 'shape', one for all tops or one for each"
    ),
    "MemoryData": Example({}, "memory_data_param { batch_size: 64 channels: 3 height: 32 width: 32 }", _DATA),
    "DummyData": Example(
        {},
        'dummy_data_param { shape { dim: 64 dim: 3 dim: 32 dim: 32 } shape { dim: 64 } data_filler { type: "gaussian" } data_filler { value: 1 } }',
        _DATA,
        "those of its 'shape', one for all tops or one for each",
    ),
    "Data": Example({}, f'{_TRANSFORM} data_param {{ source: "train_lmdb" batch_size: 64 backend: LMDB }}', _DATA, inputs=_CROPPED),
    "ImageData": Example(
        {},
        f'{_TRANSFORM} image_data_param {{ source: "train.txt" batch_size: 64 shuffle: true new_height: 256 new_width: 256 }}',
        _DATA,
        inputs=_CROPPED,
    ),
    "WindowData": Example({}, f'{_TRANSFORM} window_data_param {{ source: "windows.txt" batch_size: 64 context_pad: 16 }}', _DATA, inputs=_CROPPED),
    "HDF5Data": Example(
        {}, 'hdf5_data_param { source: "train_h5.txt" batch_size: 64 shuffle: true }', _DATA, inputs={"data": (64, 3, 32, 32), "label": (64,)}
    ),
    "HDF5Output": Example({"data": (32, 10), "label": (32,)}, 'hdf5_output_param { file_name: "out.h5" }', ()),
    "Convolution": Example(
        _IMAGES,
        f"convolution_param {{ num_output: 64 kernel_size: 7 stride: 2 pad: 3 {_FILLER} }}",
        shapes=f"num_output channels; along each spatial axis {_WINDOW}",
    ),
    "Deconvolution": Example(
        _MAPS,
        f"convolution_param {{ num_output: 32 kernel_size: 4 stride: 2 pad: 1 {_FILLER} }}",
        shapes="num_output channels; along each spatial axis stride·(H - 1) + dilation·(kernel - 1) + 1 - 2·pad",
    ),
    "Im2col": Example(_MAPS, "convolution_param { kernel_size: 3 pad: 1 }", shapes=f"C·kernel·kernel channels; along each spatial axis {_WINDOW}"),
    "Pooling": Example(
        _MAPS,
        "pooling_param { pool: MAX kernel_size: 3 stride: 2 }",
        shapes="along height and width ceil((H + 2·pad - kernel) / stride) + 1; with pad, a last window that would start beyond "
        "the input and its near padding is dropped",
    ),
    "SPP": Example(_MAPS, "spp_param { pyramid_height: 3 }", shapes="N × C·(1 + 4 + 16 + …), a term for each of pyramid_height grids"),
    "InnerProduct": Example(_MAPS, f"inner_product_param {{ num_output: 1000 {_FILLER} }}", shapes="the axes before 'axis', then num_output"),
    "Embed": Example({"words": (16, 8)}, f"embed_param {{ input_dim: 8000 num_output: 300 {_FILLER} }}", shapes="the bottom's, then num_output"),
    "LRN": Example(_MAPS, "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }", shapes=_SAME),
    "BatchNorm": Example(_MAPS, shapes=_SAME),
    "MVN": Example(_MAPS, "mvn_param { normalize_variance: true }", shapes=_SAME),
    "AbsVal": Example(_MAPS),
    "BNLL": Example(_MAPS),
    "Clip": Example(_MAPS, "clip_param { min: 0 max: 6 }"),
    "ELU": Example(_MAPS, "elu_param { alpha: 1 }"),
    "Exp": Example(_MAPS, "exp_param { base: 2 }"),
    "Log": Example(_MAPS, "log_param { shift: 1 }"),
    "Power": Example(_MAPS, "power_param { power: 2 scale: 0.5 shift: 1 }"),
    "PReLU": Example(_MAPS, "prelu_param { filler { value: 0.1 } }", shapes=_SAME),
    "ReLU": Example(_MAPS),
    "Sigmoid": Example(_MAPS),
    "Swish": Example(_MAPS),
    "TanH": Example(_MAPS),
    "Threshold": Example(_MAPS, "threshold_param { threshold: 0.5 }"),
    "Dropout": Example(_MAPS, "dropout_param { dropout_ratio: 0.5 }"),
    "Concat": Example({"a": (1, 64, 28, 28), "b": (1, 128, 28, 28)}, shapes="that of the bottoms; along 'axis' the sum of theirs"),
    "Slice": Example(_MAPS, "slice_param { slice_point: 16 }", ("a", "b"), "that of the bottom; along 'axis' its part"),
    "Flatten": Example(_MAPS, shapes="the axes from 'axis' to 'end_axis' become one, their product"),
    "Reshape": Example(
        _MAPS,
        "reshape_param { shape { dim: 0 dim: 8 dim: -1 dim: 56 } }",
        shapes="those of 'shape', where 0 copies the bottom's size at the same place and -1 takes what is left",
    ),
    "Split": Example(_MAPS, tops=("a", "b"), shapes="each top has the bottom's"),
    "Silence": Example(_ROWS, tops=(), shapes="it makes no top"),
    "Tile": Example(_ROWS, "tile_param { axis: 1 tiles: 3 }", shapes="that of the bottom; along 'axis' 'tiles' times as much"),
    "Crop": Example(
        {"data": (1, 21, 64, 64), "like": (1, 3, 50, 50)},
        "crop_param { axis: 2 offset: 7 }",
        shapes="the first bottom's; from 'axis' on the second's",
    ),
    "ArgMax": Example(
        _ROWS,
        "argmax_param { top_k: 5 axis: 1 }",
        shapes="with 'axis' that of the bottom, top_k along it; without N×1×top_k, or N×2×top_k with out_max_val",
    ),
    "BatchReindex": Example({"data": (8, 10), "order": (5,)}, shapes="that of the first bottom, with as many items as the second lists"),
    "Filter": Example({"data": (8, 10), "selector": (8,)}, shapes="those of the bottoms, with the selected items only"),
    "Parameter": Example({}, "parameter_param { shape { dim: 10 dim: 20 } }", shapes="that of its 'shape'"),
    "Eltwise": Example(
        {"a": (1, 64, 56, 56), "b": (1, 64, 56, 56)}, "eltwise_param { operation: SUM coeff: 1 coeff: -1 }", shapes="that of the bottoms"
    ),
    "Scale": Example(_MAPS, "scale_param { bias_term: true }", shapes=_SAME),
    "Bias": Example(_MAPS, shapes=_SAME),
    "Reduction": Example(_ROWS, "reduction_param { operation: MEAN axis: 1 }", shapes="the bottom's axes before 'axis'"),
    "Softmax": Example({"scores": (32, 10)}, shapes=_SAME),
    "SoftmaxWithLoss": Example(_SCORES, "loss_param { ignore_label: 255 }", shapes=f"{_SCALAR}; a second top has the first bottom's shape"),
    "InfogainLoss": Example({**_SCORES, "H": (1, 1, 10, 10)}, shapes=f"{_SCALAR}; a second top has the first bottom's shape"),
    "MultinomialLogisticLoss": Example({"probabilities": (32, 10), "label": (32,)}, shapes=_SCALAR),
    "HingeLoss": Example(_SCORES, "hinge_loss_param { norm: L2 }", shapes=_SCALAR),
    "Accuracy": Example(_SCORES, "accuracy_param { top_k: 5 }", shapes="a scalar; a second top has a value for each class"),
    "SigmoidCrossEntropyLoss": Example({"scores": (32, 10), "targets": (32, 10)}, shapes=_SCALAR),
    "EuclideanLoss": Example({"out": (32, 10), "targets": (32, 10)}, tops=("loss",), shapes=_SCALAR),
    "ContrastiveLoss": Example({"a": (32, 10), "b": (32, 10), "similar": (32,)}, "contrastive_loss_param { margin: 1 }", shapes=_SCALAR),
    "LSTM": Example(_SEQUENCE, f"recurrent_param {{ num_output: 256 {_FILLER} }}", shapes="T × N × num_output"),
    "RNN": Example(_SEQUENCE, f"recurrent_param {{ num_output: 256 {_FILLER} }}", shapes="T × N × num_output"),
    "LSTMUnit": Example(
        {"c_before": (1, 8, 256), "gates": (1, 8, 1024), "cont": (1, 8)}, tops=("c", "h"), shapes="both tops have the first bottom's"
    ),
    "Python": Example(_ROWS, 'python_param { module: "my_layers" layer: "Double" param_str: "2" }', code=_PYTHON),
}
