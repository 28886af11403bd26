#pragma once

#include <stddef.h>
#include <stdint.h>

// The fastest that OpenSSL gets from C: one key, its contexts made once, messages in memory, nothing else. For one thread.
typedef struct CBaseline CBaseline;

// The two ways to re-use a context.
typedef enum {
    // One EVP_MD_CTX, re-initialised with all nil.
    CBaselineReinitialised,
    // The digest first, then one re-used EVP_PKEY_CTX.
    CBaselineHashFirst,
} CBaselineWay;

// From a private key in PEM; NULL where it can't be read.
CBaseline *CBaseline_make(const char *pem);
void CBaseline_free(CBaseline *baseline);

// Adds a message to those that are signed and verified in turn. 1 on success.
int CBaseline_add(CBaseline *baseline, const uint8_t *message, size_t size);

// Signs or verifies so many messages. 1 on success.
int CBaseline_sign(CBaseline *baseline, CBaselineWay way, long count);
int CBaseline_verify(CBaseline *baseline, CBaselineWay way, long count);

// Argon2id with one lane, a salt of 16 bytes and a hash of 32. 1 on success.
int CBaseline_argon2id(uint32_t memory, uint32_t iterations, const char *password, long count);
