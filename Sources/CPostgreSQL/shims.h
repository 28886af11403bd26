#pragma once
#include <libpq-fe.h>

// What libpq-fe.h has as macros of characters.
static inline int CPostgreSQL_diagnostic_sqlstate(void) { return PG_DIAG_SQLSTATE; }
static inline int CPostgreSQL_diagnostic_message(void) { return PG_DIAG_MESSAGE_PRIMARY; }
