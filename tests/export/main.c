/* Exported kernels called from C99: the bits that kiln gave, on any number of threads and in any
 * environment, and every status. */
#define _GNU_SOURCE
#include <fenv.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "add.h"
#include "black_scholes.h"
#include "blur.h"
#include "fit.h"
#include "gather.h"
#include "halves.h"
#include "heat.h"
#include "int_remainder.h"
#include "kinds.h"
#include "least.h"
#include "matrix_product.h"
#include "norm.h"
#include "row_sums.h"
#include "smooth.h"

static const char* folder;
static int failures = 0;

static void check(int right, const char* what) {
    if (right) return;
    fprintf(stderr, "failed: %s\n", what);
    ++failures;
}
static void is_status(int status, int expected, const char* what) {
    if (status == expected) return;
    fprintf(stderr, "%s: status %d (%s), expected %d (%s)\n", what, status,
            kiln_rt_status_text(status), expected, kiln_rt_status_text(expected));
    ++failures;
}

static double input(int64_t i, int64_t seed) {
    return (double)((i * 7919 + seed * 104729) % 1009 + 1) / 64;
}
static double* inputs(int64_t n, int64_t seed) {
    double* all = malloc((size_t)n * sizeof *all);
    for (int64_t i = 0; i < n; ++i) all[i] = input(i, seed);
    return all;
}
static float* float_inputs(int64_t n, int64_t seed) {
    float* all = malloc((size_t)n * sizeof *all);
    for (int64_t i = 0; i < n; ++i) all[i] = (float)input(i, seed);
    return all;
}

/* The bytes are those of a part of NAME.bin. */
static void is_expected(const void* bytes, size_t size, const char* name, size_t from) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.bin", folder, name);
    FILE* file = fopen(path, "rb");
    char* expected = malloc(size);
    check(file != NULL && fseek(file, (long)from, SEEK_SET) == 0 &&
              fread(expected, 1, size, file) == size,
          "reading what is expected");
    check(memcmp(bytes, expected, size) == 0, name);
    if (file != NULL) fclose(file);
    free(expected);
}

static void prices(void) {
    enum { n = 100003 };
    double *spot = inputs(n, 1), *strike = inputs(n, 2), *years = inputs(n, 3);
    double *call = inputs(n, 0), *put = inputs(n, 0);
    is_status(black_scholes(n, spot, strike, years, 0.02, 0.3, call, put), KILN_OK, "black_scholes");
    is_expected(call, n * sizeof *call, "black_scholes", 0);
    is_expected(put, n * sizeof *put, "black_scholes", n * sizeof *call);
    /* in place */
    is_status(black_scholes(n, spot, strike, years, 0.02, 0.3, spot, strike), KILN_OK, "in place");
    is_expected(spot, n * sizeof *call, "black_scholes", 0);
    is_expected(strike, n * sizeof *put, "black_scholes", n * sizeof *call);
    is_status(black_scholes(0, NULL, NULL, NULL, 0.02, 0.3, NULL, NULL), KILN_OK, "no elements");
    free(spot), free(strike), free(years), free(call), free(put);
}

static void all_halves(void) {
    enum { n = 1001 };
    float x[n];
    uint16_t y[n];
    for (int i = 0; i < n; ++i) x[i] = (float)input(i, 12) / 3.0f;
    is_status(halves(n, x, y), KILN_OK, "halves");
    is_expected(y, sizeof y, "halves", 0);
}

static void all_kinds(void) {
    enum { n = 77 };
    float w[2 * n];
    uint16_t half[n], selected[n];
    int8_t small[n], sums[n];
    double products[2 * n];
    uint8_t above[n];
    const double z[2] = {0.5, -1.25};
    for (int i = 0; i < n; ++i) {
        const double x = input(i, 5);
        w[2 * i] = (float)input(i, 4);
        w[2 * i + 1] = 0;
        small[i] = (int8_t)(int)input(i, 6);
        /* of a number from 1/64 up to 16: 10 digits behind the first one */
        int exponent = 0;
        while (x >= (2.0 * (1 << (exponent + 8)) / 256)) ++exponent;
        while (x < (1 << (exponent + 8)) / 256.0) --exponent;
        const double scale = exponent >= 0 ? 1.0 / (1 << exponent) : (double)(1 << -exponent);
        half[i] = (uint16_t)(((exponent + 15) << 10) + (int)((x * scale - 1) * 1024));
    }
    /* any value but 0 is true */
    is_status(kinds(n, 255, z, w, half, small, products, selected, above, sums), KILN_OK, "kinds");
    is_expected(products, sizeof products, "kinds", 0);
    is_expected(selected, sizeof selected, "kinds", sizeof products);
    is_expected(above, sizeof above, "kinds", sizeof products + sizeof selected);
    is_expected(sums, sizeof sums, "kinds", sizeof products + sizeof selected + sizeof above);
}

