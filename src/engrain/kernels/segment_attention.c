/* Causal attention of the segments of a row, forward and back, in vector units that multiply bf16; see segment_attention.py.
 *
 * A segment's keys and values under one of their heads are the work of one thread: all queries of that head's group go over them, a few
 * positions at a time, and what the keys and values get back is summed in fp32 meanwhile. So no sum depends on the number of threads.
 * A word is two bf16 numbers. Of a factor on the right, panels of 32 columns lie behind each other, of each panel step by step the words
 * that hold two terms of each column. */
#include "matmul.h"

#ifdef NARROW_PRODUCTS

enum {
    MOST_ROWS = 48, /* queries that go over the keys together */
    ROWS = 8        /* of them in one block of a product: 16 of the 32 registers hold its sums */
};

typedef uint32_t word;
typedef struct { const bf16 *q, *k, *v; int64_t q_stride, k_stride, v_stride, heads, kv_heads, width, window; float scale; } inputs;
typedef struct { int64_t query, queries, key, keys; } span; /* of a segment, its first query and key and how many */

/* a segment under one head of keys and values, its keys counted up to a full panel; and room for what a few queries need */
typedef struct {
    const inputs *in;
    const int64_t *rows;
    int64_t query, queries, keys, whole, groups, head;
    bf16 *k, *v, *k_across, *v_across, *k_pairs, *v_pairs, *shares, *slopes, *shares_pairs, *slopes_pairs, *q, *q_pairs, *dy, *dy_pairs;
    float *scores, *changes, *y, *dk, *dv;
} part;

/* the positions from `first` to before `last`, which are `rows` rows, and the keys that any of them sees, in full panels */
typedef struct { int64_t first, last, rows, from, to; } few;

/* ROWS rows of c and a panel's columns */
INLINE void block(const word *a, int64_t a_row, int64_t a_step, const word *b, int64_t steps, float *c, int64_t stride, int more) {
    __m512 left[ROWS], right[ROWS];
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++) {
        left[i] = more ? _mm512_loadu_ps(c + i * stride) : _mm512_setzero_ps();
        right[i] = more ? _mm512_loadu_ps(c + i * stride + TILE) : _mm512_setzero_ps();
    }
    for (int64_t step = 0; step < steps; step++) {
        const __m512bh one = (__m512bh)_mm512_loadu_si512(b + PANEL * step), two = (__m512bh)_mm512_loadu_si512(b + PANEL * step + TILE);
#pragma GCC unroll 8
        for (int i = 0; i < ROWS; i++) {
            const __m512bh both = (__m512bh)_mm512_set1_epi32((int)a[i * a_row + step * a_step]);
            left[i] = _mm512_dpbf16_ps(left[i], both, one);
            right[i] = _mm512_dpbf16_ps(right[i], both, two);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; i++) {
        _mm512_storeu_ps(c + i * stride, left[i]);
        _mm512_storeu_ps(c + i * stride + TILE, right[i]);
    }
}

/* c (rows, columns) = a b, or as much `more`; the word of a row and a step lies at a[row a_row + step a_step], panels of b `apart` */
static void times(const bf16 *a, int64_t a_row, int64_t a_step, const bf16 *b, int64_t apart, int64_t steps, float *c, int64_t stride,
                  int64_t rows, int64_t columns, int more) {
    for (int64_t column = 0; column < columns; column += PANEL)
        for (int64_t row = 0; row < rows; row += ROWS)
            block((const word *)a + row * a_row, a_row, a_step, (const word *)b + column / PANEL * apart, steps, c + row * stride + column,
                  stride, more);
}

/* x (rows, width) as a factor on the right whose columns are its rows */
static void across(const bf16 *x, int64_t rows, int64_t width, bf16 *out) {
    for (int64_t row = 0; row < rows; row += PANEL, out += PANEL * width)
        for (int64_t at = 0; at < width; at += 2 * TILE)
            for (int half = 0; half < 2; half++)
                transpose(x + (row + half * TILE) * width + at, width, out + at * PANEL + half * 2 * TILE, 2 * PANEL);
}

/* two rows of x, of which each column becomes a word */
INLINE void pair(const bf16 *x, int64_t width, bf16 *out) { interleave(x, x + width, out, out + 2 * TILE); }

/* x (rows, width) as a factor on the right whose columns are its columns */
static void pairs(const bf16 *x, int64_t rows, int64_t width, bf16 *out) {
    for (int64_t at = 0; at < width; at += PANEL)
        for (int64_t row = 0; row < rows; row += 2, out += 2 * PANEL) pair(x + row * width + at, width, out);
}

