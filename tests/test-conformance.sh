#!/bin/sh
# SPDX-License-Identifier: MIT
# What every transport must do, on those that work here.

. "$(dirname "$0")/tap.sh"

[ -x "$build/tests/conformance/conformance" ] || skip_all "conformance is not built: make tests-build"
exec "$build/tests/conformance/conformance" local
