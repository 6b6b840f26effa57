/* SPDX-License-Identifier: MIT */
/* The kernels of the CUDA tests. */
#ifndef KERNELS_H
#define KERNELS_H

static const char kernels[] =
    ".version 6.4\n"
    ".target sm_75\n"
    ".address_size 64\n"
    ".visible .global .align 4 .u32 counter;\n"
    ".visible .global .align 8 .b8 table[24];\n"
    ".visible .const .align 4 .u32 scale = 3;\n"

    /* data[i] += value, for i < count */
    ".visible .entry add(.param .u64 data, .param .u32 count, .param .u32 value)\n"
    "{\n"
    "    .reg .pred %p; .reg .u32 %i, %n, %v, %x, %b, %t; .reg .u64 %d, %o;\n"
    "    ld.param.u64 %d, [data]; ld.param.u32 %n, [count]; ld.param.u32 %v, [value];\n"
    "    mov.u32 %b, %ctaid.x; mov.u32 %i, %ntid.x; mov.u32 %t, %tid.x;\n"
    "    mad.lo.u32 %i, %b, %i, %t;\n"
    "    setp.ge.u32 %p, %i, %n; @%p bra DONE;\n"
    "    mul.wide.u32 %o, %i, 4; add.u64 %d, %d, %o;\n"
    "    ld.global.u32 %x, [%d]; add.u32 %x, %x, %v; st.global.u32 [%d], %x;\n"
    "DONE: ret;\n"
    "}\n"

    /* Appends value to log, whose first word counts the others. One thread. */
    ".visible .entry append(.param .u64 log, .param .u32 value)\n"
    "{\n"
    "    .reg .u32 %n, %v; .reg .u64 %d, %o;\n"
    "    ld.param.u64 %d, [log]; ld.param.u32 %v, [value];\n"
    "    ld.global.u32 %n, [%d]; add.u32 %n, %n, 1; st.global.u32 [%d], %n;\n"
    "    mul.wide.u32 %o, %n, 4; add.u64 %d, %d, %o; st.global.u32 [%d], %v;\n"
    "    ret;\n"
    "}\n"

    /* data[0] becomes the number of rounds, after that many of them. */
    ".visible .entry busy(.param .u64 data, .param .u32 rounds)\n"
    "{\n"
    "    .reg .pred %p; .reg .u32 %i, %n; .reg .u64 %d;\n"
    "    ld.param.u64 %d, [data]; ld.param.u32 %n, [rounds]; mov.u32 %i, 0;\n"
    "LOOP: add.u32 %i, %i, 1; setp.lt.u32 %p, %i, %n; @%p bra LOOP;\n"
    "    st.global.u32 [%d], %i;\n"
    "    ret;\n"
    "}\n"

    /* Parameters of all sizes, with gaps: out[0..7] get their values. */
    ".visible .entry many(.param .u8 a, .param .u64 b, .param .u16 c, .param .u32 d, .param .f32 e, .param .f64 f,\n"
    "                     .param .align 4 .b8 g[12], .param .u64 out)\n"
    "{\n"
    "    .reg .u16 %s; .reg .u32 %w; .reg .u64 %l, %o; .reg .f32 %e; .reg .f64 %f;\n"
    "    ld.param.u64 %o, [out];\n"
    "    ld.param.u8 %s, [a]; cvt.u64.u16 %l, %s; st.global.u64 [%o], %l;\n"
    "    ld.param.u64 %l, [b]; st.global.u64 [%o+8], %l;\n"
    "    ld.param.u16 %s, [c]; cvt.u64.u16 %l, %s; st.global.u64 [%o+16], %l;\n"
    "    ld.param.u32 %w, [d]; cvt.u64.u32 %l, %w; st.global.u64 [%o+24], %l;\n"
    "    ld.param.f32 %e, [e]; cvt.rzi.u64.f32 %l, %e; st.global.u64 [%o+32], %l;\n"
    "    ld.param.f64 %f, [f]; cvt.rzi.u64.f64 %l, %f; st.global.u64 [%o+40], %l;\n"
    "    ld.param.u32 %w, [g]; cvt.u64.u32 %l, %w; st.global.u64 [%o+48], %l;\n"
    "    ld.param.u32 %w, [g+8]; cvt.u64.u32 %l, %w; st.global.u64 [%o+56], %l;\n"
    "    ret;\n"
    "}\n"

    /* counter += scale */
    ".visible .entry tick()\n"
    "{\n"
    "    .reg .u32 %c, %s;\n"
    "    ld.global.u32 %c, [counter]; ld.const.u32 %s, [scale]; add.u32 %c, %c, %s; st.global.u32 [counter], %c;\n"
    "    ret;\n"
    "}\n"

    ".visible .entry narrow(.param .u64 data) .maxntid 64, 1, 1\n"
    "{\n"
    "    ret;\n"
    "}\n";

#endif