/* x (rows, columns) as a factor on the left that is turned: of each two rows, column by column a word */
static void words(const bf16 *x, int64_t stride, int64_t rows, int64_t columns, bf16 *out) {
    for (int64_t row = 0; row < rows; row += 2, out += 2 * columns)
        for (int64_t at = 0; at < columns; at += PANEL) pair(x + row * stride + at, stride, out + 2 * at);
}

/* the segment's keys, or values, behind each other, and zeros up to a full panel */
static void gather(const bf16 *x, int64_t stride, const part *p, bf16 *out) {
    const int64_t width = p->in->width;
    for (int64_t i = 0; i < p->keys; i++) memcpy(out + i * width, x + p->rows[i] * stride + p->head * width, width * sizeof(bf16));
    memset(out + p->keys * width, 0, (p->whole - p->keys) * width * sizeof(bf16));
}

/* the rows of a few positions' queries, or of what has their shape, up to a full block */
static void taken(const bf16 *x, int64_t stride, const part *p, const few *f, bf16 *out) {
    const int64_t size = p->groups * p->in->width, count = f->last - f->first;
    for (int64_t i = 0; i < count; i++) memcpy(out + i * size, x + (p->query + f->first + i) * stride + p->head * size, size * sizeof(bf16));
    memset(out + count * size, 0, (f->rows * p->in->width - count * size) * sizeof(bf16));
}

/* y to the places of the few queries, each row times its number in `by`, if there are any */
static void put(const float *y, const float *by, const part *p, const few *f, bf16 *out) {
    const int64_t width = p->in->width, size = p->groups * width;
    for (int64_t row = 0; row < (f->last - f->first) * p->groups; row++) {
        bf16 *to = out + (p->query + f->first + row / p->groups) * p->in->heads * width + p->head * size + row % p->groups * width;
#pragma omp simd
        for (int64_t i = 0; i < width; i++) store_bf16(to + i, y[row * width + i] * (by ? by[row] : 1));
    }
}

/* the next few positions, as many as go over the keys together */
static few positions(const part *p, int64_t first) {
    const int64_t most = first + MOST_ROWS / p->groups, last = most < p->queries ? most : p->queries;
    const int64_t before = p->keys - p->queries, behind = before + first + 1 - p->in->window;
    const int64_t rows = ((last - first) * p->groups + ROWS - 1) / ROWS * ROWS;
    return (few){first, last, rows, behind > 0 ? behind / PANEL * PANEL : 0, (before + last + PANEL - 1) / PANEL * PANEL};
}

/* the keys that a row's query sees, from `start` to before `end`, counted from the first that any of the few sees */
INLINE void seen(const part *p, const few *f, int64_t row, int64_t *start, int64_t *end) {
    const int64_t behind = p->keys - p->queries + f->first + row / p->groups + 1;
    *start = (behind > p->in->window ? behind - p->in->window : 0) - f->from;
    *end = behind - f->from;
}

/* where the logarithm of a row's query is kept */
INLINE int64_t place(const part *p, const few *f, int64_t row) {
    return (p->query + f->first + row / p->groups) * p->in->heads + p->head * p->groups + row % p->groups;
}

/* x times `by` from `from` to before `to`, of `all` numbers; the others are zero */
static void narrowed(const float *x, bf16 *out, int64_t from, int64_t to, int64_t all, float by) {
    memset(out, 0, from * sizeof(bf16));
#pragma omp simd
    for (int64_t i = from; i < to; i++) store_bf16(out + i, x[i] * by);
    memset(out + to, 0, (all - to) * sizeof(bf16));
}

/* the product of each row with each key, or of what has their shape */
static void scored(const part *p, const few *f, const bf16 *queries, const bf16 *keys, float *scores) {
    const int64_t width = p->in->width, all = f->to - f->from;
    times(queries, width / 2, 1, keys + f->from * width, PANEL * width / 2, width / 2, scores, all, f->rows, all, 0);
}

