/* Answers of a pretended CUDA 13 device: just enough for ONNX Runtime's CUDA provider to build a session.
 *
 * A function on_NAME answers for NAME, the others for whole families of symbols (ANSWERS in build_stand_ins.py). All
 * return a machine word: a status (0 is success in every CUDA library) or a pointer. "Device" memory is host memory
 * and no kernel ever runs.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef intptr_t word;
#define GIB ((size_t)1 << 30)

static char any_object[512];

static word succeed(void) { return 0; }
static word make_handle(void **handle) { return *handle = any_object, 0; }
static word describe(void) { return (word) "an error of a pretended CUDA library"; }

/* The device */

static word set_int(int *place, int value) { return *place = value, 0; }

static word on_cudaGetDeviceCount(int *count) { return set_int(count, 1); }
static word on_cudaGetDevice(int *device) { return set_int(device, 0); }
static word cuda_version(int *version) { return set_int(version, 13000); }
static word on_cudnnGetVersion(void) { return 91000; }

static word on_cudaMemGetInfo(size_t *available, size_t *total) {
  *available = 64 * GIB;
  *total = 80 * GIB;
  return 0;
}

/* cudaDeviceProp of CUDA 13, by byte offset; what is not set is zero. */
static word on_cudaGetDeviceProperties(char *at) {
  static const struct { int offset, value; } ints[] = {
    {304, 65536}, {308, 32},                          /* registers per block, warp size */
    {320, 1024}, {324, 1024}, {328, 1024}, {332, 64}, /* threads per block, and along each axis */
    {336, 0x7fffffff}, {340, 65535}, {344, 65535},    /* grid */
    {360, 8}, {364, 0},                               /* compute capability */
    {384, 108}, {392, 1},                             /* multiprocessors, maps host memory */
    {596, 40 << 20}, {604, 2048},                     /* L2 bytes, threads per multiprocessor */
    {632, 65536}, {688, 32},                          /* registers and blocks per multiprocessor */
  };
  static const struct { int offset; size_t value; } sizes[] = {
    {288, 80 * GIB}, {296, 48 << 10}, {312, 0x7fffffff}, /* memory, shared memory per block, pitch */
    {352, 64 << 10}, {368, 512}, {376, 32},              /* constant memory, texture alignments */
    {624, 164 << 10}, {672, 163 << 10},                  /* shared memory: multiprocessor, opt-in */
  };
  memset(at, 0, 1008);
  strcpy(at, "pretended device");
  for (size_t i = 0; i < sizeof ints / sizeof *ints; i++) *(int *)(at + ints[i].offset) = ints[i].value;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) *(size_t *)(at + sizes[i].offset) = sizes[i].value;
  return 0;
}

static word on_cudaDeviceGetAttribute(int *value, int which) {
  switch (which) {
    case 1: return set_int(value, 1024);      /* threads per block */
    case 8: return set_int(value, 48 << 10);  /* shared memory per block */
    case 10: return set_int(value, 32);       /* warp size */
    case 12: return set_int(value, 65536);    /* registers per block */
    case 16: return set_int(value, 108);      /* multiprocessors */
    case 18: case 20: return set_int(value, 0); /* integrated, compute mode */
    case 38: return set_int(value, 40 << 20); /* L2 bytes */
    case 39: return set_int(value, 2048);     /* threads per multiprocessor */
    case 75: return set_int(value, 8);        /* compute capability, major */
    case 76: return set_int(value, 0);        /* and minor */
    case 81: return set_int(value, 164 << 10); /* shared memory per multiprocessor */
    case 97: return set_int(value, 163 << 10); /* shared memory per block, opt-in */
    default: return set_int(value, 1);         /* nearly all others ask "can you?" */
  }
}

/* Memory */

static word take(void **out, size_t bytes) { return posix_memalign(out, 256, bytes + !bytes) ? 2 : 0; }
static word give(void *block) { return free(block), 0; }
static word copy(void *to, void *from, size_t bytes) { return memmove(to, from, bytes), 0; }
static word fill(void *to, int value, size_t bytes) { return memset(to, value, bytes), 0; }
static word on_cudaMemcpyFromSymbol(void *to, void *symbol, size_t bytes) { return memset(to, 0, bytes), 0; }
static word on_cudaMemPoolGetAttribute(void *pool, int which, uint64_t *value) { return *value = 0, 0; }

/* Kernels, streams, math libraries */

static word on___cudaRegisterFatBinary(void) { return (word)any_object; }
static word on_cudaStreamIsCapturing(void *stream, int *status) { return set_int(status, 0); }

static word on_cudaFuncGetAttributes(char *at) {
  memset(at, 0, 32);
  *(int *)(at + 24) = 1024; /* threads per block, after three sizes */
  *(int *)(at + 28) = 32;   /* registers */
  return 0;
}

static word on_cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks) { return set_int(blocks, 2); }

static word on_cublasGetMathMode(void *handle, int *mode) { return set_int(mode, 0); }
static word on_cudnnBackendCreateDescriptor(int kind, void **descriptor) { return make_handle(descriptor); }
static word on_cudnnDropoutGetStatesSize(void *handle, size_t *bytes) { return *bytes = 256, 0; }
