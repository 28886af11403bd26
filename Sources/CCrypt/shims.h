#pragma once

#include <crypt.h>

// Swift imports no array of the length that this has.

static inline int CCrypt_data_size(void) {
    return (int)sizeof(struct crypt_data);
}
