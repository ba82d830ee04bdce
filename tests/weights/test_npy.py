"""bvlc_alexnet.npy and its like: read without running pickled code, brought to Caffe's layout."""

import contextlib
import io
import os
import pickle
import pickletools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.diagnostics import NetspecError
from netspec.weights.npy import read_npy

rng = np.random.default_rng(0)


def caffe_net(shapes):
    rng = np.random.default_rng(0)
    return {
        name: [rng.random(shape, np.float32), rng.random(shape[0], np.float32)]
        for name, shape in shapes.items()
    }


# AlexNet's proportions: grouped convolutions, fc6 behind 256×6×6, here 8×6×6
ALEXNET = {
    "conv1": (5, 3, 11, 11),
    "conv2": (8, 2, 5, 5),
    "conv5": (8, 6, 3, 3),
    "fc6": (16, 288),
    "fc7": (16, 16),
    "fc8": (10, 16),
}


def to_tensorflow(net, flattened):
    """What caffe-to-tensorflow does with the weights of a Caffe net."""
    out = {}
    for name, (weights, bias) in net.items():
        if weights.ndim == 4:
            weights = weights.transpose(2, 3, 1, 0)
        elif name in flattened:
            weights = (
                weights.reshape(-1, *flattened[name])
                .transpose(2, 3, 1, 0)
                .reshape(weights.shape[1], -1)
            )
        else:
            weights = weights.T
        out[name] = [np.ascontiguousarray(weights), bias]
    return out


def same(read, net):
    assert read.keys() == net.keys()
    for name in net:
        for ours, theirs in zip(read[name], net[name], strict=True):
            np.testing.assert_array_equal(ours, theirs)
            assert ours.dtype == np.float32
            assert ours.flags.c_contiguous
            assert ours.flags.writeable  # torch wants to take it over


def npy(path, content, protocol=4):
    """A .npy file as NumPy writes it for one object, in any of pickle's protocols."""
    array = np.empty((), dtype=object)
    array[()] = content
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": ()}
        )
        pickle.dump(array, file, protocol=protocol)
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_round_trip_through_caffe_to_tensorflow(tmp_path, protocol):
    net = caffe_net(ALEXNET)
    path = npy(tmp_path / "a.npy", to_tensorflow(net, {"fc6": (8, 6, 6)}), protocol)
    same(read_npy(path), net)


def test_what_numpy_saves_today(tmp_path):
    net = caffe_net(ALEXNET)
    np.save(tmp_path / "a.npy", to_tensorflow(net, {"fc6": (8, 6, 6)}), allow_pickle=True)
    same(read_npy(tmp_path / "a.npy"), net)


