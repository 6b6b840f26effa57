/* SPDX-License-Identifier: MIT */
/* Integer arithmetic of all widths and signs, in plain C. */
#include "common.h"

#define INTEGER_RESULTS 64

DEVICE void
integer(const uint32_t *in, uint64_t *out)
{
    uint32_t a = in[0], b = in[1], c = in[2], n = in[3];
    int32_t sa = (int32_t)a, sb = (int32_t)b, sc = (int32_t)c;
    uint64_t la = (uint64_t)a << 32 | b, lb = (uint64_t)c << 32 | n, lc = (uint64_t)b * c;
    int64_t sla = (int64_t)la, slb = (int64_t)lb;
    uint16_t ha = (uint16_t)a, hb = (uint16_t)b;
    int16_t sha = (int16_t)a, shb = (int16_t)b;
    int i = 0;

    out[i++] = a + b;
    out[i++] = a - b;
    out[i++] = a * b;
    out[i++] = (uint64_t)a * b;
    out[i++] = (uint64_t)((int64_t)sa * sb);
    out[i++] = a * b + c;
    out[i++] = (uint64_t)a * b + la;
    out[i++] = (uint64_t)((uint64_t)a * b) >> 32;
    out[i++] = b ? a / b : 0;
    out[i++] = b ? a % b : 0;
    out[i++] = sb && !(sa == INT32_MIN && sb == -1) ? (uint64_t)(int64_t)(sa / sb) : 0;
    out[i++] = sb && !(sa == INT32_MIN && sb == -1) ? (uint64_t)(int64_t)(sa % sb) : 0;
    out[i++] = a / 7;
    out[i++] = (uint32_t)(sa / 10);
    out[i++] = a % 1000;
    out[i++] = la + lb;
    out[i++] = la - lb;
    out[i++] = la * lb;
    out[i++] = la * lb + lc;
    out[i++] = lb ? la / lb : 0;
    out[i++] = lb ? la % lb : 0;
    out[i++] = slb && !(sla == INT64_MIN && slb == -1) ? (uint64_t)(sla / slb) : 0;
    out[i++] = slb && !(sla == INT64_MIN && slb == -1) ? (uint64_t)(sla % slb) : 0;
    out[i++] = a & b;
    out[i++] = a | b;
    out[i++] = a ^ b;
    out[i++] = ~a;
    out[i++] = (a & b) ^ (~a & c);
    out[i++] = (la & lb) | lc;
    out[i++] = la ^ ~lb;
    out[i++] = a << (n & 31);
    out[i++] = a >> (n & 31);
    out[i++] = (uint32_t)(sa >> (n & 31));
    out[i++] = la << (n & 63);
    out[i++] = la >> (n & 63);
    out[i++] = (uint64_t)(sla >> (n & 63));
    out[i++] = a < b ? a : b;
    out[i++] = a > b ? a : b;
    out[i++] = (uint32_t)(sa < sb ? sa : sb);
    out[i++] = (uint32_t)(sa > sb ? sa : sb);
    out[i++] = la < lb ? la : lb;
    out[i++] = (uint64_t)(sla > slb ? sla : slb);
    out[i++] = sa < 0 ? 0 - a : a;
    out[i++] = sla < 0 ? 0 - la : la;
    out[i++] = (uint16_t)(ha + hb);
    out[i++] = (uint16_t)(ha * hb);
    out[i++] = hb ? (uint16_t)(ha / hb) : 0;
    out[i++] = hb ? (uint16_t)(ha % hb) : 0;
    out[i++] = (uint64_t)(int64_t)(int16_t)(sha - shb);
    out[i++] = (uint64_t)(int64_t)((int32_t)sha * shb);
    out[i++] = (uint16_t)(sha >> (n & 15));
    out[i++] = (uint64_t)(int64_t)(int8_t)a;
    out[i++] = (uint8_t)(a >> 8);
    out[i++] = (uint64_t)(int64_t)(int8_t)((int8_t)a + (int8_t)b);
    out[i++] = (uint64_t)(int64_t)sa;
    out[i++] = (uint64_t)(uint32_t)sla;
    out[i++] = (a == b) | (a != c) << 1 | (a < b) << 2 | (sa < sb) << 3 | (a <= c) << 4 | (sa <= sc) << 5 |
               (la > lb) << 6 | (sla > slb) << 7 | (ha < hb) << 8 | (sha < shb) << 9 | (la == lc) << 10 |
               (sla >= slb) << 11;
    out[i++] = (sa > 0 && sb > 0) || (sa < 0 && sc < 0) ? a : b;
    out[i++] = (a >> 16 | a << 16) * 2654435761u;
    out[i++] = la / 1000000007u;
    out[i++] = (uint64_t)(sla / 13);
    out[i++] = (uint32_t)sa * 24 + 5;
    out[i++] = a * 0x9e3779b9u ^ b;
    out[i++] = (uint64_t)(sla < 0 ? -1 : sla > 0);
}