/* what the few queries take of the values */
static void forward(const part *p, const few *f, bf16 *y, float *logs) {
    const int64_t width = p->in->width, all = f->to - f->from, real = (f->last - f->first) * p->groups;
    float by[MOST_ROWS];
    taken(p->in->q, p->in->q_stride, p, f, p->q);
    scored(p, f, p->q, p->k_across, p->scores);
    for (int64_t row = 0; row < f->rows; row++) {
        bf16 *shares = p->shares + row * all;
        if (row >= real) { memset(shares, 0, all * sizeof(bf16)); continue; }
        int64_t start, end;
        seen(p, f, row, &start, &end);
        float *x = p->scores + row * all, most = x[start] * p->in->scale, sum = 0;
#pragma omp simd reduction(max : most)
        for (int64_t i = start; i < end; i++) { x[i] *= p->in->scale; most = x[i] > most ? x[i] : most; }
#pragma omp simd reduction(+ : sum)
        for (int64_t i = start; i < end; i++) { x[i] = fast_exp(x[i] - most); sum += x[i]; }
        narrowed(x, shares, start, end, all, 1);
        by[row] = 1 / sum;
        logs[place(p, f, row)] = most + logf(sum);
    }
    times(p->shares, all / 2, 1, p->v_pairs + f->from * PANEL, p->whole / 2 * PANEL, all / 2, p->y, width, f->rows, width, 0);
    put(p->y, by, p, f, y);
}

/* what the few queries get back, and what keys and values get from them */
static void back(const part *p, const few *f, const bf16 *dy, const float *logs, bf16 *dq) {
    const int64_t width = p->in->width, all = f->to - f->from, real = (f->last - f->first) * p->groups, size = p->in->heads * width;
    taken(p->in->q, p->in->q_stride, p, f, p->q);
    taken(dy, size, p, f, p->dy);
    scored(p, f, p->q, p->k_across, p->scores);
    scored(p, f, p->dy, p->v_across, p->changes);
    for (int64_t row = 0; row < f->rows; row++) {
        bf16 *shares = p->shares + row * all, *slopes = p->slopes + row * all;
        if (row >= real) { memset(shares, 0, all * sizeof(bf16)); memset(slopes, 0, all * sizeof(bf16)); continue; }
        int64_t start, end;
        seen(p, f, row, &start, &end);
        float *x = p->scores + row * all, *d = p->changes + row * all, along = 0;
        const float log = logs[place(p, f, row)];
#pragma omp simd reduction(+ : along)
        for (int64_t i = start; i < end; i++) { x[i] = fast_exp(x[i] * p->in->scale - log); along += x[i] * d[i]; }
#pragma omp simd
        for (int64_t i = start; i < end; i++) d[i] = x[i] * (d[i] - along);
        narrowed(x, shares, start, end, all, 1);
        narrowed(d, slopes, start, end, all, p->in->scale);
    }
    times(p->slopes, all / 2, 1, p->k_pairs + f->from * PANEL, p->whole / 2 * PANEL, all / 2, p->y, width, f->rows, width, 0);
    put(p->y, 0, p, f, dq);
    words(p->shares, all, f->rows, all, p->shares_pairs);
    words(p->slopes, all, f->rows, all, p->slopes_pairs);
    pairs(p->q, f->rows, width, p->q_pairs);
    pairs(p->dy, f->rows, width, p->dy_pairs);
    times(p->shares_pairs, 1, all, p->dy_pairs, f->rows / 2 * PANEL, f->rows / 2, p->dv + f->from * width, width, all, width, 1);
    times(p->slopes_pairs, 1, all, p->q_pairs, f->rows / 2 * PANEL, f->rows / 2, p->dk + f->from * width, width, all, width, 1);
}

/* a thread's room for the segment with most keys */
static part room_for(const inputs *in, const span *spans, int64_t count) {
    int64_t most = 0;
    for (int64_t i = 0; i < count; i++) most = spans[i].keys > most ? spans[i].keys : most;
    const int64_t whole = (most + PANEL - 1) / PANEL * PANEL, keys = whole * in->width, square = MOST_ROWS * whole, own = MOST_ROWS * in->width;
    part p = {.in = in, .groups = in->heads / in->kv_heads};
    bf16 *at = scratch(10 * keys + 8 * square + 6 * own);
    bf16 **by_keys[] = {&p.k, &p.v, &p.k_across, &p.v_across, &p.k_pairs, &p.v_pairs};
    bf16 **by_both[] = {&p.shares, &p.slopes, &p.shares_pairs, &p.slopes_pairs}, **by_rows[] = {&p.q, &p.q_pairs, &p.dy, &p.dy_pairs};
    for (int i = 0; i < 6; i++, at += keys) *by_keys[i] = at;
    for (int i = 0; i < 4; i++, at += square) *by_both[i] = at;
    for (int i = 0; i < 4; i++, at += own) *by_rows[i] = at;
    p.scores = (float *)at, p.changes = p.scores + square, p.y = p.changes + square, p.dk = p.y + own, p.dv = p.dk + keys;
    return p;
}

