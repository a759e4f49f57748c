/* Tokens of texts that are read or written: all layers of a model of Llama's kind in one call, in bf16.
 *
 * A call from Python costs more than what it computes for a few rows, and a layer is some forty of them. A row is a token, and sees
 * the keys of its slot up to its own place; several rows may be of one slot. Every number is rounded where the model's own modules
 * round it; what an adapter adds to a product is rounded with it. A row's numbers depend neither on the other rows nor on the number of
 * threads.
 */
#include "matmul.h"

#ifdef NARROW_PRODUCTS

/* as decoder.py lays a layer's pointers out; weights are packed, biases may be missing, keys and values (slots, heads, room, width) */
typedef struct {
    const bf16 *before, *qkv, *qkv_bias, *out, *out_bias, *after, *gate_up, *gate_up_bias, *down, *down_bias;
    bf16 *keys, *values;
} layer;

/* what an adapter adds to a linear layer: x a b, both packed; a rank of 0 adds nothing */
typedef struct { const bf16 *a, *b; int64_t rank; } update;
enum { QUERY, KEY, VALUE, OUT, GATE, UP, DOWN, LINEARS };

/* rows from `first` to before `last`, and the updates of their adapter, LINEARS a layer */
typedef struct { int64_t first, last; const update *updates; } group;

enum { TOGETHER = 4 /* queries that read the same keys at once */ };

typedef struct { int64_t rows, width, heads, kv_heads, head, inner, room, seen_stride, groups; float epsilon, scale; } sizes;

INLINE float squares(const bf16 *x, int64_t n) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < n; i++) { float v = load_bf16(x + i); sum += v * v; }
    return sum;
}

/* x += more, and y = norm of x; the work of each thread */
static void add_and_norm(const sizes *s, bf16 *x, const bf16 *more, const bf16 *weight, bf16 *y) {
#pragma omp for schedule(static)
    for (int64_t row = 0; row < s->rows; row++) {
        bf16 *in = x + row * s->width, *out = y + row * s->width;
        if (more)
#pragma omp simd
            for (int64_t i = 0; i < s->width; i++) store_bf16(in + i, load_bf16(in + i) + load_bf16(more + row * s->width + i));
        float by = 1.0f / sqrtf(squares(in, s->width) / s->width + s->epsilon);
#pragma omp simd
        for (int64_t i = 0; i < s->width; i++) store_bf16(out + i, load_bf16(weight + i) * round_bf16(load_bf16(in + i) * by));
    }
}

static void multiplied(const bf16 *x, int64_t terms, const bf16 *packed, const bf16 *bias, bf16 *y, int64_t rows, int64_t columns) {
    const factor f[2] = {{x, 0, terms, 0, terms}, {x, 0, 0, 0, 0}};
    multiply(f, 0, columns / PANEL, packed, bias, 0, y, rows, columns);
}

/* `columns` of y, whose rows have `stride`, get what each row's adapter adds to linear layer `which` */
static void add_updates(const sizes *s, const group *groups, int64_t which, const bf16 *x, int64_t terms, bf16 *y, int64_t columns,
                        int64_t stride, bf16 *narrow) {
    for (const group *g = groups; g < groups + s->groups; g++) {
        const update *u = g->updates + which;
        const int64_t rows = g->last - g->first;
        if (!u->rank) continue;
        multiplied(x + g->first * terms, terms, u->a, 0, narrow, rows, u->rank);
        const factor f[2] = {{narrow, 0, u->rank, 0, u->rank}, {narrow, 0, 0, 0, 0}};
        multiply(f, 0, columns / PANEL, u->b, 0, y + g->first * stride, y + g->first * stride, rows, stride);
    }
}

static void turn(const bf16 *x, const bf16 *cos, const bf16 *sin, bf16 *y, int64_t width) {
    const int64_t half = width / 2;
#pragma omp simd
    for (int64_t i = 0; i < half; i++) {
        float a = load_bf16(x + i), b = load_bf16(x + half + i);
        store_bf16(y + i, round_bf16(a * load_bf16(cos + i)) - round_bf16(b * load_bf16(sin + i)));
        store_bf16(y + half + i, round_bf16(b * load_bf16(cos + half + i)) + round_bf16(a * load_bf16(sin + half + i)));
    }
}

/* numbers that will be read soon, `count` of them */
INLINE void ask_for(const bf16 *x, int64_t count) {
    for (int64_t i = 0; i < count; i += 32) _mm_prefetch((const char *)(x + i), _MM_HINT_T0);
}

