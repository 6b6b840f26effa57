# SPDX-License-Identifier: MIT
# Tests on a real Xen, which QEMU boots: what tests/xen/run.sh does.

.PHONY: check-xen xen-shell deps-xen

check-xen: deps-xen ## install what is missing, build, run the tests on Xen in QEMU (no KVM, no root needed for it)
	$(Q)$(MAKE) --no-print-directory all tests-build
	$(Q)BUILD=$(BUILD) tests/xen/run.sh --check $(TESTS)

xen-shell: deps-xen ## boot Xen in QEMU and stay at a shell in Dom0
	$(Q)$(MAKE) --no-print-directory all tests-build
	$(Q)BUILD=$(BUILD) tests/xen/run.sh --shell

deps-xen:
	$(Q)./tests/install-packages.sh build check xen
