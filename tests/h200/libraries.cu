/* SPDX-License-Identifier: MIT */
/* cuBLAS, cuFFT and cuRAND, each against what the CPU says. */
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <cufft.h>
#include <curand.h>

static int count, wrong;

static void
ok(bool passed, const char *name)
{
    printf("%sok %d - %s\n", passed ? "" : "not ", ++count, name);
    fflush(stdout);
    wrong += !passed;
}

#define NEED(call)                                            \
    do {                                                      \
        int need_status = (int)(call);                        \
        if (need_status != 0) {                               \
            printf("Bail out! %s: %d\n", #call, need_status); \
            exit(1);                                          \
        }                                                     \
    } while (0)

static void
blas()
{
    const int n = 129;
    const float one = 1, zero = 0;
    std::vector<float> a(n * n), b(n * n), c(n * n);
    float *da, *db, *dc;
    cublasHandle_t handle;
    double worst = 0;

    for (int i = 0; i < n * n; i++) {
        a[i] = (float)((i * 37) % 19 - 9);
        b[i] = (float)((i * 53) % 23 - 11);
    }
    NEED(cublasCreate(&handle));
    NEED(cudaMalloc(&da, n * n * 4));
    NEED(cudaMalloc(&db, n * n * 4));
    NEED(cudaMalloc(&dc, n * n * 4));
    NEED(cublasSetMatrix(n, n, 4, a.data(), n, da, n));
    NEED(cublasSetMatrix(n, n, 4, b.data(), n, db, n));
    NEED(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, n, n, n, &one, da, n, db, n, &zero, dc, n));
    NEED(cublasGetMatrix(n, n, 4, dc, n, c.data(), n));
    for (int row = 0; row < n; row++)
        for (int column = 0; column < n; column++) {
            double sum = 0;

            for (int k = 0; k < n; k++)
                sum += (double)a[k * n + row] * b[column * n + k];
            worst = std::fmax(worst, std::fabs(sum - c[column * n + row]));
        }
    ok(worst < 0.5, "cuBLAS: a product");
    NEED(cublasSdot(handle, n, da, 1, db, 1, &c[0]));
    worst = 0;
    for (int i = 0; i < n; i++)
        worst += (double)a[i] * b[i];
    ok(std::fabs(worst - c[0]) < 0.5, "cuBLAS: a scalar comes back");
    NEED(cublasDestroy(handle));
    NEED(cudaFree(da));
    NEED(cudaFree(db));
    NEED(cudaFree(dc));
}

static void
fft()
{
    const int n = 4096;
    std::vector<cufftComplex> values(n), back(n);
    cufftComplex *there;
    cufftHandle plan;
    double worst = 0;

    for (int i = 0; i < n; i++) {
        values[i].x = (float)((i * 29) % 101) / 101;
        values[i].y = (float)((i * 31) % 97) / 97;
    }
    NEED(cudaMalloc(&there, n * sizeof(cufftComplex)));
    NEED(cudaMemcpy(there, values.data(), n * sizeof(cufftComplex), cudaMemcpyHostToDevice));
    NEED(cufftPlan1d(&plan, n, CUFFT_C2C, 1));
    NEED(cufftExecC2C(plan, there, there, CUFFT_FORWARD));
    NEED(cudaMemcpy(back.data(), there, sizeof(cufftComplex), cudaMemcpyDeviceToHost));
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += values[i].x;
    ok(std::fabs(sum - back[0].x) < 1e-4 * n, "cuFFT: the mean");
    NEED(cufftExecC2C(plan, there, there, CUFFT_INVERSE));
    NEED(cudaMemcpy(back.data(), there, n * sizeof(cufftComplex), cudaMemcpyDeviceToHost));
    for (int i = 0; i < n; i++)
        worst = std::fmax(worst, std::fabs(back[i].x / n - values[i].x) + std::fabs(back[i].y / n - values[i].y));
    ok(worst < 1e-5, "cuFFT: there and back");
    NEED(cufftDestroy(plan));
    NEED(cudaFree(there));
}

static void
random_numbers()
{
    const size_t n = 1 << 20;
    std::vector<float> values(n);
    curandGenerator_t generator;
    float *there;
    double sum = 0;

    NEED(cudaMalloc(&there, n * 4));
    NEED(curandCreateGenerator(&generator, CURAND_RNG_PSEUDO_DEFAULT));
    NEED(curandSetPseudoRandomGeneratorSeed(generator, 1234));
    NEED(curandGenerateUniform(generator, there, n));
    NEED(cudaMemcpy(values.data(), there, n * 4, cudaMemcpyDeviceToHost));
    for (float value : values)
        sum += value;
    ok(std::fabs(sum / n - 0.5) < 0.005, "cuRAND: the mean");
    printf("result: random %.6f %.6f\n", values[0], values[n - 1]);
    NEED(curandDestroyGenerator(generator));
    NEED(cudaFree(there));
}

int
main()
{
    blas();
    fft();
    random_numbers();
    printf("1..%d\n", count);
    return wrong != 0;
}
