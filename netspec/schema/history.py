"""What protobuf does not say of the older formats.

It lists which field or type of V0 and V1 became which.
"""

from __future__ import annotations

# V1's layer type enum → the type of today.
V1_TYPES = {
    "ABSVAL": "AbsVal", "ACCURACY": "Accuracy", "ARGMAX": "ArgMax", "BNLL": "BNLL",
    "CONCAT": "Concat", "CONTRASTIVE_LOSS": "ContrastiveLoss", "CONVOLUTION": "Convolution",
    "DATA": "Data", "DECONVOLUTION": "Deconvolution", "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData", "ELTWISE": "Eltwise", "EUCLIDEAN_LOSS": "EuclideanLoss",
    "EXP": "Exp", "FLATTEN": "Flatten", "HDF5_DATA": "HDF5Data", "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss", "IM2COL": "Im2col", "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss", "INNER_PRODUCT": "InnerProduct", "LRN": "LRN",
    "MEMORY_DATA": "MemoryData", "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN", "POOLING": "Pooling", "POWER": "Power", "RELU": "ReLU", "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss", "SILENCE": "Silence", "SLICE": "Slice",
    "SOFTMAX": "Softmax", "SOFTMAX_LOSS": "SoftmaxWithLoss", "SPLIT": "Split", "TANH": "TanH",
    "THRESHOLD": "Threshold", "WINDOW_DATA": "WindowData",
}  # fmt: skip

# The words that forks add to V1's enum (forks.proto) → the type of today.
V1_FORK_TYPES = {
    "BATCH_NORM": "BatchNorm", "BATCH_REDUCTION": "BatchReduction", "BIN_ACCURACY": "BinAccuracy",
    "BN": "BN", "CONVOLUTION3D": "Convolution3D", "CROP": "Crop", "DENSE_CRF": "DenseCRF",
    "DENSE_IMAGE_DATA": "DenseImageData", "DROPOUT_CHANNEL": "DropoutChannel",
    "ELTWISE_ACCURACY": "EltwiseAccuracy", "ELTWISE_AFFINE": "EltwiseAffine",
    "IMAGE_SEG_DATA": "ImageSegData", "INSANITY": "Insanity", "INTERP": "Interp", "LOCAL": "Local",
    "MAT_READ": "MatRead", "MAT_WRITE": "MatWrite",
    "MULTI_STAGE_MEANFIELD": "MultiStageMeanfield", "NORMALIZE": "Normalize",
    "POOLING3D": "Pooling3D", "RED_ACCURACY": "RedAccuracy", "RED_SOFTMAX_LOSS": "RedSoftmaxLoss",
    "RELU6": "ReLU6", "ROIPOOLING": "ROIPooling", "SEG_ACCURACY": "SegAccuracy",
    "SELECT_SEG_BINARY": "SelectSegBinary", "TRIPLET_LOSS": "TripletLoss",
    "UNIQUE_LABEL": "UniqueLabel", "UNPOOLING": "Unpooling", "UPSAMPLE": "Upsample",
    "VIDEO_DATA": "VideoData", "VOLUME_DATA": "VolumeData", "WINDOW_CLS_DATA": "WindowClsData",
    "WINDOW_INST_SEG_DATA": "WindowInstSegData", "WINDOW_SEG_BINARY": "WindowSegBinary",
    "WINDOW_SEG_DATA": "WindowSegData",
}  # fmt: skip

# V0's layer type text → V1's enum. "padding" is no layer any more: it is folded into what reads it.
V0_TYPES = {
    "accuracy": "ACCURACY", "bnll": "BNLL", "concat": "CONCAT", "conv": "CONVOLUTION",
    "data": "DATA", "dropout": "DROPOUT", "euclidean_loss": "EUCLIDEAN_LOSS", "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA", "hdf5_output": "HDF5_OUTPUT", "im2col": "IM2COL",
    "images": "IMAGE_DATA", "infogain_loss": "INFOGAIN_LOSS", "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN", "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS", "pool": "POOLING",
    "relu": "RELU", "sigmoid": "SIGMOID", "softmax": "SOFTMAX", "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT", "tanh": "TANH", "window_data": "WINDOW_DATA",
}  # fmt: skip

_CONV, _POOL, _DENSE = (
    ("conv", "convolution_param"),
    ("pool", "pooling_param"),
    ("innerproduct", "inner_product_param"),
)
_LRN, _CONCAT, _DROPOUT = (
    ("lrn", "lrn_param"),
    ("concat", "concat_param"),
    ("dropout", "dropout_param"),
)
_DATA, _HDF5 = ("data", "data_param"), ("hdf5_data", "hdf5_data_param")
_IMAGES, _WINDOW = ("images", "image_data_param"), ("window_data", "window_data_param")
_INFOGAIN = ("infogain_loss", "infogain_loss_param")

# V0's field → (its name today, the types that know it with the parameter message it moved to).
V0_FIELDS: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {
    "num_output": ("num_output", (_CONV, _DENSE)),
    "biasterm": ("bias_term", (_CONV, _DENSE)),
    "weight_filler": ("weight_filler", (_CONV, _DENSE)),
    "bias_filler": ("bias_filler", (_CONV, _DENSE)),
    "pad": ("pad", (_CONV, _POOL)),
    "kernelsize": ("kernel_size", (_CONV, _POOL)),
    "group": ("group", (_CONV,)),
    "stride": ("stride", (_CONV, _POOL)),
    "pool": ("pool", (_POOL,)),
    "dropout_ratio": ("dropout_ratio", (_DROPOUT,)),
    "local_size": ("local_size", (_LRN,)),
    "alpha": ("alpha", (_LRN,)),
    "beta": ("beta", (_LRN,)),
    "k": ("k", (_LRN,)),
    "source": ("source", (_DATA, _HDF5, _IMAGES, _WINDOW, _INFOGAIN)),
    "batchsize": ("batch_size", (_DATA, _HDF5, _IMAGES, _WINDOW)),
    "rand_skip": ("rand_skip", (_DATA, _IMAGES)),
    "shuffle_images": ("shuffle", (_IMAGES,)),
    "new_height": ("new_height", (_IMAGES,)),
    "new_width": ("new_width", (_IMAGES,)),
    "concat_dim": ("concat_dim", (_CONCAT,)),
    "det_fg_threshold": ("fg_threshold", (_WINDOW,)),
    "det_bg_threshold": ("bg_threshold", (_WINDOW,)),
    "det_fg_fraction": ("fg_fraction", (_WINDOW,)),
    "det_context_pad": ("context_pad", (_WINDOW,)),
    "det_crop_mode": ("crop_mode", (_WINDOW,)),
}

# V0's fields that every type may have and that move to the same place whatever the type.
V0_TRANSFORM_FIELDS = {
    "scale": "scale",
    "meanfile": "mean_file",
    "cropsize": "crop_size",
    "mirror": "mirror",
}

# V1 kept these in the data layers' own messages; they are transform_param's today.
V1_TRANSFORM_FIELDS = ("scale", "mean_file", "crop_size", "mirror")
V1_DATA_MESSAGES = {
    "DATA": "data_param",
    "IMAGE_DATA": "image_data_param",
    "WINDOW_DATA": "window_data_param",
}
