# The simulated CUDA device. SIM_SRCS make libcuda-sim.so.1; it needs -lm and
# -lpthread. Contraction of a * b + c would change results; -O3 pays, the
# operations are loops over 32 lanes.
SIM_SRCS := \
	host/cuda/sim/api_array.c \
	host/cuda/sim/api_capture.c \
	host/cuda/sim/api_context.c \
	host/cuda/sim/api_copy.c \
	host/cuda/sim/api_device.c \
	host/cuda/sim/api_graph.c \
	host/cuda/sim/api_graph_exec.c \
	host/cuda/sim/api_graph_typed.c \
	host/cuda/sim/api_green.c \
	host/cuda/sim/api_launch.c \
	host/cuda/sim/api_managed.c \
	host/cuda/sim/api_memory.c \
	host/cuda/sim/api_module.c \
	host/cuda/sim/api_pool.c \
	host/cuda/sim/api_reference.c \
	host/cuda/sim/api_sparse.c \
	host/cuda/sim/api_stream.c \
	host/cuda/sim/api_stream_more.c \
	host/cuda/sim/api_table.c \
	host/cuda/sim/api_virtual.c \
	host/cuda/sim/api_tensor.c \
	host/cuda/sim/builtin.c \
	host/cuda/sim/compile.c \
	host/cuda/sim/driver.c \
	host/cuda/sim/exact.c \
	host/cuda/sim/exec.c \
	host/cuda/sim/image.c \
	host/cuda/sim/memory.c \
	host/cuda/sim/mods.c \
	host/cuda/sim/module.c \
	host/cuda/sim/ops_atomic.c \
	host/cuda/sim/ops_compare.c \
	host/cuda/sim/ops_control.c \
	host/cuda/sim/ops_cvt.c \
	host/cuda/sim/ops_float.c \
	host/cuda/sim/ops_half.c \
	host/cuda/sim/ops_int.c \
	host/cuda/sim/ops_memory.c \
	host/cuda/sim/ops_warp.c \
	host/cuda/sim/ptx_arena.c \
	host/cuda/sim/ptx_declaration.c \
	host/cuda/sim/ptx_lexer.c \
	host/cuda/sim/ptx_parser.c \
	host/cuda/sim/ptx_token.c \
	host/cuda/sim/ptx_type.c \
	host/cuda/sim/resolve.c \
	host/cuda/unpack.c

SIM_CFLAGS := -O3 -ffp-contract=off -fvisibility=hidden
