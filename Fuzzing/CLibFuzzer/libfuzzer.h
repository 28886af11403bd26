// What libFuzzer offers to the code that it calls; it comes without a header of its own.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Changes `data` in one of the usual ways, within `capacity`, and gives the new size.
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t capacity);
