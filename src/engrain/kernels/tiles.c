/* Blocks of a product in the processor's matrix unit (Intel AMX); see matmul.c. A tile has 16 rows of 64 bytes: of a factor on the left,
 * 16 rows by 32 terms. */
#include "matmul.h"

#ifdef NARROW_PRODUCTS
#ifdef MATRIX_UNIT
#include <sys/syscall.h>
#include <unistd.h>

enum { REQUEST = 0x1023, DATA = 18 /* arch_prctl: ask Linux for the tiles' room */ };

/* a block's sums that are yet to be rounded into y, from row `row` on */
typedef struct { const float *sums; bf16 *y; const bf16 *bias, *before; int row, rows; } pending;

int tiles_ready(void) { return syscall(SYS_arch_prctl, REQUEST, DATA) == 0; }

void configure_tiles(int rows) {
    struct __attribute__((packed)) { uint8_t palette, start, zero[14]; uint16_t bytes[16]; uint8_t rows[16]; } tiles;
    memset(&tiles, 0, sizeof tiles);
    tiles.palette = 1;
    for (int i = 0; i < 8; i++) { tiles.bytes[i] = 64; tiles.rows[i] = i < 6 ? rows : TILE; }
    _tile_loadconfig(&tiles);
}

void release_tiles(void) { _tile_release(); }

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
    configure_tiles(rows);
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
    configure_tiles(TILE);
}

/* rows from `top` and the panels from `first` on, which begin at `packed` */
void tiles_chunk(CHUNK) {
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
#else
int tiles_ready(void) { return 0; }
void configure_tiles(int rows) { }
void release_tiles(void) { }
void tiles_chunk(CHUNK) { }
#endif
#endif
