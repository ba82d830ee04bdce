"""What each command's --help ends with: command lines that work from the project's root."""

EXAMPLES: dict[str, tuple[str, ...]] = {
    "layers": ("netspec layers", "netspec layers Pooling"),
    "shapes": (
        "netspec shapes models/bvlc_alexnet/deploy.prototxt",
        (
            "netspec shapes models/mnist_alexnet/train_val.prototxt --phase TRAIN --input "
            "data=64,1,28,28 --format csv"
        ),
        (
            "netspec shapes models/bvlc_alexnet/train_val.prototxt "
            "--input data=256,3,227,227 --batch-fit 8GiB"
        ),
    ),
    "draw": (
        "netspec draw models/bvlc_alexnet/train_val.prototxt AlexNet.png",
        "netspec draw models/bvlc_alexnet/deploy.prototxt AlexNet.pdf --rankdir LR",
        "netspec draw models/bvlc_alexnet/train_val.prototxt AlexNet.html",
    ),
    "view": ("netspec view models/bvlc_alexnet/train_val.prototxt",),
    "check": (
        "netspec check models/bvlc_alexnet/solver.prototxt",
        "netspec check models --format github",
        "netspec check models/*/train_val.prototxt --phase TEST",
    ),
    "fmt": (
        "netspec fmt models",
        "netspec fmt --check --diff models/bvlc_alexnet/train_val.prototxt",
        "netspec fmt --upgrade old_train_val.prototxt",
    ),
    "diff": (
        "netspec diff models/bvlc_alexnet/train_val.prototxt models/tf_alexnet/train_val.prototxt",
        "netspec diff first.caffemodel second.safetensors --format json",
    ),
    "train": (
        "netspec train models/mnist_alexnet/solver.prototxt --max-iter 200 --log run.jsonl",
        (
            "netspec train models/mnist_alexnet/solver.prototxt --resume "
            "--keep-last 3 --keep-best accuracy"
        ),
        "netspec train models/tf_alexnet/solver.prototxt --weights alexnet.caffemodel --gpu 0,1",
    ),
    "test": (
        (
            "netspec test models/mnist_alexnet/train_val.prototxt "
            "models/mnist_alexnet/mnist_alexnet_iter_200.caffemodel --iterations all"
        ),
        (
            "netspec test --model train_val.prototxt --weights "
            "alexnet.caffemodel --iterations 1000 --gpu 0"
        ),
    ),
    "classify": (
        "netspec classify cat.jpg --model deploy.prototxt --weights alexnet.caffemodel",
        (
            "netspec classify photos --model deploy.prototxt --weights alexnet.caffemodel "
            "--mean ilsvrc_2012_mean.npy --labels synset_words.txt --oversample --format csv"
        ),
    ),
    "detect": (
        "netspec detect street.jpg --model deploy.prototxt --weights ssd.caffemodel --draw seen",
        (
            "netspec detect list.txt --model deploy.prototxt --weights ssd.caffemodel "
            "--labels labelmap_voc.prototxt --threshold 0.3 --format json"
        ),
    ),
    "features": (
        "netspec features deploy.prototxt --weights alexnet.caffemodel --blobs fc7 photos fc7.npz",
        (
            "netspec features train_val.prototxt --weights alexnet.caffemodel --blobs fc7,pool5 "
            "--iterations 50 fc7_lmdb,pool5_lmdb"
        ),
    ),
    "serve": (
        "netspec serve deploy.prototxt --weights alexnet.caffemodel --labels synset_words.txt",
        "netspec serve deploy.prototxt --weights ssd.caffemodel --port 8080 --gpu 0",
    ),
    "time": (
        (
            "netspec time models/bvlc_alexnet/train_val.prototxt --iterations 10 --input "
            "data=8,3,227,227"
        ),
        "netspec time --model models/bvlc_alexnet/deploy.prototxt --phase TEST --gpu 0",
    ),
    "solver": ("netspec solver schedule models/bvlc_alexnet/solver.prototxt",),
    "solver schedule": (
        "netspec solver schedule models/bvlc_alexnet/solver.prototxt",
        "netspec solver schedule models/mnist_alexnet/solver.prototxt --max-iter 2000 -o lr.png",
    ),
    "log": ("netspec log plot run.jsonl -o loss.png", "netspec log parse run.log"),
    "log parse": (
        "netspec log parse run.log",
        "netspec log parse run.jsonl tables --delimiter tab",
    ),
    "log plot": (
        "netspec log plot run.jsonl -o loss.png",
        "netspec log plot first.log second.log -o both.svg --what loss,accuracy --x epochs",
    ),
    "deploy": (
        "netspec deploy train_val.prototxt deploy.prototxt",
        "netspec deploy --solver solver.prototxt deploy.prototxt --input data=1,3,227,227",
    ),
    "export": (
        "netspec export deploy.prototxt net.onnx --weights net.caffemodel",
        "netspec export train_val.prototxt fc7.onnx --weights net.caffemodel --outputs fc7",
    ),
    "verify": (
        "netspec verify deploy.prototxt --weights net.caffemodel --against net.onnx",
        "netspec verify deploy.prototxt --weights net.caffemodel --against caffe_blobs.npz",
        "netspec verify old.prototxt --weights old.caffemodel --against new.yaml --format json",
    ),
    "convert": (
        "netspec convert models/bvlc_alexnet/deploy.prototxt deploy.yaml",
        "netspec convert --upgrade old_train_val.prototxt train_val.prototxt",
        "netspec convert bvlc_alexnet.npy alexnet.caffemodel --skip-layer fc8",
    ),
    "weights": (
        "netspec weights alexnet.caffemodel --against models/bvlc_alexnet/deploy.prototxt",
        "netspec weights alexnet.caffemodel --net alexnet.prototxt",
        (
            "netspec weights alexnet.caffemodel --to fcn.caffemodel --against fcn.prototxt "
            "--convolve fc6,fc7,fc8"
        ),
    ),
    "dataset": (
        "netspec dataset sample --only mnist_alexnet",
        "netspec dataset build flowers data/flowers_lmdb --resize-width 256 --resize-height 256",
    ),
    "dataset build": (
        (
            "netspec dataset build flowers data/flowers_lmdb --shuffle --resize-width 256 "
            "--resize-height 256"
        ),
        "netspec dataset build train.txt data/train_lmdb --root images --encoded",
    ),
    "dataset info": ("netspec dataset info examples/mnist/mnist_train_lmdb",),
    "dataset mean": (
        (
            "netspec dataset mean examples/imagenet/ilsvrc12_train_lmdb "
            "data/ilsvrc12/imagenet_mean.binaryproto"
        ),
        "netspec dataset mean data/flowers_lmdb --pca pca.prototxt",
    ),
    "dataset preview": (
        "netspec dataset preview models/mnist_alexnet/train_val.prototxt preview.png",
        "netspec dataset preview train_val.prototxt preview.png --layer data --count 4 --seed 7",
    ),
    "dataset sample": ("netspec dataset sample", "netspec dataset sample --only flowers17_alexnet"),
    "dataset import-idx": (
        "netspec dataset import-idx /usr/share/datasets/fashion-mnist examples/mnist --overwrite",
    ),
    "completion": (
        "source <(netspec completion bash)       # for good: in ~/.bashrc",
        "netspec completion zsh > ~/.zfunc/_netspec       # a folder of $fpath",
        "netspec completion fish > ~/.config/fish/completions/netspec.fish",
    ),
}