/* `count` queries of the same keys, a number known when this is compiled, on those that are seen; a head's width is a multiple of 32.
   Meanwhile the keys `ahead` of these are asked for, which come next. */
INLINE void attend(const bf16 *q, const int count, const bf16 *k, const bf16 *v, int64_t ahead, const uint8_t *seen, bf16 *y, int64_t keys,
                   int64_t width, float scale) {
    float shares[TOGETHER][MOST_KEYS], most[TOGETHER], all[TOGETHER];
    for (int each = 0; each < count; each++) most[each] = -INFINITY;
    for (int64_t t = 0; t < keys; t++) {
        ask_for(v + t * width, width);
        if (!seen[t]) continue;
#pragma GCC unroll 4
        for (int each = 0; each < count; each++) {
            __m512 sum = _mm512_setzero_ps();
            for (int64_t i = 0; i < width; i += 32)
                sum = _mm512_dpbf16_ps(sum, (__m512bh)_mm512_loadu_si512(q + each * width + i), (__m512bh)_mm512_loadu_si512(k + t * width + i));
            shares[each][t] = _mm512_reduce_add_ps(sum) * scale;
            most[each] = shares[each][t] > most[each] ? shares[each][t] : most[each];
        }
    }
    for (int each = 0; each < count; each++) {
        float sum = 0;
#pragma omp simd reduction(+ : sum)
        for (int64_t t = 0; t < keys; t++) sum += shares[each][t] = seen[t] ? fast_exp(shares[each][t] - most[each]) : 0;
        all[each] = sum;
    }
    for (int64_t part = 0; part < width; part += 32) {
        __m512 left[TOGETHER], right[TOGETHER];
#pragma GCC unroll 4
        for (int each = 0; each < count; each++) left[each] = right[each] = _mm512_setzero_ps();
        for (int64_t t = 0; t < keys; t++) {
            if (!part) ask_for(k + ahead + t * width, width);
            if (!seen[t]) continue;
            const __m512 a = widened(v + t * width + part), b = widened(v + t * width + part + 16);
#pragma GCC unroll 4
            for (int each = 0; each < count; each++) {
                const __m512 share = _mm512_set1_ps(shares[each][t]);
                left[each] = _mm512_fmadd_ps(share, a, left[each]);
                right[each] = _mm512_fmadd_ps(share, b, right[each]);
            }
        }
#pragma GCC unroll 4
        for (int each = 0; each < count; each++) {
            const __m512 by = _mm512_set1_ps(all[each] > 0 ? 1 / all[each] : 0);
            _mm512_storeu_si512(y + each * width + part, (__m512i)_mm512_cvtne2ps_pbh(_mm512_mul_ps(right[each], by), _mm512_mul_ps(left[each], by)));
        }
    }
}

#define ATTEND(N) \
    if (head == 64) attend(query, N, keys, values, ahead, seen + slots[row] * s->seen_stride, to, places[row] + 1, 64, s->scale); \
    else attend(query, N, keys, values, ahead, seen + slots[row] * s->seen_stride, to, places[row] + 1, head, s->scale)
#define CASE(N) case N: ATTEND(N); break;

/* positions, the new keys and values in their place, then attention; the work of each thread */
static void mix(const sizes *s, const layer *l, bf16 *qkv, const bf16 *cos, const bf16 *sin, const int64_t *slots, const int64_t *places,
                const uint8_t *seen, bf16 *mixed) {
    const int64_t head = s->head, groups = s->heads / s->kv_heads, columns = (s->heads + 2 * s->kv_heads) * head;
#pragma omp for schedule(static)
    for (int64_t row = 0; row < s->rows; row++) {
        bf16 *own = qkv + row * columns;
        for (int64_t each = 0; each < s->heads; each++) turn(own + each * head, cos + row * head, sin + row * head, own + each * head, head);
        for (int64_t each = 0; each < s->kv_heads; each++) {
            const int64_t at = ((slots[row] * s->kv_heads + each) * s->room + places[row]) * head;
            bf16 *key = own + (s->heads + each) * head;
            turn(key, cos + row * head, sin + row * head, l->keys + at, head);
            memcpy(l->values + at, key + s->kv_heads * head, head * sizeof(bf16));
        }
    }
#pragma omp for schedule(dynamic, 4)
    for (int64_t part = 0; part < s->rows * s->kv_heads; part++) {
        const int64_t row = part / s->kv_heads, own = part % s->kv_heads, at = (slots[row] * s->kv_heads + own) * s->room * head;
        const bf16 *keys = l->keys + at, *values = l->values + at;
        for (int64_t each = own * groups; each < (own + 1) * groups; each += TOGETHER) {
            const int64_t left = (own + 1) * groups - each, ahead = left > TOGETHER ? 0 : s->room * head;
            const bf16 *query = qkv + row * columns + each * head;
            bf16 *to = mixed + (row * s->heads + each) * head;
            switch (left) { CASE(1) CASE(2) CASE(3) default: ATTEND(TOGETHER); }
        }
    }
}

