#include "CBaseline.h"

#include <argon2.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

enum { maximumSignatureSize = 512 };

typedef struct {
    uint8_t *message;
    size_t size;
    uint8_t signature[maximumSignatureSize];
    size_t signatureSize;
} Signed;

struct CBaseline {
    EVP_PKEY *key;
    EVP_MD *digest;
    EVP_MD_CTX *signing;
    EVP_MD_CTX *verifying;
    EVP_MD_CTX *hashing;
    EVP_PKEY_CTX *signer;
    EVP_PKEY_CTX *verifier;
    Signed *messages;
    size_t count;
    size_t next;
};

static int prepare(CBaseline *baseline) {
    int isRSA = EVP_PKEY_is_a(baseline->key, "RSA");
    baseline->digest = EVP_MD_fetch(NULL, "SHA256", NULL);
    baseline->signing = EVP_MD_CTX_new();
    baseline->verifying = EVP_MD_CTX_new();
    baseline->hashing = EVP_MD_CTX_new();
    baseline->signer = EVP_PKEY_CTX_new_from_pkey(NULL, baseline->key, NULL);
    baseline->verifier = EVP_PKEY_CTX_new_from_pkey(NULL, baseline->key, NULL);
    return baseline->digest && baseline->signing && baseline->verifying && baseline->hashing && baseline->signer
        && baseline->verifier
        && EVP_DigestSignInit_ex(baseline->signing, NULL, "SHA256", NULL, NULL, baseline->key, NULL) == 1
        && EVP_DigestVerifyInit_ex(baseline->verifying, NULL, "SHA256", NULL, NULL, baseline->key, NULL) == 1
        && EVP_PKEY_sign_init(baseline->signer) == 1 && EVP_PKEY_verify_init(baseline->verifier) == 1
        && EVP_PKEY_CTX_set_signature_md(baseline->signer, baseline->digest) == 1
        && EVP_PKEY_CTX_set_signature_md(baseline->verifier, baseline->digest) == 1
        && (!isRSA
            || (EVP_PKEY_CTX_set_rsa_padding(baseline->signer, RSA_PKCS1_PADDING) == 1
                && EVP_PKEY_CTX_set_rsa_padding(baseline->verifier, RSA_PKCS1_PADDING) == 1));
}

CBaseline *CBaseline_make(const char *pem) {
    BIO *text = BIO_new_mem_buf(pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(text, NULL, NULL, NULL);
    BIO_free(text);
    CBaseline *baseline = calloc(1, sizeof(CBaseline));
    // A copy: threads that share one EVP_PKEY wait for its reference count.
    baseline->key = EVP_PKEY_dup(key);
    EVP_PKEY_free(key);
    if (baseline->key && prepare(baseline)) return baseline;
    CBaseline_free(baseline);
    return NULL;
}

void CBaseline_free(CBaseline *baseline) {
    for (size_t index = 0; index < baseline->count; index++) free(baseline->messages[index].message);
    free(baseline->messages);
    EVP_PKEY_CTX_free(baseline->verifier);
    EVP_PKEY_CTX_free(baseline->signer);
    EVP_MD_CTX_free(baseline->hashing);
    EVP_MD_CTX_free(baseline->verifying);
    EVP_MD_CTX_free(baseline->signing);
    EVP_MD_free(baseline->digest);
    EVP_PKEY_free(baseline->key);
    free(baseline);
}

static int hash(CBaseline *baseline, const Signed *message, uint8_t *digest) {
    return EVP_DigestInit_ex2(baseline->hashing, baseline->digest, NULL) == 1
        && EVP_DigestUpdate(baseline->hashing, message->message, message->size) == 1
        && EVP_DigestFinal_ex(baseline->hashing, digest, NULL) == 1;
}

static int sign(CBaseline *baseline, CBaselineWay way, const Signed *message, uint8_t *signature, size_t *size) {
    *size = maximumSignatureSize;
    if (way == CBaselineReinitialised) {
        return EVP_DigestSignInit(baseline->signing, NULL, NULL, NULL, NULL) == 1
            && EVP_DigestSign(baseline->signing, signature, size, message->message, message->size) == 1;
    }
    uint8_t digest[32];
    return hash(baseline, message, digest)
        && EVP_PKEY_sign(baseline->signer, signature, size, digest, sizeof(digest)) == 1;
}

static int verify(CBaseline *baseline, CBaselineWay way, const Signed *message) {
    if (way == CBaselineReinitialised) {
        return EVP_DigestVerifyInit(baseline->verifying, NULL, NULL, NULL, NULL) == 1
            && EVP_DigestVerify(
                   baseline->verifying, message->signature, message->signatureSize, message->message, message->size)
                == 1;
    }
    uint8_t digest[32];
    return hash(baseline, message, digest)
        && EVP_PKEY_verify(
               baseline->verifier, message->signature, message->signatureSize, digest, sizeof(digest))
            == 1;
}

static const Signed *next(CBaseline *baseline) {
    baseline->next = baseline->next + 1 < baseline->count ? baseline->next + 1 : 0;
    return &baseline->messages[baseline->next];
}

int CBaseline_add(CBaseline *baseline, const uint8_t *message, size_t size) {
    baseline->messages = realloc(baseline->messages, (baseline->count + 1) * sizeof(Signed));
    Signed *added = &baseline->messages[baseline->count];
    added->message = malloc(size);
    memcpy(added->message, message, size);
    added->size = size;
    baseline->count++;
    return sign(baseline, CBaselineHashFirst, added, added->signature, &added->signatureSize);
}

int CBaseline_sign(CBaseline *baseline, CBaselineWay way, long count) {
    uint8_t signature[maximumSignatureSize];
    size_t size;
    for (long done = 0; done < count; done++) {
        if (!sign(baseline, way, next(baseline), signature, &size)) return 0;
    }
    return 1;
}

int CBaseline_verify(CBaseline *baseline, CBaselineWay way, long count) {
    for (long done = 0; done < count; done++) {
        if (!verify(baseline, way, next(baseline))) return 0;
    }
    return 1;
}

int CBaseline_argon2id(uint32_t memory, uint32_t iterations, const char *password, long count) {
    static const uint8_t salt[16] = "0123456789abcdef";
    char encoded[256];
    for (long done = 0; done < count; done++) {
        if (argon2id_hash_encoded(
                iterations, memory, 1, password, strlen(password), salt, sizeof(salt), 32, encoded, sizeof(encoded))
            != ARGON2_OK) {
            return 0;
        }
    }
    return 1;
}
