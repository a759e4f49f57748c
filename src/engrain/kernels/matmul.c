/* Products of bf16 matrices in the processor's matrix unit (Intel AMX): y = x1 w1 + x2 w2 + bias, summed in fp32, rounded once.
 *
 * Each element is summed in the order of its terms, so a result depends neither on the number of threads nor on the other rows.
 * Compiled with elementwise.c by native.py; where the processor has no such unit, `matmul_ready` says so and nothing else is there.
 *
 * A tile has 16 rows of 64 bytes. Of a factor on the left 16 rows by 32 terms are one; of a factor on the right 32 terms by 16
 * columns are one, two terms of a column beside each other: so `w` is packed first, in panels of 32 columns.
 */
#include "matmul.h"

#ifdef MATRIX_UNIT
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    TILE = 16,         /* rows of a tile, and columns */
    TERMS = 32,        /* terms that a tile holds */
    HALF = 512,        /* bf16 numbers of a tile */
    ROWS = 96,         /* rows that stay in the cache beside a few panels */
    PANELS = 9,        /* these few */
    PACKED = 2 << 20,  /* bf16 numbers that are packed at a time */
    REQUEST = 0x1023, DATA = 18 /* arch_prctl: ask Linux for the tiles' room */
};

/* a block's sums that are yet to be rounded into y, from row `row` on */
typedef struct { const float *sums; bf16 *y; const bf16 *bias, *before; int row, rows; } pending;

int matmul_ready(void) { return syscall(SYS_arch_prctl, REQUEST, DATA) == 0; }

static void configure(int rows) {
    struct __attribute__((packed)) { uint8_t palette, start, zero[14]; uint16_t bytes[16]; uint8_t rows[16]; } tiles;
    memset(&tiles, 0, sizeof tiles);
    tiles.palette = 1;
    for (int i = 0; i < 8; i++) { tiles.bytes[i] = 64; tiles.rows[i] = i < 6 ? rows : TILE; }
    _tile_loadconfig(&tiles);
}

void open_tiles(void) { configure(TILE); }
void close_tiles(void) { _tile_release(); }

/* 16 rows of 16 words each become columns */
static inline void transpose(const bf16 *in, int64_t stride, bf16 *out) {
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
    for (int i = 0; i < 16; i++) _mm512_storeu_si512(out + TERMS * i, r[i]);
}

/* a panel of w (columns, terms), whose rows are the columns of the factor */
static void pack_rows(const factor *f, int64_t column, bf16 *out) {
    for (int64_t k = 0; k < f->terms; k += TERMS, out += 2 * HALF) {
        transpose(f->w + column * f->w_stride + k, f->w_stride, out);
        transpose(f->w + (column + TILE) * f->w_stride + k, f->w_stride, out + HALF);
    }
}

/* a panel of w (terms, columns) */
static void pack_columns(const factor *f, int64_t column, bf16 *out) {
    const __m512i left = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8,
                                          39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
    const __m512i right = _mm512_add_epi16(left, _mm512_set1_epi16(16));
    for (int64_t k = 0; k < f->terms; k += 2) {
        const bf16 *row = f->w + k * f->w_stride + column;
        __m512i even = _mm512_loadu_si512(row), odd = _mm512_loadu_si512(row + f->w_stride);
        bf16 *tile = out + k / TERMS * 2 * HALF + k % TERMS / 2 * TERMS;
        _mm512_storeu_si512(tile, _mm512_permutex2var_epi16(even, left, odd));
        _mm512_storeu_si512(tile + HALF, _mm512_permutex2var_epi16(even, right, odd));
    }
}

static inline void settle(pending *p, int64_t stride, int upto) {
    for (; p->row < upto && p->row < p->rows; p->row++) {
        __m512 left = _mm512_load_ps(p->sums + PANEL * p->row), right = _mm512_load_ps(p->sums + PANEL * p->row + TILE);
        if (p->bias) { left = _mm512_add_ps(left, widened(p->bias)); right = _mm512_add_ps(right, widened(p->bias + TILE)); }
        if (p->before) {
            const bf16 *before = p->before + p->row * stride;
            left = _mm512_add_ps(left, widened(before)); right = _mm512_add_ps(right, widened(before + TILE));
        }
        _mm512_storeu_si512(p->y + p->row * stride, (__m512i)_mm512_cvtne2ps_pbh(right, left));
    }
}

/* 32 rows and columns; the block before is rounded meanwhile, for the matrix unit and the vector units work side by side */
static inline void whole_block(const factor *f, int64_t row, const bf16 *packed, float *sums, pending *before, int64_t stride) {
    int each = PANEL * TERMS / (f[0].terms + f[1].terms) + 1, upto = 0;
    _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
    for (int part = 0; part < 2; part++) {
        const bf16 *x = f[part].x + row * f[part].x_stride;
        int64_t wide = f[part].x_stride;
        for (int64_t k = 0; k < f[part].terms; k += TERMS, packed += 2 * HALF) {
            _tile_loadd(4, x + k, 2 * wide);
            _tile_loadd(6, packed, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, packed + HALF, 64);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, x + TILE * wide + k, 2 * wide);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
            settle(before, stride, upto += each);
        }
    }
    _tile_stored(0, sums, 128); _tile_stored(1, sums + TILE, 128);
    _tile_stored(2, sums + HALF, 128); _tile_stored(3, sums + HALF + TILE, 128);
}

