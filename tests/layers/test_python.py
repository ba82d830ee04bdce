"""Python layers: refused till allowed, pycaffe's protocol, gradients, faults of the user's code."""

from __future__ import annotations

import sys
from itertools import count

import numpy as np
import pytest
import torch

import netspec
from netspec.cli import main
from netspec.diagnostics import NetspecError, Report
from netspec.layers.python_object import TEST, TRAIN, Blob, Layer
from netspec.layers.user_modules import is_caffe_installed
from tests.nets import input_text

NUMBERS = count()
LAYERS = '''
import numpy as np
import caffe


class Times(caffe.Layer):
    """Multiplies by the number in param_str."""

    def setup(self, bottom, top):
        self.factor = float(self.param_str or 1)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        if propagate_down[0]:
            bottom[0].diff[...] = self.factor * top[0].diff


class Distance(caffe.Layer):
    """Half the squared distance, as the EuclideanLoss of pycaffe's example."""

    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise Exception("Need two inputs to compute distance.")

    def reshape(self, bottom, top):
        self.difference = np.zeros_like(bottom[0].data)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.difference[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.difference**2) / bottom[0].num / 2

    def backward(self, top, propagate_down, bottom):
        for i, sign in enumerate((1, -1)):
            if propagate_down[i]:
                bottom[i].diff[...] = sign * self.difference / bottom[i].num * top[0].diff


class Counting(caffe.Layer):
    """A data layer: 0, 1, 2, … and their halves, a batch of 4 a pass."""

    def setup(self, bottom, top):
        self.next = 0
        top[0].reshape(4, 1)
        top[1].reshape(4)

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        top[0].data[:, 0] = range(self.next, self.next + 4)
        top[1].data[...] = top[0].data[:, 0] / 2
        self.next += 4

    def backward(self, top, propagate_down, bottom):
        pass


class Weighted(caffe.Layer):
    """Multiplies each column by a weight of its own, from 1 on; adds a bias."""

    def setup(self, bottom, top):
        self.blobs.add_blob(bottom[0].shape[1])
        self.blobs.add_blob(1)
        self.blobs[0].data[...] = 1 + np.arange(bottom[0].shape[1])

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data * self.blobs[0].data + self.blobs[1].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += (top[0].diff * bottom[0].data).sum(0)
        self.blobs[1].diff[...] += top[0].diff.sum()
        bottom[0].diff[...] = top[0].diff * self.blobs[0].data


class Phase(caffe.Layer):
    def setup(self, bottom, top):
        assert self.phase in (caffe.TRAIN, caffe.TEST)

    def reshape(self, bottom, top):
        top[0].reshape()

    def forward(self, bottom, top):
        top[0].data[...] = self.phase


class Watch(caffe.Layer):
    seen = []

    def setup(self, bottom, top):
        pass

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        self.seen.append(bottom[0].data.copy())
'''
INPUT = input_text("x", (2, 3)) + "\n"


