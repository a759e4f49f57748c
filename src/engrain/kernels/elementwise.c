/* The elementwise parts of a layer, each in one pass over memory: RMS norm, the gate of an MLP, rotary positions, and
 * the softmax of causal attention, which leaves out what no query sees.
 *
 * Every function exists for bf16 (T = uint16_t) and fp32; all compute in fp32 and round as the plain code does.
 * Compiled once on the user's machine by native.py; the plain code beside each caller is what it is tested against.
 */
#include "parts.h"

#define KERNELS(T, S)                                                                                                   \
    /* y = w * x * scale, scale = 1 / sqrt(mean(x^2) + epsilon); x, y (rows, width), scale (rows) */                    \
    void norm_##S(const T *x, const T *w, T *y, float *scale, int64_t rows, int64_t width, float epsilon) {             \
        _Pragma("omp parallel for schedule(static) if (rows * width > SMALL)")                                          \
        for (int64_t row = 0; row < rows; row++) {                                                                      \
            const T *in = x + row * width;                                                                              \
            T *out = y + row * width;                                                                                   \
            float sum = 0;                                                                                              \
            _Pragma("omp simd reduction(+ : sum)")                                                                      \
            for (int64_t i = 0; i < width; i++) { float v = load_##S(in + i); sum += v * v; }                           \
            float by = scale[row] = 1.0f / sqrtf(sum / width + epsilon);                                                \
            _Pragma("omp simd")                                                                                         \
            for (int64_t i = 0; i < width; i++) store_##S(out + i, load_##S(w + i) * round_##S(load_##S(in + i) * by)); \
        }                                                                                                               \
    }                                                                                                                   \
    /* dx = scale * (dy * w - n * mean(dy * w * n)), n = x * scale */                                                   \
    void norm_back_##S(const T *dy, const T *x, const T *w, const float *scale, T *dx, int64_t rows, int64_t width) {   \
        _Pragma("omp parallel for schedule(static) if (rows * width > SMALL)")                                          \
        for (int64_t row = 0; row < rows; row++) {                                                                      \
            const T *in = x + row * width, *slope = dy + row * width;                                                   \
            T *out = dx + row * width;                                                                                  \
            float by = scale[row], along = 0;                                                                           \
            _Pragma("omp simd reduction(+ : along)")                                                                    \
            for (int64_t i = 0; i < width; i++)                                                                         \
                along += round_##S(load_##S(slope + i) * load_##S(w + i)) * load_##S(in + i) * by;                      \
            along /= width;                                                                                             \
            _Pragma("omp simd")                                                                                         \
            for (int64_t i = 0; i < width; i++)                                                                         \
                store_##S(out + i, by * (round_##S(load_##S(slope + i) * load_##S(w + i)) - load_##S(in + i) * by * along)); \
        }                                                                                                               \
    }                                                                                                                   \
    /* dw = sum over rows of dy * n, n = x * scale; a few columns at a time, so that the order of a sum is always the same */\
    void norm_weight_back_##S(const T *dy, const T *x, const float *scale, T *dw, int64_t rows, int64_t width) {        \
        _Pragma("omp parallel for schedule(static) if (rows * width > SMALL)")                                          \
        for (int64_t first = 0; first < width; first += COLUMNS) {                                                      \
            const int64_t columns = width - first < COLUMNS ? width - first : COLUMNS;                                  \
            float sums[COLUMNS] = {0};                                                                                  \
            for (int64_t row = 0; row < rows; row++) {                                                                  \
                const T *slope = dy + row * width + first, *in = x + row * width + first;                               \
                const float by = scale[row];                                                                            \
                _Pragma("omp simd")                                                                                     \
                for (int64_t i = 0; i < columns; i++) sums[i] += load_##S(slope + i) * (load_##S(in + i) * by);         \
            }                                                                                                           \
            for (int64_t i = 0; i < columns; i++) store_##S(dw + first + i, sums[i]);                                   \
        }                                                                                                               \
    }                                                                                                                   \
    /* y = silu(gate) * up */                                                                                           \
    void gated_##S(const T *gate, const T *up, T *y, int64_t count) {                                                   \
        _Pragma("omp parallel for simd schedule(static) if (parallel : count > SMALL)")                                 \
        for (int64_t i = 0; i < count; i++) {                                                                           \
            float g = load_##S(gate + i);                                                                               \
            store_##S(y + i, round_##S(g / (1.0f + fast_exp(-g))) * load_##S(up + i));                                  \
        }                                                                                                               \
    }                                                                                                                   \
    void gated_back_##S(const T *dy, const T *gate, const T *up, T *dgate, T *dup, int64_t count) {                     \
        _Pragma("omp parallel for simd schedule(static) if (parallel : count > SMALL)")                                 \
        for (int64_t i = 0; i < count; i++) {                                                                           \
            float g = load_##S(gate + i), d = load_##S(dy + i), s = 1.0f / (1.0f + fast_exp(-g));                       \
            store_##S(dup + i, d * round_##S(g * s));                                                                   \
            store_##S(dgate + i, round_##S(d * load_##S(up + i)) * s * (1.0f + g * (1.0f - s)));                        \
        }                                                                                                               \
    }                                                                                                                   \
    /* y = x * cos + turned(x) * sin * sign, where turned(x) is its second half, negated, before its first;             \
       x (tokens, heads, width) with strides between tokens and heads, cos and sin (tokens, width), y without gaps */   \
    void rotated_##S(const T *x, const T *cos, const T *sin, T *y, int64_t tokens, int64_t heads, int64_t width,        \
                     int64_t by_token, int64_t by_head, float sign) {                                                   \
        int64_t half = width / 2;                                                                                       \
        _Pragma("omp parallel for schedule(static) if (tokens * heads * width > SMALL)")                                \
        for (int64_t t = 0; t < tokens; t++)                                                                            \
            for (int64_t h = 0; h < heads; h++) {                                                                       \
                const T *in = x + t * by_token + h * by_head, *c = cos + t * width, *s = sin + t * width;               \
                T *out = y + (t * heads + h) * width;                                                                   \
                _Pragma("omp simd")                                                                                     \
                for (int64_t i = 0; i < half; i++) {                                                                    \
                    float a = load_##S(in + i), b = load_##S(in + half + i);                                            \
                    store_##S(out + i, a * load_##S(c + i) - sign * b * load_##S(s + i));                               \
                    store_##S(out + half + i, b * load_##S(c + half + i) + sign * a * load_##S(s + half + i));          \
                }                                                                                                       \
            }                                                                                                           \
    }                                                                                                                   \
    /* scores (rows, keys) become shares, in place: row r holds the query of number r % length, which sees the keys up   \
       to its own place, keys - length + r % length, of them the last `window` */                                       \
    void softmax_##S(T *scores, int64_t rows, int64_t length, int64_t keys, int64_t window) {                           \
        _Pragma("omp parallel for schedule(static) if (rows * keys > SMALL)")                                           \
        for (int64_t row = 0; row < rows; row++) {                                                                      \
            T *at = scores + row * keys;                                                                                \
            int64_t end = keys - length + row % length + 1, start = end > window ? end - window : 0;                    \
            float kept[MOST_KEYS], most = -INFINITY, sum = 0;                                                           \
            _Pragma("omp simd reduction(max : most)")                                                                   \
            for (int64_t i = start; i < end; i++) { float v = load_##S(at + i); most = v > most ? v : most; }           \
            _Pragma("omp simd reduction(+ : sum)")                                                                      \
            for (int64_t i = start; i < end; i++) { kept[i] = fast_exp(load_##S(at + i) - most); sum += kept[i]; }      \
            float by = 1.0f / sum;                                                                                      \
            memset(at, 0, start * sizeof(T));                                                                           \
            _Pragma("omp simd")                                                                                         \
            for (int64_t i = start; i < end; i++) store_##S(at + i, kept[i] * by);                                      \
            memset(at + end, 0, (keys - end) * sizeof(T));                                                              \
        }                                                                                                               \
    }                                                                                                                   \
    /* slopes of shares become slopes of scores, in place */                                                            \
    void softmax_back_##S(const T *shares, T *slopes, int64_t rows, int64_t length, int64_t keys, int64_t window) {     \
        _Pragma("omp parallel for schedule(static) if (rows * keys > SMALL)")                                           \
        for (int64_t row = 0; row < rows; row++) {                                                                      \
            const T *p = shares + row * keys;                                                                           \
            T *d = slopes + row * keys;                                                                                 \
            int64_t end = keys - length + row % length + 1, start = end > window ? end - window : 0;                    \
            float along = 0;                                                                                            \
            _Pragma("omp simd reduction(+ : along)")                                                                    \
            for (int64_t i = start; i < end; i++) along += load_##S(p + i) * load_##S(d + i);                           \
            memset(d, 0, start * sizeof(T));                                                                            \
            _Pragma("omp simd")                                                                                         \
            for (int64_t i = start; i < end; i++) store_##S(d + i, load_##S(p + i) * (load_##S(d + i) - along));        \
            memset(d + end, 0, (keys - end) * sizeof(T));                                                               \
        }                                                                                                               \
    }                                                                                                                   \
    /* one query on the keys it has seen; zeros where it has seen none */                                               \
    INLINE void attend_one_##S(const T *q, const T *k, const T *v, const uint8_t *seen, T *y, int64_t keys, int64_t width, float scale) { \
        float shares[MOST_KEYS], one[MOST_WIDTH], sums[MOST_WIDTH], most = -INFINITY, all = 0;                          \
        for (int64_t i = 0; i < width; i++) { one[i] = load_##S(q + i) * scale; sums[i] = 0; }                          \
        for (int64_t t = 0; t < keys; t++) {                                                                            \
            float sum = 0;                                                                                              \
            if (!seen[t]) continue;                                                                                     \
            _Pragma("omp simd reduction(+ : sum)")                                                                      \
            for (int64_t i = 0; i < width; i++) sum += one[i] * load_##S(k + t * width + i);                            \
            shares[t] = sum;                                                                                            \
            most = sum > most ? sum : most;                                                                             \
        }                                                                                                               \
        _Pragma("omp simd reduction(+ : all)")                                                                          \
        for (int64_t t = 0; t < keys; t++) all += shares[t] = seen[t] ? fast_exp(shares[t] - most) : 0;                 \
        for (int64_t t = 0; t < keys; t++) {                                                                            \
            if (!seen[t]) continue;                                                                                     \
            _Pragma("omp simd")                                                                                         \
            for (int64_t i = 0; i < width; i++) sums[i] += shares[t] * load_##S(v + t * width + i);                     \
        }                                                                                                               \
        for (int64_t i = 0; i < width; i++) store_##S(y + i, all > 0 ? sums[i] / all : 0);                              \
    }                                                                                                                   \
    /* attention of few queries: q (rows, heads, queries, width) by its strides, k and v (rows, heads / groups, keys, width), */ \
    /* y (rows, queries, heads, width) */                                                                               \
    void attend_##S(const T *q, const T *k, const T *v, const uint8_t *seen, T *y, int64_t rows, int64_t heads, int64_t groups, \
                    int64_t queries, int64_t keys, int64_t width, int64_t q_row, int64_t q_head, int64_t q_query,       \
                    int64_t seen_row, int64_t seen_query, float scale) {                                                \
        _Pragma("omp parallel for schedule(static)")                                                                    \
        for (int64_t part = 0; part < rows * (heads / groups); part++)                                                  \
            for (int64_t each = 0; each < groups * queries; each++) {                                                   \
                const int64_t row = part / (heads / groups), query = each % queries;                                    \
                const int64_t head = part % (heads / groups) * groups + each / queries;                                 \
                const T *from = q + row * q_row + head * q_head + query * q_query;                                      \
                const T *key = k + part * keys * width, *value = v + part * keys * width;                               \
                const uint8_t *sees = seen + row * seen_row + query * seen_query;                                       \
                T *to = y + ((row * queries + query) * heads + head) * width;                                           \
                if (width == 64) attend_one_##S(from, key, value, sees, to, keys, 64, scale);                           \
                else attend_one_##S(from, key, value, sees, to, keys, width, scale);                                    \
            }                                                                                                           \
    }                                                                                                                   \
    /* of each row of logits the cross-entropy against shares of some words and what is spread over all, and whether none is */ \
    /* above the first of these; the logits become their slopes where wanted, which are in `made` (rows, candidates) at those words */ \
    void cross_entropy_##S(T *logits, const int64_t *words, const float *shares, const float *spread, float *losses, int64_t *right, \
                           float *made, int64_t rows, int64_t vocabulary, int64_t candidates, int64_t wanted) {         \
        _Pragma("omp parallel for schedule(static)")                                                                    \
        for (int64_t row = 0; row < rows; row++) {                                                                      \
            T *x = logits + row * vocabulary;                                                                           \
            const int64_t *word = words + row * candidates;                                                             \
            const float *share = shares + row * candidates, even = spread[row] / vocabulary;                            \
            float most = load_##S(x), sum = 0, total = 0, all = spread[row], loss = 0, *slope = made + row * candidates; \
            _Pragma("omp simd reduction(max : most)")                                                                   \
            for (int64_t i = 0; i < vocabulary; i++) { float v = load_##S(x + i); most = v > most ? v : most; }         \
            _Pragma("omp simd reduction(+ : sum)")                                                                      \
            for (int64_t i = 0; i < vocabulary; i++) sum += fast_exp(load_##S(x + i) - most);                           \
            if (even > 0) {                                                                                             \
                _Pragma("omp simd reduction(+ : total)")                                                                \
                for (int64_t i = 0; i < vocabulary; i++) total += load_##S(x + i) - most;                               \
                loss = spread[row] * logf(sum) - even * total;                                                          \
            }                                                                                                           \
            for (int64_t c = 0; c < candidates; c++) {                                                                  \
                all += share[c];                                                                                        \
                loss += share[c] * (logf(sum) + most - load_##S(x + word[c]));                                          \
            }                                                                                                           \
            losses[row] = loss;                                                                                         \
            right[row] = load_##S(x + word[0]) >= most;                                                                 \
            if (!wanted) continue;                                                                                      \
            float by = all / sum;                                                                                       \
            for (int64_t c = 0; c < candidates; c++) {                                                                  \
                slope[c] = by * fast_exp(load_##S(x + word[c]) - most) - even;                                          \
                for (int64_t other = 0; other < candidates; other++) slope[c] -= word[other] == word[c] ? share[other] : 0; \
            }                                                                                                           \
            _Pragma("omp simd")                                                                                         \
            for (int64_t i = 0; i < vocabulary; i++) store_##S(x + i, by * fast_exp(load_##S(x + i) - most) - even);    \
            for (int64_t c = 0; c < candidates; c++) store_##S(x + word[c], slope[c]);                                  \
        }                                                                                                               \
    }

KERNELS(bf16, bf16)
KERNELS(float, f32)
