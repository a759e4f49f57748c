/* Products of bf16 matrices: y = x1 w1 + x2 w2 + bias, summed in fp32, rounded once.
 *
 * Blocks of y are computed in the matrix unit (tiles.c) where the processor has one, else in its vector units (vectors.c). Each element
 * is summed in the order of its terms, so a result depends neither on the number of threads nor on the other rows.
 * Compiled with elementwise.c by native.py; where the processor does not multiply bf16, `matmul_ready` says so and nothing else is there.
 *
 * Of a factor on the right 32 terms by 16 columns are a tile, two terms of a column beside each other: so `w` is packed first, in panels
 * of 32 columns, two tiles beside each other.
 */
#include "matmul.h"

#ifdef NARROW_PRODUCTS
#include <stdlib.h>

enum {
    ROWS = 96,         /* rows that stay in the cache beside a few panels */
    PANELS = 9,        /* these few */
    PACKED = 2 << 20   /* bf16 numbers that are packed at a time */
};

static int tiled;

/* what computes blocks: 2 the matrix unit, which is used where `tiles` and there is one, 1 the vector units, 0 nothing here */
int matmul_ready(int tiles) {
    tiled = tiles && tiles_ready();
    return 1 + tiled;
}

void open_tiles(void) { if (tiled) configure_tiles(TILE); }
void close_tiles(void) { if (tiled) release_tiles(); }

/* a panel of w (columns, terms), whose rows are the columns of the factor */
static void pack_rows(const factor *f, int64_t column, bf16 *out) {
    for (int64_t k = 0; k < f->terms; k += TERMS, out += 2 * HALF) {
        transpose(f->w + column * f->w_stride + k, f->w_stride, out, TERMS);
        transpose(f->w + (column + TILE) * f->w_stride + k, f->w_stride, out + HALF, TERMS);
    }
}

/* a panel of w (terms, columns) */
static void pack_columns(const factor *f, int64_t column, bf16 *out) {
    for (int64_t k = 0; k < f->terms; k += 2) {
        const bf16 *row = f->w + k * f->w_stride + column;
        bf16 *tile = out + k / TERMS * 2 * HALF + k % TERMS / 2 * TERMS;
        interleave(row, row + f->w_stride, tile, tile + HALF);
    }
}

bf16 *scratch(int64_t count) {
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
        (tiled ? tiles_chunk : vectors_chunk)(
            f, bias, onto, y, columns, top, top + ROWS < rows ? top + ROWS : rows, first, first + PANELS < to ? first + PANELS : to,
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
int matmul_ready(int tiles) { return 0; }
#endif
