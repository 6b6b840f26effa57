# SPDX-License-Identifier: MIT
HOST_SRCS := $(addprefix host/, captive.c config.c kept.c listen.c log.c main.c notify.c option_table.c options.c \
	options_command.c options_print.c options_sections.c plugin.c policy.c privileges.c renewal.c supervisor.c waiting.c \
	worker.c worker_file.c worker_link.c workers.c)
HOST_PKGS := inih