@pytest.fixture
def write_module(tmp_path, monkeypatch):
    """write_module(text) → the name of a new module, in the net's folder."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)

    def write(text=LAYERS):
        name = f"python_layers_{next(NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(text)
        return name

    yield write
    for name in set(sys.modules) - before:
        if name.startswith("python_layers_"):
            del sys.modules[name]


@pytest.fixture
def layer(write_module):
    """layer(class, ends, settings) → the text of a Python layer."""
    module = write_module()

    def make(name, ends='bottom: "x" top: "y"', more="", param=""):
        settings = f'python_param {{ module: "{module}" layer: "{name}" {param} }} {more}'
        return f'layer {{\n  name: "{name.lower()}"\n  type: "Python"\n  {ends}\n  {settings}\n}}\n'

    return make


@pytest.fixture
def load(load_text):
    return lambda text, **more: load_text(text, allow_python_layers=True, **more)


def test_are_refused_till_they_are_allowed(layer, load_text, tmp_path, capsys):
    text = INPUT + layer("Times")
    with pytest.raises(NetspecError) as caught:
        load_text(text)
    assert (
        f"{tmp_path}/net.prototxt:4:9: error: layer 'times' would run "
        "the Python code of 'python_layers_"
    ) in str(caught.value)
    assert "hint: if you trust it: --allow-python-layers" in str(caught.value)
    path = str(tmp_path / "net.prototxt")
    with pytest.raises(NetspecError, match="not allowed"):
        netspec.compile(path)
    assert main(["shapes", path, "--strict"]) == 1
    assert "not allowed" in capsys.readouterr().err
    assert not any(name.startswith("python_layers_") for name in sys.modules)
    assert main(["shapes", path, "--allow-python-layers"]) == 0
    assert netspec.compile(path, allow_python_layers=True).output_names == ["y"]


def test_shapes_of_a_data_layer_may_be_given(load_text, tmp_path, capsys):
    """Its code need not run to see the shapes; to compile the net, it must."""
    text = (
        'layer { name: "d" type: "Python" top: "data" top: "label" python_param { module: "none" '
        'layer: "D" } }\n'
    )
    text += (
        'layer { name: "f" type: "InnerProduct" bottom: "data" top: "f" '
        "inner_product_param { num_output: 3 } }\n"
    )
    given = {"data": (4, 3, 5, 5), "label": (4,)}
    net = load_text(text, inputs=given)
    assert net.blobs["f"].shape == (4, 3)
    with pytest.raises(NetspecError, match="not allowed"):
        netspec.compile(net)
    path = str(tmp_path / "net.prototxt")
    for command in ("shapes", "check"):
        assert main([command, path]) == 0
        assert "give --input data=1,3,224,224 --input label=1" in capsys.readouterr().err
        assert main([command, path, "--input", "data=1,3,224,224", "--input", "label=1"]) == 0
        assert capsys.readouterr().err == ""
    with pytest.raises(NetspecError, match="has no input 'f'; it has data, label"):
        load_text(text, inputs={"f": (1,)})


def test_a_drawing_needs_no_code(layer, load_text, tmp_path, capsys):
    """Where shapes are not required, a warning says that they are unknown."""
    report = Report()
    net = load_text(INPUT + layer("Times"), require_shapes=False, report=report)
    assert net.blobs["y"].shape is None
    assert [d.severity for d in report.diagnostics] == ["warning"]
    with pytest.raises(NetspecError, match="not allowed"):
        netspec.compile(net)
    path = str(tmp_path / "net.prototxt")
    assert main(["check", path]) == 0
    assert "its shapes are unknown" in capsys.readouterr().err
    assert main(["draw", path, str(tmp_path / "net.dot")]) == 0
    without = (tmp_path / "net.dot").read_text()
    assert not any(name.startswith("python_layers_") for name in sys.modules)
    assert main(["check", path, "--allow-python-layers"]) == 0
    assert main(["draw", path, str(tmp_path / "net.dot"), "--allow-python-layers"]) == 0
    assert (tmp_path / "net.dot").read_text() != without  # now it shows shapes


def test_forward_and_backward(layer, load):
    text = (
        INPUT
        + layer("Times", param='param_str: "10"')
        + layer("Times", 'bottom: "y" top: "z"', param='param_str: "-2"').replace('"times"', '"t"')
    )
    module = netspec.compile(load(text))
    x = torch.randn(2, 3, requires_grad=True)
    out = module(x=x)["z"]
    torch.testing.assert_close(out, x * -20)
    out.backward(torch.ones(2, 3))
    torch.testing.assert_close(x.grad, torch.full((2, 3), -20.0))
    assert module(x=torch.ones(5, 7))["z"].shape == (5, 7)  # reshape runs in each pass
    assert module(x=torch.ones(2, 3, dtype=torch.bfloat16))["z"].dtype == torch.bfloat16
    assert module(x=torch.ones(3, 2).t())["z"].shape == (2, 3)


def test_outputs_stay_when_the_layer_runs_again(layer, load):
    module = netspec.compile(load(INPUT + layer("Times")))
    first = module(x=torch.ones(2, 3))["y"]
    module(x=torch.zeros(2, 3))
    assert first.eq(1).all()


def test_a_loss(layer, load):
    second = input_text("t", (2, 3)) + "\n"
    net = load(
        INPUT + second + layer("Distance", 'bottom: "x" bottom: "t" top: "loss"', "loss_weight: 3"),
        phase="TRAIN",
    )
    assert net.loss_weights == {"loss": 3}
    module = netspec.compile(net)
    x, t = torch.randn(2, 3, requires_grad=True), torch.randn(2, 3)
    loss = module.loss(module(x=x, t=t))
    torch.testing.assert_close(loss, 3 * ((x - t) ** 2).sum() / 4)
    loss.backward()
    torch.testing.assert_close(x.grad, 3 * (x - t).detach() / 2)


def test_a_data_layer(layer, load):
    net = load(layer("Counting", 'top: "data" top: "label"'))
    assert [net.blobs[name].shape for name in ("data", "label")] == [(4, 1), (4,)]
    module = netspec.compile(net)
    assert module.input_names == []
    first, second = module(), module()
    assert first["data"].flatten().tolist() == [0, 1, 2, 3]
    assert second["data"].flatten().tolist() == [4, 5, 6, 7]
    assert second["label"].tolist() == [2, 2.5, 3, 3.5]
    other = netspec.compile(net)  # with an object of its own
    assert other()["data"].flatten().tolist() == [0, 1, 2, 3]
    assert other.counting.layer is not module.counting.layer


def test_params(layer, load, tmp_path):
    text = INPUT + layer(
        "Weighted", more="param { lr_mult: 2 } param { lr_mult: 0 } loss_weight: 1"
    )
    net = load(text, phase="TRAIN")
    assert [(param.shape, param.lr_mult) for param in net.layer("weighted").params] == [
        ((3,), 2),
        ((1,), 0),
    ]
    module = netspec.compile(net)
    weight, bias = module.params["weighted"]
    assert weight.tolist() == [1, 2, 3]
    assert not bias.requires_grad
    x = torch.randn(2, 3, requires_grad=True)
    for _ in range(2):  # gradients add up
        module.loss(module(x=x)).backward()
    torch.testing.assert_close(weight.grad, 2 * x.detach().sum(0))
    torch.testing.assert_close(x.grad, 2 * weight.detach().expand(2, 3))
    with torch.no_grad():
        weight.fill_(5)
    torch.testing.assert_close(module(x=x)["y"], 5 * x)
    netspec.save_weights(module, tmp_path / "w.caffemodel")
    again = netspec.compile(net, weights=tmp_path / "w.caffemodel")
    assert again.params["weighted"][0].tolist() == [5, 5, 5]


def test_shared_params(layer, load):
    names = 'param { name: "w" } param { name: "b" }'
    text = (
        INPUT
        + layer("Weighted", more=names)
        + layer("Weighted", 'bottom: "y" top: "z"', names).replace('"weighted"', '"second"')
    )
    module = netspec.compile(load(text))
    assert module.params["second"][0] is module.params["weighted"][0]
    torch.testing.assert_close(module(x=torch.ones(2, 3))["z"], torch.tensor([[1.0, 4, 9]] * 2))


def test_in_place(layer, load):
    """Bottom and top are one blob, of which the layer overwrites what it read."""
    net = load(INPUT + layer("Times", 'bottom: "x" top: "x"', param='param_str: "3"'))
    module = netspec.compile(net)
    x = torch.ones(2, 3, requires_grad=True)
    out = module(x=x)["x"]
    out.sum().backward()
    assert (x.tolist(), out.tolist(), x.grad.tolist()) == (
        [[1] * 3] * 2,
        [[3] * 3] * 2,
        [[3] * 3] * 2,
    )


def test_phase(layer, load):
    assert (
        netspec.compile(load(INPUT + layer("Phase"), phase="TRAIN"))(x=torch.ones(2, 3))["y"].item()
        == TRAIN
        == 0
    )
    assert (
        netspec.compile(load(INPUT + layer("Phase"), phase="TEST"))(x=torch.ones(2, 3))["y"].item()
        == TEST
        == 1
    )
    own = INPUT + layer("Phase", more="phase: TEST")
    assert netspec.compile(load(own, phase="TRAIN"))(x=torch.ones(2, 3))["y"].item() == TEST


def test_a_layer_without_tops_runs(layer, load):
    module = netspec.compile(load(INPUT + layer("Watch", 'bottom: "x"') + layer("Times")))
    module(x=torch.ones(2, 3))
    assert module.watch.layer.seen[0].tolist() == [[1] * 3] * 2
    assert list(
        netspec.compile(
            load(INPUT + layer("Watch", 'bottom: "x"') + layer("Times")), outputs=["y"]
        ).about.targets
    ) == ["times"]


def test_a_backward_pass_belongs_to_the_last_forward_pass(layer, load):
    module = netspec.compile(load(INPUT + layer("Times")))
    x = torch.ones(2, 3, requires_grad=True)
    first = module(x=x)["y"]
    module(x=x)
    with pytest.raises(
        NetspecError,
        match="layer 'times' ran forward again before the backward pass of an earlier one",
    ):
        first.sum().backward()


# torch's own, where it goes on after the break
@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_under_torch_compile_the_graph_breaks(layer, load):
    module = netspec.compile(load(INPUT + layer("Times", param='param_str: "2"')))
    fast = torch.compile(module, backend="eager")
    x = torch.ones(2, 3, requires_grad=True)
    fast(x=x)["y"].sum().backward()
    assert x.grad.tolist() == [[2] * 3] * 2


def test_a_solver_trains_them(layer, tmp_path, monkeypatch):
    (tmp_path / "net.prototxt").write_text(
        layer("Counting", 'top: "data" top: "label"')
        + layer("Weighted", 'bottom: "data" top: "y"')
        + 'layer { name: "flat" type: "Flatten" bottom: "y" top: "z" flatten_param { axis: 0 } }'
        + layer("Distance", 'bottom: "z" bottom: "label" top: "loss"', "loss_weight: 1")
    )
    solver_text = (
        'net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" max_iter: 2 random_seed: '
        '1 solver_mode: CPU snapshot_prefix: "s"'
    )
    (tmp_path / "solver.prototxt").write_text(solver_text)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NetspecError, match="not allowed"):
        netspec.Solver("solver.prototxt")
    solver = netspec.Solver("solver.prototxt", allow_python_layers=True)
    solver.step(1)
    x = np.arange(4.0)
    expected = 1 - 0.01 * ((x - x / 2) * x).sum() / 4
    assert solver.module.params["weighted"][0].item() == pytest.approx(expected, rel=1e-5)
    solver.close()
    assert main(["train", "solver.prototxt", "--cpu"]) == 1
    assert main(["train", "solver.prototxt", "--cpu", "--allow-python-layers"]) == 0
    assert (tmp_path / "s_iter_2.caffemodel").exists()


def test_caffe_is_a_stand_in_for_the_users_code_only(load, write_module):
    name = write_module(
        "import caffe\n"
        "class Late(caffe.Layer):\n"
        "    def setup(self, bottom, top):\n"
        "        import caffe as again\n"
        "        assert again is caffe and self.param_str_ == 'p' and self.type == 'Python'\n"
        "    def reshape(self, bottom, top): top[0].reshape(1)\n"
        "    def forward(self, bottom, top): pass\n"
    )
    load(
        INPUT
        + (
            'layer { name: "p" type: "Python" bottom: "x" top: "y" '
            f'python_param {{ module: "{name}" layer: "Late" param_str: "p" }} }}'
        )
    )
    assert "caffe" not in sys.modules


def test_beside_a_real_caffe(load, write_module, tmp_path, monkeypatch):
    """Its Layer can't be made from Python.

    Ours stands before it, and the class's own methods before both.
    """
    (tmp_path / "caffe").mkdir()
    (tmp_path / "caffe" / "__init__.py").write_text(
        "TRAIN, TEST, REAL = 0, 1, True\n"
        "class Layer:\n"
        "    def __init__(self, *arguments): raise TypeError('LayerParameter wanted')\n"
        "    @property\n"
        "    def blobs(self): raise TypeError('no C++ object')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    name = write_module(LAYERS + "\nassert caffe.REAL\n")
    try:
        is_caffe_installed.cache_clear()
        text = INPUT + (
            'layer { name: "p" type: "Python" bottom: "x" top: "y" '
            f'python_param {{ module: "{name}" layer: "Weighted" }} }}'
        )
        module = netspec.compile(load(text))
        torch.testing.assert_close(module(x=torch.ones(2, 3))["y"], torch.tensor([[1.0, 2, 3]] * 2))
    finally:
        sys.modules.pop("caffe", None)
        is_caffe_installed.cache_clear()


BODY = """
import caffe
class Faulty(caffe.Layer):
    def setup(self, bottom, top): {setup}
    def reshape(self, bottom, top): {reshape}
    def forward(self, bottom, top): {forward}
    def backward(self, top, propagate_down, bottom): {backward}
