#pragma once

#include <stddef.h>
#include <stdint.h>

// cjose, a JOSE library in C, with a key and a header that are made once. For one thread.
typedef struct CJoseInC CJoseInC;

// From a private JWK as JSON text; NULL where it can't be read.
CJoseInC *CJoseInC_make(const char *jwk, size_t size, const char *algorithm, const char *keyID, const char *type);
void CJoseInC_free(CJoseInC *cjose);

// Signs so many payloads, all the same, in the compact serialisation. 1 on success.
int CJoseInC_sign(CJoseInC *cjose, const uint8_t *payload, size_t size, long count);

// Reads a token in the compact serialisation, verifies its signature and looks at its payload. 1 on success.
int CJoseInC_verify(CJoseInC *cjose, const char *token, size_t size);
