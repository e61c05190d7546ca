#!/usr/bin/env python3
"""ptxas's reports of several kernels, of which one has a fault."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))
import check_ptx  # noqa: E402


def report(*kernels):
    """As ptxas -v writes it, of (name, stack, stores, loads, registers)."""
    return "ptxas info    : 0 bytes gmem\n" + "".join(
        f"ptxas info    : Compiling entry function '{name}' for 'sm_80'\n"
        f"ptxas info    : Function properties for {name}\n"
        f"    {stack} bytes stack frame, {stores} bytes spill stores, {loads} bytes spill loads\n"
        f"ptxas info    : Used {registers} registers, 400 bytes cmem[0]\n"
        for name, stack, stores, loads, registers in kernels)


class CheckPtxTest(unittest.TestCase):

    def faulty(self, text):
        return [name for name, _, passes in check_ptx.check(text, "sm_80", 64) if not passes]

    def test_each_kernel_is_judged_by_itself(self):
        good = ("good", 0, 0, 0, 64)
        self.assertEqual(self.faulty(report(good, ("many", 0, 0, 0, 65), good)), ["many"])
        self.assertEqual(self.faulty(report(("stack", 8, 0, 0, 10), good)), ["stack"])
        self.assertEqual(self.faulty(report(good, ("stores", 0, 4, 0, 10))), ["stores"])
        self.assertEqual(self.faulty(report(good, ("loads", 0, 0, 4, 10), good, ("many", 0, 0, 0, 99))), ["loads", "many"])
        self.assertEqual(self.faulty(report(good, good)), [])

    def test_a_kernel_without_figures_does_not_take_those_of_the_next(self):
        silent = "ptxas info    : Compiling entry function 'silent' for 'sm_80'\n"
        self.assertEqual(self.faulty(silent + report(("good", 0, 0, 0, 10))), ["silent"])
        self.assertEqual(self.faulty(report(("good", 0, 0, 0, 10)) + silent), ["silent"])

    def test_stack_of_a_called_function_counts(self):
        called = ("ptxas info    : Function properties for helper\n"
                  "    16 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n")
        self.assertEqual(self.faulty(report(("calls", 0, 0, 0, 10)) + called), ["calls"])

    def test_line_names_the_kernel(self):
        _, line, _ = next(check_ptx.check(report(("many", 0, 0, 0, 65)), "sm_80", 64))
        self.assertRegex(line, r"sm_80 +65 registers \(at most 64\) .* many$")

    def test_entries_of_a_file(self):
        ptx = "\t// .globl a\n.visible .entry a(\n.param .u64 p)\n{ add.f32 }\n.visible .entry b()\n{ fma.rn.f32 }\n"
        (a, text_of_a), (b, text_of_b) = check_ptx.entries(ptx)
        self.assertEqual([a, b], ["a", "b"])
        self.assertNotIn("fma", text_of_a)
        self.assertIn("fma", text_of_b)

    def test_width_of_stores(self):
        ptx = ("st.global.b64 [%rd1], %rd2;\n\tst.global.v4.f32 [%rd1], {%f1};\nst.global.u8 [%rd1+2], %r1;\n"
               "@%p1 st.volatile.global.L1::no_allocate.v2.b16 [%rd1], {%rs1};\nst.shared.b8 [%r1], %r2;\n"
               "ld.global.b16 %rs1, [%rd1];\n")
        self.assertEqual(check_ptx.store_widths(ptx), [8, 16, 1, 4])

    def test_faults_of_the_text(self):

        def faults(text, **kwargs):
            return list(check_ptx.read([("k", text)], **dict({"no_fma": False, "store_bytes": 0}, **kwargs)))

        wide, narrow = "st.global.b64 [%rd1], %rd2;\n", "st.global.b32 [%rd1], %r2;\n"
        self.assertEqual(faults(wide, store_bytes=8), [])
        self.assertEqual(faults(narrow), [])
        self.assertRegex(faults(wide + narrow, store_bytes=8)[0], r"stores of \[4, 8\] bytes in k")
        self.assertRegex(faults("", store_bytes=8)[0], r"stores of \[\] bytes in k")
        self.assertEqual(faults("fma.rn.f32 %f1;\ndiv.s32 %r1;\n"), [])
        self.assertRegex(faults("fma.rn.f32 %f1;\n", no_fma=True)[0], "fma.rn.f32, in k")
        self.assertEqual(faults("rem.u64 %rd1;\ndiv.s64 %rd1;\n"), ["2 divisions of 64 bits in k"])


if __name__ == "__main__":
    unittest.main()
