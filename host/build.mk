# SPDX-License-Identifier: MIT
HOST_SRCS := $(addprefix host/, captive.c config.c listen.c log.c main.c notify.c option_table.c options.c \
	options_print.c plugin.c supervisor.c worker.c)
HOST_PKGS := inih
