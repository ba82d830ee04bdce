#!/usr/bin/env python
"""Brings a net's text of an older format to today's.

This is Caffe's upgrade_net_proto_text. Comments are kept.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    # works from a checkout that isn't installed
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from netspec.cli.upgrade_tool import upgrade_tool

    sys.exit(upgrade_tool(__doc__))