static void other_kinds(void) {
    {
        float *image = float_inputs(70 * 90, 13), *weight = float_inputs(71 * 90, 14);
        float* result = malloc(70 * 90 * sizeof *result);
        const int64_t shape[] = {70, 90}, larger[] = {71, 90}, smaller[] = {69, 90};
        is_status(blur(image, shape, NULL, weight, larger, NULL, 0.25f, result, shape, NULL), KILN_OK,
                  "blur");
        is_expected(result, 70 * 90 * sizeof *result, "blur", 0);
        is_status(blur(image, shape, NULL, weight, smaller, NULL, 0.25f, result, shape, NULL),
                  KILN_SHAPE, "neighbours of a smaller array");
        is_status(blur(image, shape, NULL, weight, larger, NULL, 0.25f, result, smaller, NULL),
                  KILN_SHAPE, "a smaller result");
        is_status(blur(image, shape, NULL, weight, larger, NULL, 0.25f, image, shape, NULL),
                  KILN_OVERLAP, "a result in place");
        free(image), free(weight), free(result);
    }
    {
        enum { stacks = 300, m = 20, n = 30 };
        double *a = inputs(stacks * m * n, 15), *x = inputs(n, 16), *shift = inputs(stacks, 17);
        double* residual = malloc(stacks * m * sizeof *residual);
        double* size = malloc(stacks * sizeof *size);
        const int64_t of_a[] = {stacks, m, n}, of_x[] = {n}, one[] = {stacks}, of_r[] = {stacks, m};
        const int64_t less[] = {stacks - 1}, short_x[] = {n - 1}, narrow_r[] = {stacks, m - 1};
        is_status(fit(a, of_a, NULL, x, of_x, NULL, shift, one, NULL, residual, of_r, NULL, size, one,
                      NULL),
                  KILN_OK, "fit");
        is_expected(residual, stacks * m * sizeof *residual, "fit", 0);
        is_expected(size, stacks * sizeof *size, "fit", stacks * m * sizeof *residual);
        is_status(fit(a, of_a, NULL, x, short_x, NULL, shift, one, NULL, residual, of_r, NULL, size,
                      one, NULL),
                  KILN_SHAPE, "a core dimension of two sizes");
        is_status(fit(a, of_a, NULL, x, of_x, NULL, shift, one, NULL, residual, narrow_r, NULL, size,
                      one, NULL),
                  KILN_SHAPE, "an output's core");
        is_status(fit(a, of_a, NULL, x, of_x, NULL, shift, less, NULL, residual, of_r, NULL, size, one,
                      NULL),
                  KILN_SHAPE, "a stack of fewer cores");
        is_status(fit(a, of_a, NULL, x, of_x, NULL, shift, one, NULL, residual, of_r, NULL, size, less,
                      NULL),
                  KILN_SHAPE, "an output of fewer cores");
        free(a), free(x), free(shift), free(residual), free(size);
    }
    {
        enum { m = 700, n = 300 };
        double* x = inputs(m * n, 18);
        for (int i = 0; i < m * n; ++i) x[i] /= 3;
        double *sums = inputs(m, 0), *columns = inputs(n, 0), total = 0;
        const int64_t shape[] = {m, n}, of_rows[] = {m}, of_columns[] = {n};
        is_status(row_sums(x, shape, NULL, sums, of_rows, NULL, columns, of_columns, NULL, &total),
                  KILN_OK, "row_sums");
        is_expected(sums, m * sizeof *sums, "row_sums", 0);
        is_expected(columns, n * sizeof *columns, "row_sums", m * sizeof *sums);
        is_expected(&total, sizeof total, "row_sums", (m + n) * sizeof *sums);
        is_status(row_sums(x, shape, NULL, sums, of_columns, NULL, columns, of_columns, NULL, &total),
                  KILN_SHAPE, "as many sums as columns");
        free(x), free(sums), free(columns);
    }
}

