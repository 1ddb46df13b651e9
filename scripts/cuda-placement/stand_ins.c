/* Answers of a pretended CUDA 13 device: just enough for ONNX Runtime's CUDA provider to build a session.
 *
 * A function on_NAME answers for NAME, the others for families of symbols (ANSWERS in build_stand_ins.py). All return
 * a machine word: a status (0 is success in every CUDA library) or a pointer. "Device" memory is host memory, and no
 * kernel ever runs.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef intptr_t word;
#define GIB ((size_t)1 << 30)

static char any_object[512];

static word succeed(void) { return 0; }
static word describe(void) { return (word) "an error of a pretended CUDA library"; }
static word make_handle(void **handle) { return *handle = any_object, 0; }
static word set_int(int *place, int value) { return *place = value, 0; }

/* The device */

static word cuda_version(int *version) { return set_int(version, 13000); }
static word on_cudnnGetVersion(void) { return 91000; }
static word on_cudaGetDeviceCount(int *count) { return set_int(count, 1); }
static word on_cudaGetDevice(int *device) { return set_int(device, 0); }
static word on_cudaMemGetInfo(size_t *left, size_t *total) { return *left = 64 * GIB, *total = 80 * GIB, 0; }

/* Fields of CUDA 13's cudaDeviceProp that the provider reads, by byte offset: four sizes, then ints. */
static word on_cudaGetDeviceProperties(char *at) {
  memset(at, 0, 1008);
  strcpy(at, "pretended device");
  *(size_t *)(at + 288) = 80 * GIB;                                       /* memory */
  *(size_t *)(at + 296) = 48 << 10;                                       /* shared memory per block */
  *(size_t *)(at + 624) = 164 << 10;                                      /* and per multiprocessor */
  *(size_t *)(at + 672) = 163 << 10;                                      /* and per block, opt-in */
  *(int *)(at + 304) = *(int *)(at + 632) = 65536;                        /* registers: block, multiprocessor */
  *(int *)(at + 308) = *(int *)(at + 688) = 32;                           /* warp size, blocks per multiprocessor */
  *(int *)(at + 320) = *(int *)(at + 324) = *(int *)(at + 328) = 1024;    /* threads per block, along two axes */
  *(int *)(at + 332) = 64;                                                /* and the third */
  *(int *)(at + 336) = 0x7fffffff;                                        /* grid */
  *(int *)(at + 340) = *(int *)(at + 344) = 65535;
  *(int *)(at + 360) = 8;                                                 /* compute capability 8.0 */
  *(int *)(at + 384) = 108;                                               /* multiprocessors */
  *(int *)(at + 596) = 40 << 20;                                          /* L2 bytes */
  *(int *)(at + 604) = 2048;                                              /* threads per multiprocessor */
  return 0;
}

static word on_cudaDeviceGetAttribute(int *value, int which) {
  static const int known[][2] = {
    {1, 1024}, {8, 48 << 10}, {10, 32}, {12, 65536}, /* per block: threads, shared memory, warp size, registers */
    {16, 108}, {18, 0}, {20, 0}, {38, 40 << 20},     /* multiprocessors, integrated, compute mode, L2 bytes */
    {39, 2048}, {75, 8}, {76, 0},                    /* threads per multiprocessor, compute capability */
    {81, 164 << 10}, {97, 163 << 10},                /* shared memory: multiprocessor, block opt-in */
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (known[i][0] == which) return set_int(value, known[i][1]);
  return set_int(value, 1); /* nearly all others ask "can you?" */
}

/* Memory, kernels, math libraries */

static word take(void **out, size_t bytes) { return posix_memalign(out, 256, bytes + !bytes) ? 2 : 0; }
static word give(void *block) { return free(block), 0; }
static word copy(void *to, void *from, size_t bytes) { return memmove(to, from, bytes), 0; }
static word fill(void *to, int value, size_t bytes) { return memset(to, value, bytes), 0; }
static word on_cudaMemcpyFromSymbol(void *to, void *symbol, size_t bytes) { return memset(to, 0, bytes), 0; }
static word on_cudaMemPoolGetAttribute(void *pool, int which, uint64_t *value) { return *value = 0, 0; }
static word on___cudaRegisterFatBinary(void) { return (word)any_object; }
static word on_cudaStreamIsCapturing(void *stream, int *status) { return set_int(status, 0); }
static word on_cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks) { return set_int(blocks, 2); }
static word on_cublasGetMathMode(void *handle, int *mode) { return set_int(mode, 0); }
static word on_cudnnBackendCreateDescriptor(int kind, void **descriptor) { return make_handle(descriptor); }
static word on_cudnnDropoutGetStatesSize(void *handle, size_t *bytes) { return *bytes = 256, 0; }

static word on_cudaFuncGetAttributes(char *at) { /* after three sizes: threads per block, registers */
  return memset(at, 0, 32), set_int((int *)(at + 24), 1024), set_int((int *)(at + 28), 32);
}