/* the segment under a head becomes what the thread works on */
static void begin(part *p, const span *s, const int64_t *rows, int64_t head) {
    p->rows = rows + s->key, p->query = s->query, p->queries = s->queries, p->keys = s->keys, p->head = head;
    p->whole = (s->keys + PANEL - 1) / PANEL * PANEL;
    gather(p->in->k, p->in->k_stride, p, p->k);
    gather(p->in->v, p->in->v_stride, p, p->v);
    across(p->k, p->whole, p->in->width, p->k_across);
}

/* y (tokens, heads, width) and the logarithm of what each query's shares were divided by. q, k, v have so many numbers between tokens; of the
   keys of all segments, which lie behind each other, `rows` says the token. */
void segments_bf16(const bf16 *q, int64_t q_stride, const bf16 *k, int64_t k_stride, const bf16 *v, int64_t v_stride, const span *spans,
                   int64_t count, const int64_t *rows, int64_t heads, int64_t kv_heads, int64_t width, int64_t window, float scale, bf16 *y,
                   float *logs) {
    const inputs in = {q, k, v, q_stride, k_stride, v_stride, heads, kv_heads, width, window, scale};
#pragma omp parallel
    {
        part p = room_for(&in, spans, count);
#pragma omp for schedule(dynamic)
        for (int64_t each = 0; each < count * kv_heads; each++) {
            begin(&p, spans + each / kv_heads, rows, each % kv_heads);
            pairs(p.v, p.whole, width, p.v_pairs);
            for (few f = positions(&p, 0); f.first < p.queries; f = positions(&p, f.last)) forward(&p, &f, y, logs);
        }
    }
}

/* what q, k and v get back. `changes` has room for two times what all keys get, in fp32; `order` (as long as `rows`) names the keys of each
   token behind each other, from `bounds` of this token to that of the next. */
void segments_back_bf16(const bf16 *dy, const bf16 *q, int64_t q_stride, const bf16 *k, int64_t k_stride, const bf16 *v, int64_t v_stride,
                        const float *logs, const span *spans, int64_t count, const int64_t *rows, const int64_t *order,
                        const int64_t *bounds, int64_t tokens, int64_t heads, int64_t kv_heads, int64_t width, int64_t window, float scale,
                        float *changes, bf16 *dq, bf16 *dk, bf16 *dv) {
    const inputs in = {q, k, v, q_stride, k_stride, v_stride, heads, kv_heads, width, window, scale};
    const int64_t size = kv_heads * width, all = bounds[tokens] * size;
#pragma omp parallel
    {
        part p = room_for(&in, spans, count);
#pragma omp for schedule(dynamic)
        for (int64_t each = 0; each < count * kv_heads; each++) {
            begin(&p, spans + each / kv_heads, rows, each % kv_heads);
            across(p.v, p.whole, width, p.v_across);
            pairs(p.k, p.whole, width, p.k_pairs);
            memset(p.dk, 0, p.whole * width * sizeof(float));
            memset(p.dv, 0, p.whole * width * sizeof(float));
            for (few f = positions(&p, 0); f.first < p.queries; f = positions(&p, f.last)) back(&p, &f, dy, logs, dq);
            for (int64_t i = 0; i < p.keys; i++) {
                float *to = changes + (spans[each / kv_heads].key + i) * size + p.head * width;
                memcpy(to, p.dk + i * width, width * sizeof(float));
                memcpy(to + all, p.dv + i * width, width * sizeof(float));
            }
        }
#pragma omp for schedule(static)
        for (int64_t token = 0; token < 2 * tokens; token++) {
            const int64_t own = token % tokens;
            const float *from = token < tokens ? changes : changes + all;
            bf16 *to = (token < tokens ? dk : dv) + own * size;
            for (int64_t at = 0; at < size; at += COLUMNS) {
                float sums[COLUMNS] = {0};
                for (int64_t i = bounds[own]; i < bounds[own + 1]; i++)
#pragma omp simd
                    for (int64_t j = 0; j < COLUMNS; j++) sums[j] += from[order[i] * size + at + j];
                for (int64_t j = 0; j < COLUMNS; j++) store_bf16(to + at + j, sums[j]);
            }
        }
    }
}
#endif
