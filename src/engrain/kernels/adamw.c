/* AdamW with both moments in bf16, rounded at random, and values in fp32, in one place or cut in two; see adamw.py. */
#include "parts.h"

/* 32 bits that look random, of a number (Wellons 2018, "Prospecting for Hash Functions", lowbias32) */
INLINE uint32_t scattered(uint32_t x) {
    x ^= x >> 16;
    x *= 0x7feb352d;
    x ^= x >> 15;
    x *= 0x846ca68b;
    return x ^ x >> 16;
}

#define WHOLE float *values
#define CUT bf16 *values, int16_t *left
INLINE float joined(bf16 near, int16_t left) { return real(((uint32_t)near << 16) + (uint32_t)(int32_t)left); }
INLINE void cut(bf16 *near, int16_t *left, float x) {
    const uint32_t u = bits(x), top = (u + 0x8000) >> 16;
    *near = (bf16)top;
    *left = (int16_t)(u - (top << 16));
}

/* values (count) move along their moments, which take in the gradients; of 32 bits drawn of seed and place 16 round each moment */
#define ADAMW(T, S, NAME, VALUES, READ, WRITE)                                                                                           \
    void NAME##_##S(VALUES, const T *gradients, bf16 *first, bf16 *second, int64_t count, int64_t seed, float scale, float rate,         \
                    float kept, float beta1, float beta2, float epsilon, float correction) {                                             \
        const uint32_t start = (uint32_t)seed;                                                                                           \
        _Pragma("omp parallel for simd schedule(static) if (parallel : count > SMALL)")                                                  \
        for (int64_t i = 0; i < count; i++) {                                                                                            \
            const uint32_t drawn = scattered((uint32_t)i ^ start);                                                                       \
            const float g = scale * load_##S(gradients + i);                                                                             \
            const float m = beta1 * load_bf16(first + i) + (1 - beta1) * g, v = beta2 * load_bf16(second + i) + (1 - beta2) * g * g;     \
            const float moved = kept * (READ) - rate * m / (sqrtf(v) * correction + epsilon);                                            \
            WRITE;                                                                                                                       \
            first[i] = (bf16)((bits(m) + (drawn & 0xffff)) >> 16);                                                                       \
            second[i] = (bf16)((bits(v) + (drawn >> 16)) >> 16);                                                                         \
        }                                                                                                                                \
    }

#define KERNELS(T, S)                                                                                                                    \
    /* the sum of squares of x (count) */                                                                                                \
    void squares_##S(const T *x, double *sum, int64_t count) {                                                                           \
        double all = 0;                                                                                                                  \
        _Pragma("omp parallel for reduction(+ : all) schedule(static) if (count > SMALL)")                                               \
        for (int64_t at = 0; at < count; at += SMALL) {                                                                                  \
            const int64_t end = at + SMALL < count ? at + SMALL : count;                                                                 \
            float part = 0;                                                                                                              \
            _Pragma("omp simd reduction(+ : part)")                                                                                      \
            for (int64_t i = at; i < end; i++) part += load_##S(x + i) * load_##S(x + i);                                                \
            all += part;                                                                                                                 \
        }                                                                                                                                \
        *sum = all;                                                                                                                      \
    }                                                                                                                                    \
    ADAMW(T, S, adamw, WHOLE, values[i], values[i] = moved)                                                                              \
    ADAMW(T, S, adamw_split, CUT, joined(values[i], left[i]), cut(values + i, left + i, moved))

KERNELS(bf16, bf16)
KERNELS(float, f32)
