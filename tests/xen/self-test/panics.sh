#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Dom0's kernel panics.

. /src/tests/xen/lib.sh
pass "the first point"
echo c >/proc/sysrq-trigger
sleep 1000
done_testing