static void loops(void) {
    {
        const int64_t shape[] = {300, 500}, wide[] = {512 * 8, 8};
        double *now = inputs(300 * 500, 7), *next = calloc(300 * 500, 8);
        is_status(heat(now, shape, NULL, next, shape, NULL, 0.1), KILN_OK, "heat");
        is_expected(next, 300 * 500 * 8, "heat", 0);
        /* rows with gaps */
        double* gaps = calloc(300 * 512, 8);
        for (int i = 0; i < 300; ++i) memcpy(gaps + i * 512, now + i * 500, 500 * 8);
        memset(next, 0, 300 * 500 * 8);
        is_status(heat(gaps, shape, wide, next, shape, NULL, 0.1), KILN_OK, "heat with gaps");
        is_expected(next, 300 * 500 * 8, "heat", 0);
        free(now), free(next), free(gaps);
    }
    {
        const int64_t a[] = {120, 70}, b[] = {70, 90}, c[] = {120, 90};
        float *x = float_inputs(120 * 70, 8), *y = float_inputs(70 * 90, 9), *z = calloc(120 * 90, 4);
        is_status(matrix_product(x, a, NULL, y, b, NULL, z, c, NULL), KILN_OK, "matrix_product");
        is_expected(z, 120 * 90 * 4, "matrix_product", 0);
        free(x), free(y), free(z);
    }
    {
        const int64_t n = 1000003;
        double *x = inputs(n, 10), results[2] = {0, 0};
        is_status(norm(x, &n, NULL, &results[0], &results[1]), KILN_OK, "norm");
        is_expected(results, sizeof results, "norm", 0);
        free(x);
    }
    {
        const int64_t shape[] = {200, 150};
        double *x = inputs(200 * 150, 11), *y = calloc(200 * 150, 8);
        is_status(smooth(x, shape, NULL, y, shape, NULL, 5), KILN_OK, "smooth");
        is_expected(y, 200 * 150 * 8, "smooth", 0);
        free(x), free(y);
    }
}

static void environment(void) {
    fesetround(FE_UPWARD);
    prices();
    feclearexcept(FE_ALL_EXCEPT);
    loops();
    check(fegetround() == FE_UPWARD, "the rounding mode is the caller's again");
    check(fetestexcept(FE_INEXACT) != 0, "flags of the data are raised");
    fesetround(FE_TONEAREST);
}

static void* in_a_thread(void* nothing) {
    loops();
    return nothing;
}
static void at_once(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; ++i) check(pthread_create(&threads[i], NULL, in_a_thread, NULL) == 0, "a thread");
    for (int i = 0; i < 4; ++i) pthread_join(threads[i], NULL);
    const pid_t child = fork();
    if (child == 0) {
        loops();
        exit(failures);
    }
    int status = -1;
    waitpid(child, &status, 0);
    check(status == 0, "a child of fork");
}

