#!/bin/sh
# SPDX-License-Identifier: MIT
#
# A point that fails, and one that passes.

. /src/tests/xen/lib.sh
is "two and two are five" $((2 + 2)) 5
is "two and two are four" $((2 + 2)) 4
done_testing
