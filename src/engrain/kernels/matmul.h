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

/* 16 rows of 16 words each become columns; a word is two numbers */
INLINE void transpose(const bf16 *in, int64_t stride, bf16 *out, int64_t out_stride) {
    __m512i r[16], t[16];
    for (int i = 0; i < 16; i++) r[i] = _mm512_loadu_si512(in + i * stride);
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
    for (int i = 0; i < 16; i++) _mm512_storeu_si512(out + i * out_stride, r[i]);
}

/* two rows of 32 numbers; of each column the two are a word of 16 on the `left` or the 16 on the `right` */
INLINE void interleave(const bf16 *even, const bf16 *odd, bf16 *left, bf16 *right) {
    const __m512i first = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8,
                                           39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i second = _mm512_add_epi16(first, _mm512_set1_epi16(16));
    const __m512i a = _mm512_loadu_si512(even), b = _mm512_loadu_si512(odd);
    _mm512_storeu_si512(left, _mm512_permutex2var_epi16(a, first, b));
    _mm512_storeu_si512(right, _mm512_permutex2var_epi16(a, second, b));
}

/* room for so many numbers, which the thread keeps; the next call may make another one of it */
bf16 *scratch(int64_t count);

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
