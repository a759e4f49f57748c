/* Products of bf16 matrices as parts of a parallel region; see matmul.c. */
#ifndef ENGRAIN_MATMUL_H
#define ENGRAIN_MATMUL_H
#include "parts.h"

#if defined(__AVX512BF16__) && defined(__AVX512BW__)
#define NARROW_PRODUCTS
#include <immintrin.h>
#if defined(__AMX_BF16__) && defined(__linux__)
#define MATRIX_UNIT
#endif

enum {
    PANEL = 32, /* columns computed together */
    TILE = 16,  /* rows of a tile, and columns */
    TERMS = 32, /* terms that a tile holds */
    HALF = 512  /* bf16 numbers of a tile */
};

typedef struct { const bf16 *x, *w; int64_t x_stride, w_stride, terms; } factor;

/* 16 numbers in fp32 */
INLINE __m512 widened(const bf16 *x) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)x)), 16));
}

/* before and after a thread's products */
void open_tiles(void);
void close_tiles(void);

/* rows from `top` to before `bottom` and the panels from `first` to before `last`, which begin at `packed` */
#define CHUNK                                                                                                                  \
    const factor *f, const bf16 *bias, const bf16 *onto, bf16 *y, int64_t stride, int64_t top, int64_t bottom, int64_t first, \
        int64_t last, const bf16 *packed
void vectors_chunk(CHUNK);

/* the same in the matrix unit, where there is one that this process may use */
int tiles_ready(void);
void configure_tiles(int rows);
void release_tiles(void);
void tiles_chunk(CHUNK);

/* these panels of y, whose rows begin `columns` apart, to be called by all threads; `packed` begins with panel `from`. What `onto` (maybe y
   itself) has at these places is added. */
void multiply(const factor *f, int64_t from, int64_t to, const bf16 *packed, const bf16 *bias, const bf16 *onto, bf16 *y, int64_t rows,
              int64_t columns);
#endif

#endif