/* the last rows, at most 16 */
static void rest_block(const factor *f, int64_t row, int rows, const bf16 *packed, float *sums) {
    configure(rows);
    _tile_zero(0); _tile_zero(1);
    for (int part = 0; part < 2; part++) {
        const bf16 *x = f[part].x + row * f[part].x_stride;
        for (int64_t k = 0; k < f[part].terms; k += TERMS, packed += 2 * HALF) {
            _tile_loadd(4, x + k, 2 * f[part].x_stride);
            _tile_loadd(6, packed, 64); _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, packed + HALF, 64); _tile_dpbf16ps(1, 4, 7);
        }
    }
    _tile_stored(0, sums, 128); _tile_stored(1, sums + TILE, 128);
    configure(TILE);
}

/* rows from `top` and the panels from `first` on, which begin at `packed` */
static void chunk(const factor *f, const bf16 *bias, const bf16 *onto, bf16 *y, int64_t stride, int64_t top, int64_t bottom, int64_t first,
                  int64_t last, const bf16 *packed) {
    float sums[2][2 * HALF] __attribute__((aligned(64)));
    pending before = {sums[1], y, bias, onto, 0, 0};
    int turn = 0;
    for (int64_t panel = first; panel < last; panel++, packed += (f[0].terms + f[1].terms) * PANEL)
        for (int64_t row = top, rows; row < bottom; row += rows, turn ^= 1) {
            rows = bottom - row >= PANEL ? PANEL : bottom - row < TILE ? bottom - row : TILE;
            if (rows == PANEL) whole_block(f, row, packed, sums[turn], &before, stride);
            else rest_block(f, row, (int)rows, packed, sums[turn]);
            settle(&before, stride, PANEL);
            const int64_t at = row * stride + panel * PANEL;
            before = (pending){sums[turn], y + at, bias ? bias + panel * PANEL : 0, onto ? onto + at : 0, 0, (int)rows};
        }
    settle(&before, stride, PANEL);
}

static bf16 *scratch(int64_t count) {
    static _Thread_local bf16 *kept;
    static _Thread_local int64_t room;
    if (count > room) {
        free(kept);
        kept = aligned_alloc(64, 2 * (room = count));
    }
    return kept;
}

typedef void packer(const factor *, int64_t, bf16 *);

/* all panels from `from` on; the work of each thread */
static void pack(const factor *f, int64_t from, int64_t to, int64_t by_rows, bf16 *out) {
    packer *one = by_rows ? pack_rows : pack_columns;
    const int64_t size = (f[0].terms + f[1].terms) * PANEL;
#pragma omp for schedule(static)
    for (int64_t panel = from; panel < to; panel++) {
        one(f, panel * PANEL, out + (panel - from) * size);
        one(f + 1, panel * PANEL, out + (panel - from) * size + f[0].terms * PANEL);
    }
}

void multiply(const factor *f, int64_t from, int64_t to, const bf16 *packed, const bf16 *bias, const bf16 *onto, bf16 *y, int64_t rows,
              int64_t columns) {
    const int64_t size = (f[0].terms + f[1].terms) * PANEL, widths = (to - from + PANELS - 1) / PANELS, heights = (rows + ROWS - 1) / ROWS;
#pragma omp for schedule(dynamic)
    for (int64_t part = 0; part < widths * heights; part++) {
        const int64_t first = from + part / heights * PANELS, top = part % heights * ROWS;
        chunk(f, bias, onto, y, columns, top, top + ROWS < rows ? top + ROWS : rows, first, first + PANELS < to ? first + PANELS : to,
              packed + (first - from) * size);
    }
}

/* y (rows, columns), rows of w being columns of the factor where `by_rows`; terms and columns are multiples of 32 */
void matmul_bf16(const bf16 *x1, int64_t x1_stride, const bf16 *w1, int64_t w1_stride, int64_t terms1, const bf16 *x2, int64_t x2_stride,
                 const bf16 *w2, int64_t w2_stride, int64_t terms2, const bf16 *bias, bf16 *y, int64_t rows, int64_t columns, int64_t by_rows) {
    const factor f[2] = {{x1, w1, x1_stride, w1_stride, terms1}, {x2, w2, x2_stride, w2_stride, terms2}};
    const int64_t panels = columns / PANEL, size = (terms1 + terms2) * PANEL, most = PACKED / size < 1 ? 1 : PACKED / size;
    bf16 *packed = scratch((panels < most ? panels : most) * size);
#pragma omp parallel
    {
        open_tiles();
        for (int64_t from = 0; from < panels; from += most) {
            const int64_t to = from + most < panels ? from + most : panels;
            pack(f, from, to, by_rows, packed);
            multiply(f, from, to, packed, bias, 0, y, rows, columns);
        }
        close_tiles();
    }
}

/* w (columns, terms) as `matmul_packed` takes it */
void pack_bf16(const bf16 *w, int64_t stride, int64_t terms, int64_t columns, bf16 *packed) {
    const factor f[2] = {{0, w, 0, stride, terms}, {0, w, 0, stride, 0}};
#pragma omp parallel
    pack(f, 0, columns / PANEL, 1, packed);
}

/* y (rows, columns) = x w + bias */
void matmul_packed_bf16(const bf16 *x, int64_t stride, const bf16 *packed, int64_t terms, const bf16 *bias, bf16 *y, int64_t rows,
                        int64_t columns) {
    const factor f[2] = {{x, 0, stride, 0, terms}, {x, 0, stride, 0, 0}};
#pragma omp parallel
    {
        open_tiles();
        multiply(f, 0, columns / PANEL, packed, bias, 0, y, rows, columns);
        close_tiles();
    }
}
#else
int matmul_ready(void) { return 0; }
#endif
