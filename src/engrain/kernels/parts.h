/* What the C files share: numbers of two formats, computed in fp32 and rounded as PyTorch rounds them. */
#ifndef ENGRAIN_PARTS_H
#define ENGRAIN_PARTS_H
#include <math.h>
#include <stdint.h>
#include <string.h>

typedef uint16_t bf16;

#define INLINE static inline __attribute__((always_inline))
#define MOST_KEYS 4096 /* as in short_attention.py */
#define MOST_WIDTH 512 /* as in plain_attention.py */
#define COLUMNS 32 /* that are summed together */
#define SMALL 16384 /* elements below which a second thread costs more than it brings */

INLINE uint32_t bits(float x) { uint32_t u; memcpy(&u, &x, 4); return u; }
INLINE float real(uint32_t u) { float x; memcpy(&x, &u, 4); return x; }

INLINE float load_bf16(const bf16 *p) { return real((uint32_t)*p << 16); }
INLINE float load_f32(const float *p) { return *p; }
/* to the nearest bf16, ties to even; what is no number stays none */
INLINE uint32_t nearest(float x) {
    uint32_t u = bits(x), up = u + 0x7fff + ((u >> 16) & 1);
    return (u & 0x7fffffff) > 0x7f800000 ? 0x7fc00000 : up;
}
INLINE void store_bf16(bf16 *p, float x) { *p = (bf16)(nearest(x) >> 16); }
INLINE void store_f32(float *p, float x) { *p = x; }
INLINE float round_bf16(float x) { return real(nearest(x) & 0xffff0000); }
INLINE float round_f32(float x) { return x; }

/* exp(x) to some units of the last place (Cephes' expf), without branches, so that a compiler computes many at once */
INLINE float fast_exp(float x) {
    x = x > 88.0f ? 88.0f : x < -87.0f ? -87.0f : x;
    float n = floorf(x * 1.44269504f + 0.5f);
    float r = x - n * 0.693359375f + n * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return p * real((uint32_t)((int32_t)n + 127) << 23);
}

#endif
