#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Ends by itself, well, and before it is through.

. /src/tests/xen/lib.sh
pass "the first point"
exit 0
