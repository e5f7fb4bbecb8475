/* Checks that the header compiles as C. */
#include "mgpu/simgpu.h"

int mgpu_plain_c_out_of_memory(void);
int mgpu_plain_c_out_of_memory(void) { return MGPU_SIMGPU_OUT_OF_MEMORY; }