def python2_pickle(net):
    """The bytes that Python 2 and its NumPy wrote.

    Names and data are SHORT_BINSTRING and BINSTRING, the module numpy.core.
    """
    out = io.BytesIO()
    text = lambda s: out.write(b"U" + bytes([len(s)]) + s)  # noqa: E731

    def array(shape, dtype, data):
        out.write(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85")
        text(b"b")
        out.write(
            b"\x87R(K\x01"
            + b"("
            + b"".join(b"M" + n.to_bytes(2, "little") for n in shape)
            + b"tcnumpy\ndtype\n"
        )
        text(dtype)
        out.write(b"K\x00K\x01\x87R(K\x03")
        text(b"<" if dtype != b"O8" else b"|")
        out.write(
            b"NNN"
            + b"J\xff\xff\xff\xff" * 2
            + (b"K\x3f" if dtype == b"O8" else b"K\x00")
            + b"tb\x89"
        )
        data()
        out.write(b"tb")

    def layers():
        out.write(b"](}(")
        for name, arrays in net.items():
            text(name.encode())
            out.write(b"](")
            for a in arrays:
                array(
                    a.shape,
                    b"f4",
                    lambda a=a: out.write(b"T" + a.nbytes.to_bytes(4, "little") + a.tobytes()),
                )
            out.write(b"e")
        out.write(b"ue")

    out.write(b"\x80\x02")
    array((), b"O8", layers)
    out.write(b".")
    return out.getvalue()


def test_a_file_of_python_2(tmp_path):
    net = caffe_net(ALEXNET)
    raw = python2_pickle(to_tensorflow(net, {"fc6": (8, 6, 6)}))
    # Python itself takes it for one
    assert pickle.loads(raw, encoding="latin1").item().keys() == net.keys()
    assert {op.name for op, _, _ in pickletools.genops(raw)} >= {"BINSTRING", "SHORT_BINSTRING"}
    with open(tmp_path / "a.npy", "wb") as file:
        file.write(
            b"\x93NUMPY\x01\x00F\x00"
            + b"{'descr': 'O', 'fortran_order': False, 'shape': (), }".ljust(69)
            + b"\n"
            + raw
        )
    same(read_npy(tmp_path / "a.npy"), net)


def test_later_versions_name_weights_and_biases(tmp_path):
    net = caffe_net(ALEXNET)
    content = {
        n: {"biases": b, "weights": w}
        for n, (w, b) in to_tensorflow(net, {"fc6": (8, 6, 6)}).items()
    }
    same(read_npy(npy(tmp_path / "a.npy", content)), net)


def test_fortran_order_doubles_and_scalars(tmp_path):
    content = {
        "fc": [np.asfortranarray(rng.random((3, 5))), np.arange(5, dtype=">f8")],
        "scale": [np.float32(2), np.float64(3)],
    }
    weights = read_npy(npy(tmp_path / "a.npy", content))
    np.testing.assert_array_equal(weights["fc"][0], content["fc"][0].T.astype(np.float32))
    assert weights["fc"][1].tolist() == [0, 1, 2, 3, 4]
    assert [a.item() for a in weights["scale"]] == [2, 3]


def test_skipped_layers_are_left_out_and_may_hold_anything(tmp_path):
    net = caffe_net(ALEXNET)
    content = {**to_tensorflow(net, {"fc6": (8, 6, 6)}), "bn": {"mean": 1}}
    path = npy(tmp_path / "a.npy", content)
    with pytest.raises(NetspecError, match="layer 'bn' holds a dict with the keys mean"):
        read_npy(path)
    del net["fc6"], net["fc8"]
    # fc7 does not become the first dense layer
    same(read_npy(path, skip_layers=["fc8", "bn", "fc6"]), net)
    with pytest.raises(NetspecError, match=r"no layer 'fc9'\n  hint: did you mean"):
        read_npy(path, skip_layers=["fc9"])


# ---- which feature map a dense layer flattens

VGG = {
    "conv2_2": (8, 4, 3, 3),
    "conv5_3": (32, 8, 3, 3),
    "conv5_2": (32, 32, 3, 3),
    "fc6": (12, 1568),
    "fc7": (12, 12),
}


def test_of_several_that_fit_the_last_by_number(tmp_path):
    net = caffe_net(VGG)  # 1568 = 32×7×7 = 8×14×14
    content = to_tensorflow(net, {"fc6": (32, 7, 7)})
    same(
        read_npy(npy(tmp_path / "a.npy", dict(reversed(content.items())))),
        dict(reversed(net.items())),
    )


def test_given_by_the_caller(tmp_path):
    net = caffe_net({"first": (4, 3, 3, 3), "second": (4, 4, 3, 3), "ip": (10, 4 * 2 * 3)})
    path = npy(tmp_path / "a.npy", to_tensorflow(net, {"ip": (4, 2, 3)}))
    with pytest.raises(NetspecError, match=r"24 inputs of 'ip'(.|\n)*ip=C,H,W"):
        read_npy(path)
    same(read_npy(path, flattened={"ip": (4, 2, 3)}), net)
    with pytest.raises(NetspecError, match="has 24 inputs, not 4×2×2"):
        read_npy(path, flattened={"ip": (4, 2, 2)})
    with pytest.raises(NetspecError, match="no layer 'pi'"):
        read_npy(path, flattened={"pi": (4, 2, 3)})
    plain = read_npy(path, flattened={"ip": (24, 1, 1)})["ip"][0]
    np.testing.assert_array_equal(plain, to_tensorflow(net, {"ip": (4, 2, 3)})["ip"][0].T)


def test_two_that_fit_with_names_that_say_no_order(tmp_path):
    path = npy(
        tmp_path / "a.npy",
        to_tensorflow(caffe_net({"a": (4, 3, 3, 3), "b": (16, 4, 3, 3), "ip": (9, 64)}), {}),
    )
    with pytest.raises(NetspecError, match="4×4×4 or 16×2×2 would fit"):
        read_npy(path)


def test_dense_layers_that_could_all_come_first(tmp_path):
    net = caffe_net({"conv1": (4, 3, 3, 3), "fc1": (16, 16), "fc2": (16, 16)})
    path = npy(tmp_path / "a.npy", to_tensorflow(net, {"fc1": (4, 2, 2)}))
    with pytest.raises(NetspecError, match="each of fc1, fc2 fits behind another"):
        read_npy(path)
    same(read_npy(path, flattened={"fc1": (4, 2, 2)}), net)


def test_a_net_without_convolutions_keeps_its_order(tmp_path):
    net = caffe_net({"fc1": (8, 16), "fc2": (8, 8)})
    same(read_npy(npy(tmp_path / "a.npy", to_tensorflow(net, {}))), net)


# ---- what must not be run


class Runs:
    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments

    def __reduce__(self):
        return self.function, self.arguments


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("where", ["layer", "array", "key"])
def test_code_is_refused_by_name_and_not_run(tmp_path, protocol, where):
    trace = tmp_path / "ran"
    bad = Runs(os.system, f"touch {trace}")
    content = {
        "layer": {"conv1": bad},
        "array": {"conv1": [bad, np.ones(2)]},
        "key": {1: 2, bad: 3},
    }[where]
    path = npy(tmp_path / "a.npy", content, protocol)
    with pytest.raises(NetspecError) as caught:
        read_npy(path)
    assert not trace.exists()
    if protocol in (2, 3, 4):
        assert f"'{os.system.__module__}.system'" in str(caught.value)


@pytest.mark.parametrize("function", [eval, exec, getattr, __import__, np.load, np.fromfile])
def test_other_functions_are_refused(tmp_path, function):
    with pytest.raises(NetspecError, match="asks for"):
        read_npy(npy(tmp_path / "a.npy", {"conv1": [Runs(function, "1")]}))


def pickled(tmp_path, raw):
    path = tmp_path / "a.npy"
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|O", "fortran_order": False, "shape": ()}
        )
        file.write(raw)
    return path


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b".", "damaged"),
        (b"", "damaged|no end"),
        (b"cos\nsystem\n(X\x02\x00\x00\x00idtR.", "'os.system'"),
        (b"cnumpy\nndarray\n.", "a name where data should be"),
        (b"cnumpy\ndtype\nX\x02\x00\x00\x00f4\x85R.", "a name where data should be"),
        (b"cnumpy\ndtype\nX\x02\x00\x00\x00f4\x85b.", "state"),
        (b"cnumpy\ndtype\n)R.", "never writes"),
        (b"c_codecs\nencode\nK\x05X\x06\x00\x00\x00latin1\x86R.", "text should be"),
        (b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00rot13\x86R.", "never writes"),
        (b"(K\x01K\x02.", "1|damaged|objects"),
        (b"(.", "mark"),
        (b"e.", "damaged"),
        (b"}K\x01e.", "damaged"),
        (b"K\x01K\x02K\x03s.", "no dict"),
        (b"}]K\x01s.", "a key that is a list"),
        (b"h\x05.", "damaged"),
        (b"]q\x00h\x00a.", "nested too deep"),
        (b"Pabc\n.", "instruction PERSID"),
        (b"(cos\nsystem\nK\x01o.", "'os.system'"),
        (b"(K\x01ios\nsystem\n.", "instruction INST"),
        (b"\x82\x01.", "instruction EXT1"),
    ],
)
def test_pickles_that_are_no_files_of_arrays(tmp_path, raw, message):
    with pytest.raises(NetspecError, match=message):
        read_npy(pickled(tmp_path, raw))