"""
PLAIN = {"setup": "pass", "reshape": "top[0].reshape(1)", "forward": "pass", "backward": "pass"}
FAULTS = [
    (
        {"setup": "int(self.param_str)"},
        "its setup failed: ValueError: invalid literal for int",
        "4",
        "int(self.param_str)",
    ),
    (
        {"reshape": "bottom[1]"},
        "its reshape failed: IndexError: list index out of range",
        "5",
        "bottom[1]",
    ),
    (
        {"reshape": "top[0].reshape(-1)"},
        "its reshape failed: ValueError: a blob can't have a negative size",
        "5",
        "top[0].reshape(-1)",
    ),
    (
        {"reshape": "top[0].reshape(1.5)"},
        "its reshape failed: TypeError: 'float' object",
        "5",
        "top[0].reshape(1.5)",
    ),
    ({"reshape": "pass"}, "its setup and reshape give top 'y' no shape", None, None),
    (
        {"setup": "raise SystemExit(3)"},
        "its setup failed: SystemExit: 3",
        "4",
        "raise SystemExit(3)",
    ),
    (
        {"setup": "caffe.set_mode_gpu()"},
        "its setup failed: AttributeError: module 'caffe' has no attribute 'set_mode_gpu'",
        "4",
        "set_mode_gpu",
    ),
]


@pytest.mark.parametrize(("methods", "message", "line", "code"), FAULTS)
def test_faults_of_the_users_code_while_shapes_are_inferred(
    load, write_module, tmp_path, methods, message, line, code
):
    name = write_module(BODY.format(**PLAIN | methods))
    with pytest.raises(NetspecError) as caught:
        load(
            INPUT
            + (
                'layer { name: "p" type: "Python" bottom: "x" top: "y" '
                f'python_param {{ module: "{name}" layer: "Faulty" }} }}'
            )
        )
    text = str(caught.value)
    assert f"layer 'p': {message}" in text
    assert caught.value.diagnostics[0].span.line == 2
    if line:
        assert f"{tmp_path / name}.py:{line}:" in text
        assert code in text.splitlines()[-1]
    assert ("stands in for caffe" in text) == ("set_mode_gpu" in text)


def test_faults_of_the_users_code_at_run_time(load, write_module, tmp_path):
    for method, code in (
        ("forward", "top[0].data[...] = bottom[0].data"),
        ("backward", "bottom[0].diff[7]"),
    ):
        name = write_module(BODY.format(**PLAIN | {method: code}))
        module = netspec.compile(
            load(
                INPUT
                + (
                    'layer { name: "p" type: "Python" bottom: "x" top: "y" '
                    f'python_param {{ module: "{name}" layer: "Faulty" }} }}'
                )
            )
        )
        with pytest.raises(NetspecError) as caught:
            module(x=torch.ones(2, 3, requires_grad=True))["y"].sum().backward()
        text = str(caught.value)
        assert f"{tmp_path}/net.prototxt:2:25: error: layer 'p': its {method} failed: " in text
        assert (
            f"{tmp_path / name}.py:{6 if method == 'forward' else 7}:5: note: raised here: " in text
        )
        assert code in text.splitlines()[-1]


def test_faults_of_the_module(load, write_module):
    def fault(module, layer="Times"):
        with pytest.raises(NetspecError) as caught:
            load(
                INPUT
                + (
                    'layer { name: "p" type: "Python" bottom: "x" top: "y" '
                    f'python_param {{ module: "{module}" layer: "{layer}" }} }}'
                )
            )
        return str(caught.value)

    assert "layer 'p': there is no Python module 'python_layers_none'" in fault(
        "python_layers_none"
    )
    assert "in the net's folder, on PYTHONPATH and in the working directory" in fault(
        "python_layers_none.part"
    )
    assert "hint: did you mean 'Times'?" in fault(write_module(), "Timse")
    assert "the class 'Half' has no method 'forward'" in fault(
        write_module("import caffe\nclass Half(caffe.Layer):\n    setup = reshape = None\n"), "Half"
    )
    syntax = fault(write_module("import caffe\n\nclass (:\n"))
    assert "can't be imported: SyntaxError: " in syntax
    assert ".py:3:1: note: raised here: class (:" in syntax
    missing = fault(write_module("import no_such_package\n"))
    assert "can't be imported: ModuleNotFoundError: No module named 'no_such_package'" in missing
    assert ".py:1:1: note: raised here: import no_such_package" in missing
    assert "netspec stands in for caffe with Layer, TRAIN and TEST only" in fault(
        write_module("from caffe.proto import caffe_pb2\n")
    )
    assert "'module' must name the Python module" in fault("")
    assert "'layer' must name the class in that module" in fault("m", "")


def test_a_missing_backward_is_reported_when_it_is_needed(load, write_module):
    name = write_module(BODY.format(**PLAIN).rsplit("    def backward", 1)[0])
    module = netspec.compile(
        load(
            INPUT
            + (
                'layer { name: "p" type: "Python" bottom: "x" top: "y" '
                f'python_param {{ module: "{name}" layer: "Faulty" }} }}'
            )
        )
    )
    module(x=torch.ones(2, 3))
    with pytest.raises(
        NetspecError, match="layer 'p': the class 'Faulty' has no method 'backward'"
    ):
        module(x=torch.ones(2, 3, requires_grad=True))["y"].sum().backward()


def test_modules_are_found_in_the_working_directory(load, write_module, tmp_path, monkeypatch):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    name = write_module()
    (tmp_path / f"{name}.py").rename(folder / f"{name}.py")
    monkeypatch.chdir(folder)
    assert load(
        INPUT
        + (
            'layer { name: "p" type: "Python" bottom: "x" top: "y" '
            f'python_param {{ module: "{name}" layer: "Times" }} }}'
        )
    )


def test_a_blob():
    blob = Blob()
    assert (blob.shape, blob.count) == ([], 1)
    blob.reshape(2, np.int64(3))
    assert (blob.shape, blob.num, blob.channels, blob.height, blob.width, blob.count) == (
        [2, 3],
        2,
        3,
        1,
        1,
        6,
    )
    assert blob.data.dtype == blob.diff.dtype == np.float32
    blob.data[...] = np.arange(6).reshape(2, 3)
    blob.reshape(4)  # the values stay, as in Caffe
    assert blob.data.tolist() == [0, 1, 2, 3]
    blob.reshape(2, 3)
    assert blob.data.tolist() == [[0, 1, 2], [3, 4, 5]]
    blob.reshape(1, 2, 3, 4, 5)
    with pytest.raises(ValueError, match="at most 4 axes, this one has 5"):
        blob.width
    with pytest.raises(AttributeError):
        blob.data = np.zeros(3)  # type: ignore[misc]
    assert Layer().blobs is not Layer().blobs


CONSTANT = """
import caffe
import my_helpers
class Constant(caffe.Layer):
    def setup(self, bottom, top): pass
    def reshape(self, bottom, top): top[0].reshape(1)
    def forward(self, bottom, top):
        import my_later
        top[0].data[...] = my_helpers.VALUE + my_later.VALUE
