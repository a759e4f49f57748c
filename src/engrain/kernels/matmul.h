/* Products in the matrix unit as parts of a parallel region; see matmul.c. */
#ifndef ENGRAIN_MATMUL_H
#define ENGRAIN_MATMUL_H
#include "parts.h"

#if defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__)
#define MATRIX_UNIT
#include <immintrin.h>

enum { PANEL = 32 /* columns computed together */ };

typedef struct { const bf16 *x, *w; int64_t x_stride, w_stride, terms; } factor;

/* 16 numbers in fp32 */
INLINE __m512 widened(const bf16 *x) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)x)), 16));
}

/* before and after a thread's products */
void open_tiles(void);
void close_tiles(void);

/* these panels of y, whose rows begin `columns` apart, to be called by all threads; `packed` begins with panel `from`. What `onto` (maybe y
   itself) has at these places is added. */
void multiply(const factor *f, int64_t from, int64_t to, const bf16 *packed, const bf16 *bias, const bf16 *onto, bf16 *y, int64_t rows,
              int64_t columns);
#endif

#endif
