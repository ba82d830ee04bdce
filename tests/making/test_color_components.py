"""`netspec dataset mean --pca`: the principal components of colours."""

import argparse

import numpy as np
import pytest

from netspec.cli import dataset
from netspec.diagnostics import NetspecError
from netspec.making.color_components import ColorComponents
from netspec.making.encode_datum import raw_datum
from netspec.making.mean_image import mean_of_database
from netspec.readers.augment import principal_components
from netspec.schema.netspec_pb2 import LightingParameter
from netspec.stores.lmdb_writer import LmdbWriter
from tests.readers.test_transform import rng, transformer

Image = pytest.importorskip("PIL.Image")


def run(*arguments):
    parser = argparse.ArgumentParser()
    dataset.configure(parser)
    return dataset.run(parser.parse_args(["mean", *map(str, arguments)]))


@pytest.fixture
def colours():
    """Images of different sizes whose channels go together."""
    draws = np.random.default_rng(2)
    mix = np.array([[40, 0, 5], [35, 15, 0], [30, -12, 3]])
    sizes = [(12, 10), (9, 14), (20, 6)]
    return [
        (128 + np.einsum("ij,jhw->ihw", mix, draws.normal(size=(3, *size))))
        .clip(0, 255)
        .astype(np.uint8)
        for size in sizes
    ]


@pytest.fixture
def database(tmp_path, colours):
    with LmdbWriter(tmp_path / "db") as writer:
        for i, image in enumerate(colours):
            writer.put(f"{i:08d}".encode(), raw_datum(image, 0))
    return tmp_path / "db"


def covariance(colours):
    return np.cov(np.concatenate([image.reshape(3, -1) for image in colours], 1) / 255, bias=True)


def test_the_files_components_give_back_the_covariance(tmp_path, database, colours, capsys):
    out = tmp_path / "pca.prototxt"
    assert run(database, "--pca", out) == 0
    param = LightingParameter(pca_file=str(out))
    scaled = principal_components(param, "", None)  # vector × value, a column each
    values = np.linalg.norm(scaled, axis=0)
    assert values[0] > values[1] > values[2] > 0
    vectors = scaled / values
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(vectors * values @ vectors.T, covariance(colours), atol=1e-7)
    shown = [line.split()[1] for line in capsys.readouterr().out.splitlines()[1:]]
    assert shown == [f"{value:.6g}" for value in np.linalg.eigvalsh(covariance(colours))[::-1]]
    assert run(database, "--pca", out) == 0  # over its own kind
    batch = transformer(f'lighting_param {{ pca_file: "{out}" }}', "TRAIN").apply(
        [colours[0]], rng()
    )
    assert not np.array_equal(batch[0], colours[0])


def test_a_list_of_images_has_the_same(tmp_path, database, colours):
    for i, image in enumerate(colours):
        Image.fromarray(image[::-1].transpose(1, 2, 0)).save(tmp_path / f"{i}.png")
    (tmp_path / "list.txt").write_text("".join(f"{i}.png 0\n" for i in range(3)))
    run(tmp_path / "list.txt", "--pca", tmp_path / "of_list")
    run(database, "--pca", tmp_path / "of_db")
    texts = [(tmp_path / name).read_text().splitlines()[2:] for name in ("of_list", "of_db")]
    assert texts[0] == texts[1]


def test_mean_and_components_in_one_pass(tmp_path, colours):
    with LmdbWriter(tmp_path / "equal") as writer:
        for i in range(3):
            writer.put(b"%d" % i, raw_datum(colours[0] // (i + 1), 0))
    run(tmp_path / "equal", tmp_path / "mean.binaryproto", "--pca", tmp_path / "pca")
    assert (tmp_path / "pca").exists()
    batch = transformer(f'mean_file: "{tmp_path / "mean.binaryproto"}"').apply([colours[0]], rng())
    np.testing.assert_allclose(
        batch[0], colours[0] - mean_of_database(tmp_path / "equal"), atol=1e-4
    )


def test_what_it_refuses(tmp_path, database):
    with pytest.raises(NetspecError, match="name a file for the mean, --pca FILE"):
        run(database)
    (tmp_path / "net.prototxt").write_text('name: "n"')
    with pytest.raises(NetspecError, match=r"already exists and is .*not a file of principal"):
        run(database, "--pca", tmp_path / "net.prototxt")
    with pytest.raises(NetspecError, match="r is 1×2×2: principal components of colours need 3"):
        ColorComponents().add(np.zeros((1, 2, 2), np.uint8), "r")
    with pytest.raises(NetspecError, match="r holds float_data"):
        ColorComponents().add(np.zeros((3, 2, 2), np.float32), "r")
