/* Which token comes next, told from the logits in a few passes over them. See choosing.py.
 *
 * Only tokens near the likeliest are put in order; more are taken where these do not hold enough of the probability.
 */
#include "parts.h"
#include <stdlib.h>

typedef struct { float share; int64_t token; } candidate;

/* the likelier first, of equal ones that with the lower number */
static int likelier(const void *a, const void *b) {
    const candidate *one = a, *other = b;
    if (one->share != other->share) return one->share > other->share ? -1 : 1;
    return one->token < other->token ? -1 : 1;
}

/* the candidate at which `draw` falls among the likeliest that hold `top_p` */
static int64_t drawn(candidate *found, int64_t count, double top_p, double draw) {
    double held = 0, upto = 0;
    int64_t kept = 0, at = 0;
    qsort(found, count, sizeof *found, likelier);
    while (kept < count && held < top_p) held += found[kept++].share;
    const double target = draw * (top_p < 1 ? held : 1);
    for (; at < kept - 1; at++)
        if ((upto += found[at].share) > target) break;
    return found[at].token;
}

#define CHOOSING(T, S)                                                                                                  \
    static int64_t draw_##S(const T *x, int64_t vocabulary, float most, float by, double top_p, double draw) {          \
        candidate *found = malloc(vocabulary * sizeof *found);                                                          \
        int64_t count = 0;                                                                                              \
        float all = 0;                                                                                                  \
        double held = 0;                                                                                                \
        _Pragma("omp simd reduction(+ : all)")                                                                          \
        for (int64_t i = 0; i < vocabulary; i++) all += fast_exp((load_##S(x + i) - most) * by);                        \
        /* nats below the likeliest; beyond 128 nothing has a share in fp32 */                                           \
        float depth = 8;                                                                                                \
        do {                                                                                                            \
            held = count = 0;                                                                                           \
            for (int64_t i = 0; i < vocabulary; i++) {                                                                  \
                const float below = (most - load_##S(x + i)) * by;                                                      \
                if (below > depth) continue;                                                                            \
                held += found[count].share = fast_exp(-below) / all;                                                    \
                found[count++].token = i;                                                                               \
            }                                                                                                           \
            depth *= 4;                                                                                                 \
        } while (depth < 256 && held < (top_p < 1 ? top_p : draw));                                                     \
        const int64_t token = drawn(found, count, top_p, draw);                                                         \
        free(found);                                                                                                    \
        return token;                                                                                                   \
    }                                                                                                                   \
    /* the next token of each row of logits (rows, vocabulary) and its log-probability; the likeliest where the temperature is 0 */ \
    void choose_##S(const T *logits, const double *draws, int64_t *tokens, float *scores, int64_t rows, int64_t vocabulary, \
                    float temperature, float top_p) {                                                                   \
        _Pragma("omp parallel for schedule(static) if (rows > 1)")                                                      \
        for (int64_t row = 0; row < rows; row++) {                                                                      \
            const T *x = logits + row * vocabulary;                                                                     \
            float most = load_##S(x), sum = 0;                                                                          \
            int64_t token = 0;                                                                                          \
            _Pragma("omp simd reduction(max : most)")                                                                   \
            for (int64_t i = 0; i < vocabulary; i++) { float v = load_##S(x + i); most = v > most ? v : most; }         \
            _Pragma("omp simd reduction(+ : sum)")                                                                      \
            for (int64_t i = 0; i < vocabulary; i++) sum += fast_exp(load_##S(x + i) - most);                           \
            if (temperature > 0) token = draw_##S(x, vocabulary, most, 1 / temperature, top_p, draws[row]);             \
            else while (token < vocabulary - 1 && load_##S(x + token) < most) token++;                                  \
            tokens[row] = token;                                                                                        \
            scores[row] = load_##S(x + token) - most - logf(sum);                                                       \
        }                                                                                                               \
    }

CHOOSING(bf16, bf16)
CHOOSING(float, f32)
