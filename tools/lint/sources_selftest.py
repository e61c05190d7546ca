#!/usr/bin/env python3
"""Each check of sources.py finds its fault, and finds none where there is none."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import sources  # noqa: E402

TREE = {"nn/model.h", "nn/model.cc", "nn/optimizer.proto", "kd/term.h", "kd/term_test.cc"}

# name, path, text, what the one fault contains; None where there is no fault.
INCLUDES = [
    ("own header first", "nn/model.cc", '#include "retort/nn/model.h"\n\n#include <vector>\n', None),
    ("own header second", "nn/model.cc", '#include <vector>\n#include "retort/nn/model.h"\n', "nn/model.cc:1: the first"),
    ("a test may begin otherwise", "kd/term_test.cc", '#include <vector>\n#include "retort/kd/term.h"\n', None),
    ("umbrella", "kd/term.h", "#include <torch/torch.h>\n", "costs 20 s"),
    ("lean torch", "kd/term.h", "#include <ATen/core/Tensor.h>\n", None),
    ("no prefix", "kd/term.h", '#include "nn/model.h"\n', '"retort/nn/model.h" only'),
    ("beside", "nn/weights.h", '#include "model.h"\n', '"retort/nn/model.h" only'),
    ("generated", "kd/term.h", '#include "nn/optimizer.pb.h"\n', '"retort/nn/optimizer.pb.h" only'),
    ("angle brackets", "kd/term.h", "#include <retort/nn/model.h>\n", "quotation marks"),
    ("others", "kd/term.h", '#include "absl/status/status.h"\n#include "google/protobuf/message.h"\n', None),
]
BUILDS = [
    ("short", "kd/BUILD", "x\n" * 180, None),
    ("long", "kd/BUILD", "x\n" * 181, "181 lines"),
    ("raw rule", "kd/BUILD", 'cc_library(\n    name = "x",\n)\n', "kd/BUILD:1: cc_library"),
    ("our rule", "kd/BUILD", 'retort_cc_library(\n    name = "x",\n)\n', None),
]


def main():
    failed = 0
    cases = [(c, list(sources.check_includes(c[1], c[2], TREE))) for c in INCLUDES]
    cases += [(c, list(sources.check_build(c[1], c[2]))) for c in BUILDS]
    for (name, _, _, expected), found in cases:
        good = not found if expected is None else len(found) == 1 and expected in found[0]
        failed += not good
        print("ok  " if good else "FAIL", name, found)
    sys.exit(failed)


if __name__ == "__main__":
    main()