/* silu(gate) * up; the work of each thread */
static void gate(const sizes *s, const bf16 *gate_up, bf16 *y) {
#pragma omp for schedule(static) collapse(2)
    for (int64_t row = 0; row < s->rows; row++)
        for (int64_t block = 0; block < s->inner; block += 32) {
            const bf16 *g = gate_up + 2 * row * s->inner + block, *u = g + s->inner;
            bf16 *out = y + row * s->inner + block;
#pragma omp simd
            for (int64_t i = 0; i < 32; i++) {
                float x = load_bf16(g + i);
                store_bf16(out + i, round_bf16(x / (1.0f + fast_exp(-x))) * load_bf16(u + i));
            }
        }
}

/* x (rows, width), the embedded tokens, become the last norm's output. Row i is put at `places[i]` of slot `slots[i]`, which holds `room`
   keys, and sees those up to its place that `seen` says, each slot's `seen_stride` behind the one before. `scratch` has room for
   rows (2 width + (heads + 2 kv_heads) head + heads head + 3 inner + the largest rank) numbers. */
void decode_bf16(const layer *layers, int64_t count, bf16 *x, const bf16 *norm, const bf16 *cos, const bf16 *sin, const int64_t *slots,
                 const int64_t *places, const uint8_t *seen, int64_t seen_stride, const group *groups, int64_t group_count, bf16 *scratch,
                 int64_t rows, int64_t width, int64_t heads, int64_t kv_heads, int64_t head, int64_t inner, int64_t room, float epsilon,
                 float scale) {
    const sizes s = {rows, width, heads, kv_heads, head, inner, room, seen_stride, group_count, epsilon, scale};
    const int64_t q = heads * head, k = kv_heads * head, columns = q + 2 * k;
    bf16 *normed = scratch, *more = normed + rows * width, *qkv = more + rows * width, *mixed = qkv + rows * columns;
    bf16 *gate_up = mixed + rows * q, *gated = gate_up + 2 * rows * inner, *narrow = gated + rows * inner;
#pragma omp parallel
    {
        open_tiles();
        for (int64_t i = 0; i < count; i++) {
            const layer *l = layers + i;
            const int64_t own = i * LINEARS;
            add_and_norm(&s, x, i ? more : 0, l->before, normed);
            multiplied(normed, width, l->qkv, l->qkv_bias, qkv, rows, columns);
            add_updates(&s, groups, own + QUERY, normed, width, qkv, q, columns, narrow);
            add_updates(&s, groups, own + KEY, normed, width, qkv + q, k, columns, narrow);
            add_updates(&s, groups, own + VALUE, normed, width, qkv + q + k, k, columns, narrow);
            mix(&s, l, qkv, cos, sin, slots, places, seen, mixed);
            multiplied(mixed, q, l->out, l->out_bias, more, rows, width);
            add_updates(&s, groups, own + OUT, mixed, q, more, width, width, narrow);
            add_and_norm(&s, x, more, l->after, normed);
            multiplied(normed, width, l->gate_up, l->gate_up_bias, gate_up, rows, 2 * inner);
            add_updates(&s, groups, own + GATE, normed, width, gate_up, inner, 2 * inner, narrow);
            add_updates(&s, groups, own + UP, normed, width, gate_up + inner, inner, 2 * inner, narrow);
            gate(&s, gate_up, gated);
            multiplied(gated, inner, l->down, l->down_bias, more, rows, width);
            add_updates(&s, groups, own + DOWN, gated, inner, more, width, width, narrow);
        }
        add_and_norm(&s, x, more, norm, normed);
        close_tiles();
    }
    memcpy(x, normed, rows * width * sizeof(bf16));
}
#endif