"""


def write_constant(folder, value):
    """A net whose layer, and the modules it imports, are named as those of other folders."""
    folder.mkdir()
    (folder / "my_layers.py").write_text(CONSTANT)
    (folder / "my_helpers.py").write_text(f"VALUE = {value}")
    (folder / "my_later.py").write_text(f"VALUE = {value / 10}")
    net = folder / "net.prototxt"
    net.write_text(
        'layer { name: "p" type: "Python" top: "y" python_param { module: "my_layers" '
        'layer: "Constant" } }'
    )
    return net


def test_each_net_has_the_modules_of_its_own_folder(tmp_path, monkeypatch):
    nets = [write_constant(tmp_path / name, value) for name, value in (("a", 10), ("b", 20))]
    monkeypatch.chdir(tmp_path / "a")
    path, modules = list(sys.path), set(sys.modules)
    first, second = (netspec.compile(net, allow_python_layers=True) for net in nets)
    for _ in range(2):
        assert (first()["y"].item(), second()["y"].item()) == (11, 22)
    assert netspec.compile(nets[0], allow_python_layers=True)()["y"].item() == 11
    assert sys.path == path
    assert not {name for name in set(sys.modules) - modules if name.startswith("my_")}


def test_a_nets_folder_goes_before_what_the_program_has_imported(tmp_path, monkeypatch):
    write_constant(tmp_path / "a", 10)
    net = write_constant(tmp_path / "b", 20)
    monkeypatch.syspath_prepend(str(tmp_path / "a"))
    own = {name: __import__(name) for name in ("my_helpers", "my_later")}
    try:
        module = netspec.compile(net, allow_python_layers=True)
        assert module()["y"].item() == 22
        assert {name: sys.modules[name] for name in own} == own
        assert "my_layers" not in sys.modules
    finally:
        for name in own:
            sys.modules.pop(name, None)