static void all_statuses(void) {
    double x[10] = {1}, y[10] = {1}, z[20] = {0};
    const int64_t ten = 10, nine = 9, negative = -1, none = 0, backwards = -8, huge = INT64_MAX;
    is_status(add(x, &ten, NULL, y, &ten, NULL, z, &ten, NULL), KILN_OK, "add");
    check(z[0] == 2, "1 + 1");
    is_status(add(x, &ten, NULL, y, &nine, NULL, z, &ten, NULL), KILN_SHAPE, "extents that differ");
    is_status(add(x, &negative, NULL, y, &ten, NULL, z, &ten, NULL), KILN_SHAPE, "a negative extent");
    is_status(add(x, &huge, NULL, y, &ten, NULL, z, &ten, NULL), KILN_SHAPE, "more bytes than there are");
    is_status(add(x, &ten, NULL, y, &ten, NULL, x, &ten, NULL), KILN_OVERLAP, "an output that is an input");
    is_status(add(z, &ten, NULL, y, &ten, NULL, z + 9, &ten, NULL), KILN_OVERLAP, "one element in common");
    is_status(add(z, &ten, NULL, y, &ten, NULL, z + 10, &ten, NULL), KILN_OK, "neighbours");
    is_status(add(x, &ten, NULL, x, &ten, NULL, z, &ten, NULL), KILN_OK, "an input twice");
    is_status(add(x + 9, &ten, &backwards, y, &ten, NULL, z, &ten, NULL), KILN_STRIDES, "strides");
    is_status(add(NULL, &ten, NULL, y, &ten, NULL, z, &ten, NULL), KILN_NULL, "no data");
    is_status(add(x, NULL, NULL, y, &ten, NULL, z, &ten, NULL), KILN_NULL, "no extents");
    is_status(add(NULL, &none, NULL, NULL, &none, NULL, NULL, &none, NULL), KILN_OK, "no elements");

    double least_value = 0;
    is_status(least(x, &ten, NULL, &least_value), KILN_OK, "least");
    is_status(least(x, &none, NULL, &least_value), KILN_EMPTY, "the least of nothing");
    is_status(least(x, &ten, NULL, NULL), KILN_NULL, "a result without a place");

    int64_t places[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    is_status(gather(x, &ten, NULL, places, &ten, NULL, z, &ten, NULL), KILN_OK, "gather");
    places[7] = 10;
    is_status(gather(x, &ten, NULL, places, &ten, NULL, z, &ten, NULL), KILN_BOUNDS, "a place beyond");

    int32_t a[3] = {7, 8, 9}, b[3] = {2, 0, 4}, c[6] = {0};
    is_status(int_remainder(3, a, b, c), KILN_DIVISION, "a division by zero");
    check(c[0] == 1 && c[2] == 1, "the other elements are computed");
    b[1] = 3;
    is_status(int_remainder(3, a, b, c), KILN_OK, "int_remainder");
    check(c[1] == 2, "8 % 3");
    is_status(int_remainder(-1, a, b, c), KILN_SHAPE, "a negative number of elements");
    is_status(int_remainder(3, a, b, NULL), KILN_NULL, "no output");
    is_status(int_remainder(2, a, b, a + 1), KILN_OVERLAP, "an output a part of an input");

    const int64_t shape[] = {2, 3};
    double p[6] = {0}, q[6] = {0};
    is_status(smooth(p, shape, NULL, q, shape, NULL, -10), KILN_SHAPE, "a negative extent of a Scratch");
    is_status(smooth(p, shape, NULL, q, shape, NULL, INT64_MAX / 16), KILN_MEMORY, "too large a Scratch");
    const int64_t still[] = {0, 8};
    is_status(smooth(p, shape, NULL, q, shape, still, 1), KILN_OVERLAP, "rows that are one");
    const int64_t sliding[] = {8, 8}, upwards[] = {-24, 8};
    is_status(smooth(p, shape, NULL, q, shape, sliding, 1), KILN_OVERLAP, "rows that share elements");
    is_status(smooth(p, shape, NULL, q + 3, shape, upwards, 1), KILN_OK, "rows from the last one on");

    /* A kernel of a CPU of the future, as the runtime knows it. */
    struct {
        void (*entry)(const void*);
        uint32_t params, frame_words;
        uint8_t flags[4], cpu, unused[3];
    } future = {0};
    future.cpu = 200;
    extern int kiln_rt_call_1(const void* kernel, const int64_t* arguments);
    is_status(kiln_rt_call_1(&future, NULL), KILN_CPU, "a CPU that is not this one");
    check(strcmp(kiln_rt_status_text(-1), kiln_rt_status_text(1000)) == 0, "no status");
}

int main(int argc, char** argv) {
    static const int threads[] = {1, 2, 3, 8};
    folder = argc > 1 ? argv[1] : ".";
    for (int i = 0; i < 4; ++i) {
        kiln_rt_set_num_threads(threads[i]);
        check(kiln_rt_num_threads() == threads[i], "threads");
        prices();
        all_kinds();
        other_kinds();
        all_halves();
        loops();
    }
    environment();
    at_once();
    all_statuses();
    kiln_rt_set_num_threads(0);
    check(kiln_rt_num_threads() >= 1, "the threads that there are");
    if (failures == 0) printf("C: the bits that kiln gave, and every status\n");
    return failures != 0;
}