def test_lists_in_lists_take_no_time(tmp_path):
    # eight levels of 255 references to the level below would be 255**8 lists, if each were built
    # anew
    raw = (
        b"]q\x00"
        + b"".join(
            b"](" + b"h" + bytes([i]) + (b"h" + bytes([i])) * 254 + b"eq" + bytes([i + 1])
            for i in range(6)
        )
        + b"."
    )
    with pytest.raises(NetspecError):
        read_npy(pickled(tmp_path, raw))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "expected a dict"),
        ({1: [np.ones(2)]}, "expected a dict"),
        ({"conv1": 3}, "layer 'conv1' holds a int"),
        ({"conv1": [np.array(["text"])]}, "dtype"),
        ({"conv1": [np.ones((2, 2, 2))]}, "3 axes"),
        ({"conv1": [np.zeros(2, dtype=[("a", "f4")])]}, "records|dtype"),
    ],
)
def test_contents_that_are_no_weights(tmp_path, content, message):
    with pytest.raises(NetspecError, match=message):
        read_npy(npy(tmp_path / "a.npy", content))


def test_files_that_are_no_npy(tmp_path):
    path = tmp_path / "a.npy"
    for content in (
        b"",
        b"\x93NUMPY",
        b"PK\x03\x04",
        b"\x93NUMPY\x01\x00\x05\x00(((((",
        b"\x93NUMPY\x01\x00\x03\x00{1:",
    ):
        path.write_bytes(content)
        with pytest.raises(NetspecError, match=r"not a \.npy file"):
            read_npy(path)
    np.save(path, np.ones(3))
    with pytest.raises(NetspecError, match="one array of the shape"):
        read_npy(path)
    with pytest.raises(NetspecError, match="does not exist"):
        read_npy(tmp_path / "missing.npy")


SMALL = {"conv1": (2, 1, 2, 2), "fc6": (3, 8)}


def reads_or_reports(path, content):
    path.write_bytes(content)
    with contextlib.suppress(NetspecError):
        read_npy(path)


@pytest.mark.parametrize("protocol", [2, 4])
def test_a_file_that_is_cut_anywhere_is_reported(tmp_path, protocol):
    whole = npy(
        tmp_path / "a.npy", to_tensorflow(caffe_net(SMALL), {"fc6": (2, 2, 2)}), protocol
    ).read_bytes()
    for end in range(len(whole)):
        reads_or_reports(tmp_path / "b.npy", whole[:end])


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_damaged_file_is_read_or_reported(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    whole = npy(
        folder / "a.npy",
        to_tensorflow(caffe_net(SMALL), {"fc6": (2, 2, 2)}),
        data.draw(st.sampled_from([2, 4])),
    )
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    reads_or_reports(folder / "b.npy", bytes(content))
