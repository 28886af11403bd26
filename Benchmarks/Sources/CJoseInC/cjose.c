#include "CJoseInC.h"

#include <cjose/cjose.h>
#include <stdlib.h>

struct CJoseInC {
    cjose_jwk_t *key;
    cjose_header_t *header;
};

CJoseInC *CJoseInC_make(const char *jwk, size_t size, const char *algorithm, const char *keyID, const char *type) {
    CJoseInC *cjose = calloc(1, sizeof(CJoseInC));
    cjose->key = cjose_jwk_import(jwk, size, NULL);
    cjose->header = cjose_header_new(NULL);
    if (cjose->key && cjose->header && cjose_header_set(cjose->header, CJOSE_HDR_ALG, algorithm, NULL)
        && cjose_header_set(cjose->header, CJOSE_HDR_KID, keyID, NULL)
        && cjose_header_set(cjose->header, "typ", type, NULL)) {
        return cjose;
    }
    CJoseInC_free(cjose);
    return NULL;
}

void CJoseInC_free(CJoseInC *cjose) {
    if (cjose->header) cjose_header_release(cjose->header);
    if (cjose->key) cjose_jwk_release(cjose->key);
    free(cjose);
}

int CJoseInC_sign(CJoseInC *cjose, const uint8_t *payload, size_t size, long count) {
    for (long done = 0; done < count; done++) {
        cjose_jws_t *jws = cjose_jws_sign(cjose->key, cjose->header, payload, size, NULL);
        if (!jws) return 0;
        const char *token;
        int isWritten = cjose_jws_export(jws, &token, NULL);
        cjose_jws_release(jws);
        if (!isWritten) return 0;
    }
    return 1;
}

int CJoseInC_verify(CJoseInC *cjose, const char *token, size_t size) {
    cjose_jws_t *jws = cjose_jws_import(token, size, NULL);
    if (!jws) return 0;
    uint8_t *payload;
    size_t payloadSize;
    int isValid = cjose_jws_verify(jws, cjose->key, NULL) && cjose_jws_get_plaintext(jws, &payload, &payloadSize, NULL);
    cjose_jws_release(jws);
    return isValid;
}
