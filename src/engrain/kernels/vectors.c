/* Blocks of a product in the processor's vector units (AVX-512 with bf16); see matmul.c. */
#include "matmul.h"

#ifdef NARROW_PRODUCTS

enum { MOST = 12 /* rows of a block: 24 of the 32 registers hold its sums */ };

typedef struct { const bf16 *bias, *onto; bf16 *y; int64_t stride; } target;

INLINE void put(__m512 left, __m512 right, const target *to, int64_t row) {
    const int64_t at = row * to->stride;
    if (to->bias) { left = _mm512_add_ps(left, widened(to->bias)); right = _mm512_add_ps(right, widened(to->bias + TILE)); }
    if (to->onto) { left = _mm512_add_ps(left, widened(to->onto + at)); right = _mm512_add_ps(right, widened(to->onto + at + TILE)); }
    _mm512_storeu_si512(to->y + at, (__m512i)_mm512_cvtne2ps_pbh(right, left));
}

/* two terms of a row, for all columns */
INLINE __m512bh both(const bf16 *x) {
    int32_t word;
    memcpy(&word, x, sizeof word);
    return (__m512bh)_mm512_set1_epi32(word);
}

/* `rows` rows, a number known when this is compiled, and a panel's columns; meanwhile `lines` of 64 bytes are asked for of what lies `ahead`,
   each time two terms are done */
INLINE void block(const factor *f, int64_t row, const int rows, const bf16 *packed, const target *to, const bf16 *ahead, int lines) {
    __m512 left[MOST], right[MOST];
    for (int i = 0; i < rows; i++) __builtin_prefetch(to->y + i * to->stride, 1);
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) left[i] = right[i] = _mm512_setzero_ps();
    for (int part = 0; part < 2; part++) {
        const bf16 *x = f[part].x + row * f[part].x_stride;
        const int64_t wide = f[part].x_stride;
        for (int64_t k = 0; k < f[part].terms; k += TERMS, packed += 2 * HALF)
            for (int pair = 0; pair < TERMS; pair += 2) {
                if (lines) _mm_prefetch((const char *)ahead, _MM_HINT_T1), ahead += TILE * 2;
                if (lines > 1) _mm_prefetch((const char *)ahead, _MM_HINT_T1), ahead += TILE * 2;
                const __m512bh a = (__m512bh)_mm512_loadu_si512(packed + TILE * pair), b = (__m512bh)_mm512_loadu_si512(packed + HALF + TILE * pair);
#pragma GCC unroll 12
                for (int i = 0; i < rows; i++) {
                    const __m512bh both_terms = both(x + i * wide + k + pair);
                    left[i] = _mm512_dpbf16_ps(left[i], both_terms, a);
                    right[i] = _mm512_dpbf16_ps(right[i], both_terms, b);
                }
            }
    }
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) put(left[i], right[i], to, i);
}

#define CASE(N) case N: block(f, row, N, packed, &to, ahead, lines); break;
void vectors_chunk(CHUNK) {
    const int64_t size = (f[0].terms + f[1].terms) * PANEL, rows = bottom - top;
    for (int64_t panel = first; panel < last; panel++, packed += size)
        for (int64_t row = top; row < bottom; row += MOST) {
            /* the next panel, in the first two blocks or in the only one; a single row is read as fast as memory gives it */
            const int lines = rows == 1 ? 0 : rows <= MOST ? 2 : row < top + 2 * MOST;
            const bf16 *ahead = packed + size + (row - top) / MOST * (size / 2);
            const int64_t at = row * stride + panel * PANEL;
            const target to = {bias ? bias + panel * PANEL : 0, onto ? onto + at : 0, y + at, stride};
            switch (bottom - row) {
                CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11)
                default: block(f, row, MOST, packed, &to, ahead, lines);
            }
        }
}
#endif
