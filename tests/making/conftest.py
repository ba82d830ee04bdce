"""The fixtures of tests on data."""

from tests.data_fixtures import (  # noqa: F401
    data_net,
    datums,
    images,
    make_net,
    reference,
    write_lmdb,
    write_mean,
)
